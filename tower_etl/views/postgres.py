"""Views and comments in PostgreSQL, replaced only if their definition changed.

Replacing a view requires an exclusive lock: it waits for current readers and blocks new ones.
Therefore a sync does not replace unchanged views, and waits at most five seconds for others.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import psycopg2

from tower_etl.config.settings import DATASET
from tower_etl.views.definitions import (
    iter_comment_statements,
    iter_definitions,
    iter_views,
    list_comments,
)
from tower_etl.views.dialects import iter_statements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tower_etl.schema import TableSpec

_LOCK_TIMEOUT = "5s"
_VIEW_DIGEST_TABLE = "_tower_etl_views"
_FIND_COMMENTS = """
SELECT relname, '', obj_description(oid, 'pg_class') FROM pg_class
WHERE relnamespace = %(schema)s::regnamespace AND relkind = 'r'
UNION ALL
SELECT relname, attname, col_description(attrelid, attnum)
FROM pg_attribute JOIN pg_class ON attrelid = pg_class.oid
WHERE relnamespace = %(schema)s::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped
"""


def refresh_views(connection: Any) -> None:  # noqa: ANN401 psycopg2 has no types
    """Create or replace all views in one transaction.

    The views are unchanged, and the next sync retries, if a reader locks one of them for more than
    five seconds, or if a view of the user depends on one of them.
    """
    statements = list(iter_statements(iter_views(), "postgres"))
    digest = hashlib.sha256("\n".join(statements).encode()).hexdigest()
    refusals = psycopg2.errors.LockNotAvailable, psycopg2.errors.DependentObjectsStillExist
    with suppress(*refusals), _transaction(connection) as cursor:
        cursor.execute(f"CREATE TABLE IF NOT EXISTS {_VIEW_DIGEST_TABLE} (digest text)")
        for definition in iter_definitions("postgres"):
            cursor.execute(definition)
        cursor.execute(f"SELECT digest FROM {_VIEW_DIGEST_TABLE}")  # noqa: S608 a constant
        if cursor.fetchall() != [(digest,)]:
            _replace(cursor, statements)
            cursor.execute(f"DELETE FROM {_VIEW_DIGEST_TABLE}")  # noqa: S608 a constant
            cursor.execute(f"INSERT INTO {_VIEW_DIGEST_TABLE} VALUES (%s)", (digest,))  # noqa: S608 a constant


def refresh_comments(connection: Any, specs: Mapping[str, TableSpec]) -> None:  # noqa: ANN401 psycopg2 has no types
    """Set comments on tables and columns; if a lock prevents that, the next sync retries."""
    with suppress(psycopg2.errors.LockNotAvailable), _transaction(connection) as cursor:
        cursor.execute(_FIND_COMMENTS, {"schema": DATASET})
        existing = {(table, column): comment for table, column, comment in cursor.fetchall()}
        statements = ";".join(iter_comment_statements(list_comments(specs), existing))
        if statements:
            cursor.execute(statements)


@contextmanager
def _transaction(connection: Any) -> Iterator[Any]:  # noqa: ANN401 psycopg2 has no types
    """Yield the cursor of a transaction in the schema of the tables, with a limit for locks."""
    connection.autocommit = False
    try:
        with connection, connection.cursor() as cursor:
            # LOCAL settings end with the transaction, since the connection is used afterwards.
            cursor.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
            cursor.execute(f"SET LOCAL search_path = {DATASET}")
            yield cursor
    finally:
        connection.autocommit = True


def _replace(cursor: Any, statements: Iterable[str]) -> None:  # noqa: ANN401 psycopg2 has no types
    # Dropped and not replaced: CREATE OR REPLACE VIEW cannot rename or remove columns.
    for view in reversed(list(iter_views())):
        cursor.execute(f'DROP VIEW IF EXISTS "{view.name}"')
    for statement in statements:
        cursor.execute(statement)

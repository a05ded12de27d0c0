"""Views and comments in PostgreSQL, made again only when their text is another.

To replace a view, PostgreSQL waits for whoever reads it, and lets nobody else read it meanwhile. So
a sync leaves views alone that are as they should be, and does not wait long for those that are not.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import psycopg2

from tower_etl.config.settings import DATASET
from tower_etl.views.definitions import iter_statements as iter_comments
from tower_etl.views.definitions import iter_views, list_comments
from tower_etl.views.dialects import iter_statements
from tower_etl.views.local_tables import iter_definitions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tower_etl.schema import TableSpec

_PATIENCE = "5s"
_VIEW_DIGEST_TABLE = "_tower_etl_views"
_FIND_COMMENTS = """
SELECT relname, '', obj_description(oid, 'pg_class') FROM pg_class
WHERE relnamespace = %(schema)s::regnamespace AND relkind = 'r'
UNION ALL
SELECT relname, attname, col_description(attrelid, attnum)
FROM pg_attribute JOIN pg_class ON attrelid = pg_class.oid
WHERE relnamespace = %(schema)s::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped
"""


def refresh_views(connection: Any) -> bool:  # noqa: ANN401 psycopg2 has no types
    """Create or replace the views, all in one transaction; whether they are as they should be.

    They are left as they are, to be tried again by the next sync, where a reader holds one of them
    for long, or where a view of the user's hangs on one whose columns would change.
    """
    statements = list(iter_statements(iter_views(), "postgres"))
    digest = hashlib.sha256("\n".join(statements).encode()).hexdigest()
    connection.autocommit = False
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{_PATIENCE}'")
            cursor.execute(f"SET LOCAL search_path = {DATASET}")
            cursor.execute(f"CREATE TABLE IF NOT EXISTS {_VIEW_DIGEST_TABLE} (digest text)")
            for definition in iter_definitions("postgres"):
                cursor.execute(definition)
            cursor.execute(f"SELECT digest FROM {_VIEW_DIGEST_TABLE}")  # noqa: S608 a name of ours
            if cursor.fetchall() != [(digest,)]:
                _replace(cursor, statements)
                cursor.execute(f"DELETE FROM {_VIEW_DIGEST_TABLE}")  # noqa: S608 likewise
                cursor.execute(f"INSERT INTO {_VIEW_DIGEST_TABLE} VALUES (%s)", (digest,))  # noqa: S608 likewise
    except (psycopg2.errors.LockNotAvailable, psycopg2.errors.DependentObjectsStillExist):
        return False
    finally:
        connection.autocommit = True
    return True


def refresh_comments(connection: Any, specs: Mapping[str, TableSpec]) -> bool:  # noqa: ANN401 psycopg2 has no types
    """Say what tables and columns mean, in one transaction; whether all is said.

    What a reader's lock stands in the way of is left to the next sync.
    """
    connection.autocommit = False
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{_PATIENCE}'")
            cursor.execute(f"SET LOCAL search_path = {DATASET}")
            cursor.execute(_FIND_COMMENTS, {"schema": DATASET})
            said = {(table, column): comment for table, column, comment in cursor.fetchall()}
            if statements := ";".join(iter_comments(list_comments(specs), said)):
                cursor.execute(statements)
    except psycopg2.errors.LockNotAvailable:
        return False
    finally:
        connection.autocommit = True
    return True


def _replace(cursor: Any, statements: Iterable[str]) -> None:  # noqa: ANN401 as above
    for view in reversed(list(iter_views())):
        cursor.execute(f'DROP VIEW IF EXISTS "{view.name}"')
    for statement in statements:
        cursor.execute(statement)

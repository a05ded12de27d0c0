"""The views in PostgreSQL, made again only when their text is another.

To replace a view, PostgreSQL waits for whoever reads it, and lets nobody else read it meanwhile. So
a sync leaves views alone that are as they should be, and does not wait long for those that are not.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import psycopg2

from tower_etl.load.dialect import iter_statements
from tower_etl.load.target import DATASET
from tower_etl.load.views import iter_views

if TYPE_CHECKING:
    from collections.abc import Iterable

_PATIENCE = "5s"
_NOTES = "_tower_etl_views"


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
            cursor.execute(f"CREATE TABLE IF NOT EXISTS {_NOTES} (digest text)")
            cursor.execute(f"SELECT digest FROM {_NOTES}")  # noqa: S608 a name of ours
            if cursor.fetchall() != [(digest,)]:
                _replace(cursor, statements)
                cursor.execute(f"DELETE FROM {_NOTES}")  # noqa: S608
                cursor.execute(f"INSERT INTO {_NOTES} VALUES (%s)", (digest,))  # noqa: S608
    except (psycopg2.errors.LockNotAvailable, psycopg2.errors.DependentObjectsStillExist):
        return False
    finally:
        connection.autocommit = True
    return True


def _replace(cursor: Any, statements: Iterable[str]) -> None:  # noqa: ANN401
    for view in reversed(list(iter_views())):
        cursor.execute(f'DROP VIEW IF EXISTS "{view.name}"')
    for statement in statements:
        cursor.execute(statement)

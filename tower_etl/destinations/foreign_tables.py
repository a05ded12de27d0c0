"""Detection of tables and views that have a reserved name but were not written by tower-etl.

A sync would add columns to such a table, replace its rows, or replace the view. A table is
recognized as one of tower-etl if dlt's stored schema contains it, or if it has all expected
columns: an interrupted sync may have created it before it stored the schema. A view is recognized
by its comment.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from tower_etl.config.settings import DATASET
from tower_etl.errors import ConfigurationError
from tower_etl.schema import STORED_TABLES
from tower_etl.views.definitions import list_view_names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    QueryFunction = Callable[[str], list[tuple[Any, ...]]]
    ColumnNames = dict[str, set[str]]

_OBJECTS: Mapping[str, str] = {
    "duckdb": f"""
        SELECT lower(table_name), 'table', comment FROM duckdb_tables()
        WHERE database_name = current_catalog() AND schema_name = '{DATASET}'
        UNION ALL
        SELECT lower(view_name), 'view', comment FROM duckdb_views()
        WHERE database_name = current_catalog() AND schema_name = '{DATASET}'
    """,  # noqa: S608 constants only
    "postgres": f"""
        SELECT relname, CASE WHEN relkind IN ('v', 'm') THEN 'view' ELSE 'table' END,
            obj_description(c.oid, 'pg_class')
        FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace
        WHERE nspname = '{DATASET}' AND relkind IN ('r', 'p', 'f', 'v', 'm')
    """,  # noqa: S608 constants only
}
# information_schema of PostgreSQL hides columns that the user may not read.
_COLUMNS: Mapping[str, str] = {
    "duckdb": f"""
        SELECT lower(table_name), lower(column_name) FROM duckdb_columns()
        WHERE database_name = current_catalog() AND schema_name = '{DATASET}'
    """,  # noqa: S608 constants only
    "postgres": f"""
        SELECT relname, attname FROM pg_attribute AS a
        JOIN pg_class AS c ON c.oid = attrelid
        JOIN pg_namespace AS n ON n.oid = relnamespace
        WHERE nspname = '{DATASET}' AND attnum > 0 AND NOT attisdropped
    """,  # noqa: S608 constants only
}
_INTERNAL_TABLES: Mapping[str, frozenset[str]] = {
    "_dlt_loads": frozenset({"load_id", "schema_name", "status"}),
    "_dlt_version": frozenset({"schema_name", "version_hash", "schema"}),
    "_dlt_pipeline_state": frozenset({"pipeline_name", "version", "state"}),
    "_tower_etl_views": frozenset({"digest"}),
}


def check_foreign_tables(query: QueryFunction, dialect: str, title: str) -> None:
    """Reject a database with a table or view that has a reserved name but is not of tower-etl.

    Args:
        query: Function that returns the rows of a SELECT.
        dialect: SQL dialect of the database: `duckdb` or `postgres`.
        title: Name of the database in messages.

    Raises:
        ConfigurationError: The database has such a table or view; nothing was changed.
    """
    columns = _query_columns(query, dialect)
    stored = _stored_tables(query, columns)
    views = list_view_names()
    for name, kind, comment in query(_OBJECTS[dialect]):
        if name in views:
            reason = _explain_foreign_view(kind, comment)
        else:
            reason = _explain_foreign_table(name, kind, columns[name], stored)
        if reason:
            msg = (
                f"{title}: the {kind} {DATASET}.{name} was not written by tower-etl ({reason}), "
                f"but a sync needs its name. It was not changed. Rename it (ALTER {kind.upper()} "
                f'{DATASET}.{name} RENAME TO "my_{name}") or choose another --path, then run the '
                "same command again."
            )
            raise ConfigurationError(msg)


def _explain_foreign_view(kind: str, comment: str | None) -> str | None:
    """Return why an object with the name of a view is not of tower-etl, None if it is."""
    if kind == "view":
        return None if comment else "it has no comment"
    return "it is not a view"


def _explain_foreign_table(
    name: str, kind: str, columns: set[str], stored: frozenset[str]
) -> str | None:
    """Return why an object is not a table of tower-etl; None if it is, or if not reserved."""
    expected = _expected_columns(name)
    if not expected:
        return None
    if kind == "view":
        return "it is not a table"
    if name in stored:
        return None
    missing = sorted(expected - columns)
    return f"it has no column {', '.join(missing[:3])}" if missing else None


def _expected_columns(table: str) -> frozenset[str]:
    """Return the columns that a table of tower-etl must have; none for an unreserved name."""
    if table in STORED_TABLES:
        return frozenset(STORED_TABLES[table].arrow_schema.names)
    return _INTERNAL_TABLES.get(table, frozenset())


def _query_columns(query: QueryFunction, dialect: str) -> ColumnNames:
    """Return the names of columns by table, in one query, because each takes 5 ms."""
    columns: ColumnNames = defaultdict(set)
    for table, column in query(_COLUMNS[dialect]):
        columns[table].add(column)
    return columns


def _stored_tables(query: QueryFunction, columns: ColumnNames) -> frozenset[str]:
    """Return the tables in dlt's newest stored schema, without dlt's internal tables."""
    if not columns["_dlt_version"] >= _INTERNAL_TABLES["_dlt_version"]:
        return frozenset()
    ((catalog,),) = query("SELECT current_database()")  # qualified: the file may be called `tower`
    rows = query(
        f'SELECT schema FROM "{catalog}".{DATASET}._dlt_version '  # noqa: S608 constants only
        f"WHERE schema_name = '{DATASET}' ORDER BY inserted_at DESC LIMIT 1"
    )
    names = (name for (text,) in rows for name in json.loads(text)["tables"])
    return frozenset(name for name in names if name not in _INTERNAL_TABLES)

"""Tables and views of a user that have names of ours: told from ours, and refused.

dlt would add columns to such a table and replace its rows, and a view would be replaced. A table is
ours if the schema that dlt keeps beside the rows knows it, or if it has every column that it should
have: a sync that was killed may have made it without noting that. A view of ours has a comment.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tower_etl.config.settings import DATASET
from tower_etl.errors import ConfigurationError
from tower_etl.schema import STORED_TABLES
from tower_etl.views.definitions import iter_views

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Ask = Callable[[str], list[tuple[Any, ...]]]

_SCHEMAS = f"('{DATASET}', '{DATASET}_staging')"
_OBJECTS: Mapping[str, str] = {
    "duckdb": f"""
        SELECT schema_name, lower(table_name), 'table', comment FROM duckdb_tables()
        WHERE database_name = current_catalog() AND schema_name IN {_SCHEMAS}
        UNION ALL
        SELECT schema_name, lower(view_name), 'view', comment FROM duckdb_views()
        WHERE database_name = current_catalog() AND schema_name IN {_SCHEMAS}
    """,  # noqa: S608 names are ours
    "postgres": f"""
        SELECT nspname, relname, CASE WHEN relkind IN ('v', 'm') THEN 'view' ELSE 'table' END,
            obj_description(c.oid, 'pg_class')
        FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace
        WHERE nspname IN {_SCHEMAS} AND relkind IN ('r', 'p', 'f', 'v', 'm')
    """,  # noqa: S608 likewise
}
# PostgreSQL's information schema would hide the columns that a user may not read.
_COLUMNS: Mapping[str, str] = {
    "duckdb": """
        SELECT lower(column_name) FROM duckdb_columns() WHERE database_name = current_catalog()
        AND schema_name = '{schema}' AND lower(table_name) = '{table}'
    """,
    "postgres": """
        SELECT attname FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = attrelid
        JOIN pg_namespace AS n ON n.oid = relnamespace
        WHERE nspname = '{schema}' AND relname = '{table}' AND attnum > 0 AND NOT attisdropped
    """,
}
_OF_DLT: Mapping[str, frozenset[str]] = {
    "_dlt_loads": frozenset({"load_id", "schema_name", "status"}),
    "_dlt_version": frozenset({"schema_name", "version_hash", "schema"}),
    "_dlt_pipeline_state": frozenset({"pipeline_name", "version", "state"}),
    "_tower_etl_views": frozenset({"digest"}),
}


@dataclass(frozen=True)
class Object:
    """A table or a view in the schema of the tables, or in that of dlt's staging.

    Attributes:
        schema: Its schema.
        name: Its name.
        kind: `table` or `view`.
        comment: What is said of it, None where nothing is.
    """

    schema: str
    name: str
    kind: str
    comment: str | None


def refuse_foreign(ask: Ask, dialect: str, place: str) -> None:
    """Refuse a database with a table or view of a user that has a name of ours.

    Args:
        ask: Gives the rows of a SELECT.
        dialect: Of the database: `duckdb` or `postgres`.
        place: What messages call it.

    Raises:
        ConfigurationError: There is one; nothing was changed.
    """
    objects = [Object(*row) for row in ask(_OBJECTS[dialect])]
    stored = _read_stored(ask, dialect)
    for found in objects:
        if reason := _find_reason(ask, dialect, found, stored):
            name = f"{found.schema}.{found.name}"
            msg = (
                f"{place}: the {found.kind} {name} was not written by tower-etl ({reason}), but a "
                "sync needs its name. It was not touched. Rename it (ALTER "
                f'{found.kind.upper()} {name} RENAME TO "my_{found.name}") or choose another '
                "--path, then run the same command again."
            )
            raise ConfigurationError(msg)


def _find_reason(ask: Ask, dialect: str, found: Object, stored: frozenset[str]) -> str | None:
    """Return what tells an object of a user from ours; None for one of ours or of another name."""
    if found.name in _list_views() and found.schema == DATASET:
        if found.kind == "view":
            return None if found.comment else "it has no comment"
        return "it is no view"
    wanted = _list_columns(found.name)
    if not wanted:
        return None
    if found.kind == "view":
        return "it is no table"
    if found.name in stored:
        return None
    lacking = sorted(wanted - _ask_columns(ask, dialect, found.schema, found.name))
    return f"it has no column {', '.join(lacking[:3])}" if lacking else None


def _list_columns(table: str) -> frozenset[str]:
    """Return the columns that a table must have; none where its name is not one of ours."""
    if table in STORED_TABLES:
        return frozenset(STORED_TABLES[table].arrow_schema.names)
    return _OF_DLT.get(table, frozenset())


def _list_views() -> frozenset[str]:
    return frozenset(view.name for view in iter_views())


def _ask_columns(ask: Ask, dialect: str, schema: str, table: str) -> frozenset[str]:
    rows = ask(_COLUMNS[dialect].format(schema=schema, table=table))
    return frozenset(name for (name,) in rows)


def _read_stored(ask: Ask, dialect: str) -> frozenset[str]:
    """Return the tables that the newest schema of dlt knows, without those of dlt itself."""
    if not _OF_DLT["_dlt_version"] <= _ask_columns(ask, dialect, DATASET, "_dlt_version"):
        return frozenset()
    ((catalog,),) = ask("SELECT current_database()")  # named, for a file may be called `tower`
    rows = ask(
        f'SELECT schema FROM "{catalog}".{DATASET}._dlt_version '  # noqa: S608 ours
        f"WHERE schema_name = '{DATASET}' ORDER BY inserted_at DESC LIMIT 1"
    )
    names = (name for (text,) in rows for name in json.loads(text)["tables"])
    return frozenset(name for name in names if name not in _OF_DLT)

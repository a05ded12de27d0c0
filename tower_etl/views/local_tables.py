"""Tables that no sync fills, created empty if they are missing, so that views can read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tower_etl.schema import LOCAL_TABLES
from tower_etl.schema.types import BOOLEAN, INTEGER, NUMBER, TEXT, TIMESTAMP

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import duckdb
    import pyarrow as pa

    from tower_etl.schema import ColumnSpec, TableSpec

# The types that dlt would choose, because dlt later loads into these tables.
_TYPES: Mapping[str, Mapping[pa.DataType, str]] = {
    "duckdb": {TEXT: "VARCHAR", NUMBER: "DOUBLE", TIMESTAMP: "TIMESTAMP WITH TIME ZONE"},
    "postgres": {
        TEXT: "varchar",
        NUMBER: "double precision",
        TIMESTAMP: "timestamp with time zone",
    },
    "spark": {TEXT: "STRING", NUMBER: "DOUBLE", TIMESTAMP: "TIMESTAMP"},
}
_COMMON: Mapping[pa.DataType, str] = {INTEGER: "BIGINT", BOOLEAN: "BOOLEAN"}
_JSON = {"duckdb": "JSON", "postgres": "jsonb", "spark": "STRING"}


def iter_definitions(dialect: str) -> Iterator[str]:
    """Yield the statements that create missing tables."""
    if dialect not in _TYPES:
        return
    for table in LOCAL_TABLES.values():
        yield f"CREATE TABLE IF NOT EXISTS {table.name} ({_list_columns(table, dialect)})"


def create_local_tables(connection: duckdb.DuckDBPyConnection, *, temporary: bool = False) -> None:
    """Create the tables that are missing in the schema of a connection.

    Args:
        connection: Connection whose current schema contains the tables.
        temporary: Whether to create temporary tables, which only this connection sees. Existing
            tables are skipped, because a temporary table would hide them.
    """
    kind = "TEMPORARY TABLE" if temporary else "TABLE"
    for table in LOCAL_TABLES.values():
        if not _exists(connection, table.name):
            columns = _list_columns(table, "duckdb")
            connection.execute(f'CREATE {kind} "{table.name}" ({columns})')


def _exists(connection: duckdb.DuckDBPyConnection, name: str) -> bool:
    found = connection.execute(
        "SELECT count(*) FROM information_schema.tables WHERE table_name = $1 AND "
        "(table_schema = current_schema() OR table_type = 'LOCAL TEMPORARY')",
        [name],
    ).fetchall()
    return found != [(0,)]


def _list_columns(table: TableSpec, dialect: str) -> str:
    return ", ".join(f"{column.name} {_type_of(column, dialect)}" for column in table.columns)


def _type_of(column: ColumnSpec, dialect: str) -> str:
    if column.is_json:
        return _JSON[dialect]
    return _TYPES[dialect].get(column.type) or _COMMON[column.type]

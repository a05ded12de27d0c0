"""What tables and columns mean, as comments in the database, where SQL clients show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tower_etl.load.target import DATASET
from tower_etl.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import duckdb

    from tower_etl.tables import ColumnSpec, TableSpec

Comments = dict[tuple[str, str], str]  # by table and column; the column of a table itself is empty

_FIND = """
SELECT table_name, '', comment FROM duckdb_tables() WHERE database_name = $1 AND schema_name = $2
UNION ALL
SELECT table_name, column_name, comment FROM duckdb_columns()
WHERE database_name = $1 AND schema_name = $2
"""


def apply_comments(
    connection: duckdb.DuckDBPyConnection, catalog: str, specs: Mapping[str, TableSpec] = TABLES
) -> None:
    """Say what tables and columns mean; what is said already costs one query.

    Args:
        connection: In the schema of the tables.
        catalog: What the connection calls the file.
        specs: The tables, promoted columns included.
    """
    said = {
        (table, column): comment
        for table, column, comment in connection.execute(_FIND, [catalog, DATASET]).fetchall()
    }
    for statement in iter_statements(list_comments(specs), said):
        connection.execute(statement)


def list_comments(specs: Mapping[str, TableSpec] = TABLES) -> Comments:
    """The meaning of every table and column, units included."""
    comments: Comments = {}
    for table in specs.values():
        comments[table.name, ""] = f"{table.description} {table.grain}"
        comments |= {(table.name, c.name): describe_column(c) for c in table.columns}
    return comments


def describe_column(column: ColumnSpec) -> str:
    """The meaning of a column, and its unit."""
    return f"{column.description} Unit: {column.unit}." if column.unit else column.description


def iter_statements(
    wanted: Mapping[tuple[str, str], str], said: Mapping[tuple[str, str], str | None]
) -> Iterator[str]:
    """The statements for what is there and not said yet, in SQL that PostgreSQL takes, too."""
    for (table, column), text in wanted.items():
        if said.get((table, column), text) != text:
            place = f'COLUMN "{table}"."{column}"' if column else f'TABLE "{table}"'
            yield f"COMMENT ON {place} IS {_quote(text)}"


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"

"""Readers of a destination's tables: by SQL, or directly from Delta and Iceberg tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
from dlt.common.destination.exceptions import DestinationUndefinedEntity
from dlt.destinations.exceptions import DatabaseUndefinedRelation

from tower_etl.lossless import to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from dlt.common.destination.client import SupportsOpenTables
    from dlt.common.schema.typing import TTableFormat
    from dlt.destinations.sql_client import SqlClientBase

_VALUES_PER_QUERY = 500  # SQL Server allows 2,100 parameters, old SQLite 999
_ABSENT = (DatabaseUndefinedRelation, DestinationUndefinedEntity)


@dataclass(frozen=True)
class Condition:
    """Condition that a column has one of some values.

    Attributes:
        column: Name of the column.
        values: Accepted values; None selects the rows in which the column is null.
    """

    column: str
    values: tuple[object, ...] | None


class TableReader(Protocol):
    """Reader of the tables of one destination."""

    def read(self, table: str, columns: pa.Schema, condition: Condition | None) -> pa.Table:
        """Return some columns of the selected rows; no rows if the table does not exist."""
        ...


class NoReader:
    """Reader for a destination that cannot be read, or does not exist yet."""

    def read(self, table: str, columns: pa.Schema, condition: Condition | None) -> pa.Table:  # noqa: ARG002 a reader's signature
        """Return no rows."""
        return columns.empty_table()


class SqlReader:
    """Reader that uses SQL. dlt translates the placeholder `%s` for each database."""

    def __init__(self, client: SqlClientBase[Any]) -> None:
        self._client = client

    def read(self, table: str, columns: pa.Schema, condition: Condition | None) -> pa.Table:
        """Return some columns of the selected rows; no rows if the table does not exist."""
        try:
            with self._client as client:
                rows = [
                    tuple(row)
                    for sql, values in self._iter_queries(client, table, columns, condition)
                    for row in client.execute_sql(sql, *values) or ()
                ]
        except _ABSENT:
            rows = []
        found = zip(*rows, strict=True) if rows else ([] for _ in columns)
        arrays = [
            pa.array(convert(values, field.type), field.type)
            for values, field in zip(found, columns, strict=True)
        ]
        return pa.table(arrays, schema=columns)

    @staticmethod
    def _iter_queries(
        client: SqlClientBase[Any], table: str, columns: pa.Schema, condition: Condition | None
    ) -> Iterator[tuple[str, tuple[object, ...]]]:
        names = ", ".join(client.escape_column_name(name) for name in columns.names)
        sql = f"SELECT {names} FROM {client.make_qualified_table_name(table)}"  # noqa: S608 names are quoted by dlt
        if condition is None:
            yield sql, ()
            return
        column = client.escape_column_name(condition.column)
        if condition.values is None:
            yield f"{sql} WHERE {column} IS NULL", ()
            return
        for start in range(0, len(condition.values), _VALUES_PER_QUERY):
            chunk = condition.values[start : start + _VALUES_PER_QUERY]
            yield f"{sql} WHERE {column} IN ({', '.join(['%s'] * len(chunk))})", chunk


class OpenTableReader:
    """Reader of Delta or Iceberg tables that uses the libraries of the formats.

    dlt's SQL client would read them with DuckDB extensions, which must be downloaded.
    """

    def __init__(self, client: SupportsOpenTables, table_format: TTableFormat) -> None:
        """Read tables of one format, `delta` or `iceberg`."""
        self._client = client
        self._format = table_format

    def read(self, table: str, columns: pa.Schema, condition: Condition | None) -> pa.Table:
        """Return some columns of the selected rows; no rows if the table does not exist."""
        try:
            opened = self._client.load_open_table(self._format, table)
        except _ABSENT:
            return columns.empty_table()
        scan = _scan_delta if self._format == "delta" else _scan_iceberg
        return scan(opened, columns.names, condition).cast(columns)


def _scan_delta(opened: Any, names: Sequence[str], condition: Condition | None) -> pa.Table:  # noqa: ANN401 a DeltaTable, an optional dependency
    return opened.to_pyarrow_dataset().to_table(columns=names, filter=_as_arrow(condition))


def _as_arrow(condition: Condition | None) -> pc.Expression | None:
    if condition is None:
        return None
    column = pc.field(condition.column)
    if condition.values is None:
        return column.is_null()
    values = pa.array(condition.values)
    # Without the cast Arrow compares statistics, which deltalake gives as `string_view`, and fails.
    return column.cast(values.type).isin(values)


def _scan_iceberg(opened: Any, names: Sequence[str], condition: Condition | None) -> pa.Table:  # noqa: ANN401 a table of PyIceberg, an optional dependency
    expressions: Any = import_module("pyiceberg.expressions")  # an optional dependency
    rows = expressions.AlwaysTrue()
    if condition is not None and condition.values is None:
        rows = expressions.IsNull(condition.column)
    elif condition is not None:
        rows = expressions.In(condition.column, condition.values)
    return opened.scan(row_filter=rows, selected_fields=tuple(names)).to_arrow().select(names)


def convert(values: Iterable[object], kind: pa.DataType) -> list[object]:
    """Convert values of a database to values that an Arrow type accepts.

    SQLite and MySQL have neither booleans nor time zones, some databases return integers
    as decimals, and JSON arrives as text or as objects.
    """
    convert_one = _find_converter(kind)
    return [None if value is None else convert_one(value) for value in values]


def _find_converter(kind: pa.DataType) -> Callable[[Any], object]:
    if pa.types.is_timestamp(kind):
        return _as_timestamp
    if pa.types.is_boolean(kind):
        return bool
    if pa.types.is_integer(kind):
        return int
    return float if pa.types.is_floating(kind) else _as_text


def _as_timestamp(value: Any) -> datetime:  # noqa: ANN401 any type of a database
    timestamp = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)


def _as_text(value: object) -> str:
    if isinstance(value, Mapping | list):
        return to_json(value)
    return value.decode() if isinstance(value, bytes) else str(value)

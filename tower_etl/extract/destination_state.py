"""Content of the destination, read through the pipeline that writes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from dlt.common.configuration.container import Container
from dlt.common.destination.client import SupportsOpenTables, WithStateSync
from dlt.common.destination.exceptions import DestinationUndefinedEntity
from dlt.common.pipeline import PipelineContext
from dlt.common.schema import Schema
from dlt.destinations.exceptions import DatabaseUndefinedRelation
from dlt.destinations.sql_client import WithSqlClient

from tower_etl.lossless import to_json
from tower_etl.schema import REMOVED, TABLES
from tower_etl.schema.types import BOOLEAN, INTEGER, NUMBER, TEXT, TIMESTAMP
from tower_etl.sync import StoredRun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import dlt
    from dlt.destinations.sql_client import SqlClientBase

_SCHEMA = "tower"  # dlt names a schema after its source
OPEN_TABLE_FORMATS = frozenset({"delta", "iceberg"})
_TYPES = {"bigint": INTEGER, "double": NUMBER, "bool": BOOLEAN, "timestamp": TIMESTAMP}
_VALUES_PER_QUERY = 500  # SQL Server allows 2,100 parameters, old SQLite 999
_ABSENT = (DatabaseUndefinedRelation, DestinationUndefinedEntity)
_RUN_COLUMNS = (
    "id",
    "submit",
    "date_created",
    "status",
    "last_updated",
    "complete",
    "starred",
    "missing_since",
    "missing_parts",
)


def find_pipeline() -> dlt.Pipeline | None:
    """Return the active pipeline; `dlt.current.pipeline()` would create one if there is none."""
    context = Container()[PipelineContext]
    active: Any = context.pipeline() if context.is_active() else None
    pipeline: dlt.Pipeline | None = active
    return pipeline


@dataclass(frozen=True)
class Condition:
    """Condition that a column has one of some values.

    Attributes:
        column: Name of the column.
        values: Accepted values; None selects the rows in which the column is null.
    """

    column: str
    values: tuple[object, ...] | None


class DestinationState:
    """State of the destination of a dlt pipeline of any type.

    Attributes:
        has_pending_rows: Whether rows of earlier extractions are not in the tables yet.
    """

    def __init__(self, pipeline: dlt.Pipeline | None, schema_name: str = _SCHEMA) -> None:
        """Create the state without a query.

        Args:
            pipeline: Pipeline; without one, and before its first load, all tables are empty.
            schema_name: Name of the dlt schema that the tables belong to.
        """
        self.has_pending_rows = False
        self._pipeline = pipeline
        self._schema_name = schema_name
        self._emptied: frozenset[str] = frozenset()

    def empty(self, names: Iterable[str]) -> None:
        """Treat tables as empty that the current load will truncate before it writes."""
        self._emptied = frozenset(names)

    def runs(self, workspace_id: int | None) -> dict[str, StoredRun]:
        """Return the runs of a workspace by id."""
        condition = Condition("workspace_id", None if workspace_id is None else (workspace_id,))
        links: dict[str, set[int]] = {}
        labels = self._read("workflow_labels", self._fields("workflow_labels"), condition)
        for link in labels.to_pylist():
            if not link[REMOVED]:
                links.setdefault(link["workflow_id"], set()).add(link["label_id"])
        runs = self._read("workflows", self._fields("workflows", _RUN_COLUMNS), condition)
        return {
            run["id"]: StoredRun(
                submit=run["submit"] or run["date_created"],  # as in a listing
                status=run["status"],
                last_updated=run["last_updated"],
                complete=run["complete"],
                starred=run["starred"],
                label_ids=frozenset(links.get(run["id"], ())),
                missing_since=run["missing_since"],
                has_missing_parts=run["missing_parts"] is not None,
            )
            for run in runs.to_pylist()
        }

    def run_rows(self, run_ids: Iterable[str]) -> pa.Table:
        """Return complete rows of `workflows`."""
        return self.read_groups("workflows", "id", run_ids)

    def find_launches(self, run_ids: Iterable[str]) -> set[str]:
        """Return the ids of the launches of some runs that are in `launches`."""
        runs = self.read_groups("workflows", "id", run_ids, ("launch_id",))
        launch_ids = runs["launch_id"].drop_null().unique().to_pylist()
        return set(self.read_groups("launches", "id", launch_ids, ("id",))["id"].to_pylist())

    def read_groups(
        self, name: str, column: str, values: Iterable[object], columns: Sequence[str] = ()
    ) -> pa.Table:
        """Return the rows whose column has one of some values, with all or some columns."""
        chosen = tuple(values)
        fields = self._fields(name, columns)
        if not chosen:
            return fields.empty_table()
        return self._read(name, fields, Condition(column, chosen))

    def read_table(self, name: str, columns: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Return all rows of a table; columns that the destination lacks are null."""
        table = self._read(name, self._fields(name, columns), None)
        rows: list[dict[str, Any]] = table.to_pylist()
        return rows

    def table_schema(self, name: str) -> pa.Schema:
        """Return the columns of a table, including promoted ones: a merge replaces whole rows."""
        schema = TABLES[name].arrow_schema
        for column, hints in self._find_columns(name).items():
            if column not in schema.names and not column.startswith("_dlt_"):
                schema = schema.append(
                    pa.field(column, _TYPES.get(str(hints.get("data_type")), TEXT))
                )
        return schema

    def is_complete(self, name: str, columns: Iterable[str]) -> bool:
        """Return whether a table has some columns, and no rows wait to be loaded into it."""
        return not self.has_pending_rows and self._find_columns(name).keys() >= set(columns)

    def _fields(self, name: str, columns: Sequence[str] = ()) -> pa.Schema:
        schema = self.table_schema(name)
        return pa.schema([schema.field(column) for column in columns or schema.names])

    def _read(self, name: str, columns: pa.Schema, condition: Condition | None) -> pa.Table:
        """Return rows with the given columns; columns that the destination lacks are null."""
        stored_columns = self._find_columns(name)
        existing = pa.schema([field for field in columns if field.name in stored_columns])
        if not existing or name in self._emptied:
            return columns.empty_table()
        rows = self._read_existing(name, existing, condition)
        return pa.table(
            [
                rows[field.name]
                if field.name in existing.names
                else pa.nulls(rows.num_rows, field.type)
                for field in columns
            ],
            schema=columns,
        )

    @cached_property
    def schema(self) -> Schema | None:
        """Schema of the tables in the destination; None before the first load.

        The destination stores it too. Without its working folder, dlt restores it in `run` only,
        and not if `restore_from_destination` is false.
        """
        if self._pipeline is None:
            return None
        schema: Schema | None = self._pipeline.schemas.get(self._schema_name)
        return schema or _load_stored_schema(self.client, self._schema_name)

    def _find_columns(self, name: str) -> dict[str, Any]:
        tables = self.schema.tables if self.schema else {}
        columns: dict[str, Any] = tables.get(name, {}).get("columns", {})
        return columns

    @cached_property
    def client(self) -> Any:  # noqa: ANN401 any of dlt's clients, or None
        """Client of the destination, if there is one; cached, since creating it takes 10 ms."""
        if self._pipeline is None or self._pipeline.destination is None:
            return None
        is_known = self._schema_name in self._pipeline.schemas
        named = {"schema_name": self._schema_name} if is_known else {}
        return self._pipeline.destination_client(**named)

    @cached_property
    def _bound_client(self) -> Any:  # noqa: ANN401 any of dlt's clients
        """Client that knows the tables, as open tables need it."""
        pipeline: Any = self._pipeline
        if self._schema_name in pipeline.schemas:
            return self.client
        return pipeline.destination.client(self.schema, self.client.config)

    def _read_existing(
        self, name: str, columns: pa.Schema, condition: Condition | None
    ) -> pa.Table:
        """Return rows with columns that the destination has; no rows if it cannot be read."""
        table_format = self.schema.tables[name].get("table_format") if self.schema else None
        try:
            if isinstance(self.client, SupportsOpenTables) and table_format in OPEN_TABLE_FORMATS:
                # dlt's SQL client would read them with DuckDB extensions, which must be downloaded.
                opened = self._bound_client.load_open_table(table_format, name)
                scan = _scan_delta if table_format == "delta" else _scan_iceberg
                return scan(opened, columns.names, condition).cast(columns)
            if isinstance(self.client, WithSqlClient):
                return _query(self.client.sql_client, name, columns, condition)
        except _ABSENT:  # dropped, which dlt does not know
            pass
        return columns.empty_table()


def _load_stored_schema(client: Any, name: str) -> Schema | None:  # noqa: ANN401 any of dlt's clients
    if not isinstance(client, WithStateSync):
        return None
    opened: Any = client  # the clients with a state are context managers
    try:
        with opened:
            stored = client.get_stored_schema(name)
    except _ABSENT:  # before the first load
        return None
    return Schema.from_dict(json.loads(stored.schema)) if stored else None


def _query(
    client: SqlClientBase[Any], table: str, columns: pa.Schema, condition: Condition | None
) -> pa.Table:
    """Read rows by SQL. dlt translates the placeholder `%s` for each database."""
    with client:
        rows = [
            tuple(row)
            for sql, values in _iter_queries(client, table, columns, condition)
            for row in client.execute_sql(sql, *values) or ()
        ]
    cells = zip(*rows, strict=True) if rows else ([] for _ in columns)
    arrays = [
        pa.array(convert(values, field.type), field.type)
        for values, field in zip(cells, columns, strict=True)
    ]
    return pa.table(arrays, schema=columns)


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

"""Content of the destination, read through the pipeline that writes it."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa
from dlt.common.configuration.container import Container
from dlt.common.destination.client import SupportsOpenTables, WithStateSync
from dlt.common.destination.exceptions import DestinationUndefinedEntity
from dlt.common.pipeline import PipelineContext
from dlt.common.schema import Schema
from dlt.destinations.exceptions import DatabaseUndefinedRelation
from dlt.destinations.sql_client import WithSqlClient

from tower_etl.extract.destination_readers import (
    Condition,
    NoReader,
    OpenTableReader,
    SqlReader,
)
from tower_etl.schema import REMOVED, TABLES
from tower_etl.schema.types import BOOLEAN, INTEGER, NUMBER, TEXT, TIMESTAMP
from tower_etl.sync import StoredRun

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import dlt

    from tower_etl.extract.destination_readers import TableReader

_ABSENT = (DatabaseUndefinedRelation, DestinationUndefinedEntity)
_SCHEMA = "tower"  # dlt names a schema after its source
OPEN_TABLE_FORMATS = frozenset({"delta", "iceberg"})
_TYPES = {"bigint": INTEGER, "double": NUMBER, "bool": BOOLEAN, "timestamp": TIMESTAMP}
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
    found: dlt.Pipeline | None = active
    return found


class DestinationState(Protocol):
    """Queries of the reconciliation to the destination."""

    def runs(self, workspace_id: int | None) -> dict[str, StoredRun]:
        """Return the runs of a workspace by id."""
        ...

    def run_rows(self, run_ids: Iterable[str]) -> pa.Table:
        """Return complete rows of `workflows`."""
        ...

    def find_launches(self, run_ids: Iterable[str]) -> set[str]:
        """Return the ids of the launches of some runs that are in `launches`."""
        ...

    def read_table(self, name: str, columns: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Return all rows of a table, with some columns or all of `table_schema`."""
        ...

    def table_schema(self, name: str) -> pa.Schema:
        """Return the columns of a table: those of its spec, and columns promoted earlier."""
        ...

    def is_complete(self, name: str, columns: Iterable[str]) -> bool:
        """Return whether a table has some columns, and no rows wait to be loaded into it."""
        ...


class DltDestinationState:
    """State of the destination of a dlt pipeline of any type.

    Attributes:
        has_pending_rows: Whether rows of earlier extractions are not in the tables yet.
    """

    def __init__(
        self,
        pipeline: dlt.Pipeline | None,
        schema_name: str = _SCHEMA,
    ) -> None:
        """Create the reader without a query.

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
        found = self._read(name, self._fields(name, columns), None)
        rows: list[dict[str, Any]] = found.to_pylist()
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
        known = self._find_columns(name)
        existing = pa.schema([field for field in columns if field.name in known])
        if not existing or name in self._emptied:
            return columns.empty_table()
        found = self._find_reader(name).read(name, existing, condition)
        return pa.table(
            [
                found[field.name]
                if field.name in existing.names
                else pa.nulls(found.num_rows, field.type)
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
        known: Schema | None = self._pipeline.schemas.get(self._schema_name)
        return known or _load_stored_schema(self.client, self._schema_name)

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
        return pipeline.destination.client(self.schema, self.client.config)

    def _find_reader(self, name: str) -> TableReader:
        if self.client is None or self.schema is None:
            return NoReader()
        table_format = self.schema.tables[name].get("table_format")
        if isinstance(self.client, SupportsOpenTables) and table_format in OPEN_TABLE_FORMATS:
            return OpenTableReader(self._bound_client, table_format)
        return self._sql_reader

    @cached_property
    def _sql_reader(self) -> TableReader:
        """Reader that connects for each query; empty for a destination without SQL."""
        if not isinstance(self.client, WithSqlClient):
            return NoReader()
        return SqlReader(self.client.sql_client)


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

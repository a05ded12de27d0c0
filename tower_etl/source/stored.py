"""What the destination holds already, read through the pipeline that writes it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa
from dlt.common.destination.exceptions import DestinationUndefinedEntity
from dlt.destinations.exceptions import DatabaseUndefinedRelation

from tower_etl.lossless import json_text
from tower_etl.sync import Stored
from tower_etl.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import dlt
    from dlt.destinations.sql_client import SqlClientBase

_SCHEMA = "tower"  # dlt calls a schema by the name of its source
_TEXT = pa.string()
_CHUNK = 500
_TYPES = {
    "bigint": pa.int64(),
    "double": pa.float64(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us", "UTC"),
}
_BRIEF = (
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


class StoredRuns(Protocol):
    """What reconciliation asks of the destination."""

    def read(self, workspace_id: int | None) -> dict[str, Stored]:
        """The runs of a workspace, by id."""
        ...

    def read_rows(self, run_ids: Iterable[str]) -> pa.Table:
        """Whole rows of `workflows`."""
        ...

    def find_launches(self, run_ids: Iterable[str]) -> set[str]:
        """The launches of some runs that have a row."""
        ...

    def read_table(self, name: str, columns: Sequence[str] = ()) -> list[dict[str, Any]]:
        """All rows of a table, with some columns or with all of `schema_of`."""
        ...

    def schema_of(self, name: str) -> pa.Schema:
        """The columns of a table: those of its spec, and those promoted at some time."""
        ...


class PipelineStore:
    """Reads the tables of a dlt pipeline over its SQL client; empty before the first load."""

    def __init__(self, pipeline: dlt.Pipeline) -> None:
        self._pipeline = pipeline

    @cached_property
    def _client(self) -> SqlClientBase[Any]:
        """Made once, as dlt resolves its configuration for each; it connects when entered."""
        return self._pipeline.sql_client()

    def read(self, workspace_id: int | None) -> dict[str, Stored]:
        """The runs of a workspace, by id."""
        links: dict[str, set[int]] = {}
        rows = self._select("workflow_labels", ("workflow_id", "label_id"), workspace_id)
        for run_id, label_id in rows:
            links.setdefault(run_id, set()).add(label_id)
        columns = self._known_columns("workflows", _BRIEF)
        nothing: dict[str, Any] = dict.fromkeys(_BRIEF)
        briefs = (
            nothing | dict(zip(columns, row, strict=True))
            for row in self._select("workflows", columns, workspace_id)
        )
        return {
            brief["id"]: Stored(
                submit=brief["submit"] or brief["date_created"],  # as in a listing
                status=brief["status"],
                last_updated=brief["last_updated"],
                complete=brief["complete"],
                starred=brief["starred"],
                label_ids=frozenset(links.get(brief["id"], ())),
                missing_since=brief["missing_since"],
                lacks_parts=brief["missing_parts"] is not None,
            )
            for brief in briefs
        }

    def read_rows(self, run_ids: Iterable[str]) -> pa.Table:
        """Whole rows of `workflows`."""
        schema = self.schema_of("workflows")
        rows = list(self._select_by_id("workflows", schema.names, list(run_ids)))
        values = zip(*rows, strict=True) if rows else ([] for _ in schema.names)
        arrays = [
            pa.array([_plain(value) for value in column], field.type)
            for column, field in zip(values, schema, strict=True)
        ]
        return pa.table(arrays, schema=schema)

    def find_launches(self, run_ids: Iterable[str]) -> set[str]:
        """The launches of some runs that have a row."""
        named = self._select_by_id("workflows", ("launch_id",), list(run_ids))
        launch_ids = [launch_id for (launch_id,) in named if launch_id]
        return {found for (found,) in self._select_by_id("launches", ("id",), launch_ids)}

    def schema_of(self, name: str) -> pa.Schema:
        """With the columns that were promoted at some time: a row is replaced whole."""
        schema = TABLES[name].arrow_schema
        known = self._pipeline.schemas.get(_SCHEMA)
        columns = known.tables.get(name, {}).get("columns", {}) if known else {}
        for column, hints in columns.items():
            if column not in schema.names and not column.startswith("_dlt_"):
                schema = schema.append(
                    pa.field(column, _TYPES.get(str(hints.get("data_type")), _TEXT))
                )
        return schema

    def _known_columns(self, table: str, columns: Sequence[str]) -> list[str]:
        """Return those of the columns that the destination has: older versions made fewer."""
        known = self._pipeline.schemas.get(_SCHEMA)
        there = known.tables.get(table, {}).get("columns", {}) if known else {}
        return [column for column in columns if column in there or not there]

    def read_table(self, name: str, columns: Sequence[str] = ()) -> list[dict[str, Any]]:
        """All rows of a table; a column that the destination has not yet is null."""
        schema = self.schema_of(name)
        wanted = list(columns) or schema.names
        with self._client as client:
            table = client.make_qualified_table_name(name)
            try:
                chosen = _choose_columns(client, table, columns)
                sql = f"SELECT {chosen} FROM {table}"  # noqa: S608 names are ours
                with client.execute_query(sql) as cursor:
                    there = [column[0] for column in cursor.description]
                    rows = [dict(zip(there, row, strict=True)) for row in cursor.fetchall()]
            except (DatabaseUndefinedRelation, DestinationUndefinedEntity):
                return []
        arrays = [
            pa.array([_plain(row.get(column)) for row in rows], schema.field(column).type)
            for column in wanted
        ]
        found: list[dict[str, Any]] = pa.table(arrays, names=wanted).to_pylist()
        return found

    def _select(
        self, table: str, columns: Sequence[str], workspace_id: int | None
    ) -> list[tuple[Any, ...]]:
        if workspace_id is None:
            return self._query(table, columns, "workspace_id IS NULL", ())
        return self._query(table, columns, "workspace_id = %s", (workspace_id,))

    def _select_by_id(
        self, table: str, columns: Sequence[str], ids: Sequence[str]
    ) -> Iterator[tuple[Any, ...]]:
        for start in range(0, len(ids), _CHUNK):
            chunk = tuple(ids[start : start + _CHUNK])
            marks = ", ".join(["%s"] * len(chunk))
            yield from self._query(table, columns, f"id IN ({marks})", chunk)

    def _query(
        self, table: str, columns: Sequence[str], where: str, values: tuple[object, ...]
    ) -> list[tuple[Any, ...]]:
        try:
            with self._client as client:
                names = ", ".join(client.escape_column_name(name) for name in columns)
                qualified = client.make_qualified_table_name(table)
                sql = f"SELECT {names} FROM {qualified} WHERE {where}"  # noqa: S608 names are ours
                return [tuple(row) for row in client.execute_sql(sql, *values) or ()]
        except (DatabaseUndefinedRelation, DestinationUndefinedEntity):
            return []


def _choose_columns(client: SqlClientBase[Any], table: str, columns: Sequence[str]) -> str:
    """What to select for some columns, of which a table from an older version may lack some."""
    if not columns:
        return "*"
    with client.execute_query(f"SELECT * FROM {table} WHERE 1 = 0") as cursor:  # noqa: S608 ours
        there = {column[0] for column in cursor.description}
    found = [client.escape_column_name(column) for column in columns if column in there]
    return ", ".join(found) or "*"


def _plain(value: object) -> object:
    """JSON columns come back as text from some destinations, as objects from others."""
    return json_text(value) if isinstance(value, Mapping | list) else value

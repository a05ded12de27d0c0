"""Undocumented fields that users gave a column of their own."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from tower_etl.errors import ConfigurationError
from tower_etl.lossless import load_json, to_json
from tower_etl.schema.convert import to_array
from tower_etl.schema.types import (
    BOOLEAN,
    INTEGER,
    NUMBER,
    TEXT,
    TIMESTAMP,
    ColumnSpec,
    to_snake_case,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tower_etl.schema.table import TableSpec

PROMOTED = "undocumented, by `promote`"

_TYPES: Mapping[str, pa.DataType] = {
    "text": TEXT,
    "integer": INTEGER,
    "number": NUMBER,
    "boolean": BOOLEAN,
    "timestamp": TIMESTAMP,
    "json": TEXT,
}
_NEEDED = frozenset({"month", "rowid"})  # by lakes, and by DuckDB for itself
_FORM = re.compile(r"(?P<table>\w+)\.(?P<field>[^:\s]+)(?::(?P<type>\w+))?")


def promote_fields(names: Iterable[str], tables: Mapping[str, TableSpec]) -> dict[str, TableSpec]:
    """The tables with a column more for each field named.

    Args:
        names: `table.fieldName` or `table.fieldName:type`; the field as `undocumented` names it.
        tables: All tables.

    Raises:
        ConfigurationError: A name is of another form, of no table, of a column that another field
            fills, or one that destinations need.
    """
    grown = dict(tables)
    for name in names:
        match = _FORM.fullmatch(name.strip())
        if match is None or match["table"] not in grown:
            msg = (
                f"promote {name!r} is no field of a table: give one like workflows.newField, or "
                "workflows.newField:integer."
            )
            raise ConfigurationError(msg)
        grown[match["table"]] = _add_column(grown[match["table"]], match["field"], match["type"])
    return grown


def _add_column(table: TableSpec, field: str, kind: str | None) -> TableSpec:
    if _is_documented(table, field, kind):
        return table  # it was not when the line of configuration was written
    name = to_snake_case(field).replace(".", "__")
    takers = {column.name for column in table.columns}
    usable = re.fullmatch(r"[a-z_]\w*", name, re.ASCII)
    if name in takers | _NEEDED or not usable or "undocumented" not in takers:
        msg = (
            f"{table.name} can have no column {name!r} for {field!r}: another is called so, or the "
            "name cannot be used."
        )
        raise ConfigurationError(msg)
    if kind not in {None, *_TYPES}:
        msg = f"promote {table.name}.{field}:{kind}: the type is none of {', '.join(_TYPES)}."
        raise ConfigurationError(msg)
    column = ColumnSpec(
        name,
        _TYPES[kind or "text"],
        (field,),
        f"Field `{field}` of the API, which its description does not name.",
        unit="UTC" if kind == "timestamp" else None,
        source=PROMOTED,
        is_json=kind == "json",
    )
    return replace(table, columns=(*table.columns, column))


def _is_documented(table: TableSpec, field: str, kind: str | None) -> bool:
    """Whether the field has a column of that type, or of any where none is asked for."""
    column = next((c for c in table.columns if c.path == tuple(field.split("."))), None)
    return column is not None and (kind is None or _TYPES.get(kind) == column.type)


def list_promoted(table: TableSpec) -> list[ColumnSpec]:
    """The columns of promoted fields."""
    return [column for column in table.columns if column.source == PROMOTED]


def fill_promoted(rows: pa.Table, table: TableSpec) -> pa.Table:
    """The rows with the columns of promoted fields, filled out of `undocumented`.

    A value that does not fit the type of its column stays in `undocumented`. Rows that were read
    back have values in these columns already, and keep them.
    """
    promoted = list_promoted(table)
    if not promoted:
        return rows
    extras = read_extras(rows)
    for column in promoted:
        rows = _set_column(rows, column, _pop_values(extras, column))
    return write_extras(rows, extras)


def _pop_values(extras: list[dict[str, Any]], column: ColumnSpec) -> pa.Array:
    """The values of one field, which leave `strays` where they fit the column."""
    field = column.path[0]
    array, misfits = to_array([stray.pop(field, None) for stray in extras], column)
    for row, value in misfits.items():
        extras[row][field] = value
    return array


def _set_column(rows: pa.Table, column: ColumnSpec, array: pa.Array) -> pa.Table:
    field = pa.field(column.name, column.type)
    index = rows.schema.get_field_index(column.name)
    if index < 0:
        return rows.append_column(field, array)
    stored = rows[column.name]
    both = pc.coalesce(stored, array) if stored.type == column.type else array
    return rows.set_column(index, field, both)


def read_extras(rows: pa.Table) -> list[dict[str, Any]]:
    """The content of `undocumented`, an empty object where there is none."""
    return [load_json(text) if text else {} for text in rows["undocumented"].to_pylist()]


def write_extras(rows: pa.Table, extras: list[dict[str, Any]]) -> pa.Table:
    """The rows with that content in `undocumented`."""
    index = rows.schema.get_field_index("undocumented")
    texts = [to_json(stray) if stray else None for stray in extras]
    return rows.set_column(index, rows.schema.field(index), pa.array(texts, TEXT))

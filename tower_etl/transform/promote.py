"""Promotion of undocumented fields to columns, as configured by users."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from tower_etl.errors import ConfigurationError
from tower_etl.lossless import load_json, to_json
from tower_etl.schema.convert import to_array
from tower_etl.schema.types import TEXT, TYPES, ColumnSpec, to_snake_case

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tower_etl.schema.table import TableSpec

PROMOTED = "undocumented, by `promote`"

_TYPES = {**TYPES, "json": TEXT}
_RESERVED = frozenset({"month", "rowid"})  # partition column of lakes; pseudo-column of DuckDB
_FORM = re.compile(r"(?P<table>\w+)\.(?P<field>[^:\s]+)(?::(?P<type>\w+))?")


def promote_fields(names: Iterable[str], tables: Mapping[str, TableSpec]) -> dict[str, TableSpec]:
    """Return all tables, with an additional column for each promoted field.

    Names are `table.fieldName` or `table.fieldName:type`; the field as `undocumented` names it.

    Raises:
        ConfigurationError: A name has another form, an unknown table or type, or the name of its
            column is taken or reserved.
    """
    extended = dict(tables)
    for name in names:
        match = _FORM.fullmatch(name.strip())
        if match is None or match["table"] not in extended:
            msg = (
                f"Invalid promote {name!r}: expected a field of a table, for example "
                "workflows.newField or workflows.newField:integer."
            )
            raise ConfigurationError(msg)
        table = extended[match["table"]]
        extended[match["table"]] = _add_column(table, match["field"], match["type"])
    return extended


def _add_column(table: TableSpec, field: str, kind: str | None) -> TableSpec:
    documented = next((c for c in table.columns if c.path == tuple(field.split("."))), None)
    if documented and (kind is None or _TYPES.get(kind) == documented.type):
        return table  # a newer version of tower-etl has a column for the promoted field
    name = to_snake_case(field).replace(".", "__")
    existing = {column.name for column in table.columns}
    # dlt renames a trailing underscore, and PostgreSQL shortens names of more than 63 bytes.
    is_usable = re.fullmatch(r"[a-z_]\w{0,61}[a-z0-9]|[a-z]", name, re.ASCII)
    if name in existing | _RESERVED or not is_usable or "undocumented" not in existing:
        msg = (
            f"Cannot promote {field!r} to the column {name!r} of {table.name}: the name is taken, "
            "reserved or invalid, or the table has no undocumented fields."
        )
        raise ConfigurationError(msg)
    if kind not in {None, *_TYPES}:
        msg = (
            f"Invalid type in promote {table.name}.{field}:{kind}: expected one of "
            f"{', '.join(_TYPES)}."
        )
        raise ConfigurationError(msg)
    column = ColumnSpec(
        name,
        _TYPES[kind or "text"],
        (field,),
        f"Field `{field}` of the API, which the API description does not document.",
        unit="UTC" if kind == "timestamp" else None,
        source=PROMOTED,
        is_json=kind == "json",
    )
    return replace(table, columns=(*table.columns, column))


def fill_promoted(rows: pa.Table, table: TableSpec) -> pa.Table:
    """Return the rows with the columns of promoted fields, filled from `undocumented`.

    A value that does not fit the type of its column stays in `undocumented`. Rows that were read
    back from the destination already have values in these columns, and keep them.
    """
    promoted = [column for column in table.columns if column.source == PROMOTED]
    if not promoted:
        return rows
    extras = read_extras(rows)
    for column in promoted:
        field = column.path[0]
        array, invalid = to_array([extra.pop(field, None) for extra in extras], column)
        for row, value in invalid.items():
            extras[row][field] = value
        rows = _set_column(rows, column, array)
    return write_extras(rows, extras)


def _set_column(rows: pa.Table, column: ColumnSpec, array: pa.Array) -> pa.Table:
    field = pa.field(column.name, column.type)
    index = rows.schema.get_field_index(column.name)
    if index < 0:
        return rows.append_column(field, array)
    stored = rows[column.name]
    merged = pc.coalesce(stored, array) if stored.type == column.type else array
    return rows.set_column(index, field, merged)


def read_extras(rows: pa.Table) -> list[dict[str, Any]]:
    """Return the parsed content of `undocumented`; an empty object for null."""
    return [load_json(text) if text else {} for text in rows["undocumented"].to_pylist()]


def write_extras(rows: pa.Table, extras: list[dict[str, Any]]) -> pa.Table:
    """Return the rows with new content in `undocumented`; null for an empty object."""
    index = rows.schema.get_field_index("undocumented")
    texts = [to_json(extra) if extra else None for extra in extras]
    return rows.set_column(index, rows.schema.field(index), pa.array(texts, TEXT))

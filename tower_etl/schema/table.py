"""Table specifications, and the building of Arrow tables from API records."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from itertools import repeat
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tower_etl.lossless import to_json
from tower_etl.schema.convert import RecordMapping, as_objects, to_array
from tower_etl.schema.types import INTEGER, LOCAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tower_etl.schema.convert import ExtraFields
    from tower_etl.schema.types import ColumnSpec

    Group = tuple[Iterable[object], Mapping[str, object]]
    Given = Mapping[str, list[object]]


# Changes of these columns open no version: `last_used` changes with every run, and `undocumented`
# with every upgrade of the server.
_UNTRACKED = frozenset({"last_used", "undocumented"})
# It is unknown whether a run updates this column; changes of settings are in other columns.
_TOUCHED = frozenset({("compute_envs", "last_updated")})
_IMAGE_COLUMNS = ("avatar", "avatar_url", "icon", "logo_url")


@dataclass(frozen=True)
class TableSpec:
    """Specification of a table.

    Attributes:
        name: Name of the table in the destination.
        columns: Columns in their order.
        description: Content of the table, in one sentence.
        grain: Meaning of one row.
        source: API call that returns the records.
        merge_key: Columns of dlt's `merge_key`: a load replaces all rows with the same values.
            Empty to replace single rows by key.
    """

    name: str
    columns: tuple[ColumnSpec, ...]
    description: str
    grain: str
    source: str
    merge_key: tuple[str, ...] = ()

    @cached_property
    def key(self) -> tuple[str, ...]:
        """Names of the key columns, unique together and never null."""
        return tuple(column.name for column in self.columns if not column.nullable)

    @cached_property
    def arrow_schema(self) -> pa.Schema:
        """Arrow schema of all tables that are built from the specification."""
        return pa.schema([pa.field(c.name, c.type, nullable=c.nullable) for c in self.columns])

    @cached_property
    def _mapping(self) -> RecordMapping:
        return RecordMapping.of(self.columns)

    def build(self, records: Iterable[object], **constants: object) -> pa.Table:
        """Build rows from API records, one per key; the last of several records is used.

        Args:
            records: JSON objects of the API, or derived from them; null records are skipped, and
                non-object records are kept in `undocumented`.
            constants: Constant values by column name; they override values of the records.

        Returns:
            Table with exactly `arrow_schema`.

        Raises:
            TypeError: There is no column for a constant, or a local key column has no value.
        """
        return self.build_grouped([(records, constants)])

    def build_grouped(self, groups: Iterable[Group]) -> pa.Table:
        """Build the rows of several groups of records together, which is faster than one by one.

        Args and errors are those of `build`; all groups have constants of the same names.
        """
        rows: list[dict[str, Any]] = []
        given: dict[str, list[object]] = {}
        for records, constants in groups:
            self._check(constants)
            found = as_objects(records)
            rows += found
            for name, value in constants.items():
                given.setdefault(name, []).extend(repeat(value, len(found)))
        return self._build(rows, given)

    def _build(self, rows: list[dict[str, Any]], given: Given) -> pa.Table:
        if not rows:  # most lists of a platform are empty
            return self.arrow_schema.empty_table()
        arrays, extras = self._convert(rows, given)
        for column in self.columns:
            if column.name not in arrays:
                arrays[column.name] = _fill(given.get(column.name), len(rows), column)
        if extras and "undocumented" in arrays:
            texts = [to_json(extras[row]) if row in extras else None for row in range(len(rows))]
            arrays["undocumented"] = pa.array(texts, pa.string())
        ordered = [arrays[column.name] for column in self.columns]
        return deduplicate(pa.table(ordered, schema=self.arrow_schema), self.key)

    def _check(self, constants: Mapping[str, object]) -> None:
        unknown = constants.keys() - {column.name for column in self.columns}
        missing = {c.name for c in self.columns if not (c.nullable or c.path)} - constants.keys()
        if unknown or missing:
            msg = f"{self.name}: no such column {sorted(unknown)}, no value for {sorted(missing)}"
            raise TypeError(msg)

    def _convert(
        self, rows: list[dict[str, Any]], given: Given
    ) -> tuple[dict[str, Any], ExtraFields]:
        arrays: dict[str, Any] = {}
        extras: ExtraFields = {}
        for column, values in self._mapping.extract(rows, extras):
            if column.name in given:
                pairs = enumerate(zip(values, given[column.name], strict=True))
                invalid = {row: v for row, (v, const) in pairs if v is not None and v != const}
            else:
                array, invalid = to_array(values, column)
                if not column.nullable and array.null_count:
                    array = _fill_missing_keys(array, values, rows)
                arrays[column.name] = array
            for row, value in invalid.items():
                extras.setdefault(row, {})[".".join(column.path)] = value
        return arrays, extras


def define_table(
    name: str,
    *columns: ColumnSpec,
    description: str,
    grain: str,
    source: str,
    merge_key: tuple[str, ...] = (),
) -> TableSpec:
    """Return the specification of a table with the given columns."""
    return TableSpec(name, columns, description, grain, source, merge_key)


def history_table(table: TableSpec) -> TableSpec:
    """Return the history table (SCD2) of a table, with one row per version of each row."""
    return define_table(
        f"{table.name}_history",
        *(column for column in table.columns if column.name != "missing_since"),
        LOCAL.timestamp(
            "valid_from",
            "Valid from: start of the first sync that observed this version.",
            key=True,
        ),
        LOCAL.timestamp(
            "valid_to",
            "Valid to: start of the first sync that observed a different version or a deletion;"
            " null for the current version.",
        ),
        description=f"Versions of the rows of `{table.name}`; current versions have no `valid_to`.",
        grain=f"{table.grain.removesuffix('.')} and version.",
        source=table.source,
    )


def tracked_columns(table: TableSpec) -> tuple[ColumnSpec, ...]:
    """Return the columns of a table whose change opens a new version."""
    return tuple(
        column
        for column in table.columns
        if column.name not in _UNTRACKED | {"missing_since"}
        and (table.name, column.name) not in _TOUCHED
        and not column.name.endswith(_IMAGE_COLUMNS)
    )


def deduplicate(rows: pa.Table, key: Sequence[str]) -> pa.Table:
    """Return the rows with the last row of each key; many runs have the same label, for example."""
    if rows.num_rows <= 1:
        return rows
    distinct = rows.group_by(list(key), use_threads=False).aggregate([])
    if distinct.num_rows == rows.num_rows:
        return rows
    keys = zip(*(rows[name].to_pylist() for name in key), strict=True)
    last = {value: index for index, value in enumerate(keys)}
    return rows.take(pa.array(sorted(last.values()), INTEGER))


def _fill(values: list[object] | None, count: int, column: ColumnSpec) -> pa.Array:
    if values is None:
        return pa.nulls(count, column.type)
    if column.is_json:
        values = [None if value is None else to_json(value) for value in values]
    return pa.array(values, column.type)


def _fill_missing_keys(
    array: pa.Array, values: Sequence[Any], rows: list[dict[str, Any]]
) -> pa.Array:
    """Return the keys with surrogates for those that are missing or have another type.

    A surrogate integer is a digest of the value, or of the record without a value. It is negative,
    which identifiers of the API never are. The surrogate of a text key is the empty string.
    """
    if array.type != INTEGER:
        return array.fill_null("")
    filled = [
        _surrogate_key(rows[row] if values[row] is None else values[row]) if key is None else key
        for row, key in enumerate(array.to_pylist())
    ]
    return pa.array(filled, INTEGER)


def _surrogate_key(value: object) -> int:
    digest = blake2b(to_json(value).encode(), digest_size=7).digest()
    return -1 - int.from_bytes(digest)

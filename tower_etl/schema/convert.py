"""Conversion of JSON records to Arrow arrays, without loss and without errors.

A column is converted at once if all its values have the expected type. Otherwise each value is
converted alone if that preserves its meaning, and else returned as invalid. Arrow cannot do the
latter: it converts 2.5 to 2 and true to 1.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import NoneType
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa
import pyarrow.compute as pc

from tower_etl.lossless import encodable, parse_integer, to_json
from tower_etl.schema.types import BOOLEAN, INTEGER, NUMBER, TEXT, TIMESTAMP
from tower_etl.timestamps import parse_timestamp, to_microseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tower_etl.schema.types import ColumnSpec

Values = Sequence[Any]

_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
# Texts that Arrow parses like `parse_timestamp`. Arrow also accepts a space, or no seconds.
_ISO_UTC = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z$"
_YEAR_ONE_US = -62_135_596_800_000_000


def to_array(values: Values, column: ColumnSpec) -> tuple[pa.Array, dict[int, Any]]:
    """Convert the values of a column: JSON, None for null.

    Returns:
        Array of the column's type, null for invalid values; and the invalid values by row.
    """
    kinds = set(map(type, values))
    kinds.discard(NoneType)
    if not kinds:
        return pa.nulls(len(values), column.type), {}
    if column.is_json:
        return pa.array([None if v is None else to_json(v) for v in values], TEXT), {}
    conversion = _CONVERSIONS[column.type]
    if kinds <= conversion.kinds:
        with suppress(OverflowError, UnicodeEncodeError, pa.ArrowInvalid):
            array = conversion.convert(values)
            if array is not None:
                return array, {}
    parsed = [None if value is None else conversion.parse(value) for value in values]
    invalid = {
        row: value for row, value in enumerate(values) if value is not None and parsed[row] is None
    }
    return pa.array(parsed, column.type), invalid


def _convert_numbers(values: Values) -> pa.Array | None:
    array = pa.array(values, NUMBER)  # fails for integers that float64 cannot store exactly
    return array if pc.all(pc.is_finite(array)).as_py() else None


def _convert_timestamps(values: Values) -> pa.Array | None:
    texts = pa.array(values, TEXT)
    if not pc.all(pc.match_substring_regex(texts, _ISO_UTC)).as_py():
        return None
    timestamps = texts.cast(TIMESTAMP)
    first = pc.min(timestamps.cast(INTEGER)).as_py()
    return timestamps if first >= _YEAR_ONE_US else None  # earlier times, Python does not support


def _parse_integer(value: Any) -> int | None:  # noqa: ANN401 - any JSON value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return parse_integer(value)


def _parse_number(value: Any) -> float | None:  # noqa: ANN401 - any JSON value
    if isinstance(value, bool | list | dict):
        return None
    if isinstance(value, str) and not _DECIMAL.fullmatch(value):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _parse_boolean(value: Any) -> bool | None:  # noqa: ANN401 - any JSON value
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value) if isinstance(value, str) else None


def to_text(value: object) -> str:
    """Return a JSON value as text: strings unchanged, all other values as JSON."""
    return encodable(value) if isinstance(value, str) else to_json(value)


def _parse_timestamp(value: object) -> int | None:
    timestamp = parse_timestamp(value)
    return None if timestamp is None else to_microseconds(timestamp)


@dataclass(frozen=True)
class _Conversion:
    """Conversion to a type of columns."""

    kinds: set[type]  # of values that are converted at once
    convert: Callable[[Values], pa.Array | None]  # None, or an error, if a value needs `parse`
    parse: Callable[[Any], object | None]  # of one value; None if it is invalid


_CONVERSIONS: Mapping[pa.DataType, _Conversion] = {
    INTEGER: _Conversion({int}, partial(pa.array, type=INTEGER), _parse_integer),
    NUMBER: _Conversion({int, float}, _convert_numbers, _parse_number),
    BOOLEAN: _Conversion({bool}, partial(pa.array, type=BOOLEAN), _parse_boolean),
    TEXT: _Conversion({str}, partial(pa.array, type=TEXT), to_text),
    TIMESTAMP: _Conversion({str}, _convert_timestamps, _parse_timestamp),
}

ExtraFields = dict[int, dict[str, Any]]
"""Values without a column: row -> dotted API name -> value."""

KeyOrders = dict[tuple[str, ...], tuple[str, ...]]
"""Keys of an object in the order received -> the unknown keys among them."""

Columnar = dict[str, tuple[Any, ...]]
"""Values of many objects by key."""


@dataclass(frozen=True)
class RecordMapping:
    """Mapping of an object of the API to columns.

    Attributes:
        columns: Columns by the key of their value.
        nested: Mappings of nested objects by key.
        prefix: Dotted path of the object, with a trailing dot; empty for the record itself.
    """

    columns: Mapping[str, ColumnSpec]
    nested: Mapping[str, RecordMapping]
    prefix: str = ""

    @classmethod
    def of(cls, columns: Sequence[ColumnSpec], prefix: tuple[str, ...] = ()) -> RecordMapping:
        """Derive the mapping from the columns' paths."""
        depth = len(prefix)
        inside = [c for c in columns if len(c.path) > depth and c.path[:depth] == prefix]
        nested = {c.path[depth]: (*prefix, c.path[depth]) for c in inside if c.path[depth + 1 :]}
        return cls(
            columns={c.path[depth]: c for c in inside if len(c.path) == depth + 1},
            nested={key: cls.of(inside, path) for key, path in nested.items()},
            prefix="".join(f"{part}." for part in prefix),
        )

    def extract(
        self, objects: Sequence[Mapping[str, Any]], extras: ExtraFields
    ) -> Iterator[tuple[ColumnSpec, Sequence[Any]]]:
        """Yield the values of every column of the objects, which are empty where the API has null.

        `extras` is filled with the fields without a column, and values that should be objects.
        """
        orders = self._collect_unknown(objects, extras)
        columnar = _to_columns(objects, orders) if len(orders) == 1 else None
        for key, column in self.columns.items():
            yield column, _values(key, objects, columnar)
        for key, mapping in self.nested.items():
            values = _values(key, objects, columnar)
            yield from mapping.extract(self._objects(key, values, extras), extras)

    def _collect_unknown(
        self, objects: Sequence[Mapping[str, Any]], extras: ExtraFields
    ) -> KeyOrders:
        """Collect the fields without a column; return the orders of keys that were found.

        Records of a type have few different orders of keys, so unknown keys are determined once
        per order instead of once per record.
        """
        mapped = self.columns.keys() | self.nested.keys()
        orders: KeyOrders = {}
        for row, item in enumerate(objects):
            keys = tuple(item)
            unknown = orders.get(keys)
            if unknown is None:
                unknown = orders[keys] = tuple(key for key in keys if key not in mapped)
            for key in unknown:
                if item[key] is not None:
                    extras.setdefault(row, {})[self.prefix + key] = item[key]
        return orders

    def _objects(
        self, key: str, values: Sequence[Any], extras: ExtraFields
    ) -> list[dict[str, Any]]:
        empty: dict[str, Any] = {}
        for row, value in enumerate(values):
            if value is not None and not isinstance(value, dict):
                extras.setdefault(row, {})[self.prefix + key] = value
        return [value if isinstance(value, dict) else empty for value in values]


def _to_columns(objects: Sequence[Mapping[str, Any]], orders: KeyOrders) -> Columnar:
    """Return the values by key of objects that all have the same keys in the same order."""
    (keys,) = orders
    columns = zip(*(item.values() for item in objects), strict=True)
    return dict(zip(keys, columns, strict=True))


def _values(
    key: str, objects: Sequence[Mapping[str, Any]], columnar: Columnar | None
) -> Sequence[Any]:
    """Return the values of a key, None for objects without it."""
    if columnar is None:
        return [item.get(key) for item in objects]
    return columnar.get(key) or [None] * len(objects)


def as_objects(value: object) -> list[dict[str, Any]]:
    """Return the objects of a JSON list, or of an iterable of JSON values.

    A single object counts as a list of one; nulls are skipped. Any other value becomes an object
    with the value in a field with an empty name, so that it is not lost.
    """
    is_single = isinstance(value, Mapping | str) or not isinstance(value, Iterable)
    items = [value] if is_single else cast("Iterable[object]", value)
    return [_as_object(item) for item in items if item is not None]


def _as_object(item: object) -> dict[str, Any]:
    if isinstance(item, dict):
        return item
    return dict(item) if isinstance(item, Mapping) else {"": item}

"""Conversion of JSON values to Arrow arrays, without loss and without errors.

A column is converted at once if all its values have the expected type. Otherwise each value is
converted alone if that preserves its meaning, and else returned as invalid. Arrow cannot do the
latter: it converts 2.5 to 2 and true to 1.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from types import NoneType
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from tower_etl.lossless import encodable, parse_integer, to_json
from tower_etl.schema.types import (
    BOOLEAN,
    INTEGER,
    NUMBER,
    TEXT,
    TIMESTAMP,
)
from tower_etl.timestamps import parse_timestamp, to_microseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tower_etl.schema.types import ColumnSpec

Values = Sequence[Any]
InvalidValues = dict[int, Any]
Converted = tuple[pa.Array, InvalidValues]

_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
# Texts that Arrow parses like `parse_timestamp`. Arrow also accepts a space, or no seconds.
_ISO_UTC = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z$"
_YEAR_ONE_US = -62_135_596_800_000_000


def to_array(values: Sequence[Any], column: ColumnSpec) -> Converted:
    """Convert the values of a column.

    Args:
        values: One JSON value per row, None for null.
        column: Column of the values.

    Returns:
        Array of the column's type, null for invalid values; and the invalid values by row.
    """
    kinds = set(map(type, values))
    kinds.discard(NoneType)
    if not kinds:
        return pa.nulls(len(values), column.type), {}
    convert = _json_texts if column.is_json else _CONVERTERS[column.type]
    return convert(values, kinds)


def _integers(values: Values, kinds: set[type]) -> Converted:
    if kinds == {int}:
        try:
            return pa.array(values, INTEGER), {}
        except (OverflowError, pa.ArrowInvalid):
            pass
    return _convert_each(values, _parse_integer, INTEGER)


def _numbers(values: Values, kinds: set[type]) -> Converted:
    if kinds <= {float, int}:
        try:
            array = pa.array(values, NUMBER)
        except (OverflowError, pa.ArrowInvalid):  # integers that float64 cannot store exactly
            return _convert_each(values, _parse_number, NUMBER)
        if pc.all(pc.is_finite(array)).as_py():
            return array, {}
    return _convert_each(values, _parse_number, NUMBER)


def _booleans(values: Values, kinds: set[type]) -> Converted:
    if kinds == {bool}:
        return pa.array(values, BOOLEAN), {}
    return _convert_each(values, _parse_boolean, BOOLEAN)


def _texts(values: Values, kinds: set[type]) -> Converted:
    if kinds == {str}:
        try:
            return pa.array(values, TEXT), {}
        except UnicodeEncodeError:
            pass
    return _convert_each(values, to_text, TEXT)


def _timestamps(values: Values, kinds: set[type]) -> Converted:
    if kinds == {str}:
        try:
            return _cast_timestamps(values), {}
        except (UnicodeEncodeError, pa.ArrowInvalid):
            pass
    return _convert_each(values, _parse_timestamp, TIMESTAMP)


def _cast_timestamps(values: Values) -> pa.Array:
    texts = pa.array(values, TEXT)
    if not pc.all(pc.match_substring_regex(texts, _ISO_UTC)).as_py():
        msg = "not all texts are ISO 8601 in UTC"
        raise pa.ArrowInvalid(msg)
    timestamps = texts.cast(TIMESTAMP)
    if pc.min(timestamps.cast(INTEGER)).as_py() < _YEAR_ONE_US:
        msg = "a time is before the year 1, which Python does not support"
        raise pa.ArrowInvalid(msg)
    return timestamps


def _json_texts(values: Values, _kinds: set[type]) -> Converted:
    return pa.array([None if v is None else to_json(v) for v in values], TEXT), {}


_CONVERTERS: Mapping[pa.DataType, Callable[[Values, set[type]], Converted]] = {
    INTEGER: _integers,
    NUMBER: _numbers,
    BOOLEAN: _booleans,
    TEXT: _texts,
    TIMESTAMP: _timestamps,
}


def _convert_each(
    values: Values, parse: Callable[[Any], object | None], kind: pa.DataType
) -> Converted:
    parsed = [None if value is None else parse(value) for value in values]
    invalid = {
        row: value for row, value in enumerate(values) if value is not None and parsed[row] is None
    }
    return pa.array(parsed, kind), invalid


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


def _parse_timestamp(value: Any) -> int | None:  # noqa: ANN401 - any JSON value
    timestamp = parse_timestamp(value)
    return None if timestamp is None else to_microseconds(timestamp)

"""Conversion of API values to column types, and detection of invalid values."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tower_etl.extract.listing import parse_listed_run
from tower_etl.lossless import ExactNumber, to_json
from tower_etl.schema.convert import to_array
from tower_etl.schema.types import (
    BOOLEAN,
    INTEGER,
    NUMBER,
    TEXT,
    TIMESTAMP,
    ColumnSpec,
)

KINDS = {"integer": INTEGER, "number": NUMBER, "flag": BOOLEAN, "text": TEXT, "moment": TIMESTAMP}
MISFIT = object()

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
NEARLY = st.sampled_from(
    [
        *(1, 0, -7, 2.0, 2.5, True, False, 2**63 - 1, 2**63, -(2**63), 2**53 + 1, 10**400),
        *("12", "-3", "2.5", "1e3", "NaN", "Infinity", "true", "false", "TRUE", "", "-", " 1"),
        *("2025-09-18T12:57:16Z", "2025-09-18T12:57:16.5Z", "2025-09-18T12:57:16.123456789Z"),
        *("2025-09-18T14:57:16+02:00", "2025-09-18T14:57:16.5+0200", "2025-09-18 12:57:16Z"),
        *("2025-09-18", "2025-02-30T00:00:00Z", "0000-01-01T00:00:00Z", "2025-09-18T12:57Z"),
        *("9999-12-31T23:59:59Z", "9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00+01:00"),
        *("2025-09-18T24:00:00Z", "2025-09-18T12:57:60Z", "2025-09-18T12:57:16", "\ud800"),
        *("2025-09-18T12:57:16Z\n", "\u0661\u0662"),
    ]
)


def column_of(kind: pa.DataType, *, is_json: bool = False) -> ColumnSpec:
    """Return a column of a type."""
    return ColumnSpec("field", kind, (), "A field.", None, "tower-etl", is_json=is_json)


def convert(kind: str, *values: object) -> list[object]:
    """Convert values; return `MISFIT` in place of each invalid value."""
    array, invalid = to_array(values, column_of(KINDS[kind]))
    assert KINDS[kind] == array.type
    assert [None] * len(invalid) == [array[row].as_py() for row in invalid]
    assert invalid == {row: values[row] for row in invalid}
    return [MISFIT if row in invalid else v for row, v in enumerate(array.to_pylist())]


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("integer", 12, 12),
        ("integer", "12", 12),
        ("integer", "-12", -12),
        ("integer", 12.0, 12),
        ("integer", 2**63 - 1, 2**63 - 1),
        ("integer", -(2**63), -(2**63)),
        ("integer", 2**63, MISFIT),
        ("integer", 2.5, MISFIT),
        ("integer", 1e300, MISFIT),
        ("integer", True, MISFIT),
        ("integer", "12 GB", MISFIT),
        ("integer", "9" * 5000, MISFIT),
        ("integer", [12], MISFIT),
        ("number", 2.5, 2.5),
        ("number", 2, 2.0),
        ("number", 2**53 + 1, float(2**53)),
        ("number", "2.5e-1", 0.25),
        ("number", "NaN", MISFIT),
        ("number", "Infinity", MISFIT),
        ("number", "1e999", MISFIT),
        ("number", 10**400, MISFIT),
        ("number", ExactNumber("0.12345678901234567890"), 0.12345678901234568),
        ("number", ExactNumber("1e400"), MISFIT),
        ("integer", ExactNumber("18446744073709551616"), MISFIT),
        ("number", float("inf"), MISFIT),
        ("number", True, MISFIT),
        ("number", {}, MISFIT),
        ("flag", True, True),
        ("flag", "true", True),
        ("flag", "false", False),
        ("flag", "yes", MISFIT),
        ("flag", 1, MISFIT),
        ("flag", 0.0, MISFIT),
        ("text", "", ""),
        ("text", "-", "-"),
        ("text", 0, "0"),
        ("text", 2.5, "2.5"),
        ("text", False, "false"),
        ("text", {"b": 1, "a": [None]}, '{"b":1,"a":[null]}'),
        ("text", "a\ud800b", "a\\ud800b"),
    ],
)
def test_a_value_is_converted_to_its_column_type_or_is_invalid(
    kind: str, value: object, expected: object
) -> None:
    """The value is converted alone, and between a null and a usual value."""
    usual = {"integer": 3, "number": 0.5, "flag": True, "text": "x"}[kind]
    assert [expected] == convert(kind, value)
    assert [None, expected, usual] == convert(kind, None, value, usual)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-09-18T12:57:16Z", datetime(2025, 9, 18, 12, 57, 16, tzinfo=UTC)),
        ("2025-09-18T12:57:16.5Z", datetime(2025, 9, 18, 12, 57, 16, 500_000, tzinfo=UTC)),
        ("2025-09-18T12:57:16.123456789Z", datetime(2025, 9, 18, 12, 57, 16, 123_456, tzinfo=UTC)),
        ("2025-09-18T14:57:16+02:00", datetime(2025, 9, 18, 12, 57, 16, tzinfo=UTC)),
        ("2025-09-18T11:57:16.5-0100", datetime(2025, 9, 18, 12, 57, 16, 500_000, tzinfo=UTC)),
        ("1969-12-31T23:59:59.75Z", datetime(1969, 12, 31, 23, 59, 59, 750_000, tzinfo=UTC)),
        ("9999-12-31T23:59:59Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("9999-12-31T23:59:59-01:00", MISFIT),
        ("0000-01-01T00:00:00Z", MISFIT),
        ("2025-02-30T00:00:00Z", MISFIT),
        ("2025-09-18T12:57:16", datetime(2025, 9, 18, 12, 57, 16, tzinfo=UTC)),
        ("2025-09-18T12:57:16.1234567", datetime(2025, 9, 18, 12, 57, 16, 123_456, tzinfo=UTC)),
        ("2025-09-18 12:57:16Z", datetime(2025, 9, 18, 12, 57, 16, tzinfo=UTC)),
        ("2025-09-18 12:57:16.5+00", datetime(2025, 9, 18, 12, 57, 16, 500_000, tzinfo=UTC)),
        ("2025-09-18t12:57:16z", datetime(2025, 9, 18, 12, 57, 16, tzinfo=UTC)),
        ("2025-09-18T12:57:16+0000", datetime(2025, 9, 18, 12, 57, 16, tzinfo=UTC)),
        ("2025-09-18T12:57Z", datetime(2025, 9, 18, 12, 57, tzinfo=UTC)),
        (1_758_200_236, datetime(2025, 9, 18, 12, 57, 16, tzinfo=UTC)),
        (1_758_200_236_789, datetime(2025, 9, 18, 12, 57, 16, 789_000, tzinfo=UTC)),
        (1_758_200_236.25, datetime(2025, 9, 18, 12, 57, 16, 250_000, tzinfo=UTC)),
        (
            ExactNumber("1758200236.123456789"),
            datetime(2025, 9, 18, 12, 57, 16, 123_456, tzinfo=UTC),
        ),
        ("2025-09-18", MISFIT),
        ("2025-09-18T12", MISFIT),
        ("2025-09-18T24:00:00Z", MISFIT),
        (" 2025-09-18T12:57:16Z", MISFIT),
        ("2025-W38-4T12:57:16Z", MISFIT),
        ("1758200236", MISFIT),
        ("soon", MISFIT),
        (2025, MISFIT),
        (-1_758_200_236, MISFIT),
        (10**18, MISFIT),
        (True, MISFIT),
    ],
)
def test_a_time_is_converted_to_utc_or_is_invalid(text: object, expected: object) -> None:
    """The time is converted alone, between other values, and by the listing.

    Times of the listing are compared with those of the tables, so both must agree.
    """
    usual = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert [expected] == convert("moment", text)
    assert [usual, expected, None] == convert("moment", "2025-01-02T03:04:05Z", text, None)
    listed = parse_listed_run({"workflow": {"id": "r", "submit": text}}).submit
    assert listed == (None if expected is MISFIT else expected)


@given(st.sampled_from(sorted(KINDS)), st.lists(NEARLY | JSON, max_size=6))
def test_a_value_is_converted_independently_of_its_neighbours(kind: str, values: list[Any]) -> None:
    """A whole column gives the same result as each value alone."""
    alone = [convert(kind, value)[0] for value in values]
    assert alone == convert(kind, *values)


@given(st.lists(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)), min_size=1))  # noqa: DTZ001 - Hypothesis needs naive bounds
def test_every_time_in_iso_format_round_trips(moments: list[datetime]) -> None:
    """The times have microseconds and years from 1 to 9999."""
    texts = [moment.isoformat() + "Z" for moment in moments]
    assert [moment.replace(tzinfo=UTC) for moment in moments] == convert("moment", *texts)


@given(JSON.filter(lambda value: "inf" not in repr(value)))
def test_json_text_round_trips(value: object) -> None:
    """Infinities are left out, as JSON has none."""
    assert value == json.loads(to_json(value))


@pytest.mark.parametrize("depth", [250, 260, 1020])
@pytest.mark.parametrize(("start", "end"), [("[", "]"), ('{"k":', "}"), ('[{},{"a":[],"k":', "}]")])
def test_deeply_nested_json_text_round_trips(depth: int, start: str, end: str) -> None:
    """1,020 levels are close to the depth limit of the JSON parser."""
    levels = depth // len(end)
    text = start * levels + '[1,null,"é",2.5]' + end * levels
    assert to_json(orjson.loads(text)) == text


def test_json_text_keeps_key_order_and_escapes_lone_surrogates() -> None:
    """An escaped surrogate is plain text, which every reader accepts."""
    assert to_json({"b": 1, "a": 2}) == '{"b":1,"a":2}'
    assert to_json({"k\udfff": "\ud800"}) == '{"k\\\\udfff":"\\\\ud800"}'
    assert str(2**70) == to_json(2**70)


def test_a_null_in_a_json_column_is_sql_null() -> None:
    """It is not the JSON text `null`."""
    column = column_of(TEXT, is_json=True)
    array, invalid = to_array([None, [], "x", {"a": None}], column)
    assert (array.to_pylist(), invalid) == ([None, "[]", '"x"', '{"a":null}'], {})


@pytest.mark.parametrize("kind", KINDS)
def test_a_column_without_values_has_its_type(kind: str) -> None:
    assert convert(kind, None, None) == [None, None]
    assert convert(kind) == []
    assert pa.nulls(2, KINDS[kind]) == to_array([None, None], column_of(KINDS[kind]))[0]

"""Lossless JSON: long numbers keep their digits, and almost valid JSON is repaired."""

from __future__ import annotations

import copy
import json
import math
from decimal import Decimal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tower_etl.lossless import (
    ExactNumber,
    load_json,
    read_json,
    to_json,
)

LONG = [
    *("18446744073709551616", "-9223372036854775809", "9" * 400, "-" + "8" * 5000),
    *("0.12345678901234567890123", "3.14159265358979323846", "9007199254740993.5"),
    *("1.00000000000000000001", "12345678901234567890e-30", "123456789012345678.5e300"),
]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@pytest.mark.parametrize("number", LONG)
def test_a_long_number_keeps_its_digits_when_read_and_written(number: str) -> None:
    """The number is in an object and in a list, and the written text is read back once more."""
    text = '{"a":' + number + ',"b":[1,' + number + ',"x"]}'
    value, faults = read_json(text.encode())
    assert (to_json(value), faults) == (text, ())
    assert to_json(load_json(text)) == text


@pytest.mark.parametrize("number", LONG)
def test_a_long_number_equals_its_float64_value(number: str) -> None:
    """Numeric columns thus get the rounded value that a plain JSON parser returns."""
    (value,) = load_json(f"[{number}]")
    assert isinstance(value, float)
    assert float(value) == float(number)


def test_numbers_that_float64_represents_stay_plain_floats_and_ints() -> None:
    """Numeric columns convert plain numbers fastest, however many digits they are written with."""
    values = load_json("[1.50000000000000000000, 0.1, 18446744073709551615, 12345678901234567]")
    assert [type(value) for value in values] == [float, float, int, int]
    assert values == [1.5, 0.1, 2**64 - 1, 12345678901234567]


def test_long_numbers_that_differ_in_the_last_digit_are_unequal() -> None:
    """Versions of an entity are compared, so a change of the last digit must count."""
    one, other = (ExactNumber(f"0.1234567890123456789{digit}") for digit in "12")
    assert one != other
    assert one == copy.deepcopy(one)
    assert other == float(one)


@given(VALUES)
def test_valid_json_is_read_as_by_orjson(value: object) -> None:
    """Values and types are equal."""
    body = orjson.dumps(value)
    assert repr(read_json(body)) == repr((orjson.loads(body), ()))


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_a_decimal_of_any_length_and_exponent_keeps_its_digits(number: Decimal) -> None:
    (value,) = load_json(f"[{number}]")
    if len(number.as_tuple().digits) > 15:
        assert Decimal(to_json(value)) == number


@pytest.mark.parametrize(
    ("body", "value", "fault"),
    [
        (b'\xef\xbb\xbf{"a": 1}', 1, "a byte-order mark"),
        ('{"a": "é"}'.encode("utf-16"), "é", "UTF-16"),
        (b'{"a": "caf\xe9"}', "café", "bytes that are not UTF-8"),
        (b'{"a": "\xff\xfe\x80 \xc3\xa9"}', "ÿþ\x80 é", "bytes that are not UTF-8"),
        (b'{"a": "\xed\xa0\x80"}', "í\xa0\x80", "bytes that are not UTF-8"),
        (b'{"a": "x\\ud800y"}', "x\\ud800y", "lone surrogates"),
        (b'{"a": "\\udc00\\ud83d"}', "\\udc00\\ud83d", "lone surrogates"),
        (b'{"a": "\\ud83d\\ude00 \\ud83d"}', "😀 \\ud83d", "lone surrogates"),
        (b'{"a": "one\ttwo\x00"}', "one\ttwo\x00", "control characters"),
        (b'{"a": NaN}', "NaN", "NaN or Infinity"),
        (b'{"a": -Infinity}', "-Infinity", "NaN or Infinity"),
    ],
)
def test_json_that_a_strict_parser_refuses_is_repaired_and_reported(
    body: bytes, value: object, fault: str
) -> None:
    assert read_json(body) == ({"a": value}, (fault,))


def test_an_escaped_backslash_before_ud800_is_not_a_surrogate() -> None:
    r"""In JSON, `\\ud800` is a backslash and five letters."""
    assert read_json(b'{"a": "\\\\ud800 \\\\\\ud800"}')[0] == {"a": "\\ud800 \\\\ud800"}


def test_a_number_beyond_float64_is_kept_and_not_reported() -> None:
    """A strict parser refuses such a number."""
    value, faults = read_json(b'{"a": 1e400, "b": [NaN]}')
    assert (to_json(value), faults) == ('{"a":1e400,"b":["NaN"]}', ("NaN or Infinity",))
    assert math.isinf(value["a"])


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b" ", b"\x00", b"<html>caf\xe9</html>", b'{"a": 1} x', b"{'a': 1}", b'{"a": 1,}'),
        *(b'{"a": "caf\xe9', b'{"a": "\t"', b'\xef\xbb\xbf{"a": ', b'{"a": NaN', b'{"a": "\\ud8"}'),
        *(b"[" * 100_000, b"[" * 5_000 + b"NaN" + b"]" * 5_000),
    ],
)
def test_truncated_or_invalid_json_raises_an_error(body: bytes) -> None:
    """A failure must never be taken for a response."""
    with pytest.raises(ValueError, match=r"."):
        read_json(body)


@given(st.binary(max_size=60), st.integers(0, 60))
def test_arbitrary_bytes_give_a_value_or_a_value_error(junk: bytes, place: int) -> None:
    """A returned value can always be written as UTF-8."""
    sound = b'{"a": ["x", 1.5, {"b": "\\u00e9"}], "c": null}'
    try:
        value, _ = read_json(sound[:place] + junk + sound[place:])
    except ValueError:
        return
    json.loads(to_json(value).encode())

"""Lossless JSON: long numbers keep their digits, and slightly invalid JSON is repaired.

orjson rounds integers beyond 64 bits and decimals of more than 17 digits to float64, and rejects a
whole response for one invalid character. Responses are parsed by orjson first; only those that need
it are parsed again by the standard library, which is three times slower.
"""

from __future__ import annotations

import codecs
import json
import math
import re
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator

INT64 = range(-(2**63), 2**63)
"""The integers that the tables and the state can store."""

_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,18})")
_U64 = range(-(2**63), 2**64)  # the integers that orjson parses as such
_EXACT_CHARS = 16  # characters of a number that float64 always preserves
_MAX_DEPTH = 1000  # levels; orjson parses 1024
_TOO_DEEP = "nested too deeply"
_LONG = b"0" * (_EXACT_CHARS + 1)
# Map digits and points to zeros and all other bytes to spaces, so that a plain substring search
# finds long numbers: ten times faster than a regular expression.
_SHAPES = bytes(ord("0") if chr(byte) in "0123456789." else ord(" ") for byte in range(256))
_END = object()
_AS_LATIN_1 = "tower_etl.latin_1"
_ESCAPE = re.compile(
    r"(?P<pair>\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.",
    re.DOTALL,
)


def parse_integer(value: object) -> int | None:
    """Return an integer of 64 bits, None for any other value.

    Decimal text counts: some gateways and clients write long integers as text.
    """
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        value = int(value)
    return value if type(value) is int and value in INT64 else None


class ExactNumber(float):
    """JSON number that float64 cannot represent exactly.

    It computes as the rounded number, and is written to JSON with its original digits.

    Attributes:
        text: The number as it was received.
    """

    text: str

    def __new__(cls, text: str) -> Self:
        """Create the rounded number and keep its text."""
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __reduce__(self) -> tuple[type[ExactNumber], tuple[str]]:
        return type(self), (self.text,)

    def __eq__(self, other: object) -> bool:
        return self.text == other.text if isinstance(other, ExactNumber) else float(self) == other

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(float(self))


def load_json(text: str) -> Any:  # noqa: ANN401 - any JSON value
    """Parse JSON that this program wrote; numbers that float64 would round become `ExactNumber`.

    Raises:
        ValueError: The text is not valid JSON.
    """
    try:
        return _load(text.encode())
    except orjson.JSONDecodeError:  # a number beyond float64
        return _read(text)


def read_json(body: bytes) -> tuple[Any, tuple[str, ...]]:
    """Parse the JSON of a server as `load_json` does, and repair slightly invalid JSON.

    If strict decoding fails, as little as possible is lost: a byte that is not UTF-8 is decoded
    as Latin-1, a lone surrogate becomes the text of its escape, NaN and the infinities become text.
    Truncated JSON remains an error.

    Returns:
        The value, and descriptions of the repaired faults: empty for valid JSON.

    Raises:
        ValueError: The body is not JSON even with these repairs.
    """
    try:
        return _load(body), ()
    except orjson.JSONDecodeError:
        pass
    found: list[str] = []
    text = _join_surrogates(_decode(body, found), found)
    try:
        value = _read_loosely(text, found)
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error
    if _is_deep(value):
        raise ValueError(_TOO_DEEP)
    return value, tuple(dict.fromkeys(found))


def to_json(value: object) -> str:
    """Serialize a JSON value as compact text, keys in the order received.

    The text is always valid UTF-8 and JSON: a lone surrogate is written as its escape with a
    backslash, NaN becomes null.
    """
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:  # a number beyond 64 bits, a lone surrogate, or very deep
        return "".join(_iter_json(value))


def _iter_json(value: object) -> Iterator[str]:
    """Yield the JSON text of a value in pieces.

    Uses a stack: orjson parses values that are nested more deeply than Python may recurse.
    """
    stack: list[tuple[str, Any]] = [("", value)]  # literal text, and the value that follows it
    while stack:
        text, item = stack.pop()
        yield text
        if isinstance(item, dict):
            pairs = [(f"{_scalar(str(key))}:", inner) for key, inner in item.items()]
            stack.extend(reversed(_enclose("{", pairs, "}")))
        elif isinstance(item, list):
            stack.extend(reversed(_enclose("[", [("", inner) for inner in item], "]")))
        elif item is not _END:
            yield _scalar(item)


def _enclose(start: str, parts: list[tuple[str, Any]], end: str) -> list[tuple[str, Any]]:
    separated = [
        (("," if index else start) + text, item) for index, (text, item) in enumerate(parts)
    ]
    return [*separated, (end if parts else start + end, _END)]


def _scalar(value: object) -> str:
    if isinstance(value, ExactNumber):
        return value.text
    if isinstance(value, float) and not math.isfinite(value):
        return "null"
    valid = encodable(value) if isinstance(value, str) else value
    return json.dumps(valid, ensure_ascii=False)


def encodable(text: str) -> str:
    """Return the text with lone surrogates, which UTF-8 cannot encode, written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def _load(body: bytes) -> Any:  # noqa: ANN401 - any JSON value
    value = orjson.loads(body)
    if _LONG not in body.translate(_SHAPES):
        return value
    try:
        return _read(body.decode())
    except RecursionError:  # orjson parses deeper nesting than the standard library
        return value


def _read_loosely(text: str, found: list[str]) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return _read(text, found)
    except json.JSONDecodeError:
        value = _read(text, found, strict=False)
    found.append("control characters")
    return value


def _is_deep(value: Any) -> bool:  # noqa: ANN401 - any JSON value
    """Return whether orjson would reject the value for its depth; newer Pythons parse deeper."""
    level: list[Any] = [[value]]
    depth = 0
    while level and depth <= _MAX_DEPTH:
        children = (item.values() if isinstance(item, dict) else item for item in level)
        level = [inner for items in children for inner in items if isinstance(inner, dict | list)]
        depth += 1
    return bool(level)


def _decode(body: bytes, found: list[str]) -> str:
    encoding = json.detect_encoding(body)
    if encoding != "utf-8":
        found.append("a byte-order mark" if encoding == "utf-8-sig" else encoding.upper())
    try:
        return body.decode(encoding)
    except UnicodeDecodeError:
        found.append("bytes that are not UTF-8")
        return body.decode(encoding, _AS_LATIN_1)


def _read_latin_1(error: UnicodeError) -> tuple[str, int]:
    """Decode the bytes at which a decoder failed as Latin-1; a handler for `codecs`."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error(_AS_LATIN_1, _read_latin_1)


def _join_surrogates(text: str, found: list[str]) -> str:
    """Replace lone surrogates by the text of their escapes, because UTF-8 cannot store them."""

    def escape(match: re.Match[str]) -> str:
        if match["lone"]:
            found.append("lone surrogates")
            return "\\" + match[0]
        return match[0]

    return _ESCAPE.sub(escape, text)


def _read(text: str, found: list[str] | None = None, *, strict: bool = True) -> Any:  # noqa: ANN401 - any JSON value
    """Parse JSON with the standard library.

    NaN and the infinities are recorded in `found`, and rejected where it is None.
    """
    return json.loads(
        text,
        strict=strict,
        parse_int=_read_integer,
        parse_float=_read_decimal,
        parse_constant=partial(_read_constant, found),
    )


def _read_integer(text: str) -> int | ExactNumber:
    if len(text) <= _EXACT_CHARS or (len(text) <= len(str(2**64)) and int(text) in _U64):
        return int(text)
    return ExactNumber(text)


def _read_decimal(text: str) -> float:
    number = float(text)
    if len(text) <= _EXACT_CHARS and math.isfinite(number):
        return number
    try:
        is_exact = Decimal(text) == Decimal(repr(number))
    except ArithmeticError:  # an exponent beyond those of Decimal
        is_exact = False
    return number if is_exact else ExactNumber(text)


def _read_constant(found: list[str] | None, name: str) -> str:
    if found is None:
        msg = f"{name} is not valid JSON"
        raise ValueError(msg)
    found.append("NaN or Infinity")
    return name

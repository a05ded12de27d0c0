"""Parsing of the API's timestamps (API fact 8), shared by listings and tables."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tower_etl.lossless import ExactNumber

# Java omits seconds that are zero; databases write a space for the T, and offsets of hours only.
_ISO = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ](?P<time>(?:[01][0-9]|2[0-3]):[0-5][0-9])"
    r"(?P<seconds>:[0-9]{2})?(?:\.(?P<fraction>[0-9]{1,6})[0-9]*)?"
    r"(?P<zone>[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)?"
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# Servers that do not configure a date format send seconds (with decimals) or milliseconds since
# 1970. Both ranges begin in 1973; a smaller number is not a timestamp.
_FIRST_SECONDS, _FIRST_MILLISECONDS, _END = 10**8, 10**11, 10**14


def parse_timestamp(value: object) -> datetime | None:
    """Parse a timestamp of the API.

    Args:
        value: JSON value: ISO 8601 text, in UTC if it has no offset, or a number of seconds or
            milliseconds since 1970.

    Returns:
        Aware UTC datetime, truncated to the microsecond; None if the value is not a timestamp, or
        is outside the years 1 to 9999 that Python supports.
    """
    try:
        if isinstance(value, str):
            return _parse_text(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _parse_number(value)
    except (ValueError, OverflowError):
        pass
    return None


def to_microseconds(timestamp: datetime) -> int:
    """Return the microseconds from 1970-01-01 UTC to an aware datetime."""
    return (timestamp - EPOCH) // _MICROSECOND


def _parse_text(text: str) -> datetime | None:
    match = _ISO.fullmatch(text)
    if match is None:
        return None
    seconds, fraction = match["seconds"] or ":00", (match["fraction"] or "").ljust(6, "0")
    zone = (match["zone"] or "Z").upper()
    timestamp = datetime.fromisoformat(f"{match['date']}T{match['time']}{seconds}.{fraction}{zone}")
    return timestamp.astimezone(UTC)


def _parse_number(value: float) -> datetime | None:
    if not _FIRST_SECONDS <= value < _END:
        return None
    number = Decimal(value.text if isinstance(value, ExactNumber) else repr(value))
    microseconds = number * (10**3 if number >= _FIRST_MILLISECONDS else 10**6)
    return EPOCH + int(microseconds) * _MICROSECOND

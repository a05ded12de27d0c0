"""Times of the API (API fact 8), read alike for listings and for tables."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tower_etl.lossless import ExactNumber

# Java writes no seconds where they are zero, databases a blank for the T, and offsets of hours.
_ISO = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ](?P<time>(?:[01][0-9]|2[0-3]):[0-5][0-9])"
    r"(?P<seconds>:[0-9]{2})?(?:\.(?P<fraction>[0-9]{1,6})[0-9]*)?"
    r"(?P<zone>[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)?"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# Servers without a format for times send seconds (with decimals) or milliseconds since 1970. Both
# ranges begin in 1973; what is smaller is a count of something else.
_FIRST_SECONDS, _FIRST_MILLISECONDS, _END = 10**8, 10**11, 10**14


def parse_timestamp(value: object) -> datetime | None:
    """Read a time of the API.

    Args:
        value: A JSON value: ISO 8601 text, UTC where it has no zone, or a number of seconds or
            milliseconds since 1970.

    Returns:
        Aware UTC, cut to the microsecond; None where the value is no time, or one that Python's
        calendar lacks.
    """
    try:
        if isinstance(value, str):
            return _parse_text(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _parse_number(value)
    except (ValueError, OverflowError):
        pass
    return None


def to_microseconds(moment: datetime) -> int:
    """Return the microseconds from 1970 to an aware datetime."""
    return (moment - _EPOCH) // _MICROSECOND


def _parse_text(text: str) -> datetime | None:
    match = _ISO.fullmatch(text)
    if match is None:
        return None
    seconds, fraction = match["seconds"] or ":00", (match["fraction"] or "").ljust(6, "0")
    zone = (match["zone"] or "Z").upper()
    moment = datetime.fromisoformat(f"{match['date']}T{match['time']}{seconds}.{fraction}{zone}")
    return moment.astimezone(UTC)


def _parse_number(value: float) -> datetime | None:
    if not _FIRST_SECONDS <= value < _END:
        return None
    number = Decimal(value.text if isinstance(value, ExactNumber) else repr(value))
    microseconds = number * (10**3 if number >= _FIRST_MILLISECONDS else 10**6)
    return _EPOCH + int(microseconds) * _MICROSECOND

"""Simulated clock, and conversion between epoch seconds and the API's timestamps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from tower_etl.clock import SYSTEM_CLOCK

if TYPE_CHECKING:
    from collections.abc import Callable

HOUR_S, DAY_S = 3_600, 86_400


class SimClock:
    """Simulated wall clock: real time plus an offset, or frozen.

    Args:
        start: Initial time (aware); the real time by default.
        source: Real time that the clock follows.
    """

    def __init__(
        self, start: datetime | None = None, *, source: Callable[[], datetime] = SYSTEM_CLOCK.now
    ) -> None:
        self._source = source
        self._offset = timedelta()
        if start is not None:
            self.set(start)

    @classmethod
    def frozen_at(cls, start: datetime) -> SimClock:
        """Return a clock that moves by `advance` and `set` only."""
        real = SYSTEM_CLOCK.now()
        return cls(start, source=lambda: real)

    def now(self) -> datetime:
        """Return the simulated time, an aware UTC datetime."""
        return self._source() + self._offset

    def set(self, when: datetime) -> None:
        """Move to an aware time, forward or backward.

        Raises:
            ValueError: `when` has no time zone.
        """
        if when.tzinfo is None:
            msg = "The clock needs an aware datetime; add a time zone."
            raise ValueError(msg)
        self._offset += when.astimezone(UTC) - self.now()

    def advance(self, step: timedelta | float) -> datetime:
        """Move by a timedelta, or by a number of seconds; return the new time."""
        self._offset += step if isinstance(step, timedelta) else timedelta(seconds=step)
        return self.now()


def to_seconds(when: datetime) -> int:
    """Return the whole seconds since the epoch, rounded down."""
    return int(when.timestamp() // 1)


@lru_cache(maxsize=4096)
def _format_day(day: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).strftime("%Y-%m-%dT")


@lru_cache(maxsize=DAY_S)
def _format_time(second: int) -> str:
    return f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}Z"


def format_timestamp(at_s: int) -> str:
    """Format epoch seconds as the API does: `YYYY-MM-DDThh:mm:ssZ`."""
    day, second = divmod(at_s, DAY_S)
    return _format_day(day) + _format_time(second)


def parse_timestamp(text: str) -> float:
    """Parse an API timestamp to epoch seconds, fractions kept; a bare date is midnight UTC.

    Raises:
        ValueError: The text is not an ISO 8601 time.
    """
    when = datetime.fromisoformat(text)
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()

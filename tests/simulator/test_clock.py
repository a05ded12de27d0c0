"""The movable clock and the two shapes of time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tower_etl.simulator import SimClock
from tower_etl.simulator.clock import format_timestamp, parse_timestamp, to_seconds

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_frozen_clock_stands_still_until_moved() -> None:
    """A frozen clock answers its start, then start plus what it was advanced by."""
    clock = SimClock.frozen_at(NOON)

    assert [clock.now(), clock.now()] == [NOON, NOON]
    assert NOON + timedelta(seconds=90) == clock.advance(90)
    assert NOON + timedelta(days=1, seconds=90) == clock.advance(timedelta(days=1))


def test_running_clock_follows_its_source_plus_offset() -> None:
    """A running clock started elsewhere keeps its distance from the real time."""
    real = [NOON]
    clock = SimClock(NOON - timedelta(days=30), source=lambda: real[0])

    real[0] += timedelta(minutes=5)

    assert NOON - timedelta(days=30) + timedelta(minutes=5) == clock.now()


def test_clock_refuses_a_naive_time() -> None:
    """A time without a zone would be read differently on every machine."""
    with pytest.raises(ValueError, match="time zone"):
        SimClock(datetime(2026, 3, 1))  # noqa: DTZ001 - what must be refused


@pytest.mark.parametrize(
    ("second", "text"),
    [(0, "1970-01-01T00:00:00Z"), (1_772_366_399, "2026-03-01T11:59:59Z"), (None, None)],
)
def test_times_are_written_as_the_api_does(second: int | None, text: str | None) -> None:
    """Whole seconds, UTC, with a Z."""
    assert text == format_timestamp(second)


def test_written_times_read_back() -> None:
    """Text made of seconds reads as the same seconds, and fractions survive."""
    assert to_seconds(NOON) == parse_timestamp(format_timestamp(to_seconds(NOON)))
    assert parse_timestamp("1970-01-01T00:00:00.250Z") == 0.25
    assert parse_timestamp("1970-01-02") == 86_400.0

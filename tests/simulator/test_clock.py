"""Clock of the simulator, and conversion of timestamps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tower_etl.simulator import SimClock
from tower_etl.simulator.clock import format_timestamp, parse_timestamp, to_seconds

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_frozen_clock_moves_only_when_it_is_advanced() -> None:
    clock = SimClock.frozen_at(NOON)

    assert [clock.now(), clock.now()] == [NOON, NOON]
    assert NOON + timedelta(seconds=90) == clock.advance(90)
    assert NOON + timedelta(days=1, seconds=90) == clock.advance(timedelta(days=1))


def test_a_running_clock_keeps_its_offset_from_the_source() -> None:
    real = [NOON]
    clock = SimClock(NOON - timedelta(days=30), source=lambda: real[0])

    real[0] += timedelta(minutes=5)

    assert NOON - timedelta(days=30) + timedelta(minutes=5) == clock.now()


def test_a_clock_refuses_a_start_without_a_time_zone() -> None:
    """A naive time would depend on the time zone of the machine."""
    with pytest.raises(ValueError, match="time zone"):
        SimClock(datetime(2026, 3, 1))  # noqa: DTZ001 - the value to refuse


@pytest.mark.parametrize(
    ("second", "text"),
    [(0, "1970-01-01T00:00:00Z"), (1_772_366_399, "2026-03-01T11:59:59Z")],
)
def test_timestamps_are_formatted_like_those_of_the_api(second: int, text: str) -> None:
    """The format is whole seconds in UTC with the suffix Z."""
    assert text == format_timestamp(second)


def test_formatted_timestamps_parse_to_the_same_seconds() -> None:
    """Fractions of a second and dates without a time are parsed, too."""
    assert to_seconds(NOON) == parse_timestamp(format_timestamp(to_seconds(NOON)))
    assert parse_timestamp("1970-01-01T00:00:00.250Z") == 0.25
    assert parse_timestamp("1970-01-02") == 86_400.0

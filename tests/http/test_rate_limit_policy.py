"""Rate limit policy: when the next call may be sent, given the window of recent calls."""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tower_etl.http.rate_limit.policy import (
    MAX_NETWORK_DELAY_SECONDS,
    RateLimit,
    RequestWindow,
    current_slowdown,
    drop_future_entries,
    extend_pause,
    network_delay,
    next_send_time,
    record_arrival,
    record_send,
    record_throttle,
)
from tower_etl.simulator.calls import peak_calls_in_window

if TYPE_CHECKING:
    from collections.abc import Iterable

LIMITS = st.builds(RateLimit, st.integers(1, 20), st.floats(0.1, 10))
# Per call: network delay of request and of response, and idle time after the call, in seconds.
WAYS = st.lists(
    st.tuples(st.floats(0, 4.9), st.floats(0, 6), st.just(0.0) | st.floats(0, 2)),
    min_size=1,
    max_size=80,
)


def play(ways: Iterable[tuple[float, float, float]], limit: RateLimit) -> list[float]:
    """Send each call as soon as the policy allows; return the arrival times at the server."""
    window, now = RequestWindow(), 100.0
    answers: list[tuple[float, float]] = []
    arrivals = []
    for there, back, idle in ways:
        while True:
            while answers and answers[0][0] <= now:
                answered, departed = heappop(answers)
                window = record_arrival(window, departed, answered - departed)
            earliest = next_send_time(window, now, limit)
            if earliest <= now:
                break
            now = min(earliest, answers[0][0]) if answers else earliest
        window = record_send(window, now)
        arrivals.append(now + there)
        heappush(answers, (now + there + back, now))
        now += idle
    return arrivals


@given(ways=WAYS, limit=LIMITS)
def test_no_period_at_the_server_exceeds_the_rate_limit(
    ways: list[tuple[float, float, float]], limit: RateLimit
) -> None:
    """This holds for all network delays up to the maximum."""
    arrivals = play(ways, limit)

    assert peak_calls_in_window(arrivals, limit.seconds - 1e-6) <= limit.calls


@given(count=st.integers(1, 80), limit=LIMITS)
def test_the_full_rate_limit_is_used_without_network_delay(count: int, limit: RateLimit) -> None:
    arrivals = play([(0.0, 0.0, 0.0)] * count, limit)

    assert arrivals[-1] - arrivals[0] <= (count - 1) // limit.calls * limit.seconds + limit.seconds


@given(ways=WAYS, limit=LIMITS)
def test_calls_are_spaced_evenly_without_a_burst(
    ways: list[tuple[float, float, float]], limit: RateLimit
) -> None:
    """Two calls are never closer than 95 % of the even spacing."""
    departures = play([(0.0, there + back, idle) for there, back, idle in ways], limit)

    nearly = 0.95 * limit.seconds / limit.calls
    assert all(later - earlier >= nearly - 1e-9 for earlier, later in pairwise(departures))


def test_an_idle_hour_does_not_permit_a_burst() -> None:
    limit = RateLimit.of(20)
    window = record_send(record_send(RequestWindow(), 0.0), 3600.0)

    assert next_send_time(window, 3600.0, limit) == pytest.approx(3600.0475)


def test_a_call_without_a_response_expires_after_the_maximum_delay() -> None:
    """A crashed process delays others by at most the maximum network delay and one period."""
    limit = RateLimit.of(2)
    window = record_send(record_send(RequestWindow(), 0.0), 0.5)

    assert next_send_time(window, 0.6, limit) == MAX_NETWORK_DELAY_SECONDS + limit.seconds


@pytest.mark.parametrize(
    ("rate", "limit"),
    [
        (20, RateLimit(20, 1.0)),
        (0.5, RateLimit(1, 2.0)),
        (6.6, RateLimit(6, 6 / 6.6)),
        (1280, RateLimit(128, 0.1)),
    ],
)
def test_a_rate_becomes_a_whole_number_of_calls_in_a_period(rate: float, limit: RateLimit) -> None:
    assert RateLimit.of(rate) == limit


@given(first=st.floats(0, 100), second=st.floats(0, 100))
def test_a_pause_is_never_shortened(first: float, second: float) -> None:
    """The later end of two pauses counts, with and without a limit."""
    window = extend_pause(extend_pause(RequestWindow(), first), second)

    assert next_send_time(window, 0.0, None) == max(first, second)
    assert next_send_time(window, 0.0, RateLimit.of(20)) == max(first, second)


def test_a_429_slows_down_calls_until_an_hour_without_429_has_passed() -> None:
    """The slowdown of 1.25 decreases linearly to 1."""
    window = record_throttle(RequestWindow(), 10_000.0)

    slowness = [current_slowdown(window, 10_000.0 + minutes * 60) for minutes in (0, 30, 60, 90)]

    assert slowness == [1.25, 1.125, 1.0, 1.0]


def test_429s_within_two_seconds_slow_down_calls_once() -> None:
    """They refuse calls that were in flight together. A later 429 adds to the slowdown, up to 4."""
    once = record_throttle(record_throttle(RequestWindow(), 10_000.0), 10_001.0)
    twice = record_throttle(once, 10_003.0)
    often = twice
    for step in range(20):
        often = record_throttle(often, 10_010.0 + 3 * step)

    assert once.slowdown == 1.25
    assert twice.slowdown == pytest.approx(1.25**2, rel=1e-3)
    assert often.slowdown == 4.0


def test_a_slowdown_lengthens_the_period_and_the_spacing() -> None:
    limit = RateLimit(2, 1.0)
    window = record_throttle(RequestWindow(), 100.0)
    for moment in (100.0, 101.0):
        window = record_arrival(record_send(window, moment), moment, 0.0)

    assert next_send_time(window, 101.0, limit) == pytest.approx(101.0 + 0.95 * 1.25 / 2, abs=1e-3)
    assert next_send_time(window, 101.0, RateLimit(1, 1.0)) == pytest.approx(102.25, abs=1e-3)


def test_a_steady_response_time_is_not_counted_as_network_delay() -> None:
    """After 50 responses, 80 % of the fastest response time, less the spread, is subtracted."""
    assert network_delay(0.3, [0.1] * 49) == 0.3
    assert network_delay(0.3, [0.1] * 50) == pytest.approx(0.22)
    assert network_delay(0.3, [0.1, 0.12] * 25) == pytest.approx(0.236)
    assert network_delay(0.3, [0.1, 0.3] * 25) == 0.3
    assert network_delay(0.05, [0.1] * 50) == 0.0


@given(
    ways=st.lists(st.tuples(st.floats(0, 0.2), st.just(0.0)), min_size=60, max_size=120),
    common=st.floats(0.01, 0.5),
)
def test_the_rate_limit_holds_when_the_common_delay_is_subtracted(
    ways: list[tuple[float, float]], common: float
) -> None:
    """Half of the common delay is before the arrival at the server."""
    limit = RateLimit.of(20)
    latest = [common] * 50
    trimmed = [(there, back) for there, back in ways]
    window, now, arrivals = RequestWindow(), 100.0, []
    for there, back in trimmed:
        now = next_send_time(window, now, limit)
        answer = common + there + back
        window = record_arrival(record_send(window, now), now, network_delay(answer, latest))
        arrivals.append(now + common / 2 + there)

    assert peak_calls_in_window(arrivals, limit.seconds - 1e-6) <= limit.calls


def test_a_clock_that_was_set_back_does_not_stop_all_calls() -> None:
    """Calls recorded an hour ahead are dropped, a pause that ends in a minute is kept."""
    window = extend_pause(record_send(RequestWindow(), 5000.0), 5060.0)

    assert next_send_time(drop_future_entries(window, 1400.0), 1400.0, RateLimit.of(20)) == 1400.0
    assert next_send_time(drop_future_entries(window, 5000.0), 5000.0, RateLimit.of(20)) == 5060.0

"""Rate limiter with several threads: even spacing, shared pauses and immediate closing."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from tower_etl.clock import SYSTEM_CLOCK, Clock
from tower_etl.errors import ApiConnectionError, SyncStoppedError
from tower_etl.http import (
    RateLimiter,
    RequestMetrics,
    RequestStats,
)
from tower_etl.http.rate_limit.policy import RateLimit
from tower_etl.http.rate_limit.stores import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import FakeClock
    from tower_etl.http.rate_limit.policy import RequestWindow
    from tower_etl.http.rate_limit.stores import Result

THREADS = 8
PATIENCE_S = 20


class SteppedClock:
    """Clock for threads that moves only when the test says so, once all of them sleep.

    Attributes:
        clock: Clock to pass to the rate limiter.
    """

    def __init__(self) -> None:
        self.clock = Clock(lambda: datetime(2026, 1, 1, tzinfo=UTC), self._read, self._sleep)
        self._time = 0.0
        self._alarms: list[float] = []
        self._changed = threading.Condition()

    def step(self, seconds: float, sleepers: int) -> None:
        """Wait until the given number of threads sleep, then move the clock forward."""
        with self._changed:
            asleep = self._changed.wait_for(lambda: self._count() == sleepers, PATIENCE_S)
            assert asleep, f"{self._count()} threads are asleep instead of {sleepers}"
            self._time += seconds
            self._changed.notify_all()

    def _count(self) -> int:
        return sum(alarm > self._time for alarm in self._alarms)

    def _read(self) -> float:
        return self._time

    def _sleep(self, seconds: float) -> None:
        with self._changed:
            alarm = self._time + seconds
            self._alarms.append(alarm)
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._time >= alarm, PATIENCE_S)
            self._alarms.remove(alarm)


class Unreliable(MemoryStore):
    """Store whose first update succeeds and whose later updates fail."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._worked = False

    def update(
        self, change: Callable[[RequestWindow, float], tuple[RequestWindow, Result]]
    ) -> Result:
        """Update the window, the first time only."""
        if self._worked:
            msg = "gone"
            raise ApiConnectionError(msg)
        self._worked = True
        return super().update(change)


class ConcurrentCallers:
    """Threads that each acquire one permit.

    Attributes:
        granted: Times of the permits, in seconds of the stepped clock.
        refused: Number of threads that found the limiter closed.
    """

    def __init__(self, limiter: RateLimiter, clock: Clock, size: int) -> None:
        self.granted: list[float] = []
        self.refused = 0
        self._budget, self._clock = limiter, clock
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=self._want) for _ in range(size)]
        for thread in self._threads:
            thread.start()

    def wait_for_grants(self, count: int) -> None:
        """Wait until at least the given number of permits were granted."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.granted) >= count, PATIENCE_S)

    def join(self) -> None:
        """Wait until all threads have ended."""
        for thread in self._threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()

    def _want(self) -> None:
        try:
            self._budget.record_response(self._budget.acquire())
        except SyncStoppedError:
            self.refused += 1
            return
        with self._changed:
            self.granted.append(self._clock.monotonic())
            self._changed.notify_all()


def test_eight_threads_never_exceed_the_rate_limit() -> None:
    """The real clock is used: call k is sent at least k spacings after the start."""
    distance, calls = 0.005, 40
    limiter = RateLimiter(RateLimit(1, distance), SYSTEM_CLOCK, RequestMetrics())
    begun = time.monotonic()

    def call(_: int) -> float:
        limiter.record_response(limiter.acquire())
        return time.monotonic()

    with ThreadPoolExecutor(THREADS) as pool:
        times = sorted(pool.map(call, range(calls)))

    assert all(at - begun >= k * distance - 1e-6 for k, at in enumerate(times))


def test_a_late_wake_up_is_compensated_without_a_burst() -> None:
    """Later calls are at most 5 % closer to each other than the even spacing."""
    moments: list[float] = []
    now = 0.0

    def sleep_longer(seconds: float) -> None:
        nonlocal now
        now += seconds + (0.02 if len(moments) == 3 else 0.0)

    clock = Clock(monotonic=lambda: now, sleep=sleep_longer)
    limiter = RateLimiter(RateLimit(20, 1.0), clock, RequestMetrics())
    for _ in range(21):
        limiter.record_response(limiter.acquire())
        moments.append(now)

    gaps = [round(later - earlier, 6) for earlier, later in pairwise(moments)]
    assert sorted(set(gaps[:19])) == [0.0475, 0.0675]
    assert moments[20] == pytest.approx(1.0)


class Recording(MemoryStore):
    """Store that keeps every window that was stored."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.stored: list[RequestWindow] = []

    def update(
        self, change: Callable[[RequestWindow, float], tuple[RequestWindow, Result]]
    ) -> Result:
        """Update the window, and keep the new one if it changed."""
        before = self._window
        result = super().update(change)
        if self._window is not before:
            self.stored.append(self._window)
        return result


def test_responses_are_stored_with_the_next_call(fake_clock: FakeClock) -> None:
    store = Recording(fake_clock.clock)
    limiter = RateLimiter(RateLimit(20, 1.0), fake_clock.clock, RequestMetrics(), store)
    for _ in range(3):
        permit = limiter.acquire()
        fake_clock.clock.sleep(0.1)
        limiter.record_response(permit)

    assert len(store.stored) == 3
    assert store.stored[-1].received_by[:2] == (0.1, 0.2)
    limiter.close()
    assert store.stored[-1].received_by == pytest.approx((0.1, 0.2, 0.3))


def test_a_response_is_stored_by_a_call_that_must_wait(fake_clock: FakeClock) -> None:
    """Otherwise other processes would count the calls of a slow process as still in flight."""
    store = Recording(fake_clock.clock)
    limiter = RateLimiter(RateLimit(1, 10.0), fake_clock.clock, RequestMetrics(), store)
    limiter.record_response(limiter.acquire())
    fake_clock.clock.sleep(1.0)
    limiter.acquire()

    assert store.stored[1].received_by == (0.0,)
    assert len(store.stored) == 3


def test_the_period_of_a_call_starts_at_its_response(fake_clock: FakeClock) -> None:
    """Until the response, the server may not have received the call yet."""
    limiter = RateLimiter(RateLimit(1, 1.0), fake_clock.clock, RequestMetrics())
    departure = limiter.acquire()
    fake_clock.clock.sleep(0.4)
    limiter.record_response(departure)
    fake_clock.slept.clear()

    limiter.acquire()

    assert sum(fake_clock.slept) == pytest.approx(1.0)


def test_waiting_threads_resume_one_by_one_after_a_pause() -> None:
    """The slowdown after a 429 lengthens the spacing from 1 s to 1.25 s."""
    stepped = SteppedClock()
    limiter = RateLimiter(RateLimit(1, 1.0), stepped.clock, RequestMetrics())
    crowd = ConcurrentCallers(limiter, stepped.clock, THREADS)
    crowd.wait_for_grants(1)
    stepped.step(0.0, 1)  # the first waiting thread sleeps; the others queue on its lock

    limiter.pause(10.0)
    for quarter in range(40 + 5 * (THREADS - 1)):
        # From second 10 on, one thread gets a permit every five quarters and sleeps no more.
        done = 1 + max(0, (quarter - 40) // 5 + 1)
        crowd.wait_for_grants(done)
        stepped.step(0.25, min(1, THREADS - done))
    crowd.join()

    assert [0.0, *(10.0 + 1.25 * k for k in range(THREADS - 1))] == crowd.granted


def test_close_ends_waiting_threads_without_a_call() -> None:
    stepped = SteppedClock()
    metrics = RequestMetrics()
    limiter = RateLimiter(RateLimit(1, 1.0), stepped.clock, metrics)
    limiter.pause(1000.0)
    crowd = ConcurrentCallers(limiter, stepped.clock, THREADS)
    stepped.step(0.0, 1)

    limiter.close()
    stepped.step(0.25, 1)
    crowd.join()

    assert (crowd.refused, metrics.snapshot().calls, crowd.granted) == (THREADS, 0, [])


def test_a_closed_limiter_refuses_calls_without_waiting(fake_clock: FakeClock) -> None:
    limiter = RateLimiter(None, fake_clock.clock, RequestMetrics())
    limiter.close()

    with pytest.raises(SyncStoppedError):
        limiter.acquire()

    assert fake_clock.slept == []


def test_calls_do_not_wait_without_a_rate_limit(fake_clock: FakeClock) -> None:
    """Self-hosted servers may have no rate limit."""
    metrics = RequestMetrics()
    limiter = RateLimiter(None, fake_clock.clock, metrics)

    for _ in range(100):
        limiter.acquire()

    assert (metrics.snapshot().calls, fake_clock.slept) == (100, [])


def test_a_pause_delays_calls_without_a_rate_limit(fake_clock: FakeClock) -> None:
    """A server that was configured without a limit may still send a 429."""
    limiter = RateLimiter(None, fake_clock.clock, RequestMetrics())

    limiter.pause(3.0)
    limiter.acquire()

    assert sum(fake_clock.slept) == pytest.approx(3.0)


def test_overlapping_pauses_are_counted_once_as_throttled_time(fake_clock: FakeClock) -> None:
    """Several threads that receive a 429 at the same time wait together."""
    metrics = RequestMetrics()
    limiter = RateLimiter(RateLimit.of(20), fake_clock.clock, metrics)

    for seconds in (5.0, 3.0, 8.0):
        limiter.pause(seconds)

    assert RequestStats(throttled_seconds=8.0) == metrics.snapshot()


def test_separate_pauses_add_up_as_throttled_time(fake_clock: FakeClock) -> None:
    """The time between two pauses was not throttled."""
    metrics = RequestMetrics()
    limiter = RateLimiter(RateLimit.of(20), fake_clock.clock, metrics)

    limiter.pause(2.0)
    fake_clock.clock.sleep(10.0)
    limiter.pause(1.0)

    assert metrics.snapshot().throttled_seconds == 3.0


def test_a_failing_store_is_reported_by_the_next_call(fake_clock: FakeClock) -> None:
    """`record_response` itself does not raise: the call counts as in flight, which is safe."""
    limiter = RateLimiter(
        RateLimit.of(20), fake_clock.clock, RequestMetrics(), Unreliable(fake_clock.clock)
    )
    departure = limiter.acquire()

    limiter.record_response(departure)

    with pytest.raises(ApiConnectionError):
        limiter.acquire()

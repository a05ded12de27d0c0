"""Thread-safe counters of the requests of a sync: calls, retries and throttled time."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tower_etl.clock import SYSTEM_CLOCK

if TYPE_CHECKING:
    from tower_etl.clock import Clock


@dataclass(frozen=True)
class RequestStats:
    """Snapshot of the request counters.

    Attributes:
        calls: Number of requests sent, including retries.
        retries: Number of retries.
        throttled_seconds: Time for which 429 responses of the server paused all requests.
        repaired: Number of responses whose invalid JSON was repaired.
        repair: Request and fault of the first repaired response; empty without one.
    """

    calls: int = 0
    retries: int = 0
    throttled_seconds: float = 0.0
    repaired: int = 0
    repair: str = ""


class RequestMetrics:
    """Thread-safe request counters of one sync."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._started = clock.monotonic()
        self._lock = threading.Lock()
        self._stats = RequestStats()
        self._responses = 0
        self._response_seconds = 0.0

    @property
    def response_seconds(self) -> float:
        """Mean time from sending a request to the end of its response, 0 before the first."""
        with self._lock:
            return self._response_seconds / max(self._responses, 1)

    @property
    def seconds(self) -> float:
        """Seconds since the creation of this object."""
        return self._clock.monotonic() - self._started

    def record_call(self) -> None:
        """Count a request that is about to be sent."""
        with self._lock:
            self._stats = replace(self._stats, calls=self._stats.calls + 1)

    def record_response_time(self, seconds: float) -> None:
        """Count a response, and the time from sending the request to the end of its response."""
        with self._lock:
            self._responses += 1
            self._response_seconds += seconds

    def record_retry(self) -> None:
        """Count a failed request that is about to be retried."""
        with self._lock:
            self._stats = replace(self._stats, retries=self._stats.retries + 1)

    def record_throttled(self, seconds: float) -> None:
        """Add seconds for which a 429 response pauses all requests."""
        with self._lock:
            throttled_seconds = self._stats.throttled_seconds + seconds
            self._stats = replace(self._stats, throttled_seconds=throttled_seconds)

    def record_repair(self, description: str) -> None:
        """Count a response whose JSON was repaired, and keep the first description."""
        with self._lock:
            repaired, repair = self._stats.repaired + 1, self._stats.repair or description
            self._stats = replace(self._stats, repaired=repaired, repair=repair)

    def snapshot(self) -> RequestStats:
        """Return the current counts."""
        return self._stats

"""Thread-safe counters of the requests of a sync: calls, retries and throttled time."""

from __future__ import annotations

import threading
from dataclasses import dataclass
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
        self._calls = 0
        self._retries = 0
        self._throttled = 0.0
        self._repaired = 0
        self._repair = ""
        self._responses = 0
        self._response_seconds = 0.0

    @property
    def response_seconds(self) -> float:
        """Mean time from sending a request to the headers of its response, 0 before the first."""
        with self._lock:
            return self._response_seconds / max(self._responses, 1)

    @property
    def seconds(self) -> float:
        """Seconds since the creation of this object."""
        return self._clock.monotonic() - self._started

    def record_call(self) -> None:
        """Count a request that is about to be sent."""
        with self._lock:
            self._calls += 1

    def record_response(self, seconds: float) -> None:
        """Count a response, and the time from sending the request to its headers."""
        with self._lock:
            self._responses += 1
            self._response_seconds += seconds

    def record_retry(self) -> None:
        """Count a failed request that is about to be retried."""
        with self._lock:
            self._retries += 1

    def record_throttled(self, seconds: float) -> None:
        """Add seconds for which a 429 response pauses all requests."""
        with self._lock:
            self._throttled += seconds

    def record_repair(self, description: str) -> None:
        """Count a response whose JSON was repaired, and keep the first description."""
        with self._lock:
            self._repaired += 1
            self._repair = self._repair or description

    def snapshot(self) -> RequestStats:
        """Return the current counts."""
        with self._lock:
            return RequestStats(
                self._calls, self._retries, self._throttled, self._repaired, self._repair
            )

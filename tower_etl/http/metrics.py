"""What a sync spent: calls, retries and throttled time, counted across threads."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tower_etl.clock import SYSTEM_CLOCK

if TYPE_CHECKING:
    from tower_etl.clock import Clock


@dataclass(frozen=True)
class RequestStats:
    """A reading of the meter.

    Attributes:
        calls: Requests that went out, retried ones included.
        retries: Those among them that repeated a failed one.
        throttled_seconds: Time for which the server's 429 answers held all calls back.
        repaired: Answers that were not quite JSON, and were repaired.
        repair: What was wrong with the first of them, and which it was; empty without one.
    """

    calls: int = 0
    retries: int = 0
    throttled_seconds: float = 0.0
    repaired: int = 0
    repair: str = ""


class RequestMetrics:
    """Counts, safely from several threads, from the moment when it is made."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._started = clock.monotonic()
        self._lock = threading.Lock()
        self._calls = 0
        self._retries = 0
        self._throttled = 0.0
        self._repaired = 0
        self._repair = ""

    @property
    def seconds(self) -> float:
        """Time since it was made."""
        return self._clock.monotonic() - self._started

    def record_call(self) -> None:
        """One request goes out."""
        with self._lock:
            self._calls += 1

    def record_retry(self) -> None:
        """One failed request is about to be repeated."""
        with self._lock:
            self._retries += 1

    def record_throttled(self, seconds: float) -> None:
        """The server asked everybody to wait for so many seconds more."""
        with self._lock:
            self._throttled += seconds

    def record_repair(self, what: str) -> None:
        """Count an answer that had to be repaired."""
        with self._lock:
            self._repaired += 1
            self._repair = self._repair or what

    def snapshot(self) -> RequestStats:
        """The reading now."""
        with self._lock:
            return RequestStats(
                self._calls, self._retries, self._throttled, self._repaired, self._repair
            )

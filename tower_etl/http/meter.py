"""What a sync spent: calls, retries and throttled time, counted across threads."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tower_etl.clock import SYSTEM_CLOCK

if TYPE_CHECKING:
    from tower_etl.clock import Clock


@dataclass(frozen=True)
class Spent:
    """A reading of the meter.

    Attributes:
        calls: Requests that went out, retried ones included.
        retries: Those among them that repeated a failed one.
        throttled_seconds: Time for which the server's 429 answers held all calls back.
    """

    calls: int = 0
    retries: int = 0
    throttled_seconds: float = 0.0


class Meter:
    """Counts, safely from several threads, from the moment when it is made."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._started = clock.monotonic()
        self._lock = threading.Lock()
        self._calls = 0
        self._retries = 0
        self._throttled = 0.0

    @property
    def seconds(self) -> float:
        """Time since it was made."""
        return self._clock.monotonic() - self._started

    def count_call(self) -> None:
        """One request goes out."""
        with self._lock:
            self._calls += 1

    def count_retry(self) -> None:
        """One failed request is about to be repeated."""
        with self._lock:
            self._retries += 1

    def count_throttled(self, seconds: float) -> None:
        """The server asked everybody to wait for so many seconds more."""
        with self._lock:
            self._throttled += seconds

    def read(self) -> Spent:
        """The reading now."""
        with self._lock:
            return Spent(self._calls, self._retries, self._throttled)

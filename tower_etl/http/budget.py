"""The budget of calls: every request waits here for its slot, a repeated one too."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from tower_etl.http.rate import Ledger, pause, reserve_slot

if TYPE_CHECKING:
    from tower_etl.clock import Clock
    from tower_etl.http.meter import Meter

_NAP_SECONDS = 0.25  # the longest sleep that does not look whether the budget was closed


class BudgetClosedError(Exception):
    """The sync is stopping: no further call goes out."""


class Budget:
    """Hands out evenly spaced slots to the threads of one process.

    Threads wait one behind the other, and one that woke up late pushes the next one back: spacing
    is kept between the calls that go out, not only between those that were planned. A slot that a
    pause has overtaken is taken anew.
    """

    def __init__(self, calls_per_second: float | None, clock: Clock, meter: Meter) -> None:
        """Set up a budget of `calls_per_second` (None: no limit)."""
        self._spacing = 1.0 / calls_per_second if calls_per_second else 0.0
        self._clock = clock
        self._meter = meter
        self._turn = threading.Lock()
        self._lock = threading.Lock()
        self._ledger = Ledger()
        self._closed = threading.Event()

    def acquire(self) -> None:
        """Wait for a slot.

        Raises:
            BudgetClosedError: The budget was closed before the slot came.
        """
        with self._turn:
            slot = self._reserve()
            self._wait_until(slot)
            while slot < self._ledger.paused_until:
                slot = self._reserve()
                self._wait_until(slot)
            self._push_back()
        self._meter.count_call()

    def hold_back(self, seconds: float) -> None:
        """Let no call out for so many seconds (an answer of 429 asked for it)."""
        with self._lock:
            before = max(self._ledger.paused_until, self._clock.monotonic())
            self._ledger = pause(self._ledger, self._clock.monotonic() + seconds)
            added = self._ledger.paused_until - before
        self._meter.count_throttled(max(0.0, added))

    def nap(self, seconds: float) -> None:
        """Wait for so many seconds, with no claim to a slot.

        Raises:
            BudgetClosedError: The budget was closed in the meantime.
        """
        self._wait_until(self._clock.monotonic() + seconds)

    def close(self) -> None:
        """Let no further call out at all."""
        self._closed.set()

    def _reserve(self) -> float:
        with self._lock:
            slot, self._ledger = reserve_slot(self._ledger, self._clock.monotonic(), self._spacing)
        return slot

    def _push_back(self) -> None:
        with self._lock:
            earliest = self._clock.monotonic() + self._spacing
            self._ledger = replace(self._ledger, next_free=max(self._ledger.next_free, earliest))

    def _wait_until(self, slot: float) -> None:
        while not self._closed.is_set():
            left = slot - self._clock.monotonic()
            if left <= 0:
                return
            self._clock.sleep(min(left, _NAP_SECONDS))
        raise BudgetClosedError

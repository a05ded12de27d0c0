"""The budget of calls: every request waits here until it may go out, a repeated one too."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tower_etl.errors import UnreachableError
from tower_etl.http.adapter import origin_of
from tower_etl.http.ledger import MemoryLedger, open_ledger
from tower_etl.http.rate import (
    Limit,
    arrive,
    depart,
    find_departure,
    measure_way,
    pause,
    slow_down,
)

if TYPE_CHECKING:
    from tower_etl.clock import Clock
    from tower_etl.http.ledger import LedgerStore
    from tower_etl.http.meter import Meter
    from tower_etl.http.rate import Ledger
    from tower_etl.settings import Settings

_NAP_SECONDS = 0.25  # the longest sleep that does not look whether the budget was closed
_REMEMBERED_ANSWERS = 200


class BudgetClosedError(Exception):
    """The sync is stopping: no further call goes out."""


@dataclass(frozen=True)
class Departure:
    """A call that went out.

    Attributes:
        recorded: When, by the ledger's clock, in seconds.
        monotonic: The same moment by the clock of this process.
    """

    recorded: float
    monotonic: float


class Budget:
    """Lets calls out, one at a time, as the limit and those who share the ledger allow.

    Threads wait one behind the other. Nothing is promised ahead: who waits looks again when the
    time has come, and whoever of the sharers is the first to look goes first.
    """

    def __init__(
        self, limit: Limit | None, clock: Clock, meter: Meter, store: LedgerStore | None = None
    ) -> None:
        """Set up a budget of that limit (None: no limit), by default of this process alone."""
        self._limit = limit
        self._clock = clock
        self._meter = meter
        self._store = store or MemoryLedger(clock)
        self._turn = threading.Lock()
        self._answers_lock = threading.Lock()
        self._answers: deque[float] = deque(maxlen=_REMEMBERED_ANSWERS)
        self._closed = threading.Event()

    def acquire(self) -> Departure:
        """Wait until a call may go out.

        Raises:
            BudgetClosedError: The budget was closed before that.
        """
        with self._turn:
            while True:
                self._ensure_open()
                before = self._clock.monotonic()  # not after: its way must not seem shorter
                earliest, now = self._store.change(self._depart)
                if earliest <= now:
                    break
                self.nap(earliest - now)
        self._meter.count_call()
        return Departure(now, before)

    def settle(self, departure: Departure) -> None:
        """The call has its answer, or failed: it was at the server by now, if it ever was.

        Where the ledger cannot be reached the call counts as under way for its longest: that is
        safe, and an answer that is there is not thrown away for it.
        """
        if self._limit is None:
            return
        answer_seconds = self._clock.monotonic() - departure.monotonic
        way_seconds = self._measure_way(answer_seconds)
        with suppress(UnreachableError):
            self._store.change(
                lambda ledger, _now: (arrive(ledger, departure.recorded, way_seconds), None)
            )

    def hold_back(self, seconds: float) -> None:
        """Let nobody's call out for so many seconds, and fewer after that (a 429 asked for it)."""

        def refuse(ledger: Ledger, now: float) -> tuple[Ledger, float]:
            held = pause(slow_down(ledger, now), now + seconds)
            return held, held.paused_until - max(ledger.paused_until, now)

        self._meter.count_throttled(max(0.0, self._store.change(refuse)))

    def nap(self, seconds: float) -> None:
        """Wait for so many seconds, with no claim to a call.

        Raises:
            BudgetClosedError: The budget was closed in the meantime.
        """
        ends = self._clock.monotonic() + seconds
        while (left := ends - self._clock.monotonic()) > 0:
            self._ensure_open()
            self._clock.sleep(min(left, _NAP_SECONDS))
        self._ensure_open()

    def close(self) -> None:
        """Let no further call out at all."""
        self._closed.set()

    def _depart(self, ledger: Ledger, now: float) -> tuple[Ledger, tuple[float, float]]:
        """Let a call out if it may go out now; the earliest moment, and now."""
        earliest = find_departure(ledger, now, self._limit)
        may_go = earliest <= now and self._limit is not None
        return (depart(ledger, now) if may_go else ledger), (earliest, now)

    def _measure_way(self, answer_seconds: float) -> float:
        if not self._store.one_way:
            return answer_seconds
        with self._answers_lock:
            self._answers.append(answer_seconds)
            return measure_way(answer_seconds, self._answers)

    def _ensure_open(self) -> None:
        if self._closed.is_set():
            raise BudgetClosedError


def open_budget(settings: Settings, clock: Clock, meter: Meter) -> Budget:
    """The budget that the settings ask for, shared by all who use their token on their server.

    Raises:
        UsageError: The ledger that they name cannot be used.
    """
    pacing = settings.pacing
    name = settings.token.digest(*origin_of(settings.endpoint))
    rate = pacing.calls_per_second
    limit = None if rate is None else Limit.of(rate * pacing.share)
    return Budget(limit, clock, meter, open_ledger(pacing.ledger, name, clock))

"""The budget of calls: every request waits here until it may go out, a repeated one too."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tower_etl.errors import ApiConnectionError
from tower_etl.http.origin import origin_of
from tower_etl.http.rate_limit.policy import (
    RateLimit,
    network_delay,
    next_send_time,
    pause,
    record_response,
    record_send,
    record_throttle,
)
from tower_etl.http.rate_limit.stores import MemoryStore, open_store

if TYPE_CHECKING:
    from tower_etl.clock import Clock
    from tower_etl.config.settings import Settings
    from tower_etl.http.metrics import RequestMetrics
    from tower_etl.http.rate_limit.policy import RequestWindow
    from tower_etl.http.rate_limit.stores import RateLimitStore

_SLEEP_SECONDS = 0.25  # the longest sleep that does not look whether the budget was closed
_RECENT_RESPONSES = 200


class RateLimiterClosedError(Exception):
    """The sync is stopping: no further call goes out."""


@dataclass(frozen=True)
class Permit:
    """A call that went out.

    Attributes:
        recorded: When, by the ledger's clock, in seconds.
        monotonic: The same moment by the clock of this process.
    """

    recorded: float
    monotonic: float


class RateLimiter:
    """Lets calls out, one at a time, as the limit and those who share the ledger allow.

    Threads wait one behind the other. Nothing is promised ahead: who waits looks again when the
    time has come, and whoever of the sharers is the first to look goes first.
    """

    def __init__(
        self,
        limit: RateLimit | None,
        clock: Clock,
        metrics: RequestMetrics,
        store: RateLimitStore | None = None,
    ) -> None:
        """Set up a budget of that limit (None: no limit), by default of this process alone."""
        self._limit = limit
        self._clock = clock
        self._meter = metrics
        self._store = store or MemoryStore(clock)
        self._queue_lock = threading.Lock()
        self._responses_lock = threading.Lock()
        self._responses: deque[float] = deque(maxlen=_RECENT_RESPONSES)
        self._closed = threading.Event()
        self._waited = threading.local()

    def acquire(self) -> Permit:
        """Wait until a call may go out.

        Raises:
            RateLimiterClosedError: The budget was closed before that.
        """
        asked = self._clock.monotonic()
        with self._queue_lock:
            while True:
                self._ensure_open()
                before = self._clock.monotonic()  # not after: its way must not seem shorter
                earliest, now = self._store.update(self._try_send)
                if earliest <= now:
                    break
                self.sleep(earliest - now)
        self._waited.seconds = self._clock.monotonic() - asked
        self._meter.record_call()
        return Permit(now, before)

    @property
    def last_wait_seconds(self) -> float:
        """Seconds that the calling thread waited for its last permit."""
        return getattr(self._waited, "seconds", 0.0)

    def record_response(self, departure: Permit) -> None:
        """The call has its answer, or failed: it was at the server by now, if it ever was.

        Where the ledger cannot be reached the call counts as under way for its longest: that is
        safe, and an answer that is there is not thrown away for it.
        """
        if self._limit is None:
            return
        answer_seconds = self._clock.monotonic() - departure.monotonic
        way_seconds = self._network_delay(answer_seconds)
        with suppress(ApiConnectionError):
            self._store.update(
                lambda window, _now: (
                    record_response(window, departure.recorded, way_seconds),
                    None,
                )
            )

    def pause(self, seconds: float) -> None:
        """Let nobody's call out for so many seconds, and fewer after that (a 429 asked for it)."""

        def refuse(window: RequestWindow, now: float) -> tuple[RequestWindow, float]:
            held = pause(record_throttle(window, now), now + seconds)
            return held, held.paused_until - max(window.paused_until, now)

        self._meter.record_throttled(max(0.0, self._store.update(refuse)))

    def sleep(self, seconds: float) -> None:
        """Wait for so many seconds, with no claim to a call.

        Raises:
            RateLimiterClosedError: The budget was closed in the meantime.
        """
        ends = self._clock.monotonic() + seconds
        while (left := ends - self._clock.monotonic()) > 0:
            self._ensure_open()
            self._clock.sleep(min(left, _SLEEP_SECONDS))
        self._ensure_open()

    def close(self) -> None:
        """Let no further call out at all."""
        self._closed.set()

    def _try_send(
        self, window: RequestWindow, now: float
    ) -> tuple[RequestWindow, tuple[float, float]]:
        """Let a call out if it may go out now; the earliest moment, and now."""
        earliest = next_send_time(window, now, self._limit)
        may_go = earliest <= now and self._limit is not None
        return (record_send(window, now) if may_go else window), (earliest, now)

    def _network_delay(self, answer_seconds: float) -> float:
        if not self._store.shared_network_path:
            return answer_seconds
        with self._responses_lock:
            self._responses.append(answer_seconds)
            return network_delay(answer_seconds, self._responses)

    def _ensure_open(self) -> None:
        if self._closed.is_set():
            raise RateLimiterClosedError


def open_rate_limiter(settings: Settings, clock: Clock, metrics: RequestMetrics) -> RateLimiter:
    """The budget that the settings ask for, shared by all who use their token on their server.

    Raises:
        ConfigurationError: The ledger that they name cannot be used.
    """
    http_settings = settings.http
    name = settings.token.fingerprint(*origin_of(settings.endpoint))
    rate = http_settings.calls_per_second
    limit = None if rate is None else RateLimit.of(rate * http_settings.rate_limit_share)
    return RateLimiter(
        limit, clock, metrics, open_store(http_settings.rate_limit_store, name, clock)
    )

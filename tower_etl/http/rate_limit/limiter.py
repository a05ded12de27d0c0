"""Rate limiter at which every request waits before it is sent, including retries."""

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

_SLEEP_SECONDS = 0.25  # longest sleep between two checks whether the limiter was closed
_RECENT_RESPONSES = 200


class RateLimiterClosedError(Exception):
    """The sync is stopping, so that no further request is sent."""


@dataclass(frozen=True)
class Permit:
    """Permission to send one call, with the time at which it was granted.

    Attributes:
        recorded: Time by the clock of the rate limit store, in seconds.
        monotonic: The same time by the monotonic clock of this process, in seconds.
    """

    recorded: float
    monotonic: float


class RateLimiter:
    """Limiter of the calls of all threads, processes and machines that share a store.

    Threads queue on a lock. Slots are not reserved in advance: a waiter checks again when its delay
    ends, so that processes that share the store are served first come, first served.
    """

    def __init__(
        self,
        limit: RateLimit | None,
        clock: Clock,
        metrics: RequestMetrics,
        store: RateLimitStore | None = None,
    ) -> None:
        """Create a limiter.

        Args:
            limit: Maximum number of calls in a period, None for no limit.
            clock: Clock for waiting.
            metrics: Counters of the calls and of the throttled time.
            store: Store of the request window; None for one in this process.
        """
        self._limit = limit
        self._clock = clock
        self._metrics = metrics
        self._store = store or MemoryStore(clock)
        self._queue_lock = threading.Lock()
        self._responses_lock = threading.Lock()
        self._responses: deque[float] = deque(maxlen=_RECENT_RESPONSES)
        self._closed = threading.Event()
        self._waited = threading.local()  # per thread: the client logs the wait of its own request

    def acquire(self) -> Permit:
        """Wait until a call may be sent, and record it in the store.

        Raises:
            RateLimiterClosedError: The limiter was closed in the meantime.
        """
        started = self._clock.monotonic()
        with self._queue_lock:
            while True:
                self._ensure_open()
                # Read before the update, so that the network delay is never underestimated.
                before = self._clock.monotonic()
                earliest, now = self._store.update(self._try_send)
                if earliest <= now:
                    break
                self.sleep(earliest - now)
        self._waited.seconds = self._clock.monotonic() - started
        self._metrics.record_call()
        return Permit(now, before)

    @property
    def last_wait_seconds(self) -> float:
        """Seconds that the calling thread waited for its last permit."""
        return getattr(self._waited, "seconds", 0.0)

    def record_response(self, permit: Permit) -> None:
        """Record that a call was answered or failed, and so can no longer arrive at the server.

        If the store cannot be used, the call counts as in flight for the maximum network delay.
        That is safe, and keeps the response that has already arrived.
        """
        if self._limit is None:
            return
        response_seconds = self._clock.monotonic() - permit.monotonic
        delay_seconds = self._network_delay(response_seconds)
        with suppress(ApiConnectionError):
            self._store.update(
                lambda window, _now: (
                    record_response(window, permit.recorded, delay_seconds),
                    None,
                )
            )

    def pause(self, seconds: float) -> None:
        """Pause all calls for a number of seconds and slow down those after that, after a 429."""

        def throttle(window: RequestWindow, now: float) -> tuple[RequestWindow, float]:
            paused = pause(record_throttle(window, now), now + seconds)
            return paused, paused.paused_until - max(window.paused_until, now)

        self._metrics.record_throttled(max(0.0, self._store.update(throttle)))

    def sleep(self, seconds: float) -> None:
        """Wait for a number of seconds without reserving a call.

        Raises:
            RateLimiterClosedError: The limiter was closed in the meantime.
        """
        ends = self._clock.monotonic() + seconds
        while (left := ends - self._clock.monotonic()) > 0:
            self._ensure_open()
            self._clock.sleep(min(left, _SLEEP_SECONDS))
        self._ensure_open()

    def close(self) -> None:
        """Allow no further call; threads that wait end with `RateLimiterClosedError`."""
        self._closed.set()

    def _try_send(
        self, window: RequestWindow, now: float
    ) -> tuple[RequestWindow, tuple[float, float]]:
        """Record a call in the window if it may be sent now; return the earliest time, and now."""
        earliest = next_send_time(window, now, self._limit)
        is_recorded = earliest <= now and self._limit is not None
        return (record_send(window, now) if is_recorded else window), (earliest, now)

    def _network_delay(self, response_seconds: float) -> float:
        if not self._store.shared_network_path:
            return response_seconds
        with self._responses_lock:
            self._responses.append(response_seconds)
            return network_delay(response_seconds, self._responses)

    def _ensure_open(self) -> None:
        if self._closed.is_set():
            raise RateLimiterClosedError


def open_rate_limiter(settings: Settings, clock: Clock, metrics: RequestMetrics) -> RateLimiter:
    """Return the configured rate limiter, shared by all syncs with the same token and server.

    Raises:
        ConfigurationError: The configured rate limit store is invalid.
    """
    http_settings = settings.http
    name = settings.token.fingerprint(*origin_of(settings.endpoint))
    rate = http_settings.calls_per_second
    limit = None if rate is None else RateLimit.of(rate * http_settings.rate_limit_share)
    return RateLimiter(
        limit, clock, metrics, open_store(http_settings.rate_limit_store, name, clock)
    )

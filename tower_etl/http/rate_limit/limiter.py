"""Rate limiter at which every request waits before it is sent, including retries."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tower_etl.errors import ApiConnectionError, SyncStoppedError
from tower_etl.http.rate_limit.policy import (
    extend_pause,
    network_delay,
    next_send_time,
    record_arrival,
    record_send,
    record_throttle,
)
from tower_etl.http.rate_limit.stores import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tower_etl.clock import Clock
    from tower_etl.http.metrics import RequestMetrics
    from tower_etl.http.rate_limit.policy import RateLimit, RequestWindow
    from tower_etl.http.rate_limit.stores import RateLimitStore

_SLEEP_SECONDS = 0.25  # longest sleep between two checks whether the limiter was closed
_UNSTORED_SECONDS = 0.25  # time after which a response is stored without a further call
_RECENT_RESPONSES = 200


@dataclass(frozen=True)
class Permit:
    """Permission to send one call, with the time at which it was granted, in seconds.

    Attributes:
        store_time: Time by the clock of the rate limit store.
        monotonic_time: The same time by the monotonic clock of this process.
    """

    store_time: float
    monotonic_time: float


@dataclass(frozen=True)
class _Response:
    """Response that the store does not have yet; times are in seconds."""

    sent_at: float  # of the call, by the clock of the store
    delay_seconds: float  # upper bound of the network delay of the call
    received_at: float  # by the monotonic clock of this process


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
        """Create a limiter: without a limit if `limit` is None, in this process without a store."""
        self._limit = limit
        self._clock = clock
        self._metrics = metrics
        self._store = store or MemoryStore(clock)
        self._queue_lock = threading.Lock()
        self._responses_lock = threading.Lock()
        self._responses: deque[float] = deque(maxlen=_RECENT_RESPONSES)
        self._unstored: deque[_Response] = deque()
        self._closed = threading.Event()
        self._waited = threading.local()  # per thread: the client logs the wait of its own request

    def acquire(self) -> Permit:
        """Wait until a call may be sent, and record it in the store.

        Raises:
            SyncStoppedError: The limiter was closed in the meantime.
        """
        started = self._clock.monotonic()
        with self._queue_lock:
            while True:
                self._check_open()
                # Read before the update, so that the network delay is never underestimated.
                before = self._clock.monotonic()
                earliest, now = self._try_send()
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

        It is stored together with the next call of this process, because each update of the store
        takes time. Until then, other processes count the call as in flight, for at most the
        maximum network delay.
        """
        if self._limit is None:
            return
        now = self._clock.monotonic()
        delay_seconds = now - permit.monotonic_time
        if self._store.shared_network_path:
            with self._responses_lock:
                self._responses.append(delay_seconds)
                delay_seconds = network_delay(delay_seconds, self._responses)
        self._unstored.append(_Response(permit.store_time, delay_seconds, now))

    def pause(self, seconds: float) -> None:
        """Pause all calls for a number of seconds and slow down those after that, after a 429."""

        def throttle(window: RequestWindow, now: float) -> tuple[RequestWindow, float]:
            paused = extend_pause(record_throttle(window, now), now + seconds)
            return paused, paused.paused_until - max(window.paused_until, now)

        self._metrics.record_throttled(max(0.0, self._store.update(throttle)))

    def sleep(self, seconds: float) -> None:
        """Wait for a number of seconds without reserving a call.

        Raises:
            SyncStoppedError: The limiter was closed in the meantime.
        """
        ends = self._clock.monotonic() + seconds
        while (remaining_seconds := ends - self._clock.monotonic()) > 0:
            self._check_open()
            self._clock.sleep(min(remaining_seconds, _SLEEP_SECONDS))
        self._check_open()

    def close(self) -> None:
        """Allow no further call; threads that wait end with `SyncStoppedError`."""
        self._closed.set()
        responses = tuple(self._unstored)
        if not responses:
            return
        with suppress(ApiConnectionError):  # a call that is not stored as received is safe
            self._store.update(lambda window, _now: (_add_responses(window, responses), None))

    def _try_send(self) -> tuple[float, float]:
        """Record a call, with the responses so far, if it may be sent now.

        The result is the earliest time of the call, and the current time.
        """
        responses = tuple(self._unstored)
        # A response is stored soon, although no call is sent.
        overdue = self._clock.monotonic() - _UNSTORED_SECONDS
        is_due = bool(responses) and responses[0].received_at < overdue

        def send(
            window: RequestWindow, now: float
        ) -> tuple[RequestWindow, tuple[float, float, bool]]:
            updated = _add_responses(window, responses)
            earliest = next_send_time(updated, now, self._limit)
            if earliest <= now and self._limit is not None:
                return record_send(updated, now), (earliest, now, True)
            return (updated if is_due else window), (earliest, now, is_due)

        earliest, now, is_stored = self._store.update(send)
        if is_stored:
            for _ in responses:
                self._unstored.popleft()
        return earliest, now

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise SyncStoppedError


def _add_responses(window: RequestWindow, responses: Iterable[_Response]) -> RequestWindow:
    """Return the window with the arrival times of answered calls."""
    for response in responses:
        window = record_arrival(window, response.sent_at, response.delay_seconds)
    return window

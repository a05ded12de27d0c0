"""Rate limit policy: decides without I/O when the next call may be sent, given the recent calls.

The server counts arrivals, the client knows send times, and the network delay between the two
varies. A call is therefore assumed to arrive at the latest time that its response permits, and the
next call is sent when at most the allowed number of calls can arrive in the same period. No second
at the server then contains more calls than the limit, however the network delay varies. (Calls that
are evenly spaced just below the limit exceed it as soon as the delay of some calls is longer than
that of the next ones.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

MAX_NETWORK_DELAY_SECONDS = 5.0  # a call without a response has arrived by then, even after a crash
_PACING_FRACTION = 0.95  # of the even spacing: compensates late wake-ups without bursts
_KEPT_CALLS = 128  # also the maximum number of calls in one period

_SLOWDOWN_FACTOR = 1.25
_MAX_SLOWDOWN = 4.0
_THROTTLE_GROUPING_SECONDS = 2.0  # one overrun rejects all calls that are in flight together
_RECOVERY_SECONDS = 3600.0  # API fact 10: the longer of the two limits is counted per hour
_MAX_PAUSE_SECONDS = 600.0  # a later `paused_until` was written before the clock was set back

_MIN_SAMPLES = 50
_P90 = 0.9
_BASE_DELAY_FRACTION = 0.8


@dataclass(frozen=True)
class RateLimit:
    """Maximum number of calls in any period of a given length.

    Attributes:
        calls: Maximum number of calls in the period, at least 1.
        seconds: Length of the period in seconds.
    """

    calls: int
    seconds: float

    @classmethod
    def of(cls, calls_per_second: float) -> RateLimit:
        """Return the limit for a rate, in a period of about 1 s: 6.6 per second is 6 in 0.91 s."""
        calls = max(1, min(int(calls_per_second), _KEPT_CALLS))
        return cls(calls, calls / calls_per_second)


@dataclass(frozen=True)
class RequestWindow:
    """Recent calls of all clients that share a rate limit, with times in seconds of one clock.

    Attributes:
        sent_at: Send times of the calls, ascending.
        received_by: Latest possible time at which the server received each of the calls.
        paused_until: Time before which no call is sent.
        throttled_at: Time of the last 429 response.
        slowdown: Factor by which 429 responses lengthened the period at `throttled_at`; 1 without.
    """

    sent_at: tuple[float, ...] = ()
    received_by: tuple[float, ...] = ()
    paused_until: float = 0.0
    throttled_at: float = 0.0
    slowdown: float = 1.0


def next_send_time(window: RequestWindow, now: float, limit: RateLimit | None) -> float:
    """Return the earliest time, not before `now`, at which one more call may be sent.

    Times are in seconds of the window's clock. A pause is observed without a limit, too.
    """
    earliest = max(now, window.paused_until)
    if limit is None or not window.sent_at:
        return earliest
    period = limit.seconds * current_slowdown(window, now)
    spaced = window.sent_at[-1] + _PACING_FRACTION * period / limit.calls
    if len(window.received_by) < limit.calls:
        return max(earliest, spaced)
    return max(earliest, spaced, sorted(window.received_by)[-limit.calls] + period)


def record_send(window: RequestWindow, now: float) -> RequestWindow:
    """Return the window with a call that is sent now."""
    kept = 1 - _KEPT_CALLS
    return replace(
        window,
        sent_at=(*window.sent_at[kept:], now),
        received_by=(*window.received_by[kept:], now + MAX_NETWORK_DELAY_SECONDS),
    )


def record_arrival(window: RequestWindow, sent_at: float, delay_seconds: float) -> RequestWindow:
    """Return the window with the latest arrival time of a call, known from its response."""
    if sent_at not in window.sent_at:
        return window  # older than the calls that are kept
    received_by = list(window.received_by)
    delay = max(0.0, min(delay_seconds, MAX_NETWORK_DELAY_SECONDS))
    received_by[window.sent_at.index(sent_at)] = sent_at + delay
    return replace(window, received_by=tuple(received_by))


def network_delay(response_seconds: float, recent: Collection[float]) -> float:
    """Return an upper bound of the one-way network delay beyond the common minimum, in seconds.

    A delay that all calls have in common moves no two calls closer together, so that it is
    subtracted as far as responses are steady: the fastest of the recent response times over the
    same network path, less the spread of the others.
    """
    if len(recent) < _MIN_SAMPLES:
        return response_seconds
    times = sorted(recent)
    spread = times[int(_P90 * len(times))] - times[0]
    return max(0.0, response_seconds - _BASE_DELAY_FRACTION * max(0.0, times[0] - spread))


def extend_pause(window: RequestWindow, until: float) -> RequestWindow:
    """Return the window with all calls paused until a time in seconds; never shortens a pause."""
    return replace(window, paused_until=max(window.paused_until, until))


def record_throttle(window: RequestWindow, now: float) -> RequestWindow:
    """Return the window after a 429: other clients use the same limit, or the limit is lower."""
    if window.slowdown > 1 and 0 <= now - window.throttled_at < _THROTTLE_GROUPING_SECONDS:
        return window
    slowdown = min(current_slowdown(window, now) * _SLOWDOWN_FACTOR, _MAX_SLOWDOWN)
    return replace(window, throttled_at=now, slowdown=slowdown)


def current_slowdown(window: RequestWindow, now: float) -> float:
    """Return the current factor of the period; it falls to 1 within an hour without a 429."""
    recovered = min(1.0, max(0.0, (now - window.throttled_at) / _RECOVERY_SECONDS))
    return 1.0 + (window.slowdown - 1.0) * (1.0 - recovered)


def drop_future_entries(window: RequestWindow, now: float) -> RequestWindow:
    """Return the window without future times: a clock that was set back must not stop all calls."""
    if max(window.sent_at, default=now) > now + MAX_NETWORK_DELAY_SECONDS:
        window = replace(window, sent_at=(), received_by=())
    is_plausible = window.paused_until <= now + _MAX_PAUSE_SECONDS
    return window if is_plausible else replace(window, paused_until=0.0)

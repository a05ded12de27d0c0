"""When the next call may go out: pure decisions on a ledger of the calls before it.

A server counts arrivals, a client knows departures, and between the two lies a way whose length
changes. So a call is taken to arrive at the latest moment that its answer allows, and the next one
goes out when as many as the limit allows have arrived a whole period before. No second at the
server can then hold more than the limit, whatever the way does. (Calls spaced evenly just under the
limit pass it as soon as some are late and those after them are not.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

MAX_NETWORK_DELAY_SECONDS = 5.0  # a call without an answer has arrived by then, after a crash too
_PACING_FRACTION = 0.95  # of the even distance: late wake-ups are made good, and there is no burst
_KEPT_CALLS = 128  # also the most calls that are let through in one period

_SLOWDOWN_FACTOR = 1.25
_MAX_SLOWDOWN = 4.0
_THROTTLE_GROUPING_SECONDS = 2.0  # calls that were under way together are refused together
_RECOVERY_SECONDS = 3600.0  # API fact 10: the longer of the two limits is counted by the hour
_MAX_PAUSE_SECONDS = 600.0

_MIN_SAMPLES = 50
_P90 = 0.9
_BASE_DELAY_FRACTION = 0.8


@dataclass(frozen=True)
class RateLimit:
    """So many calls in any period.

    Attributes:
        calls: Most calls in the period, at least 1.
        seconds: Length of the period.
    """

    calls: int
    seconds: float

    @classmethod
    def of(cls, calls_per_second: float) -> RateLimit:
        """About a second's worth of calls; 6.6 a second are 6 in any 0.91 s."""
        calls = max(1, min(int(calls_per_second), _KEPT_CALLS))
        return cls(calls, calls / calls_per_second)


@dataclass(frozen=True)
class RequestWindow:
    """The latest calls of all who share a budget, on one clock, in seconds.

    Attributes:
        departures: When each call went out, in that order.
        arrivals: When each of them was at the server, at the latest.
        paused_until: Moment before which no call goes out.
        refused_at: Moment of the last refusal (429).
        slowness: How much longer than asked the period was made by it, 1 for not at all.
    """

    sent_at: tuple[float, ...] = ()
    received_by: tuple[float, ...] = ()
    paused_until: float = 0.0
    throttled_at: float = 0.0
    slowdown: float = 1.0


def next_send_time(window: RequestWindow, now: float, limit: RateLimit | None) -> float:
    """The earliest moment, from now on, at which one more call may go out.

    Args:
        window: What went out before.
        now: The present moment, in seconds.
        limit: None for no limit; a pause counts all the same.
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
    """The ledger with a call that goes out now."""
    kept = 1 - _KEPT_CALLS
    return replace(
        window,
        sent_at=(*window.sent_at[kept:], now),
        received_by=(*window.received_by[kept:], now + MAX_NETWORK_DELAY_SECONDS),
    )


def record_response(window: RequestWindow, departed: float, way_seconds: float) -> RequestWindow:
    """The ledger when the answer to a call has shown how long its way was at most."""
    if departed not in window.sent_at:
        return window  # long forgotten
    arrivals = list(window.received_by)
    way = max(0.0, min(way_seconds, MAX_NETWORK_DELAY_SECONDS))
    arrivals[window.sent_at.index(departed)] = departed + way
    return replace(window, received_by=tuple(arrivals))


def network_delay(answer_seconds: float, latest: Collection[float]) -> float:
    """How much longer than the shortest way a call can have been under way, in seconds.

    What every answer takes moves no two calls nearer to each other. It is left out as far as
    answers are steady: the fastest one, less what the others vary beyond it.

    Args:
        answer_seconds: From the departure to the answer.
        latest: Answer times of the latest calls that took the same way.
    """
    if len(latest) < _MIN_SAMPLES:
        return answer_seconds
    times = sorted(latest)
    varying = times[int(_P90 * len(times))] - times[0]
    return max(0.0, answer_seconds - _BASE_DELAY_FRACTION * max(0.0, times[0] - varying))


def pause(window: RequestWindow, until: float) -> RequestWindow:
    """The ledger with all calls held back until that moment, in seconds; never shortens a pause."""
    return replace(window, paused_until=max(window.paused_until, until))


def record_throttle(window: RequestWindow, now: float) -> RequestWindow:
    """The ledger after a refusal: somebody else spends of the same limit, or it is lower."""
    if window.slowdown > 1 and 0 <= now - window.throttled_at < _THROTTLE_GROUPING_SECONDS:
        return window
    slowness = min(current_slowdown(window, now) * _SLOWDOWN_FACTOR, _MAX_SLOWDOWN)
    return replace(window, throttled_at=now, slowdown=slowness)


def current_slowdown(window: RequestWindow, now: float) -> float:
    """By how much the period is longer now; a quiet hour brings it back, little by little."""
    faded = min(1.0, max(0.0, (now - window.throttled_at) / _RECOVERY_SECONDS))
    return 1.0 + (window.slowdown - 1.0) * (1.0 - faded)


def drop_future_entries(window: RequestWindow, now: float) -> RequestWindow:
    """The ledger without what lies ahead: a clock that was set back must not stop all calls."""
    if max(window.sent_at, default=now) > now + MAX_NETWORK_DELAY_SECONDS:
        window = replace(window, sent_at=(), received_by=())
    sound = window.paused_until <= now + _MAX_PAUSE_SECONDS
    return window if sound else replace(window, paused_until=0.0)

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

LONGEST_WAY_SECONDS = 5.0  # a call without an answer has arrived by then, after a crash too
_EVENNESS = 0.95  # of the even distance: late wake-ups are made good, and there is no burst
_KEPT_CALLS = 128  # also the most calls that are let through in one period

_SLOWER = 1.25
_SLOWEST = 4.0
_SAME_WAVE_SECONDS = 2.0  # calls that were under way together are refused together
_QUIET_SECONDS = 3600.0  # API fact 10: the longer of the two limits is counted by the hour
_LONGEST_PAUSE_SECONDS = 600.0

_ENOUGH_ANSWERS = 50
_NEARLY_ALL = 0.9
_SURE_OF_COMMON = 0.8


@dataclass(frozen=True)
class Limit:
    """So many calls in any period.

    Attributes:
        calls: Most calls in the period, at least 1.
        seconds: Length of the period.
    """

    calls: int
    seconds: float

    @classmethod
    def of(cls, calls_per_second: float) -> Limit:
        """About a second's worth of calls; 6.6 a second are 6 in any 0.91 s."""
        calls = max(1, min(int(calls_per_second), _KEPT_CALLS))
        return cls(calls, calls / calls_per_second)


@dataclass(frozen=True)
class Ledger:
    """The latest calls of all who share a budget, on one clock, in seconds.

    Attributes:
        departures: When each call went out, in that order.
        arrivals: When each of them was at the server, at the latest.
        paused_until: Moment before which no call goes out.
        refused_at: Moment of the last refusal (429).
        slowness: How much longer than asked the period was made by it, 1 for not at all.
    """

    departures: tuple[float, ...] = ()
    arrivals: tuple[float, ...] = ()
    paused_until: float = 0.0
    refused_at: float = 0.0
    slowness: float = 1.0


def find_departure(ledger: Ledger, now: float, limit: Limit | None) -> float:
    """The earliest moment, from now on, at which one more call may go out.

    Args:
        ledger: What went out before.
        now: The present moment, in seconds.
        limit: None for no limit; a pause counts all the same.
    """
    earliest = max(now, ledger.paused_until)
    if limit is None or not ledger.departures:
        return earliest
    period = limit.seconds * measure_slowness(ledger, now)
    spaced = ledger.departures[-1] + _EVENNESS * period / limit.calls
    if len(ledger.arrivals) < limit.calls:
        return max(earliest, spaced)
    return max(earliest, spaced, sorted(ledger.arrivals)[-limit.calls] + period)


def depart(ledger: Ledger, now: float) -> Ledger:
    """The ledger with a call that goes out now."""
    kept = 1 - _KEPT_CALLS
    return replace(
        ledger,
        departures=(*ledger.departures[kept:], now),
        arrivals=(*ledger.arrivals[kept:], now + LONGEST_WAY_SECONDS),
    )


def arrive(ledger: Ledger, departed: float, way_seconds: float) -> Ledger:
    """The ledger when the answer to a call has shown how long its way was at most."""
    if departed not in ledger.departures:
        return ledger  # long forgotten
    arrivals = list(ledger.arrivals)
    way = max(0.0, min(way_seconds, LONGEST_WAY_SECONDS))
    arrivals[ledger.departures.index(departed)] = departed + way
    return replace(ledger, arrivals=tuple(arrivals))


def measure_way(answer_seconds: float, latest: Collection[float]) -> float:
    """How much longer than the shortest way a call can have been under way, in seconds.

    What every answer takes moves no two calls nearer to each other. It is left out as far as
    answers are steady: the fastest one, less what the others vary beyond it.

    Args:
        answer_seconds: From the departure to the answer.
        latest: Answer times of the latest calls that took the same way.
    """
    if len(latest) < _ENOUGH_ANSWERS:
        return answer_seconds
    times = sorted(latest)
    varying = times[int(_NEARLY_ALL * len(times))] - times[0]
    return max(0.0, answer_seconds - _SURE_OF_COMMON * max(0.0, times[0] - varying))


def pause(ledger: Ledger, until: float) -> Ledger:
    """The ledger with all calls held back until that moment, in seconds; never shortens a pause."""
    return replace(ledger, paused_until=max(ledger.paused_until, until))


def slow_down(ledger: Ledger, now: float) -> Ledger:
    """The ledger after a refusal: somebody else spends of the same limit, or it is lower."""
    if ledger.slowness > 1 and 0 <= now - ledger.refused_at < _SAME_WAVE_SECONDS:
        return ledger
    slowness = min(measure_slowness(ledger, now) * _SLOWER, _SLOWEST)
    return replace(ledger, refused_at=now, slowness=slowness)


def measure_slowness(ledger: Ledger, now: float) -> float:
    """By how much the period is longer now; a quiet hour brings it back, little by little."""
    faded = min(1.0, max(0.0, (now - ledger.refused_at) / _QUIET_SECONDS))
    return 1.0 + (ledger.slowness - 1.0) * (1.0 - faded)


def forget_future(ledger: Ledger, now: float) -> Ledger:
    """The ledger without what lies ahead: a clock that was set back must not stop all calls."""
    if max(ledger.departures, default=now) > now + LONGEST_WAY_SECONDS:
        ledger = replace(ledger, departures=(), arrivals=())
    sound = ledger.paused_until <= now + _LONGEST_PAUSE_SECONDS
    return ledger if sound else replace(ledger, paused_until=0.0)

"""Calls to the API: their log, their peak rate, and the rate limit of a token."""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_KEPT_CALLS = 200_000
_KEPT_ARRIVALS = 2_000_000


@dataclass(slots=True)
class Call:
    """A call to the API.

    Attributes:
        arrived_s: Monotonic seconds.
        method: HTTP method.
        path: Path, for example `/api/workflow`.
        query: Query string as received.
        token: Digest of the access token, None if no token was sent.
        status: HTTP status of the response, 0 before the response and after a reset.
        fault: Kind of the injected fault, None if there was none.
    """

    arrived_s: float
    method: str
    path: str
    query: str
    token: str | None
    status: int = 0
    fault: str | None = None


class RequestLog:
    """Log of the calls.

    Attributes:
        calls: The latest 200,000 calls, oldest first.
        arrivals: The latest 2,000,000 arrival times, monotonic seconds.
        total: Number of all calls.
    """

    def __init__(self) -> None:
        self.calls: deque[Call] = deque(maxlen=_KEPT_CALLS)
        self.arrivals: deque[float] = deque(maxlen=_KEPT_ARRIVALS)
        self.total = 0

    def add(self, call: Call) -> None:
        """Append a call; its status is set later, on the same object."""
        self.calls.append(call)
        self.arrivals.append(call.arrived_s)
        self.total += 1

    def clear(self) -> None:
        """Delete all entries and reset the total."""
        self.calls.clear()
        self.arrivals.clear()
        self.total = 0


def digest_token(token: str) -> str:
    """Return a short digest that identifies a token without storing it."""
    return hashlib.sha256(token.encode()).hexdigest()[:12]


def peak_calls_in_window(arrivals: Iterable[float], window_s: float) -> int:
    """Return the largest number of arrivals within any half-open window of `window_s`."""
    times = sorted(arrivals)
    peak = first = 0
    for last, arrived_s in enumerate(times):
        while arrived_s - times[first] >= window_s:
            first += 1
        peak = max(peak, last - first + 1)
    return peak


def peak_calls_per_second(calls: Iterable[Call]) -> int:
    """Return the largest number of calls within any second, over all tokens."""
    return peak_calls_in_window((call.arrived_s for call in calls), 1.0)


@dataclass(frozen=True)
class RateLimit:
    """Number of calls that a token may make.

    Attributes:
        per_second: Calls in any sliding second, None for no limit.
        per_hour: Calls in any sliding hour, None for no limit.
        retry_after: `Retry-After` header of a 429 response, None to omit the header.
    """

    per_second: int | None = 20
    per_hour: int | None = 72_000
    retry_after: str | None = "1"


NO_LIMIT = RateLimit(per_second=None, per_hour=None)


@dataclass
class RateLimiter:
    """Sliding-window rate limiter. Refused calls count as arrivals, as on the platform."""

    limit: RateLimit
    _arrivals: dict[tuple[str, float], deque[float]] = field(default_factory=dict)

    def admit(self, token: str, arrived_s: float) -> bool:
        """Record an arrival of a token (digest) and return whether it is within the limit."""
        admitted = True
        # Every window counts the arrival, even if another window refuses it.
        for allowed, window_s in ((self.limit.per_second, 1.0), (self.limit.per_hour, 3600.0)):
            if allowed is not None:
                times = self._arrivals.setdefault((token, window_s), deque(maxlen=allowed))
                admitted &= len(times) < allowed or arrived_s - times[0] >= window_s
                times.append(arrived_s)
        return admitted

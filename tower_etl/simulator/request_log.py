"""Log of the calls that arrived at the API, which tests and benchmarks count."""

from __future__ import annotations

import hashlib
from array import array
from collections import deque
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

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

    def as_row(self) -> dict[str, Any]:
        """Return the call as a JSON object."""
        return asdict(self)


class RequestLog:
    """The latest 200,000 calls, and the arrival times of the latest 2,000,000."""

    def __init__(self) -> None:
        self._calls: deque[Call] = deque(maxlen=_KEPT_CALLS)
        self._arrivals = array("d")
        self.total = 0

    def add(self, call: Call) -> None:
        """Append a call; its status is set later, on the same object."""
        self._calls.append(call)
        self._arrivals.append(call.arrived_s)
        if len(self._arrivals) > _KEPT_ARRIVALS:
            del self._arrivals[: _KEPT_ARRIVALS // 2]
        self.total += 1

    def list_calls(self) -> list[Call]:
        """Return the latest calls, oldest first."""
        return list(self._calls)

    def list_arrivals(self) -> list[float]:
        """Return the latest arrival times in monotonic seconds, oldest first."""
        return self._arrivals.tolist()

    def clear(self) -> None:
        """Delete all entries and reset the total."""
        self._calls.clear()
        del self._arrivals[:]
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

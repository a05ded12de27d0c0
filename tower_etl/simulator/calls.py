"""The record of every call that arrived: what the tests and the benchmarks count."""

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
    """One arrival at the API.

    Attributes:
        arrived_s: Monotonic seconds.
        method: HTTP method.
        path: Path below the server's root, `/api/workflow` for one.
        query: Query string as it came.
        token: Digest of the access token, None where none was sent.
        status: HTTP status of the answer, 0 while there is none (and after a reset).
        fault: Kind of the fault that struck it, None where none did.
    """

    arrived_s: float
    method: str
    path: str
    query: str
    token: str | None
    status: int = 0
    fault: str | None = None

    def as_row(self) -> dict[str, Any]:
        """The call as a JSON object."""
        return asdict(self)


class CallLog:
    """The latest calls in full, and the arrival times of many more."""

    def __init__(self) -> None:
        self._calls: deque[Call] = deque(maxlen=_KEPT_CALLS)
        self._arrivals = array("d")
        self.total = 0

    def add(self, call: Call) -> None:
        """Record an arrival; its status is filled in on the call itself later."""
        self._calls.append(call)
        self._arrivals.append(call.arrived_s)
        if len(self._arrivals) > _KEPT_ARRIVALS:
            del self._arrivals[: _KEPT_ARRIVALS // 2]
        self.total += 1

    def list_calls(self) -> list[Call]:
        """The latest calls, oldest first."""
        return list(self._calls)

    def list_arrivals(self) -> list[float]:
        """The latest arrival times in monotonic seconds, oldest first."""
        return self._arrivals.tolist()

    def clear(self) -> None:
        """Forget everything, for a test that counts from here on."""
        self._calls.clear()
        del self._arrivals[:]
        self.total = 0


def digest_token(token: str) -> str:
    """A short digest by which calls with the same token are known, without keeping it."""
    return hashlib.sha256(token.encode()).hexdigest()[:12]


def find_worst_window(arrivals: Iterable[float], window_s: float) -> int:
    """Most arrivals within any half-open window of that many seconds."""
    times = sorted(arrivals)
    worst = first = 0
    for last, arrived_s in enumerate(times):
        while arrived_s - times[first] >= window_s:
            first += 1
        worst = max(worst, last - first + 1)
    return worst


def worst_second(calls: Iterable[Call]) -> int:
    """Most calls within any sliding second, over all tokens."""
    return find_worst_window((call.arrived_s for call in calls), 1.0)

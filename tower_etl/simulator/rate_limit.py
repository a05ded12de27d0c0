"""Rate limit of the API: sliding windows per token, counted by arrival time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

_HOUR_S = 3600.0


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
        """Record an arrival and return whether it is within the limit.

        Args:
            token: Digest of the token.
            arrived_s: Arrival in monotonic seconds.
        """
        windows = ((self.limit.per_second, 1.0), (self.limit.per_hour, _HOUR_S))
        # Every window counts the arrival, even if another window refuses it.
        admitted = [
            self._count(token, allowed, window_s, arrived_s)
            for allowed, window_s in windows
            if allowed is not None
        ]
        return all(admitted)

    def _count(self, token: str, allowed: int, window_s: float, arrived_s: float) -> bool:
        times = self._arrivals.setdefault((token, window_s), deque(maxlen=allowed))
        free = len(times) < allowed or arrived_s - times[0] >= window_s
        times.append(arrived_s)
        return free

"""The rate limit of the API: sliding windows per token, counted by arrival."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

_HOUR_S = 3600.0


@dataclass(frozen=True)
class RateLimit:
    """How many calls a token may make.

    Attributes:
        per_second: Calls in any sliding second, None for no limit.
        per_hour: Calls in any sliding hour, None for no limit.
        retry_after: What a refusal says in `Retry-After`, None to leave the header out.
    """

    per_second: int | None = 20
    per_hour: int | None = 72_000
    retry_after: str | None = "1"


NO_LIMIT = RateLimit(per_second=None, per_hour=None)


@dataclass
class RateGate:
    """The arrivals of each token, held against a limit. Refused calls count as arrivals too."""

    limit: RateLimit
    _arrivals: dict[tuple[str, float], deque[float]] = field(default_factory=dict)

    def admit(self, token: str, arrived_s: float) -> bool:
        """Count an arrival and answer whether the limit still holds.

        Args:
            token: Digest of the token.
            arrived_s: Arrival in monotonic seconds.
        """
        windows = ((self.limit.per_second, 1.0), (self.limit.per_hour, _HOUR_S))
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

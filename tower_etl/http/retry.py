"""When a failed call is worth another try: a pure policy; the loop is in `transport`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tower_etl.errors import ApiConnectionError, RateLimitError, ServerError

if TYPE_CHECKING:
    from tower_etl.errors import ApiError


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential back-off with jitter between half and the whole.

    Attributes:
        attempts: Tries of one call, the first included.
        unreachable_attempts: The same where there is no answer at all.
        fault_attempts: The same where the server answers with a fault; None for `attempts`.
        first_seconds: Back-off after the first failure, doubled with each one more.
        longest_seconds: Longest wait between two tries, whatever the server asks for.
    """

    attempts: int = 6
    connection_attempts: int = 6
    server_error_attempts: int | None = None
    base_delay_seconds: float = 0.5
    max_delay_seconds: float = 60.0

    def next_delay_seconds(self, failures: int, error: ApiError, chance: float) -> float | None:
        """How long to wait before the next try, None when it is not worth one.

        Args:
            failures: Tries that failed so far, at least 1.
            error: What the last one failed with.
            chance: A random number in [0, 1), so that many clients do not come back at once.
        """
        if not error.retryable or failures >= self._allowed_attempts(error):
            return None
        backoff = self.base_delay_seconds * 2.0 ** (failures - 1) * (0.5 + chance / 2)
        return min(max(backoff, self._retry_after_seconds(error)), self.max_delay_seconds)

    def _allowed_attempts(self, error: ApiError) -> int:
        if isinstance(error, ApiConnectionError):
            return self.connection_attempts
        if isinstance(error, ServerError) and self.server_error_attempts is not None:
            return self.server_error_attempts
        return self.attempts

    @staticmethod
    def _retry_after_seconds(error: ApiError) -> float:
        """`Retry-After` of a 429 can be 0 (API fact 10): then a second passes all the same."""
        asked = error.retry_after or 0.0
        return max(asked, 1.0) if isinstance(error, RateLimitError) else asked

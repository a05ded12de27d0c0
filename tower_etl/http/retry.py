"""Retry policy: decides without I/O whether and when to retry; the loop is in `client`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tower_etl.errors import ApiConnectionError, RateLimitError, ServerError

if TYPE_CHECKING:
    from tower_etl.errors import ApiError


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential back-off with a jitter between half of the delay and the full delay.

    Attributes:
        attempts: Maximum number of attempts of a request, including the first.
        connection_attempts: Maximum number of attempts if there is no response.
        server_error_attempts: Maximum number of attempts after a `ServerError`; None for
            `attempts`.
        base_delay_seconds: Delay after the first failure, doubled with each further failure.
        max_delay_seconds: Maximum delay between two attempts, also for a longer `Retry-After`.
    """

    attempts: int = 6
    connection_attempts: int = 6
    server_error_attempts: int | None = None
    base_delay_seconds: float = 0.5
    max_delay_seconds: float = 60.0

    def next_delay_seconds(self, failures: int, error: ApiError, jitter: float) -> float | None:
        """Return the seconds to wait before the next attempt, None to give up.

        Args:
            failures: Number of failed attempts, at least 1.
            error: Error of the last attempt.
            jitter: Random number in [0, 1), so that many clients do not retry at the same time.
        """
        if not error.retryable or failures >= self._allowed_attempts(error):
            return None
        backoff = self.base_delay_seconds * 2.0 ** (failures - 1) * (0.5 + jitter / 2)
        return min(max(backoff, self._retry_after_seconds(error)), self.max_delay_seconds)

    def _allowed_attempts(self, error: ApiError) -> int:
        if isinstance(error, ApiConnectionError):
            return self.connection_attempts
        if isinstance(error, ServerError) and self.server_error_attempts is not None:
            return self.server_error_attempts
        return self.attempts

    @staticmethod
    def _retry_after_seconds(error: ApiError) -> float:
        """Return the delay that the server requires; at least 1 s after a 429.

        The platform sends `Retry-After: 0` with some 429 responses (API fact 10).
        """
        seconds = error.retry_after or 0.0
        return max(seconds, 1.0) if isinstance(error, RateLimitError) else seconds

"""Retry policy: which errors are retried, how often and after which delay."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tower_etl.errors import (
    ApiConnectionError,
    ApiError,
    AuthenticationError,
    BadRequestError,
    ForbiddenError,
    NotFoundError,
    RateLimitError,
    ServerError,
)
from tower_etl.http import RetryPolicy

RETRYABLE = (ApiConnectionError, ServerError, RateLimitError)
FINAL = (BadRequestError, ForbiddenError, NotFoundError, AuthenticationError, ApiError)
CHANCE = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize("kind", FINAL)
def test_final_errors_are_not_retried(kind: type[ApiError]) -> None:
    assert RetryPolicy().next_delay_seconds(1, kind("no"), 0.5) is None


@pytest.mark.parametrize("kind", RETRYABLE)
def test_the_first_failure_counts_as_an_attempt(kind: type[ApiError]) -> None:
    """A delay follows each failed attempt except the last."""
    policy = RetryPolicy(attempts=3)

    waits = [policy.next_delay_seconds(failures, kind("no"), 0.5) for failures in (1, 2, 3, 4)]

    assert [wait is not None for wait in waits] == [True, True, False, False]


def test_the_backoff_doubles_with_each_failure() -> None:
    """With the minimum jitter, each delay is half of the full back-off."""
    policy = RetryPolicy(base_delay_seconds=2.0)
    error = ServerError("no")

    assert [policy.next_delay_seconds(n, error, 0.0) for n in (1, 2, 3, 4)] == [1.0, 2.0, 4.0, 8.0]


@given(failures=st.integers(1, 5), chance=CHANCE)
def test_a_delay_with_jitter_is_between_half_and_all_of_the_backoff(
    failures: int, chance: float
) -> None:
    """Clients that failed together must not retry at the same time."""
    whole = 0.5 * 2 ** (failures - 1)

    wait = RetryPolicy().next_delay_seconds(failures, ServerError("no"), chance)

    assert wait is not None
    assert whole / 2 <= wait <= whole


@given(
    kind=st.sampled_from(RETRYABLE),
    failures=st.integers(1, 40),
    asked=st.none() | st.floats(0, 1e9),
    chance=CHANCE,
)
def test_no_delay_exceeds_the_maximum_delay(
    kind: type[ApiError], failures: int, asked: float | None, chance: float
) -> None:
    """This holds for every `Retry-After` and every number of failures."""
    policy = RetryPolicy(attempts=50, max_delay_seconds=60.0)

    wait = policy.next_delay_seconds(failures, kind("no", retry_after=asked), chance)

    assert wait is not None
    assert 0.0 < wait <= 60.0
    assert wait >= min(asked or 0.0, 60.0)


@pytest.mark.parametrize("asked", [None, 0.0])
def test_a_429_delays_the_retry_by_at_least_one_second(asked: float | None) -> None:
    """The platform sends `Retry-After: 0` before the second is over (API fact 10)."""
    assert RetryPolicy().next_delay_seconds(1, RateLimitError("no", retry_after=asked), 0.0) == 1.0


def test_a_server_error_waits_for_retry_after() -> None:
    assert RetryPolicy().next_delay_seconds(1, ServerError("no", retry_after=7.0), 0.9) == 7.0

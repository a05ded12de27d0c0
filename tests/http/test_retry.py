"""Which failures are worth another try, and when: the pure policy."""

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
def test_refusals_are_not_repeated(kind: type[ApiError]) -> None:
    """What the server means is not asked again."""
    assert RetryPolicy().next_delay_seconds(1, kind("no"), 0.5) is None


@pytest.mark.parametrize("kind", RETRYABLE)
def test_the_first_failure_counts_as_an_attempt(kind: type[ApiError]) -> None:
    """`attempts` tries in all: a wait follows each failure but the last."""
    policy = RetryPolicy(attempts=3, connection_attempts=3)

    waits = [policy.next_delay_seconds(failures, kind("no"), 0.5) for failures in (1, 2, 3, 4)]

    assert [wait is not None for wait in waits] == [True, True, False, False]


def test_an_unreachable_server_has_attempts_of_its_own() -> None:
    """A wrong address can be said sooner than a server that is ill."""
    policy = RetryPolicy(attempts=6, connection_attempts=2)

    assert policy.next_delay_seconds(2, ApiConnectionError("no"), 0.5) is None
    assert policy.next_delay_seconds(2, ServerError("no"), 0.5) is not None


def test_back_off_doubles() -> None:
    """Without jitter the waits are half of 1, 2, 4 and 8 times the first."""
    policy = RetryPolicy(base_delay_seconds=2.0)
    error = ServerError("no")

    assert [policy.next_delay_seconds(n, error, 0.0) for n in (1, 2, 3, 4)] == [1.0, 2.0, 4.0, 8.0]


@given(failures=st.integers(1, 5), chance=CHANCE)
def test_jitter_lies_between_half_and_the_whole(failures: int, chance: float) -> None:
    """Clients that failed together come back apart."""
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
def test_no_wait_is_longer_than_the_longest(
    kind: type[ApiError], failures: int, asked: float | None, chance: float
) -> None:
    """Whatever the server asks for, and however often it failed."""
    policy = RetryPolicy(attempts=50, connection_attempts=50, max_delay_seconds=60.0)

    wait = policy.next_delay_seconds(failures, kind("no", retry_after=asked), chance)

    assert wait is not None
    assert 0.0 < wait <= 60.0
    assert wait >= min(asked or 0.0, 60.0)


@pytest.mark.parametrize("asked", [None, 0.0])
def test_a_rate_limit_waits_a_second_at_least(asked: float | None) -> None:
    """`Retry-After: 0` is what the platform sends, and the second is not over yet."""
    assert RetryPolicy().next_delay_seconds(1, RateLimitError("no", retry_after=asked), 0.0) == 1.0


def test_a_server_fault_waits_as_asked() -> None:
    """503 with `Retry-After: 7`."""
    assert RetryPolicy().next_delay_seconds(1, ServerError("no", retry_after=7.0), 0.9) == 7.0

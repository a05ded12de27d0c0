"""The rate limit, and the record of calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tower_etl.simulator import Call, RateLimit, Simulator, peak_calls_per_second
from tower_etl.simulator.rate_limit import RateLimiter
from tower_etl.simulator.request_log import RequestLog, digest_token

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulator.conftest import Caller
    from tower_etl.simulator import World


def test_the_gate_closes_past_the_limit_and_opens_a_second_later() -> None:
    """The twenty-first call within any sliding second is refused."""
    gate = RateLimiter(RateLimit())
    admitted = [gate.admit("a", place * 0.05) for place in range(20)]

    assert admitted == [True] * 20
    assert not gate.admit("a", 0.999)
    assert gate.admit("b", 0.999)
    assert gate.admit("a", 2.0)


def test_refused_calls_count_as_arrivals() -> None:
    """Who keeps on knocking stays outside."""
    gate = RateLimiter(RateLimit(per_second=2))

    assert [gate.admit("a", arrived_s) for arrived_s in (0.0, 0.1, 0.5, 0.9, 1.1, 2.2)] == [
        True,
        True,
        False,
        False,
        False,
        True,
    ]


def test_the_hour_has_a_limit_of_its_own() -> None:
    """Slow calls meet the limit per hour."""
    gate = RateLimiter(RateLimit(per_second=None, per_hour=3))

    assert [gate.admit("a", arrived_s) for arrived_s in (0.0, 10.0, 20.0, 30.0, 3610.0)] == [
        True,
        True,
        True,
        False,
        True,
    ]


@pytest.mark.parametrize("retry_after", ["0", "1", None])
def test_a_refusal_is_a_429_with_retry_after(
    world: World, call: Callable[..., Caller], retry_after: str | None
) -> None:
    """The header says what the limit says, or is left out."""
    now_s = [0.0]
    limit = RateLimit(per_second=2, retry_after=retry_after)
    caller = call(world, limit=limit, monotonic=lambda: now_s[0])

    answers = [caller.ask(path) for path in ("/service-info", "/user-info", "/user-info")]
    now_s[0] = 5.0

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert retry_after == answers[-1].headers.get("Retry-After")
    assert caller.status("/user-info") == 200


def test_calls_without_a_token_are_not_limited(world: World, call: Callable[..., Caller]) -> None:
    """The limit is per token; service-info needs none."""
    caller = call(world, token=None, limit=RateLimit(per_second=1))

    assert [caller.status("/service-info") for _ in range(5)] == [200] * 5


def test_every_arrival_is_recorded(world: World, call: Callable[..., Caller]) -> None:
    """Path, query, status and a digest of the token, refused calls included."""
    simulator = Simulator(world, limit=RateLimit(per_second=1))
    caller = call(simulator, token="tower-etl-demo-token")
    caller.status("/workflow", max=7)
    caller.status("/workflow", max=7)

    calls = simulator.calls

    assert [(c.method, c.path, c.query) for c in calls] == [("GET", "/api/workflow", "max=7")] * 2
    assert [one.status for one in calls] == [200, 429]
    assert {digest_token("tower-etl-demo-token")} == {one.token for one in calls}
    assert calls[0].arrived_s < calls[1].arrived_s


def test_the_worst_second_slides() -> None:
    """Calls on both sides of a full second count together."""
    times = (0.0, 0.6, 0.9, 1.2, 1.55, 3.0)

    assert peak_calls_per_second([Call(at, "GET", "/", "", None) for at in times]) == 4
    assert peak_calls_per_second([]) == 0


def test_the_log_can_start_anew() -> None:
    """A test that counts from here on forgets what was before."""
    log = RequestLog()
    log.add(Call(1.0, "GET", "/", "", None))

    log.clear()

    assert (log.total, log.list_calls(), log.list_arrivals()) == (0, [], [])

"""Rate limit of the simulator, and the request log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tower_etl.simulator import Call, RateLimit, Simulator, peak_calls_per_second
from tower_etl.simulator.calls import RateLimiter, RequestLog, digest_token

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulator.conftest import Caller
    from tower_etl.simulator import World


def test_the_21st_call_of_a_token_within_a_second_is_refused() -> None:
    """Another token is not affected, and the calls leave the window after a second."""
    gate = RateLimiter(RateLimit())
    admitted = [gate.admit("a", place * 0.05) for place in range(20)]

    assert admitted == [True] * 20
    assert not gate.admit("a", 0.999)
    assert gate.admit("b", 0.999)
    assert gate.admit("a", 2.0)


def test_refused_calls_count_towards_the_rate_limit() -> None:
    """A client that keeps calling stays refused."""
    gate = RateLimiter(RateLimit(per_second=2))

    assert [gate.admit("a", arrived_s) for arrived_s in (0.0, 0.1, 0.5, 0.9, 1.1, 2.2)] == [
        True,
        True,
        False,
        False,
        False,
        True,
    ]


def test_slow_calls_are_refused_at_the_hourly_limit() -> None:
    gate = RateLimiter(RateLimit(per_second=None, per_hour=3))

    assert [gate.admit("a", arrived_s) for arrived_s in (0.0, 10.0, 20.0, 30.0, 3610.0)] == [
        True,
        True,
        True,
        False,
        True,
    ]


@pytest.mark.parametrize("retry_after", ["0", "1", None])
def test_a_refused_call_gets_a_429_with_the_configured_retry_after(
    world: World, call: Callable[..., Caller], retry_after: str | None
) -> None:
    now_s = [0.0]
    limit = RateLimit(per_second=2, retry_after=retry_after)
    caller = call(world, limit=limit, monotonic=lambda: now_s[0])

    answers = [caller.ask(path) for path in ("/service-info", "/user-info", "/user-info")]
    now_s[0] = 5.0

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert retry_after == answers[-1].headers.get("Retry-After")
    assert caller.status("/user-info") == 200


def test_calls_without_a_token_are_not_rate_limited(
    world: World, call: Callable[..., Caller]
) -> None:
    """The limit is per token, and `/service-info` requires none."""
    caller = call(world, token=None, limit=RateLimit(per_second=1))

    assert [caller.status("/service-info") for _ in range(5)] == [200] * 5


def test_every_call_is_recorded_in_the_request_log(
    world: World, call: Callable[..., Caller]
) -> None:
    """Refused calls are included, and the token is recorded as a digest."""
    simulator = Simulator(world, limit=RateLimit(per_second=1))
    caller = call(simulator, token="tower-etl-demo-token")
    caller.status("/workflow", max=7)
    caller.status("/workflow", max=7)

    calls = simulator.calls

    assert [(c.method, c.path, c.query) for c in calls] == [("GET", "/api/workflow", "max=7")] * 2
    assert [one.status for one in calls] == [200, 429]
    assert {digest_token("tower-etl-demo-token")} == {one.token for one in calls}
    assert calls[0].arrived_s < calls[1].arrived_s


def test_the_peak_is_counted_in_a_sliding_second() -> None:
    times = (0.0, 0.6, 0.9, 1.2, 1.55, 3.0)

    assert peak_calls_per_second([Call(at, "GET", "/", "", None) for at in times]) == 4
    assert peak_calls_per_second([]) == 0


def test_clear_empties_the_request_log() -> None:
    log = RequestLog()
    log.add(Call(1.0, "GET", "/", "", None))

    log.clear()

    assert (log.total, list(log.calls), list(log.arrivals)) == (0, [], [])

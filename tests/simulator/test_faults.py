"""Injected faults, as a client receives them over a real socket."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tower_etl.simulator import Fault, FaultPlan, Simulator

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulator.conftest import Caller
    from tower_etl.simulator import World

    FaultyPlatform = Callable[[Fault], Caller]


@pytest.fixture
def faulty_platform(world: World, call: Callable[..., Caller]) -> FaultyPlatform:
    """Return a function that serves a world whose next call to `/user-info` has a fault."""

    def start(fault: Fault) -> Caller:
        plan = FaultPlan()
        plan.add("/user-info", fault)
        return call(world, faults=plan)

    return start


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_status_fault_has_a_json_message_and_retry_after(
    faulty_platform: FaultyPlatform, status: int
) -> None:
    """The next call succeeds."""
    caller = faulty_platform(Fault("status", status=status, retry_after="3"))

    answer = caller.ask("/user-info")

    assert (status, "3") == (answer.status_code, answer.headers["Retry-After"])
    assert list(answer.json()) == ["message"]
    assert caller.status("/user-info") == 200


def test_a_reset_fault_resets_the_connection(faulty_platform: FaultyPlatform) -> None:
    """The peer resets the connection instead of closing it."""
    caller = faulty_platform(Fault("reset"))

    with pytest.raises(requests.ConnectionError, match="reset by peer"):
        caller.ask("/user-info")
    assert caller.status("/user-info") == 200


def test_a_truncated_fault_ends_before_content_length(faulty_platform: FaultyPlatform) -> None:
    caller = faulty_platform(Fault("truncated"))

    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        caller.ask("/user-info")


def test_a_half_json_fault_has_the_correct_length_and_invalid_json(
    faulty_platform: FaultyPlatform,
) -> None:
    answer = faulty_platform(Fault("half_json")).ask("/user-info")

    assert answer.status_code == 200
    assert len(answer.content) == int(answer.headers["Content-Length"])
    with pytest.raises(requests.JSONDecodeError):
        answer.json()


@pytest.mark.parametrize(("status", "expected"), [(None, 200), (502, 502)])
def test_an_html_fault_responds_with_an_html_page(
    faulty_platform: FaultyPlatform, status: int | None, expected: int
) -> None:
    """Gateways send such pages with 200 or with an error status."""
    answer = faulty_platform(Fault("html", status=status)).ask("/user-info")

    assert (expected, "text/html") == (answer.status_code, answer.headers["Content-Type"])
    assert answer.text.startswith("<html>")


def test_a_slow_fault_delays_a_correct_response(faulty_platform: FaultyPlatform) -> None:
    caller = faulty_platform(Fault("slow", delay=0.2))
    begun_s = time.monotonic()

    assert caller.status("/user-info") == 200
    assert time.monotonic() - begun_s >= 0.2


def test_a_targeted_fault_applies_to_the_next_matching_calls_only(
    world: World, call: Callable[..., Caller]
) -> None:
    """The request log contains the fault of each call."""
    plan = FaultPlan()
    plan.add(r"/workflow\?.*max=5", Fault("status", status=503, times=3))
    simulator = Simulator(world, faults=plan)
    caller = call(simulator)

    statuses = [caller.status("/workflow", max=size) for size in (5, 6, 5, 5, 5)]

    assert statuses == [503, 200, 503, 503, 200]
    assert [one.fault for one in simulator.calls] == ["status", None, "status", "status", None]


def test_a_seeded_fault_plan_is_reproducible_and_keeps_its_rate() -> None:
    draws = [
        [plan.choose(f"/workflow/{place}") for place in range(4000)]
        for plan in (FaultPlan(rate=0.15, seed=3), FaultPlan(rate=0.15, seed=3))
    ]

    assert draws[0] == draws[1]
    share = sum(fault is not None for fault in draws[0]) / 4000
    assert 0.12 < share < 0.18
    assert len({fault.kind for fault in draws[0] if fault}) == 6


def test_seeded_faults_occur_at_most_three_times_in_a_row_per_path() -> None:
    plan = FaultPlan(rate=1.0)

    faulty_platform = [plan.choose("/user-info") is not None for _ in range(8)]

    assert faulty_platform == [True, True, True, False, True, True, True, False]


@pytest.mark.parametrize("wrong", [{"kind": "gremlin"}, {"kind": "reset", "times": 0}])
def test_invalid_faults_are_refused(wrong: dict[str, Any]) -> None:
    """The kind is unknown, or the fault would never occur."""
    with pytest.raises(ValueError, match=r"gremlin|at least once"):
        Fault(**wrong)

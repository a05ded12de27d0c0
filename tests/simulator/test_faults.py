"""Faults, seen from the other end of a real socket."""

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

    Struck = Callable[[Fault], Caller]


@pytest.fixture
def struck(world: World, call: Callable[..., Caller]) -> Struck:
    """A caller whose next call to user-info meets the fault."""

    def start(fault: Fault) -> Caller:
        plan = FaultPlan()
        plan.add("/user-info", fault)
        return call(world, faults=plan)

    return start


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_an_error_status_comes_with_a_message(struck: Struck, status: int) -> None:
    """JSON as the platform words errors, with Retry-After if told so; then all is well."""
    caller = struck(Fault("status", status=status, retry_after="3"))

    answer = caller.ask("/user-info")

    assert (status, "3") == (answer.status_code, answer.headers["Retry-After"])
    assert list(answer.json()) == ["message"]
    assert caller.status("/user-info") == 200


def test_a_reset_gives_no_answer(struck: Struck) -> None:
    """The connection is reset by the peer, not closed."""
    caller = struck(Fault("reset"))

    with pytest.raises(requests.ConnectionError, match="reset by peer"):
        caller.ask("/user-info")
    assert caller.status("/user-info") == 200


def test_a_truncated_answer_ends_before_its_length(struck: Struck) -> None:
    """Content-Length promises more than comes."""
    caller = struck(Fault("truncated"))

    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        caller.ask("/user-info")


def test_half_a_json_is_a_whole_answer(struck: Struck) -> None:
    """Status and length are right, the text is not JSON."""
    answer = struck(Fault("half_json")).ask("/user-info")

    assert answer.status_code == 200
    assert len(answer.content) == int(answer.headers["Content-Length"])
    with pytest.raises(requests.JSONDecodeError):
        answer.json()


@pytest.mark.parametrize(("status", "expected"), [(None, 200), (502, 502)])
def test_a_gateway_answers_in_html(struck: Struck, status: int | None, expected: int) -> None:
    """An HTML page, with 200 or with an error status."""
    answer = struck(Fault("html", status=status)).ask("/user-info")

    assert (expected, "text/html") == (answer.status_code, answer.headers["Content-Type"])
    assert answer.text.startswith("<html>")


def test_a_slow_answer_is_right_in_the_end(struck: Struck) -> None:
    """The delay passes before the first byte."""
    caller = struck(Fault("slow", delay=0.2))
    begun_s = time.monotonic()

    assert caller.status("/user-info") == 200
    assert time.monotonic() - begun_s >= 0.2


def test_a_fault_strikes_the_aimed_path_as_often_as_told(
    world: World, call: Callable[..., Caller]
) -> None:
    """The next three calls fail, calls elsewhere do not; each is counted with its fault."""
    plan = FaultPlan()
    plan.add(r"/workflow\?.*max=5", Fault("status", status=503, times=3))
    simulator = Simulator(world, faults=plan)
    caller = call(simulator)

    statuses = [caller.status("/workflow", max=size) for size in (5, 6, 5, 5, 5)]

    assert statuses == [503, 200, 503, 503, 200]
    assert [one.fault for one in simulator.calls] == ["status", None, "status", "status", None]


def test_a_seeded_plan_strikes_its_share_and_repeats_itself() -> None:
    """The same seed strikes the same calls; about the asked share of them."""
    draws = [
        [plan.choose(f"/workflow/{place}") for place in range(4000)]
        for plan in (FaultPlan(rate=0.15, seed=3), FaultPlan(rate=0.15, seed=3))
    ]

    assert draws[0] == draws[1]
    share = sum(fault is not None for fault in draws[0]) / 4000
    assert 0.12 < share < 0.18
    assert len({fault.kind for fault in draws[0] if fault}) == 6


def test_seeded_faults_let_a_path_through_in_the_end() -> None:
    """However high the rate, at most three in a row on one path."""
    plan = FaultPlan(rate=1.0)

    struck = [plan.choose("/user-info") is not None for _ in range(8)]

    assert struck == [True, True, True, False, True, True, True, False]


@pytest.mark.parametrize("wrong", [{"kind": "gremlin"}, {"kind": "reset", "times": 0}])
def test_faults_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    """An unknown kind, or a fault that never strikes."""
    with pytest.raises(ValueError, match=r"gremlin|at least once"):
        Fault(**wrong)

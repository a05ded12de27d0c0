"""Server of the simulator, hooks for tests, and control over HTTP."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tower_etl.simulator import Simulator, serve

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulator.conftest import Caller
    from tower_etl.simulator import World

_SERVE = """
from tower_etl.simulator import Simulator, World, run_forever
run_forever(Simulator(World()), 0, lambda endpoint: print(endpoint, flush=True))
print("stopped", flush=True)
"""


def test_serving_on_a_port_in_use_raises_an_os_error(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"), serve(Simulator(world), port):
            pytest.fail("served on a taken port")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1"])  # noqa: S104 - the value to refuse
def test_only_loopback_addresses_are_served(world: World, host: str) -> None:
    """The simulator must not be reachable from the network."""
    with pytest.raises(ValueError, match="loopback"), serve(Simulator(world), host=host):
        pytest.fail("served on the network")


def test_a_stopped_simulator_ends_its_thread_and_frees_its_port(world: World) -> None:
    """An open connection does not prevent it."""
    before = threading.active_count()
    with requests.Session() as session:
        with serve(Simulator(world)) as endpoint:
            session.get(f"{endpoint}/service-info", timeout=30)
            port = int(endpoint.split(":")[2].removesuffix("/api"))
        assert before == threading.active_count()
        with serve(Simulator(world), port) as again:
            assert endpoint == again


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_forever_returns_after_a_signal(number: signal.Signals) -> None:
    """It reports its endpoint, serves requests and prints nothing."""
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", _SERVE],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None
        endpoint = process.stdout.readline().strip()
        answer = requests.get(f"{endpoint}/service-info", timeout=30)
        process.send_signal(number)
        said, errors = process.communicate(timeout=30)

    assert answer.status_code == 200
    assert (process.returncode, said, errors) == (0, "stopped\n", "")


def test_before_call_can_change_the_world_between_two_calls(
    world: World, lab: int, call: Callable[..., Caller]
) -> None:
    """The hook receives the number and the path of each call before the response."""
    simulator, seen = Simulator(world), []

    def submit(number: int, arrived: Any) -> None:
        seen.append((number, arrived.path))
        world.submit_run(lab)

    simulator.before_call = submit
    caller = call(simulator)

    counts = [len(caller.get("/workflow", workspaceId=lab)["workflows"]) for _ in range(3)]

    assert counts == [1, 2, 3]
    assert seen == [(0, "/api/workflow"), (1, "/api/workflow"), (2, "/api/workflow")]


def test_a_response_takes_at_least_the_latency(world: World, call: Callable[..., Caller]) -> None:
    caller = call(world, latency_s=0.1, jitter_s=0.01)

    assert caller.ask("/service-info").elapsed.total_seconds() >= 0.1


def test_control_advance_moves_the_clock(world: World, call: Callable[..., Caller]) -> None:
    answer = call(world).control("/advance", seconds=3600)

    assert answer.json() == {"now": "2026-03-01T13:00:00+00:00"}
    assert world.clock.now().hour == 13


def test_control_event_calls_a_method_of_the_world(
    world: World, lab: int, call: Callable[..., Caller]
) -> None:
    """Other methods, unknown runs and malformed events respond with 400."""
    caller = call(world)
    event = {"method": "submit_run", "args": [lab], "kwargs": {"runName": "remote"}}

    run = caller.control("/event", event).json()["result"]

    assert world.describe(run)["workflow"]["runName"] == "remote"
    wrong: list[object] = [
        {"method": "__init__"},
        {"method": ["submit_run"]},
        {"method": "find_run", "args": [run]},
        {"method": "start_run", "args": ["nowhere"]},
        [],
    ]
    assert [caller.control("/event", event).status_code for event in wrong] == [400] * 5


def test_control_faults_adds_a_fault_sets_the_rate_and_clears(
    world: World, call: Callable[..., Caller]
) -> None:
    caller = call(world)
    caller.control("/faults", {"path": "/user-info", "fault": {"kind": "status", "status": 504}})
    faulty_platform = [caller.status("/user-info"), caller.status("/user-info")]
    rate = caller.control("/faults", {"rate": 0.5}).json()
    cleared = caller.control("/faults", {"clear": True}).json()

    assert faulty_platform == [504, 200]
    assert [rate, cleared] == [{"rate": 0.5}, {"rate": 0.0}]
    wrong = ({"path": "/", "fault": {"kind": "x"}}, {"path": "(", "fault": {"kind": "reset"}})
    assert [caller.control("/faults", command).status_code for command in wrong] == [400, 400]


def test_control_returns_calls_and_state(
    world: World, lab: int, call: Callable[..., Caller]
) -> None:
    """Control requests are not counted as calls."""
    caller = call(world)
    world.submit_run(lab)
    caller.status("/user-info")
    root = caller.endpoint.removesuffix("/api")

    calls = caller.session.get(f"{root}/_sim/calls", timeout=30).json()
    state = caller.session.get(f"{root}/_sim/state", timeout=30).json()

    assert (
        calls["total"],
        calls["worstSecond"],
        [one["path"] for one in calls["calls"]],
    ) == (1, 1, ["/api/user-info"])
    assert (
        state["now"],
        state["calls"],
        state["runs"]["lab"],
    ) == ("2026-03-01T12:00:00+00:00", 1, 1)

"""Serving, the hooks of tests, and control over HTTP."""

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
run_forever(Simulator(World.empty()), 0, lambda endpoint: print(endpoint, flush=True))
print("stopped", flush=True)
"""


def test_a_taken_port_is_an_os_error(world: World) -> None:
    """Before anything is served."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"), serve(Simulator(world), port):
            pytest.fail("served on a taken port")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1"])  # noqa: S104 - what must be refused
def test_only_loopback_is_served(world: World, host: str) -> None:
    """The simulator is not for the network."""
    with pytest.raises(ValueError, match="loopback"), serve(Simulator(world), host=host):
        pytest.fail("served on the network")


def test_a_served_simulator_leaves_nothing_behind(world: World) -> None:
    """The thread ends and the port is free again, open connections or not."""
    before = threading.active_count()
    with requests.Session() as session:
        with serve(Simulator(world)) as endpoint:
            session.get(f"{endpoint}/service-info", timeout=30)
            port = int(endpoint.split(":")[2].removesuffix("/api"))
        assert before == threading.active_count()
        with serve(Simulator(world), port) as again:
            assert endpoint == again


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_forever_ends_with_a_signal(number: signal.Signals) -> None:
    """It tells its endpoint, answers, prints nothing of its own, and returns."""
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


def test_the_hook_changes_the_world_between_two_pages(
    world: World, lab: int, call: Callable[..., Caller]
) -> None:
    """before_call sees the number and the path of each call before it is answered."""
    simulator, seen = Simulator(world), []

    def submit(number: int, arrived: Any) -> None:
        seen.append((number, arrived.path))
        world.submit_run(lab)

    simulator.before_call = submit
    caller = call(simulator)

    counts = [len(caller.get("/workflow", workspaceId=lab)["workflows"]) for _ in range(3)]

    assert counts == [1, 2, 3]
    assert seen == [(0, "/api/workflow"), (1, "/api/workflow"), (2, "/api/workflow")]


def test_latency_is_waited_for(world: World, call: Callable[..., Caller]) -> None:
    """Every answer takes at least the latency."""
    caller = call(world, latency_s=0.1, jitter_s=0.01)

    assert caller.ask("/service-info").elapsed.total_seconds() >= 0.1


def test_control_moves_the_clock(world: World, call: Callable[..., Caller]) -> None:
    """POST /_sim/advance answers the new time."""
    answer = call(world).control("/advance", seconds=3600)

    assert answer.json() == {"now": "2026-03-01T13:00:00+00:00"}
    assert world.clock.now().hour == 13


def test_control_makes_events(world: World, lab: int, call: Callable[..., Caller]) -> None:
    """POST /_sim/event names a method of the world; others are refused."""
    caller = call(world)
    event = {"method": "submit_run", "args": [lab], "kwargs": {"runName": "remote"}}

    run = caller.control("/event", event).json()["result"]

    assert world.describe(run)["workflow"]["runName"] == "remote"
    wrong: list[object] = [
        {"method": "__init__"},
        {"method": "find_run", "args": [run]},
        {"method": "start_run", "args": ["nowhere"]},
        [],
    ]
    assert [caller.control("/event", event).status_code for event in wrong] == [400] * 4


def test_control_sets_faults(world: World, call: Callable[..., Caller]) -> None:
    """POST /_sim/faults aims one, sets a rate, or clears."""
    caller = call(world)
    caller.control("/faults", {"path": "/user-info", "fault": {"kind": "status", "status": 504}})
    struck = [caller.status("/user-info"), caller.status("/user-info")]
    rate = caller.control("/faults", {"rate": 0.5}).json()
    cleared = caller.control("/faults", {"clear": True}).json()

    assert struck == [504, 200]
    assert [rate, cleared] == [{"rate": 0.5}, {"rate": 0.0}]
    assert caller.control("/faults", {"path": "/", "fault": {"kind": "x"}}).status_code == 400


def test_control_tells_calls_and_state(world: World, lab: int, call: Callable[..., Caller]) -> None:
    """GET /_sim/calls and /_sim/state; control calls are not counted."""
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

"""Exit codes of the contract, each with the state that a sync leaves."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.cli.console import TOWER_ETL, expect_contract
from tests.cli.here import open_stream
from tower_etl.simulator import DEMO_TOKEN, Simulator, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cli.console import Console
    from tests.cli.here import Run
    from tower_etl.simulator import Call, World


@dataclass(frozen=True)
class Gate:
    """A server that blocks the listing of runs until a test releases it.

    Attributes:
        endpoint: Its address.
        reached: Set when a sync requests its first listing.
        opened: Set by the test to release the listing.
    """

    endpoint: str
    reached: threading.Event
    opened: threading.Event


@pytest.fixture
def gate(simulator: Simulator, endpoint: str) -> Iterator[Gate]:
    """Yield a server that blocks the listing of runs."""
    gate = Gate(endpoint, threading.Event(), threading.Event())

    def hold(_number: int, call: Call) -> None:
        if call.path == "/api/workflow":
            gate.reached.set()
            gate.opened.wait(60)

    simulator.before_call = hold
    yield gate
    gate.opened.set()


@pytest.mark.slow
def test_a_denied_workspace_exits_with_4_and_the_others_are_synced(
    console: Console, world: World, endpoint: str, lab: int, annex: int
) -> None:
    run_id = world.submit_run(lab)
    world.forbid(annex)
    ended = console.run("sync", "--endpoint", endpoint, "--json")
    assert ended.code == 4
    expect_contract(ended.json)
    assert ended.json["status"] == "partial"
    status = {space["id"]: space["status"] for space in ended.json["workspaces"]}
    assert {None: "ok", lab: "ok", annex: "failed"} == status
    error = next(space["error"] for space in ended.json["workspaces"] if space["id"] == annex)
    assert "acme/annex: the token may not read it" in error
    assert {run_id} == console.list_runs()


@pytest.mark.parametrize(("code", "token"), [(3, "refused"), (2, None)])
def test_a_sync_that_cannot_start_prints_a_json_object(
    console: Console, endpoint: str, code: int, token: str | None
) -> None:
    ended = console.run("sync", "--endpoint", endpoint, "--json", TOWER_ACCESS_TOKEN=token)
    assert code == ended.code
    assert ended.err.startswith("Error: ")
    expect_contract(ended.json)
    assert (ended.json["status"], ended.json["calls"]) == ("failed", 2 if code == 3 else 0)
    assert ended.err == f"Error: {ended.json['error']}\n"


@pytest.mark.slow
def test_a_full_disk_exits_with_5_and_keeps_the_published_file(
    console: Console, world: World, endpoint: str, lab: int
) -> None:
    """A limit on the size of files stands for the full disk; the next sync loads the new run."""
    first = world.submit_run(lab)
    assert console.run("sync", "--endpoint", endpoint).code == 0
    second = world.submit_run(lab)
    limited = subprocess.run(
        ["sh", "-c", f"ulimit -f 200; exec {TOWER_ETL} sync --endpoint {endpoint}"],
        cwd=console.folder,
        env=console.environ(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (limited.returncode, limited.stdout) == (5, ""), limited.stderr
    assert limited.stderr.startswith("Error: ")
    assert "Traceback" not in limited.stderr
    assert {first} == console.list_runs()
    assert console.run("sync", "--endpoint", endpoint).code == 0
    assert {first, second} == console.list_runs()


@pytest.mark.slow
def test_a_concurrent_sync_exits_with_6_and_names_the_lock_holder(
    console: Console, gate: Gate, lab: int
) -> None:
    """It makes no call. After the holder was killed, the next sync succeeds."""
    gate.opened.set()
    sync = ("sync", "--endpoint", gate.endpoint, "--json")
    assert console.run(*sync).code == 0
    gate.opened.clear()
    gate.reached.clear()
    with console.start(*sync) as first:
        assert gate.reached.wait(60)
        second = console.run(*sync)
        assert second.code == 6
        assert f"process {first.pid} on " in second.err
        assert (second.json["status"], second.json["calls"]) == ("failed", 0)
        first.kill()
    gate.opened.set()
    assert console.run(*sync).code == 0


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_a_sync_with_128_plus_its_number(
    console: Console, world: World, lab: int, gate: Gate, number: signal.Signals
) -> None:
    """The next sync loads the runs that the stopped one did not."""
    run_id = world.submit_run(lab)
    with console.start("sync", "--endpoint", gate.endpoint, "--json") as sync:
        assert gate.reached.wait(60)
        sync.send_signal(number)
        gate.opened.set()
        out, err = sync.communicate(timeout=60)
    assert sync.returncode == 128 + number
    assert "Traceback" not in err
    assert json.loads(out)["status"] == "partial"
    assert console.run("sync", "--endpoint", gate.endpoint).code == 0
    assert {run_id} == console.list_runs()


@pytest.mark.slow
def test_the_personal_workspace_of_another_user_is_refused(
    run_here: Callable[[Console], Run],
    console: Console,
    world: World,
    lab: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Alone, it fails the sync; with other workspaces, it is reported and the others are synced."""
    world.owner()
    other = world.add_user("guest", [lab])
    run = run_here(console)
    guest = Simulator(world, tokens={DEMO_TOKEN: None, "of-the-guest": other}, limit=None)
    with serve(guest) as endpoint:
        sync = ("sync", "--endpoint", endpoint, "--json", "--workspace", "personal")
        assert run(*sync, out=open_stream("utf-8")).code == 0
        monkeypatch.setenv("TOWER_ACCESS_TOKEN", "of-the-guest")
        alone = run(*sync, out=open_stream("utf-8"))
        run_id = world.submit_run(lab)
        beside = run(*sync, "--workspace", str(lab), out=open_stream("utf-8"))
    assert (alone.code, alone.json["status"]) == (2, "failed")
    assert "another user" in alone.json["error"]
    assert (beside.code, beside.json["status"]) == (4, "partial")
    status = {space["id"]: space["status"] for space in beside.json["workspaces"]}
    assert status == {lab: "ok", None: "failed"}
    assert console.list_runs() == {run_id}

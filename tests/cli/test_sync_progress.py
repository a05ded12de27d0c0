"""Progress of a sync: the estimate of `check`, the state in `status`, and verbosity."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.cli.here import open_stream
from tower_etl.cli import progress
from tower_etl.config.resolver import SettingSources
from tower_etl.destinations.config import resolve_destination
from tower_etl.destinations.lake.mirror import open_mirror
from tower_etl.destinations.progress import clear_progress, read_progress, write_progress
from tower_etl.simulator import Fault, Simulator, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.cli.console import Console, Ended
    from tests.cli.here import Run
    from tower_etl.simulator import World


@pytest.fixture
def simulator(world: World, lab: int) -> Simulator:
    """Return a platform with three runs in one of two workspaces."""
    for _ in range(3):
        world.submit_run(lab)
    return Simulator(world, limit=None)


@pytest.fixture
def endpoint(simulator: Simulator) -> Iterator[str]:
    """Serve the platform and yield its address."""
    with serve(simulator) as address:
        yield address


@pytest.fixture
def call(
    console: Console, run_here: Callable[[Console], Run], endpoint: str
) -> Callable[..., Ended]:
    """Return a function that runs a command against the platform without a rate limit."""

    def run(*args: str) -> Ended:
        return run_here(console)(
            *args, "--endpoint", endpoint, "--rate", "none", out=open_stream("utf-8")
        )

    return run


def test_check_counts_runs_and_estimates_the_first_sync(call: Callable[..., Ended]) -> None:
    found = call("check", "--json").json
    assert {space["name"]: space["runs"] for space in found["workspaces"]} == {
        "personal": 0,
        "acme/lab": 3,
    }
    assert found["first_sync"] == {"calls": 10, "seconds": None}
    assert "acme/lab: 3 runs" in call("check").out


def test_a_workspace_whose_runs_cannot_be_counted_is_still_checked(
    call: Callable[..., Ended], simulator: Simulator
) -> None:
    simulator.faults.add("/workflow", Fault("status", status=403, times=1000))
    found = call("check", "--json").json
    assert {space["runs"] for space in found["workspaces"]} == {None}


@pytest.mark.slow
def test_status_shows_the_process_of_a_first_sync(
    call: Callable[..., Ended],
    console: Console,
    run_here: Callable[[Console], Run],
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No workspace is published yet, but the progress file names the process."""
    monkeypatch.setattr(progress, "_RECORD_SECONDS", 0.02)
    seen: list[Ended] = []
    record = write_progress

    def look(folder: Path, text: str) -> None:
        record(folder, text)
        if not seen:
            seen.append(run_here(console)("status", "--json", out=open_stream("utf-8")))

    monkeypatch.setattr(progress, "write_progress", look)
    simulator.faults.add("/tasks", Fault("slow", delay=1.0))
    assert call("sync").code == 0
    (status,) = seen
    assert status.code == 0
    assert status.json["workspaces"] == []
    assert status.json["running"]["pid"] == os.getpid()
    after = run_here(console)("status", "--json", out=open_stream("utf-8")).json
    assert after["running"] is None
    assert len(after["workspaces"]) == 2


def test_an_outdated_progress_file_is_ignored(tmp_path: Path) -> None:
    """A killed sync leaves its progress file behind."""
    config = resolve_destination("duckdb", str(tmp_path / "runs.duckdb"), SettingSources({}))
    assert config.work_dir is not None
    config.work_dir.mkdir()
    write_progress(config.work_dir, "1 of 2 runs")
    running = read_progress(config)
    assert running is not None
    assert running.progress == "1 of 2 runs"
    long_ago = time.time() - 600
    os.utime(config.work_dir / "progress.json", (long_ago, long_ago))
    assert read_progress(config) is None
    clear_progress(config.work_dir)
    assert list(config.work_dir.iterdir()) == []


@pytest.mark.parametrize("kind", ["parquet", None])
def test_the_progress_of_a_lake_behind_a_link_is_in_the_folder_of_its_staging_copy(
    tmp_path: Path, kind: str | None
) -> None:
    """`status` needs no type of the lake."""
    (tmp_path / "real").mkdir()
    link = tmp_path / "lake"
    link.symlink_to("real")
    lake = open_mirror(resolve_destination("parquet", str(link), SettingSources({})))
    config = resolve_destination(kind, str(link), SettingSources({}), exists=True)
    assert config.work_dir == lake.paths.work_dir


@pytest.mark.skipif(os.name == "nt", reason="Windows offers no harmless check of a process")
def test_the_progress_of_a_process_that_has_ended_is_ignored(tmp_path: Path) -> None:
    config = resolve_destination("duckdb", str(tmp_path / "runs.duckdb"), SettingSources({}))
    assert config.work_dir is not None
    config.work_dir.mkdir()
    write_progress(config.work_dir, "1 of 2 runs")
    path = config.work_dir / "progress.json"
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    path.write_text(path.read_text().replace(f"{os.getpid()},", f"{ended.pid},"))
    assert read_progress(config) is None
    path.write_text(path.read_text().replace(socket.gethostname(), "another-host"))
    assert read_progress(config) is not None


@pytest.mark.slow
def test_a_quiet_sync_prints_nothing(call: Callable[..., Ended]) -> None:
    ended = call("sync", "--quiet")
    assert (ended.code, ended.out, ended.err) == (0, "", "")


@pytest.mark.slow
def test_a_quiet_sync_prints_pending_runs(call: Callable[..., Ended], simulator: Simulator) -> None:
    simulator.faults.add("/metrics", Fault("status", status=500, times=1000))
    ended = call("sync", "--quiet")
    assert ended.code == 4
    assert "Pending: acme/lab" in ended.out


@pytest.mark.slow
def test_a_verbose_sync_logs_its_steps(call: Callable[..., Ended]) -> None:
    lines = call("sync", "-v").err.splitlines()
    assert any(" INFO tower_etl." in line for line in lines)

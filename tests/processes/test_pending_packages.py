"""Pending load packages of a killed sync are loaded, or discarded and reported."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.processes.command import days_ago

if TYPE_CHECKING:
    from pathlib import Path

    from tests.processes.command import Command
    from tower_etl.simulator import Simulator

LOADING = "before:dlt.load.load:Load.run:2"
WRITER = """
import duckdb, os, signal, sys
connection = duckdb.connect(sys.argv[1])
print("open", flush=True)
sys.stdin.readline()
connection.execute("CREATE TABLE mine AS SELECT 1 AS a")
os.kill(os.getpid(), signal.SIGKILL)
"""
NORMALIZING = "before:dlt.normalize.normalize:Normalize.run:2"


@pytest.mark.slow
@pytest.mark.parametrize("point", [NORMALIZING, LOADING])
def test_runs_of_a_pending_load_package_are_not_fetched_again(
    command: Command, platform: tuple[str, Simulator], point: str
) -> None:
    """The next sync loads the package."""
    _, simulator = platform
    assert command.run("killed.duckdb", point=point)[0] == -signal.SIGKILL
    done = {call.path for call in simulator.calls if call.path.endswith("/metrics")}
    before = len(simulator.calls)
    assert command.run("killed.duckdb")[0] == 0
    again = {call.path for call in simulator.calls[before:] if call.path.endswith("/metrics")}
    in_flight = 3 * 8  # fetched runs that were not part of the package yet
    open_runs = 4
    assert len(again & done) <= in_flight + open_runs
    assert len(again) < 45


@pytest.mark.slow
@pytest.mark.parametrize(("point", "folder"), [(LOADING, "load"), (NORMALIZING, "normalize")])
def test_a_corrupted_pending_load_package_is_discarded_and_reported(
    still: Command, whole: Path, tmp_path: Path, point: str, folder: str
) -> None:
    """Its state is discarded as well, so that its runs are fetched again."""
    assert still.run("broken.duckdb", point=point)[0] == -signal.SIGKILL
    packages = tmp_path / "broken.duckdb.sync" / "dlt" / "tower" / folder
    rows = [path for path in packages.rglob("tasks*.parquet") if path.stat().st_size]
    assert rows
    for path in rows:
        path.write_bytes(b"this is no Parquet file")
    code, out, err = still.run("broken.duckdb")
    assert (code, err) == (0, "")
    assert "could not be loaded and was discarded" in json.loads(out)["warnings"][0]
    assert still.differences("broken.duckdb", whole) == {}


@pytest.mark.slow
def test_a_sync_without_the_working_folder_makes_no_additional_calls(
    command: Command, platform: tuple[str, Simulator], tmp_path: Path
) -> None:
    """The state is restored from the database."""
    _, simulator = platform
    assert command.run("tower.duckdb")[0] == 0
    costs = []
    for lost in (False, True):
        if lost:
            shutil.rmtree(tmp_path / "tower.duckdb.sync")
        before = len(simulator.calls)
        assert command.run("tower.duckdb")[0] == 0
        costs.append(len(simulator.calls) - before)
    assert costs[0] == costs[1]


@pytest.mark.slow
def test_a_discarded_load_package_leaves_no_partial_changes(
    command: Command, platform: tuple[str, Simulator], tmp_path: Path
) -> None:
    """Some of its tables were already changed, so the sync restarts from the published file."""
    _, simulator = platform
    assert command.run("broken.duckdb")[0] == 0
    simulator.world.clock.advance(6 * 3600)
    assert command.run("broken.duckdb", point=LOADING.replace(":2", ":1"))[0] == -signal.SIGKILL
    packages = tmp_path / "broken.duckdb.sync" / "dlt" / "tower" / "load"
    for path in packages.rglob("tasks*.parquet"):
        path.write_bytes(b"this is no Parquet file")
    code, out, _ = command.run("broken.duckdb")
    assert (code, len(json.loads(out)["warnings"])) == (0, 1)
    assert command.run("whole.duckdb")[0] == 0
    assert command.differences("broken.duckdb", "whole.duckdb") == {}


@pytest.mark.slow
def test_the_views_command_does_not_publish_an_interrupted_sync(
    still: Command, tmp_path: Path
) -> None:
    """The next sync applies the views."""
    assert still.run("tower.duckdb", "--until", days_ago(14))[0] == 0
    published = (tmp_path / "tower.duckdb").read_bytes()
    assert still.run("tower.duckdb", point=LOADING)[0] == -signal.SIGKILL
    views = subprocess.run(
        [sys.executable, "-m", "tower_etl", "views", "--path", "tower.duckdb"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (views.returncode, "tower-etl sync" in views.stderr) == (2, True)
    assert (tmp_path / "tower.duckdb").read_bytes() == published


@pytest.mark.slow
def test_writing_to_a_replaced_file_does_not_change_the_new_file(
    still: Command, whole: Path, tmp_path: Path
) -> None:
    """The program's log is written beside the new file, to which it does not belong."""
    assert still.run("tower.duckdb", "--until", days_ago(14))[0] == 0
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "tower.duckdb")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "open\n"
    assert still.run("tower.duckdb", "--until", days_ago(9))[0] == 0
    writer.communicate("write\n", timeout=30)
    code, _, err = still.run("tower.duckdb")
    assert (code, err) == (0, "")
    assert still.differences("tower.duckdb", whole) == {}

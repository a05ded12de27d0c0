"""What a killed sync leaves behind: packages are loaded, or given up and said so."""

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
NORMALISING = "before:dlt.normalize.normalize:Normalize.run:2"


@pytest.mark.slow
@pytest.mark.parametrize("point", [NORMALISING, LOADING])
def test_a_package_left_behind_is_not_fetched_again(
    command: Command, platform: tuple[str, Simulator], point: str
) -> None:
    """What was fetched before the kill is loaded by the next sync."""
    _, simulator = platform
    assert command.run("killed.duckdb", point=point)[0] == -signal.SIGKILL
    done = {call.path for call in simulator.calls if call.path.endswith("/metrics")}
    before = len(simulator.calls)
    assert command.run("killed.duckdb")[0] == 0
    again = {call.path for call in simulator.calls[before:] if call.path.endswith("/metrics")}
    in_flight = 3 * 8  # runs that were fetched ahead of the package
    open_runs = 4
    assert len(again & done) <= in_flight + open_runs
    assert len(again) < 45


@pytest.mark.slow
@pytest.mark.parametrize(("point", "folder"), [(LOADING, "load"), (NORMALISING, "normalize")])
def test_a_package_that_can_never_be_loaded_is_given_up_and_said_so(
    still: Command, whole: Path, tmp_path: Path, point: str, folder: str
) -> None:
    """With the state that it carried, so that its runs are fetched again."""
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
def test_without_the_folder_the_next_sync_is_as_cheap_as_ever(
    command: Command, platform: tuple[str, Simulator], tmp_path: Path
) -> None:
    """The state comes back from the database."""
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
def test_a_package_given_up_leaves_no_half_of_itself(
    command: Command, platform: tuple[str, Simulator], tmp_path: Path
) -> None:
    """Some tables of it were changed already: all begins again with what was published."""
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
def test_views_do_not_publish_what_a_killed_sync_left(still: Command, tmp_path: Path) -> None:
    """They are left to the next sync, which applies them."""
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
def test_a_program_that_writes_into_a_replaced_file_harms_nobody(
    still: Command, whole: Path, tmp_path: Path
) -> None:
    """Its log lands beside the new file, to which it does not belong."""
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

"""What a killed sync leaves behind: packages are loaded, or given up and said so."""

from __future__ import annotations

import json
import shutil
import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.processes.command import Command
    from tower_etl.sim import Simulator

LOADING = "before:dlt.load.load:Load.run:2"
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
    assert "could not be loaded and was given up" in json.loads(out)["warnings"][0]
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

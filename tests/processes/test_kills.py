"""Syncs that are killed with SIGKILL at any moment: the next sync makes the tables exact."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import subprocess
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.processes.command import days_ago

if TYPE_CHECKING:
    from pathlib import Path

    from tests.processes.command import Command
    from tower_etl.simulator import Simulator

KILLS = 30

POINTS = [
    "before:tower_etl.extract.session:SyncSession.extract_package:1",
    "after:tower_etl.extract.executor:fetch_run:20",
    "before:dlt.extract.extract:Extract.commit_packages:2",
    "after:dlt.extract.extract:Extract.commit_packages:2",
    "after:dlt.pipeline.pipeline:Pipeline.sync_schema:1",
    "before:dlt.normalize.normalize:Normalize.run:2",
    "after:dlt.normalize.normalize:Normalize.run:2",
    "before:dlt.load.load:Load.run:2",
    "before:dlt.load.load:Load.complete_package:2",
    "after:dlt.load.load:Load.complete_package:2",
    "after:tower_etl.destinations.direct_merge:DirectMergeClient._load:3",
    "before:dlt.destinations.job_client_impl:SqlJobClientBase.complete_load:2",
    "after:dlt.destinations.job_client_impl:SqlJobClientBase.complete_load:2",
    "before:tower_etl.destinations.duckdb:apply_views:1",
    "after:tower_etl.destinations.duckdb:apply_views:1",
    "before:tower_etl.destinations.staging_file:StagingFile._write_record:2",
    "after:tower_etl.destinations.staging_file:StagingFile._write_record:2",
    "after:tower_etl.destinations.staging_file:StagingFile.publish:1",
    "after:tower_etl.destinations.staging_file:_copy:1",
]


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_the_sync_after_a_kill_makes_the_tables_exact(
    still: Command, whole: Path, point: str
) -> None:
    """The points cover fetching, normalizing, loading, committing, views and publishing."""
    if "_copy" in point:  # the first sync has no file to copy
        assert still.run("killed.duckdb", "--until", days_ago(14))[0] == 0
    assert still.run("killed.duckdb", point=point)[0] == -signal.SIGKILL
    code, out, err = still.run("killed.duckdb")
    assert (code, err) == (0, "")
    assert json.loads(out)["warnings"] == []
    assert still.differences("killed.duckdb", whole) == {}


@pytest.mark.slow(minutes=1)
def test_thirty_kills_during_a_backfill_leave_the_tables_exact(still: Command, whole: Path) -> None:
    """The kills come at random moments, and small packages make the backfill outlast them."""
    chance = random.Random(11)
    killed = replace(still, environ={"TOWER_ETL_PACKAGE_ROWS": "100"})
    ends: list[int] = []
    while ends.count(-signal.SIGKILL) < KILLS and len(ends) < 3 * KILLS:
        process = killed.start("killed.duckdb")
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=chance.uniform(0.6, 2.2))
        process.kill()
        process.communicate()
        ends.append(process.returncode)
    assert ends.count(-signal.SIGKILL) == KILLS
    assert set(ends) <= {0, -signal.SIGKILL}  # a fast machine may complete the backfill earlier
    assert still.run("killed.duckdb")[0] == 0
    assert still.differences("killed.duckdb", whole) == {}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_backfill_repeats_few_calls(
    command: Command, platform: tuple[str, Simulator], number: signal.Signals
) -> None:
    """Both halves together take at most 2 % more calls than one undisturbed backfill."""
    _, simulator = platform
    simulator._latency_s = 0.01  # slow enough to interrupt the sync halfway
    assert command.run("whole.duckdb")[0] == 0
    whole = len(simulator.calls)
    process = command.start("halves.duckdb")
    while len(simulator.calls) < 1.5 * whole:
        time.sleep(0.005)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number, err
    report = json.loads(out)
    assert report["status"] == "partial"
    assert 0 < report["rows"]["workflows"] < 45
    assert command.run("halves.duckdb")[0] == 0
    assert command.differences("halves.duckdb", "whole.duckdb") == {}
    halves = len(simulator.calls) - whole
    runs = [run for key in simulator.world.workspaces for run in simulator.world.runs(key)]
    still_open = sum(run["complete"] is None for run in runs)
    # Every sync needs the discovery, a listing per workspace, and three calls per open run.
    overhead = 3 + len(simulator.world.workspaces) + 3 * still_open
    assert halves <= 1.02 * whole + overhead


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_the_process_at_once(
    command: Command, platform: tuple[str, Simulator], number: signal.Signals
) -> None:
    _, simulator = platform
    simulator._latency_s = 2.0  # the first signal would wait for the requests in progress
    process = command.start("stopped.duckdb")
    while not simulator.calls:
        time.sleep(0.005)
    while process.poll() is None:  # signals that arrive together are delivered as one
        process.send_signal(number)
        time.sleep(0.05)
    _, err = process.communicate(timeout=60)
    assert process.returncode == -number
    assert "Run the same command to resume." in err

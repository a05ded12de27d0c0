"""Processes that use a target at the same time: readers see the old state or the new one."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.processes.command import days_ago

if TYPE_CHECKING:
    from pathlib import Path

    from tests.processes.command import Command
    from tower_etl.simulator import Simulator

POLL = """
import duckdb, json, sys
seen = set()
while True:
    with duckdb.connect(sys.argv[1], read_only=True) as connection:
        runs, = connection.execute("SELECT count(*) FROM tower.tower.workflows").fetchone()
        tasks, = connection.execute("SELECT count(*) FROM tower.tower.tasks").fetchone()
        syncs, = connection.execute("SELECT count(*) FROM tower.tower.sync_runs").fetchone()
    if (runs, tasks, syncs) not in seen:
        seen.add((runs, tasks, syncs))
        print(json.dumps([runs, tasks, syncs]), flush=True)
"""


@pytest.mark.slow
def test_a_polling_process_sees_only_complete_syncs(
    command: Command, platform: tuple[str, Simulator], tmp_path: Path
) -> None:
    """It opens the file repeatedly during three syncs of several load packages each."""
    _, simulator = platform
    assert command.run("tower.duckdb", "--until", days_ago(17))[0] == 0
    with subprocess.Popen(
        [sys.executable, "-c", POLL, str(tmp_path / "tower.duckdb")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as poll:
        for until in (days_ago(9), days_ago(2)):
            assert command.run("tower.duckdb", "--until", until)[0] == 0
        simulator.world.clock.advance(7200)
        assert command.run("tower.duckdb")[0] == 0
        assert poll.poll() is None, poll.stderr
        poll.terminate()
        out, _ = poll.communicate()
    seen = [json.loads(line) for line in out.splitlines()]
    assert [syncs for _, _, syncs in seen] == sorted({syncs for _, _, syncs in seen})


@pytest.mark.slow
def test_one_of_concurrent_syncs_succeeds_and_the_others_exit_with_6(
    command: Command, platform: tuple[str, Simulator]
) -> None:
    """The sync that holds the lock continues, and the tables are exact."""
    _, simulator = platform
    simulator._latency_s = 0.02
    syncs = [command.start("tower.duckdb") for _ in range(3)]
    ends = []
    for sync in syncs:
        out, err = sync.communicate(timeout=120)
        ends.append((sync.returncode, err))
        assert json.loads(out)["status"] in {"ok", "failed"}
    assert sorted(code for code, _ in ends) == [0, 6, 6]
    assert all("Another sync is writing" in err for code, err in ends if code)
    assert command.run("whole.duckdb")[0] == 0
    assert command.differences("tower.duckdb", "whole.duckdb") == {}

"""The benchmarks at toy size: candidates are measured, and their rows are compared."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from benchmarks.accuracy import KEYS, RowAccuracy
from benchmarks.candidates import CANDIDATES, OURS, Candidate
from benchmarks.comparison import prepare_scenario, run_candidate
from benchmarks.growth import fit_line
from benchmarks.probes import time_copy, time_merges
from benchmarks.report import write_report
from benchmarks.sizes import Size
from tower_etl.destinations.dlt_pipeline import dlt_defaults

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.comparison import Scenario

# Syncs once; the second sync does nothing.
FORGETFUL = """
import os, runpy, sys
if not os.path.exists(sys.argv[1]):
    runpy.run_path(SCRIPT, run_name="__main__")
"""
# Syncs as the plain script does, then inserts every task again.
DOUBLING = """
import duckdb, runpy, sys
runpy.run_path(SCRIPT, run_name="__main__")
with duckdb.connect(sys.argv[1]) as connection:
    connection.execute("INSERT INTO tasks FROM tasks")
"""


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    """Return a small world between two syncs, without rate limit and latency."""
    size = Size("toy", runs=18, mean_tasks=12, open_runs=3, limited=False, latency_s=0)
    now = datetime.now(UTC).replace(microsecond=0)
    return prepare_scenario(size, now, tmp_path_factory.mktemp("toy") / "stage")


def make_faulty(name: str, program: str) -> Candidate:
    """Return a candidate that runs the plain script inside a faulty program."""
    plain = CANDIDATES["plain script"]
    code = program.replace("SCRIPT", repr(plain.command[1]))
    return Candidate(name, (sys.executable, "-c", code), plain.views)


def count_faults(accuracy: dict[str, RowAccuracy]) -> dict[str, int]:
    """Return the number of incorrect rows by table."""
    return {table: rows.faults for table, rows in accuracy.items()}


@pytest.mark.slow
def test_tower_etl_has_correct_rows_in_every_table(scenario: Scenario, tmp_path: Path) -> None:
    """Sync twice; in between, runs are new, a label is edited and a run is deleted.

    The page of the comparison can be written from the result.
    """
    sync_result = run_candidate(scenario, OURS)
    assert [sync.exit_code for sync in (sync_result.first, sync_result.second)] == [0, 0]
    assert dict.fromkeys(KEYS, 0) == count_faults(sync_result.accuracy)
    assert all(rows.right > 0 for rows in sync_result.accuracy.values())
    assert sync_result.first_traffic.calls > sync_result.second_traffic.calls > 0
    assert sync_result.first.cpu_s > 0.1
    assert sync_result.first.peak_mb > 50
    figures = {"outcomes": {OURS.name: json.loads(json.dumps(asdict(sync_result)))}}
    place = dict.fromkeys(("machine", "python", "libraries", "load", "measured_on"), "here")
    write_report({"idle": figures | place}, tmp_path / "page.md")
    assert f"| tasks | {sync_result.accuracy['tasks'].right} / 0 / 0 / 0 |" in (
        tmp_path / "page.md"
    ).read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_script_without_state_loses_the_deleted_run(scenario: Scenario) -> None:
    """All other runs are correct."""
    sync_result = run_candidate(scenario, CANDIDATES["plain script"])
    assert {"workflows", "tasks", "process_metrics", "workflow_progress"} == set(
        sync_result.accuracy
    )
    workflows = sync_result.accuracy["workflows"]
    assert RowAccuracy(workflows.right, wrong=0, missing=1, doubled=0) == workflows
    assert sync_result.accuracy["tasks"].missing > 0


@pytest.mark.slow
def test_a_candidate_that_misses_changes_has_wrong_and_missing_rows(scenario: Scenario) -> None:
    """Open runs have their former status, and new runs are missing."""
    sync_result = run_candidate(scenario, make_faulty("forgetful", FORGETFUL))
    assert sync_result.second_traffic.calls == 0
    assert sync_result.accuracy["workflows"].wrong > 0
    assert sync_result.accuracy["workflows"].missing > 0
    assert sync_result.accuracy["tasks"].wrong >= 50


@pytest.mark.slow
def test_duplicate_rows_are_counted_as_right_and_as_doubled(scenario: Scenario) -> None:
    tasks = run_candidate(scenario, make_faulty("doubling", DOUBLING)).accuracy["tasks"]
    assert (tasks.right, 0) == (tasks.doubled, tasks.wrong)


def test_fit_line_recovers_the_coefficients_of_exact_costs() -> None:
    """The costs are 3, plus 2 per run, plus 0.01 per task."""
    counts = [{"runs": runs, "tasks": tasks} for runs, tasks in ((1, 5), (2, 90), (7, 10), (4, 40))]
    line = fit_line(counts, [3 + 2 * each["runs"] + each["tasks"] / 100 for each in counts])
    assert pytest.approx(3) == line.base
    assert pytest.approx({"runs": 2, "tasks": 0.01}) == line.slopes
    assert pytest.approx(1) == line.explained


@pytest.mark.slow
def test_the_probes_time_copies_and_merges(tmp_path: Path) -> None:
    """The file is small, and the table has few rows."""
    copy = time_copy(tmp_path, 10_000_000)
    with dlt_defaults():
        merge = time_merges(tmp_path, 600)
    assert pytest.approx(0.01, rel=0.1) == copy["gigabytes"]
    assert min(copy["copy_s"], copy["publish_s"]) > 0
    assert min(merge["by_key_s"], merge["by_key_or_run_s"]) > 0

"""Aggregates of the simulator, compared with those of the platform for the same real tasks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tower_etl.simulator.aggregates import compute_metrics, sum_progress, sum_stats

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.shared

RUNS = ("10Sj9ejvKktHWg", "15dvxY1LnZYrYe", "wELtvsveirfd9")
COUNTED = (
    *("executors", "cpus", "memoryRss", "memoryReq", "readBytes", "writeBytes", "volCtxSwitch"),
    *("invCtxSwitch", "cached", "submitted", "running", "succeeded", "failed", "aborted"),
    *("loadTasks", "loadCpus", "loadMemory", "pending", "ignored"),
)


@pytest.fixture(params=RUNS)
def dump(request: pytest.FixtureRequest, shared: Path) -> dict[str, Any]:
    """Return a recorded run."""
    answer: dict[str, Any] = json.loads((shared / "runs" / f"{request.param}.json").read_bytes())
    return answer


@pytest.fixture
def tasks(dump: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the tasks of the recorded run."""
    return [entry["task"] for entry in dump["tasks"]]


def test_progress_equals_that_of_the_platform(
    dump: dict[str, Any], tasks: list[dict[str, Any]]
) -> None:
    """Times and peaks are approximate, because the times of tasks are in whole seconds."""
    real = dump["progress"]["workflowProgress"]

    ours = sum_progress(tasks, (), None, None)["workflowProgress"]

    assert set(real) == set(ours)
    assert {name: real[name] for name in COUNTED} == {name: ours[name] for name in COUNTED}
    for name in ("cost", "cpuEfficiency", "memoryEfficiency"):
        assert ours[name] == pytest.approx(real[name], rel=1e-3)
    for name in ("cpuTime", "cpuLoad"):
        assert ours[name] == pytest.approx(real[name], rel=1e-3)
    for name in ("peakTasks", "peakCpus", "peakMemory"):
        assert ours[name] == pytest.approx(real[name], rel=0.25)


def test_process_progress_equals_that_of_the_platform(
    dump: dict[str, Any], tasks: list[dict[str, Any]]
) -> None:
    """Every process has a row; a process without tasks has a row of zeros."""
    real = dump["progress"]["processesProgress"]
    names = [row["process"] for row in real]

    ours = sum_progress(tasks, names, None, None)

    assert ours["totalProcesses"] == dump["progress"]["totalProcesses"]
    for name in ("process", "succeeded", "cached", "failed", "cpus", "memoryRss"):
        assert [row[name] for row in real] == [row[name] for row in ours["processesProgress"]]


def test_statistics_equal_those_of_the_platform(
    dump: dict[str, Any], tasks: list[dict[str, Any]]
) -> None:
    """Two percentages are left out, because real responses sometimes round or omit them."""
    real, ours = dump["workflow"]["stats"], sum_stats(tasks)

    assert set(real) == set(ours)
    loose = {"failedPct", "succeedPct"}
    assert {name: real[name] for name in set(real) - loose} == {
        name: ours[name] for name in set(real) - loose
    }


def test_metrics_equal_the_quartiles_of_nextflow(
    dump: dict[str, Any], tasks: list[dict[str, Any]]
) -> None:
    """Single precision and rounding allow a difference of 2 %."""
    real = {row["process"]: row for row in dump["metrics"]}
    ours = {row["process"]: row for row in compute_metrics(tasks)}

    assert set(real) == set(ours)
    for process, row in ours.items():
        for quantity in row.keys() - {"id", "process"}:
            theirs = real[process].get(quantity)
            assert (row[quantity] is None) == (theirs is None)
            for place in ("mean", "min", "q1", "q2", "q3", "max") if theirs else ():
                assert row[quantity][place] == pytest.approx(theirs[place], rel=0.02, abs=0.02)

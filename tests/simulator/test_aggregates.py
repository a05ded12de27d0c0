"""The sums of the simulator against those that the platform made of the same real tasks."""

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
    """A real run."""
    answer: dict[str, Any] = json.loads((shared / "runs" / f"{request.param}.json").read_bytes())
    return answer


@pytest.fixture
def tasks(dump: dict[str, Any]) -> list[dict[str, Any]]:
    """Its tasks."""
    return [entry["task"] for entry in dump["tasks"]]


def test_progress_adds_up_as_the_platform_does(
    dump: dict[str, Any], tasks: list[dict[str, Any]]
) -> None:
    """Counts and sums are equal; times to the second, which is all that tasks tell."""
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


def test_processes_are_counted_as_the_platform_does(
    dump: dict[str, Any], tasks: list[dict[str, Any]]
) -> None:
    """Each process has its row, those without tasks a row of zeros."""
    real = dump["progress"]["processesProgress"]
    names = [row["process"] for row in real]

    ours = sum_progress(tasks, names, None, None)

    assert ours["totalProcesses"] == dump["progress"]["totalProcesses"]
    for name in ("process", "succeeded", "cached", "failed", "cpus", "memoryRss"):
        assert [row[name] for row in real] == [row[name] for row in ours["processesProgress"]]


def test_statistics_add_up_as_the_platform_does(
    dump: dict[str, Any], tasks: list[dict[str, Any]]
) -> None:
    """Equal but for two shares, which real answers round or leave out at times."""
    real, ours = dump["workflow"]["stats"], sum_stats(tasks)

    assert set(real) == set(ours)
    loose = {"failedPct", "succeedPct"}
    assert {name: real[name] for name in set(real) - loose} == {
        name: ours[name] for name in set(real) - loose
    }


def test_metrics_are_the_quartiles_that_nextflow_found(
    dump: dict[str, Any], tasks: list[dict[str, Any]]
) -> None:
    """All processes and quantities, within what single precision and rounding leave."""
    real = {row["process"]: row for row in dump["metrics"]}
    ours = {row["process"]: row for row in compute_metrics(tasks)}

    assert set(real) == set(ours)
    for process, row in ours.items():
        for quantity in row.keys() - {"id", "process"}:
            theirs = real[process].get(quantity)
            assert (row[quantity] is None) == (theirs is None)
            for place in ("mean", "min", "q1", "q2", "q3", "max") if theirs else ():
                assert row[quantity][place] == pytest.approx(theirs[place], rel=0.02, abs=0.02)

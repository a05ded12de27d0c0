"""The number of tasks that a run must have by its progress and statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from tower_etl.extract.runs import TaskCounts, count_expected

if TYPE_CHECKING:
    from pathlib import Path

RUNS = {"10Sj9ejvKktHWg": 297, "15dvxY1LnZYrYe": 16, "wELtvsveirfd9": 58}


@pytest.mark.shared
@pytest.mark.parametrize(("run_id", "tasks"), RUNS.items())
def test_task_counts_of_real_runs_match_their_tasks(shared: Path, run_id: str, tasks: int) -> None:
    """Progress and statistics include failed and cached tasks."""
    run = orjson.loads((shared / "runs" / f"{run_id}.json").read_bytes())
    assert len(run["tasks"]) == tasks
    assert count_expected(run) == TaskCounts(least=tasks, most=tasks, stats=tasks)


@pytest.mark.shared
def test_progress_of_2021_gives_a_lower_bound_only(shared: Path) -> None:
    """It does not count aborted tasks, so the run may have more tasks."""
    progress = orjson.loads((shared / "responses" / "runs_progress.json").read_bytes())
    assert count_expected(progress) == TaskCounts(least=282, most=None, stats=0)


@pytest.mark.parametrize("odd", [None, [], 7, "text", {"workflowProgress": []}, {"stats": {}}])
def test_invalid_or_missing_counts_are_ignored(odd: Any) -> None:
    """A run may have neither progress nor statistics."""
    assert count_expected({"progress": odd, "workflow": odd}) == TaskCounts()
    counts = {"succeeded": 3, "failed": [odd], "pending": True}
    assert count_expected({"progress": {"workflowProgress": counts}}) == TaskCounts(least=3)

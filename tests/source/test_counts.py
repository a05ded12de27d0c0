"""How many tasks a run has by its progress and its statistics."""

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
def test_real_runs_have_the_tasks_that_they_count(shared: Path, run_id: str, tasks: int) -> None:
    """By progress and by statistics; failed ones and cached ones included."""
    run = orjson.loads((shared / "runs" / f"{run_id}.json").read_bytes())
    assert len(run["tasks"]) == tasks
    assert count_expected(run) == TaskCounts(least=tasks, most=tasks, stats=tasks)


@pytest.mark.shared
def test_the_progress_of_2021_counts_no_aborted_tasks(shared: Path) -> None:
    """So that there may be more than it counts."""
    progress = orjson.loads((shared / "responses" / "runs_progress.json").read_bytes())
    assert count_expected(progress) == TaskCounts(least=282, most=None, stats=0)


@pytest.mark.parametrize("odd", [None, [], 7, "text", {"workflowProgress": []}, {"stats": {}}])
def test_what_is_no_count_expects_nothing(odd: Any) -> None:
    """A run may have neither progress nor statistics."""
    assert count_expected({"progress": odd, "workflow": odd}) == TaskCounts()
    counts = {"succeeded": 3, "failed": [odd], "pending": True}
    assert count_expected({"progress": {"workflowProgress": counts}}) == TaskCounts(least=3)

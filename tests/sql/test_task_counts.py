"""The check `task_counts`: stored tasks of a run against the counters of its progress."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sql.small import SmallHistory

NONE = dict.fromkeys(
    ("succeeded", "failed", "cached", "aborted", "pending", "submitted", "running"), 0
)


@pytest.mark.parametrize(
    ("status", "counts", "tasks", "found"),
    [
        ("SUCCEEDED", {"succeeded": 3}, 3, False),
        ("SUCCEEDED", {"succeeded": 1, "failed": 1, "cached": 1, "retries": 1}, 3, False),
        ("FAILED", {"succeeded": 2, "aborted": 1, "pending": 4}, 3, False),
        ("FAILED", {"succeeded": 2, "running": 2}, 3, False),
        ("FAILED", {"succeeded": 3, "running": -1}, 3, False),
        ("SUCCEEDED", {"succeeded": 2, "aborted": None}, 3, False),
        ("SUCCEEDED", {"succeeded": 345}, 50, True),
        ("SUCCEEDED", {"succeeded": 345, "aborted": None}, 50, True),
        ("CANCELLED", {"succeeded": 1}, 0, True),
        ("SUCCEEDED", {"succeeded": 2}, 3, True),
        ("RUNNING", {"succeeded": 345}, 50, False),
        ("UNKNOWN", {"succeeded": 1}, 3, False),
    ],
)
def test_task_counts_check_finds_ended_runs_with_a_wrong_task_count(
    status: str, counts: dict[str, Any], tasks: int, *, found: bool
) -> None:
    """Open runs change while they are fetched. Without all counters there is no upper bound."""
    history = SmallHistory()
    history.add_run("r", status=status)
    history.add_progress("r", **NONE | counts)
    for _ in range(tasks):
        history.add_task("r")
    assert [row[:2] for row in history.check("task_counts")] == ([("r", tasks)] if found else [])

"""Whether the tasks of a run are all there: their number against what else the server says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tower_etl.api import Finding, MissingKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tower_etl.api import Findings, TotalCheck
    from tower_etl.sync import TaskBrief

# Nextflow counts a retried and an ignored task as failed, too. Every task that ended was reported;
# one that did not may have no record on the platform, or another state there than in the progress
# of a run that was killed.
_ENDED = ("succeeded", "failed", "cached", "aborted")
_NOT_ENDED = ("pending", "submitted", "running")
_STATS = ("succeedCount", "failedCount", "cachedCount")

_ADVICE = (
    "All tasks that the server lists are stored. Compare the run with its page on the platform, "
    "and report the difference to the administrator of the server."
)


@dataclass(frozen=True)
class TaskCounts:
    """How many tasks a run has by its progress and by its statistics.

    Attributes:
        least: At least so many by its progress.
        most: At most so many by its progress, None where it does not count every state.
        stats: At least so many by its statistics.
    """

    least: int = 0
    most: int | None = None
    stats: int = 0


def count_expected(described: Mapping[str, Any]) -> TaskCounts:
    """Read the counts of tasks in the description of a run."""
    progress, run = described.get("progress"), described.get("workflow")
    load = _object(progress).get("workflowProgress")
    ended, open_still = _read(load, _ENDED), _read(load, _NOT_ENDED)
    least, counts = sum(n for n in ended if n), [*ended, *open_still]
    return TaskCounts(
        least=least,
        most=None if None in counts else sum(n for n in counts if n),
        stats=sum(n for n in _read(_object(run).get("stats"), _STATS) if n),
    )


def check_tasks(
    findings: Findings,
    place: str,
    run_id: str,
    briefs: Iterable[TaskBrief],
    tally: TotalCheck,
) -> None:
    """Report what is odd in the task list of a run by itself.

    Args:
        findings: Told what is odd.
        place: Name of the workspace.
        run_id: The run.
        briefs: Its tasks, as far as they were fetched.
        tally: What the walk found out.
    """
    if not tally.is_counted:
        problem = "{} run(s) with another number of tasks than the total of their task list"
        example = f"{run_id}: {tally.end} tasks, total {tally.total}"
        findings.add(Finding(place, problem, _ADVICE), example)
    if tally.repeated:
        problem = "{} run(s) that list a task twice"
        task_id = next(iter(tally.repeated))
        findings.add(Finding(place, problem, "The later one is stored."), f"{run_id}, {task_id}")
    if any(isinstance(task_id, MissingKey) for task_id, _ in briefs):
        problem = "{} run(s) with tasks without a usable taskId"
        advice = "They are stored with a negative task_id, which is made from their content."
        findings.add(Finding(place, problem, advice), run_id)


def check_counts(
    findings: Findings, place: str, run_id: str, tasks: int, expected: TaskCounts
) -> None:
    """Report a final run whose number of tasks contradicts its progress or its statistics."""
    least, most = expected.least, expected.most
    if tasks < least or (most is not None and tasks > most):
        problem = "{} run(s) with another number of tasks than their progress counts"
        counted = f"{least} to {most}" if most and most > least else f"{least}"
        example = f"{run_id}: {tasks} tasks, progress {counted}"
        findings.add(Finding(place, problem, _ADVICE), example)
    elif tasks < expected.stats:
        problem = "{} run(s) with fewer tasks than their statistics count"
        example = f"{run_id}: {tasks} tasks, statistics {expected.stats}"
        findings.add(Finding(place, problem, _ADVICE), example)


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _read(counts: object, names: Iterable[str]) -> list[int | None]:
    """Return counts by name, None where one is missing; below zero, as old clients count, is 0."""
    found = [_object(counts).get(name) for name in names]
    return [max(0, n) if type(n) is int else None for n in found]

"""Comparison of two groups of runs task by task: median ratios with confidence intervals."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Key = tuple[str, ...]
    Values = NDArray[np.float64]

MEASURES: Mapping[str, str] = {
    "wait_seconds": "Waiting for a machine",
    "staged_seconds": "Staging",
    "run_seconds": "Running the command",
    "cpu_hours": "CPU hours",
    "platform_usd": "Cost by the platform",
    "bill_usd": "Cloud bill",
}

_DRAWS, _FEWEST_DRAWS = 1000, 200
_MOST_VALUES = 100_000_000  # values drawn for one measure, which takes a few seconds
_PERCENTILES = (2.5, 97.5)
# Share of the common processes that must have common samples; below it, tasks are matched by
# process alone.
_ENOUGH_MATCHED = 0.5


@dataclass(frozen=True)
class ComparedTask:
    """One attempt of a task in a completed run.

    Attributes:
        run_id: Id of the run.
        pipeline: Pipeline of the run.
        process: Process of the task.
        sample: Tag of the task, or its name if it has no tag.
        status: COMPLETED, FAILED or ABORTED.
        attempt: Number of the attempt, starting at 1.
        values: Value of each measure in the order of `MEASURES`, None if unknown.
    """

    run_id: str
    pipeline: str
    process: str
    sample: str
    status: str
    attempt: int
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class ComparedRun:
    """A completed run.

    Attributes:
        id: Run id.
        pipeline: Pipeline of the run.
        status: SUCCEEDED, FAILED or CANCELLED.
        hours: Time from submission to completion.
        platform_usd: Cost estimated by the platform.
        bill_usd: Cost by the bill, None if the run has no bill.
    """

    id: str
    pipeline: str
    status: str
    hours: float | None
    platform_usd: float | None
    bill_usd: float | None


@dataclass(frozen=True)
class Group:
    """One of the two groups of runs.

    Attributes:
        name: Value of the grouping criterion.
        runs: Runs of the group.
        tasks: Task attempts of these runs.
    """

    name: str
    runs: Sequence[ComparedRun]
    tasks: Sequence[ComparedTask]

    @property
    def pipelines(self) -> list[str]:
        """Pipelines of the runs."""
        return sorted({run.pipeline for run in self.runs})

    @property
    def failed_runs(self) -> int:
        """Number of runs that failed."""
        return sum(run.status == "FAILED" for run in self.runs)

    @property
    def failed_tasks(self) -> int:
        """Number of attempts that failed."""
        return sum(task.status == "FAILED" for task in self.tasks)

    @property
    def retried_tasks(self) -> int:
        """Number of attempts after the first."""
        return sum(task.attempt > 1 for task in self.tasks)

    def average(self, name: str) -> float | None:
        """Return the mean of an attribute over the runs that have it, or None."""
        values = [value for run in self.runs if (value := getattr(run, name)) is not None]
        return sum(values) / len(values) if values else None


@dataclass(frozen=True)
class MeasureRatio:
    """Ratio of the second group to the first in one measure.

    Attributes:
        name: A key of `MEASURES`.
        tasks: Number of matched tasks with a positive value in both groups.
        first: Sum over the matched tasks in an average run of the first group.
        second: Sum over the matched tasks in an average run of the second group.
        ratio: Median of second / first over these tasks, None without such tasks.
        low: Lower bound of the 95 % interval.
        high: Upper bound of the 95 % interval.
    """

    name: str
    tasks: int
    first: float
    second: float
    ratio: float | None
    low: float | None
    high: float | None

    @property
    def title(self) -> str:
        """Display name of the measure."""
        return MEASURES[self.name]

    @property
    def differs(self) -> bool:
        """Whether the interval excludes 1."""
        return self.low is not None and self.high is not None and not self.low <= 1 <= self.high

    @property
    def verdict(self) -> str:
        """The result in words."""
        if self.ratio is None or self.low is None or self.high is None:
            return "nothing to compare"
        if not self.differs:
            return "no difference shown"
        percent = abs(self.ratio - 1) * 100
        return f"{percent:.0f} % {'less' if self.ratio < 1 else 'more'}"


@dataclass(frozen=True)
class Unmatched:
    """A process that only one group ran.

    Attributes:
        group: Name of the group.
        process: Name of the process.
        tasks: Number of its completed tasks in all runs of the group.
        platform_usd: Cost of these tasks estimated by the platform.
    """

    group: str
    process: str
    tasks: int
    platform_usd: float


@dataclass(frozen=True)
class Comparison:
    """Result of comparing two groups of runs.

    Attributes:
        kind: Grouping criterion.
        first: Reference group.
        second: Group that is compared with it.
        matched: Number of tasks that both groups have.
        by_process: Whether tasks are matched by process alone, because their tags differ.
        measures: Ratio of each measure in `MEASURES`.
        unmatched: Processes that only one group ran, the most expensive first.
    """

    kind: str
    first: Group
    second: Group
    matched: int
    by_process: bool
    measures: Sequence[MeasureRatio]
    unmatched: Sequence[Unmatched]

    @property
    def headline(self) -> str:
        """Result in one sentence: by the bill if there is one, else by the platform's cost."""
        by_name = {measure.name: measure for measure in self.measures}
        names = ("bill_usd", "platform_usd", "run_seconds")
        measure = next((by_name[name] for name in names if by_name[name].ratio is not None), None)
        first, second = self.first.name, self.second.name
        if measure is None:
            return f"{first} and {second} have no task in common."
        if not measure.differs:
            return f"{measure.title}: no difference between {first} and {second} is shown."
        return f"{measure.title}: a task of {second} takes {measure.verdict} than one of {first}."

    @property
    def crosses_pipelines(self) -> bool:
        """Whether the groups have different pipelines."""
        return self.first.pipelines != self.second.pipelines


def compare_groups(kind: str, first: Group, second: Group, seed: int = 1) -> Comparison:
    """Compare two groups of runs.

    The interval of a ratio is a bootstrap: runs and tasks are both drawn with replacement. If a
    group has only one run, the interval does not include the variation between runs.

    Args:
        kind: Grouping criterion.
        first: Reference group.
        second: Group that is compared with it.
        seed: Seed of the random draws.
    """
    keys, by_process = _match(first, second)
    numbers = {key: index for index, key in enumerate(keys)}
    tables = [_tabulate(group, numbers, by_process=by_process) for group in (first, second)]
    random = np.random.default_rng(seed)
    measures = [
        _compare_measure(name, tables[0][:, :, index], tables[1][:, :, index], random)
        for index, name in enumerate(MEASURES)
    ]
    unmatched = [*_list_unmatched(first, second), *_list_unmatched(second, first)]
    ordered = sorted(unmatched, key=lambda process: -process.platform_usd)
    return Comparison(kind, first, second, len(keys), by_process, measures, ordered)


def _match(first: Group, second: Group) -> tuple[list[Key], bool]:
    """Return the keys of tasks completed in both groups, and whether a key is a process alone."""
    keys = [_completed_keys(group) for group in (first, second)]
    tagged = keys[0] & keys[1]
    processes = {key[:2] for key in keys[0]} & {key[:2] for key in keys[1]}
    if len({key[:2] for key in tagged}) >= _ENOUGH_MATCHED * len(processes):
        return sorted(tagged), False
    return sorted(processes), True


def _completed_keys(group: Group) -> set[Key]:
    return {_key(task) for task in group.tasks if task.status == "COMPLETED"}


def _key(task: ComparedTask) -> Key:
    return task.pipeline, task.process, task.sample


def _tabulate(group: Group, keys: Mapping[Key, int], *, by_process: bool) -> Values:
    """Return an array run x task x measure, averaged over the tasks of a run with one key."""
    runs = {run.id: index for index, run in enumerate(group.runs)}
    shape = (len(runs), len(keys), len(MEASURES))
    sums, counts = np.zeros(shape), np.zeros(shape)
    for task in group.tasks:
        key = _key(task)[:2] if by_process else _key(task)
        if task.status != "COMPLETED" or key not in keys or task.run_id not in runs:
            continue
        values = np.array([np.nan if v is None else v for v in task.values], dtype=float)
        is_known = np.isfinite(values)
        cell = runs[task.run_id], keys[key]
        sums[cell][is_known] += values[is_known]
        counts[cell][is_known] += 1
    means: Values = np.divide(sums, counts, out=np.full(shape, np.nan), where=counts > 0)
    return means


def _compare_measure(
    name: str, first: Values, second: Values, random: np.random.Generator
) -> MeasureRatio:
    means = [_mean(table, np.arange(len(table))) for table in (first, second)]
    is_known = np.isfinite(means[0]) & np.isfinite(means[1])
    both = is_known & (means[0] > 0) & (means[1] > 0)
    sums = [float(mean[is_known].sum()) for mean in means]
    if not both.any():
        return MeasureRatio(name, 0, sums[0], sums[1], None, None, None)
    ratio = float(np.median(means[1][both] / means[0][both]))
    count = max(_FEWEST_DRAWS, min(_DRAWS, _MOST_VALUES // (first.size + second.size)))
    draws = [_draw_ratio(first[:, both], second[:, both], random) for _ in range(count)]
    low, high = np.nanpercentile(draws, _PERCENTILES)
    return MeasureRatio(name, int(both.sum()), sums[0], sums[1], ratio, float(low), float(high))


def _draw_ratio(first: Values, second: Values, random: np.random.Generator) -> float:
    tasks = random.integers(first.shape[1], size=first.shape[1])
    drawn = [
        _mean(table[:, tasks], random.integers(len(table), size=len(table)))
        for table in (first, second)
    ]
    is_known = np.isfinite(drawn[0]) & np.isfinite(drawn[1]) & (drawn[0] > 0)
    return (
        float(np.median(drawn[1][is_known] / drawn[0][is_known]))
        if is_known.any()
        else float("nan")
    )


def _mean(table: Values, runs: NDArray[np.int64]) -> Values:
    """Return the mean of each task over some runs, NaN if none of them has the task."""
    values = table[runs]
    is_known = np.isfinite(values)
    counts = is_known.sum(axis=0)
    sums = np.where(is_known, values, 0.0).sum(axis=0)
    means: Values = np.divide(sums, counts, out=np.full(counts.shape, np.nan), where=counts > 0)
    return means


def _list_unmatched(group: Group, other: Group) -> list[Unmatched]:
    other_processes = {(task.pipeline, task.process) for task in other.tasks}
    counts: dict[str, int] = defaultdict(int)
    costs: dict[str, float] = defaultdict(float)
    for task in group.tasks:
        if task.status == "COMPLETED" and (task.pipeline, task.process) not in other_processes:
            counts[task.process] += 1
            costs[task.process] += task.values[list(MEASURES).index("platform_usd")] or 0.0
    return [Unmatched(group.name, name, counts[name], costs[name]) for name in counts]

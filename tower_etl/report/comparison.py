"""Two groups of runs compared task by task: median ratios, and how sure they are."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

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
_MOST_VALUES = 100_000_000  # drawn for one measure: a few seconds
_LEVELS = (2.5, 97.5)
_ENOUGH_MATCHED = 0.5  # of the processes of both groups; else tasks are matched by process


@dataclass(frozen=True)
class Task:
    """One attempt of a task of a run that ended.

    Attributes:
        run_id: Its run.
        pipeline: Pipeline of the run.
        process: Its process.
        sample: Its tag, or its name.
        status: COMPLETED, FAILED or ABORTED.
        attempt: Which attempt it is, from 1.
        values: A value of each of `MEASURES`, None where it is not known.
    """

    run_id: str
    pipeline: str
    process: str
    sample: str
    status: str
    attempt: int
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class Run:
    """A run that ended.

    Attributes:
        id: Its identifier.
        pipeline: Its pipeline.
        status: SUCCEEDED, FAILED or CANCELLED.
        hours: From submission to the end.
        platform_usd: Cost by the platform.
        bill_usd: Cost by the bill, None where there is none.
    """

    id: str
    pipeline: str
    status: str
    hours: float | None
    platform_usd: float | None
    bill_usd: float | None


@dataclass(frozen=True)
class Group:
    """The runs of one side.

    Attributes:
        name: Value of what runs are grouped by.
        runs: The runs.
        tasks: Their attempts of tasks.
    """

    name: str
    runs: Sequence[Run]
    tasks: Sequence[Task]

    @property
    def pipelines(self) -> list[str]:
        """The pipelines of the runs."""
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
        """Return the mean of an attribute of the runs, None where no run has it."""
        found = [value for run in self.runs if (value := getattr(run, name)) is not None]
        return sum(found) / len(found) if found else None


@dataclass(frozen=True)
class MeasureRatio:
    """How the second group compares with the first in one measure.

    Attributes:
        name: A key of `MEASURES`.
        tasks: Matched tasks that both groups have a positive value of.
        first: Sum over the matched tasks, as in an average run of the first group.
        second: The same of the second group.
        ratio: Median over the tasks of second / first; None where no task has both.
        low: Lower end of the 95 % interval.
        high: Upper end.
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
        """What people call it."""
        return MEASURES[self.name]

    @property
    def differs(self) -> bool:
        """Whether the interval leaves out 1."""
        return self.low is not None and self.high is not None and not self.low <= 1 <= self.high

    @property
    def verdict(self) -> str:
        """Return the finding in words."""
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
        process: The process.
        tasks: Its completed tasks in all runs of the group.
        platform_usd: What they cost by the platform.
    """

    group: str
    process: str
    tasks: int
    platform_usd: float


@dataclass(frozen=True)
class Comparison:
    """Two groups of runs, compared.

    Attributes:
        kind: What runs are grouped by.
        first: The first group.
        second: The second group.
        matched: Number of tasks that both groups have.
        by_process: Whether tasks are matched by process alone, because their tags differ.
        measures: One for each of `MEASURES`.
        unmatched: Processes of one group only, the most expensive first.
    """

    kind: str
    first: Group
    second: Group
    matched: int
    by_process: bool
    measures: Sequence[MeasureRatio]
    unmatched: Sequence[Unmatched]

    @property
    def crosses_pipelines(self) -> bool:
        """Whether the groups are not of the same pipelines."""
        return self.first.pipelines != self.second.pipelines


def compare_groups(kind: str, first: Group, second: Group, seed: int = 1) -> Comparison:
    """Compare two groups of runs.

    The interval of a ratio is a bootstrap over runs and tasks: runs of a group are drawn with
    replacement, and so are tasks. With one run on a side it knows nothing of how runs vary.

    Args:
        kind: What runs are grouped by.
        first: The group to compare with.
        second: The group that is compared.
        seed: Of the random draws.
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
    ordered = sorted(unmatched, key=lambda found: -found.platform_usd)
    return Comparison(kind, first, second, len(keys), by_process, measures, ordered)


def _match(first: Group, second: Group) -> tuple[list[Key], bool]:
    """Return the tasks that both groups completed, and whether they are known by process alone."""
    tagged = _completed_keys(first) & _completed_keys(second)
    processes = {key[:2] for key in _completed_keys(first)} & {
        key[:2] for key in _completed_keys(second)
    }
    if len({key[:2] for key in tagged}) >= _ENOUGH_MATCHED * len(processes):
        return sorted(tagged), False
    return sorted(processes), True


def _completed_keys(group: Group) -> set[Key]:
    return {_key(task) for task in group.tasks if task.status == "COMPLETED"}


def _key(task: Task) -> Key:
    return task.pipeline, task.process, task.sample


def _tabulate(group: Group, keys: Mapping[Key, int], *, by_process: bool) -> Values:
    """Return run x task x measure; the mean where a run has several tasks of a key."""
    runs = {run.id: index for index, run in enumerate(group.runs)}
    shape = (len(runs), len(keys), len(MEASURES))
    sums, counts = np.zeros(shape), np.zeros(shape)
    for task in group.tasks:
        key = _key(task)[:2] if by_process else _key(task)
        if task.status != "COMPLETED" or key not in keys or task.run_id not in runs:
            continue
        values = np.array([np.nan if v is None else v for v in task.values], dtype=float)
        known = np.isfinite(values)
        place = runs[task.run_id], keys[key]
        sums[place][known] += values[known]
        counts[place][known] += 1
    means: Values = np.divide(sums, counts, out=np.full(shape, np.nan), where=counts > 0)
    return means


def _compare_measure(
    name: str, first: Values, second: Values, random: np.random.Generator
) -> MeasureRatio:
    """Compare run x task tables of one measure."""
    means = [_mean(table, np.arange(len(table))) for table in (first, second)]
    both = np.isfinite(means[0]) & np.isfinite(means[1]) & (means[0] > 0) & (means[1] > 0)
    known = np.isfinite(means[0]) & np.isfinite(means[1])
    sums = [float(mean[known].sum()) for mean in means]
    if not both.any():
        return MeasureRatio(name, 0, sums[0], sums[1], None, None, None)
    ratio = float(np.median(means[1][both] / means[0][both]))
    count = max(_FEWEST_DRAWS, min(_DRAWS, _MOST_VALUES // (first.size + second.size)))
    draws = [_draw_ratio(first[:, both], second[:, both], random) for _ in range(count)]
    low, high = np.nanpercentile(draws, _LEVELS)
    return MeasureRatio(name, int(both.sum()), sums[0], sums[1], ratio, float(low), float(high))


def _draw_ratio(first: Values, second: Values, random: np.random.Generator) -> float:
    tasks = random.integers(first.shape[1], size=first.shape[1])
    drawn = [
        _mean(table[:, tasks], random.integers(len(table), size=len(table)))
        for table in (first, second)
    ]
    known = np.isfinite(drawn[0]) & np.isfinite(drawn[1]) & (drawn[0] > 0)
    return float(np.median(drawn[1][known] / drawn[0][known])) if known.any() else float("nan")


def _mean(table: Values, runs: NDArray[np.int64]) -> Values:
    """Return the mean over some runs, task by task; NaN where none of them has the task."""
    chosen = table[runs]
    known = np.isfinite(chosen)
    counts = known.sum(axis=0)
    sums = np.where(known, chosen, 0.0).sum(axis=0)
    means: Values = np.divide(sums, counts, out=np.full(counts.shape, np.nan), where=counts > 0)
    return means


def _list_unmatched(group: Group, other: Group) -> list[Unmatched]:
    there = {(task.pipeline, task.process) for task in other.tasks}
    counts: dict[str, int] = defaultdict(int)
    costs: dict[str, float] = defaultdict(float)
    for task in _iter_completed(group.tasks):
        if (task.pipeline, task.process) not in there:
            counts[task.process] += 1
            costs[task.process] += task.values[list(MEASURES).index("platform_usd")] or 0.0
    return [Unmatched(group.name, name, counts[name], costs[name]) for name in counts]


def _iter_completed(tasks: Iterable[Task]) -> Iterable[Task]:
    return (task for task in tasks if task.status == "COMPLETED")

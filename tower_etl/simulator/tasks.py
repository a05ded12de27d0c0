"""Tasks of a seeded run: complete as they were drawn, shown as far as they have come."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from tower_etl.simulator.metrics import compute_metrics
from tower_etl.simulator.progress import sum_progress, sum_stats
from tower_etl.simulator.timeline import to_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tower_etl.simulator.runs import Row
    from tower_etl.simulator.specs import RunSpec

_KNOWN_AT_END = (
    *("complete", "duration", "realtime", "exit", "exitStatus", "cost", "errorAction"),
    *("errorMessage", "pcpu", "pmem", "rss", "vmem", "peakRss", "peakVmem", "rchar", "wchar"),
    *("syscr", "syscw", "volCtxt", "invCtxt", "readBytes", "writeBytes"),
    "numSpotInterruptions",
)
_NOT_AT_END: Row = dict.fromkeys(_KNOWN_AT_END)
_NOT_AT_START: Row = _NOT_AT_END | dict.fromkeys(("start", "machineType", "cloudZone"))


@dataclass(frozen=True, slots=True)
class Moments:
    """When what happens to a task, epoch seconds."""

    created_s: int
    submit_s: int
    start_s: int
    complete_s: int


@dataclass(frozen=True)
class TaskBlock:
    """All tasks of a run, as they are in the end.

    Attributes:
        spec: The run.
        tasks: The tasks by `taskId`.
        moments: When what happens to each of them.
    """

    spec: RunSpec
    tasks: list[Row]
    moments: list[Moments]

    @cached_property
    def stats(self) -> Row:
        """Statistics in the end."""
        return sum_stats(self.tasks)

    @cached_property
    def progress(self) -> Row:
        """Progress in the end."""
        return summarise_progress(self.spec, self.tasks, self.spec.final_s)

    @cached_property
    def metrics(self) -> list[Row]:
        """Metrics in the end."""
        return compute_metrics(self.tasks, self.spec.number * 1000)

    def show(self, now_s: int) -> list[Row]:
        """The tasks as the platform knows them at that time."""
        shown = (_show(*pair, now_s) for pair in zip(self.tasks, self.moments, strict=True))
        return [task for task in shown if task is not None]


def summarise_progress(spec: RunSpec, tasks: Sequence[Row], updated_s: int) -> Row:
    """Progress of a run with these tasks."""
    processes = [process.name for process in spec.pipeline.processes]
    return sum_progress(tasks, processes, to_text(spec.start_s), to_text(updated_s))


def _show(task: Row, moments: Moments, now_s: int) -> Row | None:
    if now_s >= moments.complete_s:
        return task
    if now_s >= moments.start_s:
        return task | _NOT_AT_END | {"status": "RUNNING", "lastUpdated": task["start"]}
    if now_s >= moments.submit_s:
        return task | _NOT_AT_START | {"status": "SUBMITTED", "lastUpdated": task["submit"]}
    if now_s >= moments.created_s:
        news = {"status": "NEW", "submit": None, "lastUpdated": task["dateCreated"]}
        return task | _NOT_AT_START | news
    return None

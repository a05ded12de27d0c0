"""One type for generated, scripted and recorded runs: a function from time to a snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from tower_etl.simulator.aggregates import compute_metrics, sum_progress, sum_stats
from tower_etl.simulator.data import load_toml

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tower_etl.simulator.aggregates import Row

_FIELDS = load_toml("api_fields.toml")
_LISTING_ABSENT = frozenset(_FIELDS["listing_absent"])

EMPTY_WORKFLOW: Row = dict.fromkeys(_FIELDS["workflow"])
EMPTY_TASK: Row = dict.fromkeys(_FIELDS["task"])
UNKNOWN_UNTIL_END: Row = dict.fromkeys(_FIELDS["task_end"])
UNKNOWN_UNTIL_START: Row = UNKNOWN_UNTIL_END | dict.fromkeys(_FIELDS["task_start"])


@dataclass(frozen=True)
class RunTasks:
    """Tasks of a run with the progress, statistics and metrics that the platform computes.

    Attributes:
        rows: Tasks in the API's shape, by `taskId`.
        processes: Processes that have a progress row even without tasks.
        created: Start of the run, an API timestamp.
        updated: Last update of the run, an API timestamp.
        first_metric_id: Id of the first row of metrics.
    """

    rows: Sequence[Row]
    processes: Sequence[str] = ()
    created: str | None = None
    updated: str | None = None
    first_metric_id: int = 1

    @cached_property
    def stats(self) -> Row | None:
        """Statistics of the run (`WfStats`)."""
        return sum_stats(self.rows)

    @cached_property
    def progress(self) -> Row:
        """Progress of the run (`ProgressData`)."""
        return sum_progress(self.rows, self.processes, self.created, self.updated)

    @cached_property
    def metrics(self) -> list[Row]:
        """Metrics of the run, one row per process."""
        return compute_metrics(self.rows, self.first_metric_id)


@dataclass(frozen=True)
class RecordedTasks:
    """Tasks of a recorded run with the recorded progress and metrics."""

    rows: Sequence[Row]
    progress: Row
    metrics: list[Row]
    stats: Row | None = None


@dataclass(frozen=True)
class Snapshot:
    """State of a run in the API at one time.

    Attributes:
        fields: Workflow in the API's shape. Null statistics are computed from the tasks.
        load_tasks: Returns the tasks; called only for responses that contain them.
        load_extras: Returns the other parts of the response, such as `platform` and `jobInfo`.
        load_details: Returns the workflow fields that are not in the listing; loaded on demand,
            because most calls are listings.
    """

    fields: Row
    load_tasks: Callable[[], RunTasks | RecordedTasks]
    load_extras: Callable[[], Row] = dict
    load_details: Callable[[], Row] = dict

    @property
    def status(self) -> str:
        """Status of the run."""
        return str(self.fields["status"])

    @property
    def workflow(self) -> Row:
        """Workflow in the response of `/workflow/{id}`."""
        fields = self.fields | self.load_details()
        if "stats" in fields and fields["stats"] is None and fields["start"] is not None:
            return fields | {"stats": self.tasks.stats}
        return fields

    @property
    def summary(self) -> Row:
        """Workflow in the listing."""
        shown = {name: value for name, value in self.fields.items() if name not in _LISTING_ABSENT}
        return shown | {name: None for name in _FIELDS["listing_null"] if name in shown}

    @cached_property
    def tasks(self) -> RunTasks | RecordedTasks:
        """Tasks with their progress, statistics and metrics."""
        return self.load_tasks()


@dataclass
class Run:
    """A run of the simulated platform.

    Attributes:
        id: Id of the run, 13 or 14 characters.
        workspace_id: Key of its workspace; negative for a personal workspace.
        submit_s: Submission, epoch seconds; the listing is sorted by it.
        at: Returns the snapshot at a time in epoch seconds.
        launch_id: Id of its launch, None for a run from the command line.
        platform_id: Computing platform as the API names it, None if unknown.
        label_ids: Ids of its labels.
    """

    id: str
    workspace_id: int
    submit_s: float
    at: Callable[[int], Snapshot]
    launch_id: str | None = None
    platform_id: str | None = None
    label_ids: tuple[int, ...] = ()

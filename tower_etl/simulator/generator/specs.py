"""Specifications of generated runs: all properties of a run except its tasks."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tower_etl.simulator.generator.catalog import Pipeline, Platform, Process

_FINAL_LAG_S = 2
_HEARTBEAT_S = 60
_CELLS = ("GM12878", "H1", "K562", "MCF7", "HELA", "HCT116", "A549", "JURKAT")


@dataclass(frozen=True)
class RunSpec:
    """A run without its tasks. Times are epoch seconds.

    Attributes:
        number: Number of the run in the world; numeric ids are derived from it.
        seed: Seed of the tasks.
        fusion: Whether the run reads its inputs through Fusion, which shortens staging.
        planned_tasks: Number of planned tasks, without retries.
        parent: Resumed run, None for a new session.
        heartbeat_gap: Loss and return of the heartbeat, None for a run without a gap.
    """

    number: int
    id: str
    seed: str
    workspace_id: int
    user_id: int
    user_name: str
    name: str
    pipeline: Pipeline
    revision: str
    platform: Platform
    spot: bool
    fusion: bool
    launch_id: str | None
    session_id: str
    samples: int
    planned_tasks: int
    submit_s: int
    start_s: int
    complete_s: int
    outcome: str
    parent: RunSpec | None = None
    heartbeat_gap: tuple[int, int] | None = None

    @property
    def pace(self) -> float:
        """Factor by which the release changes run times."""
        return self.pipeline.releases[self.revision]

    @property
    def final_s(self) -> int:
        """Time at which the platform records the end of the run."""
        return self.complete_s + _FINAL_LAG_S

    @property
    def work_dir(self) -> str:
        """Work directory; a resumed run uses the one of its parent."""
        return f"s3://sim-{self.platform.region or 'hpc'}/scratch/{(self.parent or self).id}"

    def is_final(self, now_s: int) -> bool:
        """Return whether the run is final at a time."""
        return now_s >= self.final_s

    def heartbeat_lost(self, now_s: int) -> bool:
        """Return whether the heartbeat is lost at a time."""
        gap = self.heartbeat_gap
        return gap is not None and gap[0] <= now_s < gap[1]

    def status(self, now_s: int) -> str:
        """Return the status at a time."""
        if now_s < self.start_s:
            return "SUBMITTED"
        if self.is_final(now_s):
            return self.outcome
        return "UNKNOWN" if self.heartbeat_lost(now_s) else "RUNNING"

    def last_heartbeat_s(self, now_s: int) -> int:
        """Return the latest time at which the platform knows the state of the run."""
        return self.heartbeat_gap[0] if self.heartbeat_gap and self.heartbeat_lost(now_s) else now_s

    def last_updated_s(self, now_s: int) -> int:
        """Return `lastUpdated` at a time: one heartbeat per minute while the run is open."""
        if now_s < self.start_s:
            return self.submit_s
        known_s = min(self.last_heartbeat_s(now_s), self.final_s)
        if known_s == self.final_s or self.heartbeat_lost(now_s):
            return known_s
        return known_s - (known_s - self.start_s) % _HEARTBEAT_S


@dataclass(frozen=True, slots=True)
class PlannedTask:
    """A planned task of a run, for one sample or for `all`."""

    process: Process
    tag: str

    @property
    def name(self) -> str:
        """Name of the task."""
        return f"{self.process.name} ({self.tag})"


def count_samples(pipeline: Pipeline, tasks: int) -> int:
    """Return the number of samples that results in about `tasks` tasks."""
    each = sum(process.per_sample for process in pipeline.processes)
    return max(1, round((tasks - len(pipeline.processes) + each) / each))


def count_planned(pipeline: Pipeline, samples: int) -> int:
    """Return the number of tasks of a complete run."""
    return sum(samples if process.per_sample else 1 for process in pipeline.processes)


def plan_tasks(spec: RunSpec) -> list[PlannedTask]:
    """Return the planned tasks of a run, by stage."""
    tags = [f"{_CELLS[n % len(_CELLS)]}_REP{n // len(_CELLS) + 1}" for n in range(spec.samples)]
    planned = [
        PlannedTask(process, tag)
        for process in spec.pipeline.processes
        for tag in (tags if process.per_sample else ("all",))
    ]
    return planned[: spec.planned_tasks]


@dataclass(frozen=True, slots=True)
class Failure:
    """Cause of a failed run: exit status of the task, and Nextflow's message."""

    exit: int | None
    cause: str

    def describe(self, task: PlannedTask) -> str:
        """Return the error message of the run."""
        return self.cause.format(name=task.name)

    def report(self, task: PlannedTask) -> str:
        """Return the error report of the run."""
        return (
            f"Error executing process > '{task.name}'\n\n"
            f"Caused by:\n  {self.describe(task)}\n\n"
            f"Command exit status:\n  {'-' if self.exit is None else self.exit}\n"
        )


_EXIT = "Process `{{name}}` terminated with an error exit status ({})"
_FAILURES = (
    (5, Failure(137, _EXIT.format(137))),
    (4, Failure(1, _EXIT.format(1))),
    (2, Failure(143, _EXIT.format(143))),
    (2, Failure(0, "Missing output file(s) `*.bam` expected by process `{name}`")),
    (1, Failure(None, "Task failed to start - CannotPullContainerError for process `{name}`")),
    (1, Failure(140, "Process `{name}` exceeded running time limit")),
)


def choose_failure(spec: RunSpec) -> Failure:
    """Return the cause of failure, drawn for any run."""
    rng = random.Random(f"{spec.seed}:failure")
    weights = [weight for weight, _ in _FAILURES]
    return rng.choices(_FAILURES, weights)[0][1]


def draw_log_normal(rng: random.Random, median: float, sigma: float) -> float:
    """Return a draw from a log-normal distribution."""
    return median * math.exp(rng.gauss(0.0, sigma))

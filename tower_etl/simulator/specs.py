"""Specifications of seeded runs: what a seed has decided about a run before any task is made."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tower_etl.simulator.catalog import Pipeline, Platform, Process

_FINAL_LAG_S = 2
_HEARTBEAT_S = 60
_CELLS = ("GM12878", "H1", "K562", "MCF7", "HELA", "HCT116", "A549", "JURKAT")


@dataclass(frozen=True, slots=True)
class RunSpec:
    """A run before its tasks are made.

    Attributes:
        number: Its number in the world; numeric ids follow from it.
        id: The platform's id.
        seed: What its tasks are drawn from.
        workspace_id: Key of its workspace.
        user_id: Whose run it is.
        user_name: The user's name.
        name: Run name.
        pipeline: What is run.
        revision: Which version.
        platform: Where.
        spot: Whether on interruptible machines.
        launch_id: Id of the launch, None for a run from the command line.
        session_id: Session, shared by a run and those that resume it.
        samples: How many samples.
        slots: How many tasks it comes to plan, retries left out.
        submit_s: Submission, epoch seconds.
        start_s: Start, epoch seconds.
        complete_s: End, epoch seconds.
        sync_result: Final status.
        parent: The run that it resumes, None for a run of its own.
        silence: When the heartbeat is lost and found, epoch seconds; None for never.
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
    launch_id: str | None
    session_id: str
    samples: int
    slots: int
    submit_s: int
    start_s: int
    complete_s: int
    sync_result: str
    parent: RunSpec | None = None
    silence: tuple[int, int] | None = None

    @property
    def final_s(self) -> int:
        """When the platform learns of the end."""
        return self.complete_s + _FINAL_LAG_S

    @property
    def work_dir(self) -> str:
        """Work directory; a run that resumes another goes on in the other's."""
        return f"s3://sim-{self.platform.region or 'hpc'}/scratch/{(self.parent or self).id}"

    def is_silent(self, now_s: int) -> bool:
        """Whether the heartbeat is lost at that time."""
        return self.silence is not None and self.silence[0] <= now_s < self.silence[1]

    def status(self, now_s: int) -> str:
        """Status at that time."""
        if now_s < self.start_s:
            return "SUBMITTED"
        if now_s >= self.final_s:
            return self.sync_result
        return "UNKNOWN" if self.is_silent(now_s) else "RUNNING"

    def last_heard_s(self, now_s: int) -> int:
        """The time up to which the platform knows of the run."""
        return self.silence[0] if self.silence and self.is_silent(now_s) else now_s

    def last_updated_s(self, now_s: int) -> int:
        """`lastUpdated` at that time: a heartbeat a minute while the run is open."""
        if now_s < self.start_s:
            return self.submit_s
        heard_s = min(self.last_heard_s(now_s), self.final_s)
        if heard_s == self.final_s or self.is_silent(now_s):
            return heard_s
        return heard_s - (heard_s - self.start_s) % _HEARTBEAT_S


@dataclass(frozen=True, slots=True)
class Slot:
    """One planned task.

    Attributes:
        process: What is run.
        tag: On what.
    """

    process: Process
    tag: str


def count_samples(pipeline: Pipeline, tasks: int) -> int:
    """How many samples make about that many tasks."""
    each = sum(process.per_sample for process in pipeline.processes)
    return max(1, round((tasks - len(pipeline.processes) + each) / each))


def plan_slots(spec: RunSpec) -> list[Slot]:
    """The tasks that the run comes to plan, by stage."""
    tags = [f"{_CELLS[n % len(_CELLS)]}_REP{n // len(_CELLS) + 1}" for n in range(spec.samples)]
    planned = (
        Slot(process, tag)
        for process in spec.pipeline.processes
        for tag in (tags if process.per_sample else ("all",))
    )
    return [slot for slot, _ in zip(planned, range(spec.slots), strict=False)]


def count_slots(pipeline: Pipeline, samples: int) -> int:
    """How many tasks a whole run of that many samples plans."""
    return sum(samples if process.per_sample else 1 for process in pipeline.processes)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a run failed.

    Attributes:
        exit: Exit status of the task, None where there was none.
        cause: What Nextflow says of it.
    """

    exit: int | None
    cause: str

    def describe(self, slot: Slot) -> str:
        """The error message of the run."""
        return self.cause.format(name=f"{slot.process.name} ({slot.tag})")

    def report(self, slot: Slot) -> str:
        """The error report of the run."""
        return (
            f"Error executing process > '{slot.process.name} ({slot.tag})'\n\n"
            f"Caused by:\n  {self.describe(slot)}\n\n"
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
    """Why the run fails, if it does."""
    rng = random.Random(f"{spec.seed}:failure")
    weights = [weight for weight, _ in _FAILURES]
    return rng.choices(_FAILURES, weights)[0][1]


def draw_log_normal(rng: random.Random, median: float, sigma: float) -> float:
    """A draw from the log-normal distribution with that median."""
    return median * math.exp(rng.gauss(0.0, sigma))

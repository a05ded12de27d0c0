"""What generated worlds consist of: pipelines, platforms, names, and runs without their tasks."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tower_etl.simulator.data import load_toml

if TYPE_CHECKING:
    from tower_etl.simulator.aggregates import Row

ACCOUNTS = load_toml("accounts.toml")
_CATALOG = load_toml("pipelines.toml")
_FINAL_LAG_S = 2
_HEARTBEAT_S = 60
_CELLS = ("GM12878", "H1", "K562", "MCF7", "HELA", "HCT116", "A549", "JURKAT")


@dataclass(frozen=True, slots=True)
class Process:
    """A process of a pipeline; `data/pipelines.toml` describes the columns."""

    name: str
    stage: int
    per_sample: bool
    cpus: int
    memory_gib: int
    time_h: int
    minutes: float
    cpu_utilization: float
    memory_utilization: float
    image: str
    gpus: int = 0


@dataclass(frozen=True)
class Pipeline:
    """A pipeline; `releases` are its revisions, oldest first, with the factor of run times."""

    name: str
    releases: dict[str, float]
    description: str
    author: str
    profile: str
    weight: int
    processes: tuple[Process, ...]

    @property
    def repository(self) -> str:
        """URL of the repository."""
        return f"https://github.com/{self.name}"

    @property
    def revisions(self) -> list[str]:
        """Revisions, oldest first."""
        return list(self.releases)

    def count_samples(self, tasks: int) -> int:
        """Return the number of samples that results in about `tasks` tasks."""
        each = sum(process.per_sample for process in self.processes)
        return max(1, round((tasks - len(self.processes) + each) / each))

    def count_tasks(self, samples: int) -> int:
        """Return the number of tasks of a complete run."""
        return sum(samples if process.per_sample else 1 for process in self.processes)


@dataclass(frozen=True)
class Machine:
    """A machine type with its prices, USD per hour."""

    name: str
    vcpus: int
    memory_gib: int
    gpus: int
    standard_usd: float
    spot_usd: float

    def fits(self, cpus: int, memory_gib: float, gpus: int) -> bool:
        """Return whether a task with this request fits on the machine."""
        enough = cpus <= self.vcpus and memory_gib <= self.memory_gib
        return enough and (gpus > 0) == (self.gpus > 0) and gpus <= self.gpus

    def cost_usd(self, cpus: int, memory_gib: float, seconds: float, *, spot: bool) -> float:
        """Return the platform's estimate for a task: the larger share, memory as whole vCPUs."""
        memory_vcpus = math.ceil(memory_gib / (self.memory_gib / self.vcpus))
        hourly_usd = self.spot_usd if spot else self.standard_usd
        return hourly_usd * max(cpus, memory_vcpus) / self.vcpus * seconds / 3600


@dataclass(frozen=True)
class Platform:
    """A computing platform; `data/accounts.toml` describes the fields."""

    id: str
    name: str
    executor: str
    queue: str
    region: str
    machines: tuple[Machine, ...]


def _pipeline(row: Row) -> Pipeline:
    prefix = row.pop("prefix")
    processes = (Process(f"{prefix}:{name}", *values) for name, *values in row["processes"])
    return Pipeline(**row | {"processes": tuple(processes)})


def _platform(row: Row) -> Platform:
    return Platform(**row | {"machines": tuple(Machine(*values) for values in row["machines"])})


PIPELINES: tuple[Pipeline, ...] = tuple(_pipeline(row) for row in _CATALOG["pipelines"])
PLATFORMS: tuple[Platform, ...] = tuple(_platform(row) for row in ACCOUNTS["platforms"])


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

    def status(self, now_s: int) -> str:
        """Return the status at a time."""
        if now_s < self.start_s:
            return "SUBMITTED"
        if self.is_final(now_s):
            return self.outcome
        return "UNKNOWN" if self.heartbeat_lost(now_s) else "RUNNING"

    def heartbeat_lost(self, now_s: int) -> bool:
        """Return whether the heartbeat is lost at a time."""
        gap = self.heartbeat_gap
        return gap is not None and gap[0] <= now_s < gap[1]

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


def plan_tasks(spec: RunSpec) -> list[PlannedTask]:
    """Return the planned tasks of a run, by stage."""
    tags = [f"{_CELLS[n % len(_CELLS)]}_REP{n // len(_CELLS) + 1}" for n in range(spec.samples)]
    planned = [
        PlannedTask(process, tag)
        for process in spec.pipeline.processes
        for tag in (tags if process.per_sample else ("all",))
    ]
    return planned[: spec.planned_tasks]


@dataclass(frozen=True)
class Failure:
    """Failure of a run: exit status of the task (None if it did not start), message and report."""

    exit: int | None
    message: str
    report: str


def choose_failure(spec: RunSpec, task: PlannedTask) -> Failure:
    """Return the failure of a run by a task, drawn for any run."""
    rng = random.Random(f"{spec.seed}:failure")
    causes = _CATALOG["failures"]
    cause = rng.choices(causes, [cause["weight"] for cause in causes])[0]
    message = cause["message"].format(name=task.name)
    values = {"name": task.name, "message": message, "exit": cause.get("exit", "-")}
    return Failure(cause.get("exit"), message, _CATALOG["failure_report"].format(**values))


def draw_log_normal(rng: random.Random, median: float, sigma: float) -> float:
    """Return a draw from a log-normal distribution."""
    return median * math.exp(rng.gauss(0.0, sigma))

"""What the page is made of: rows of the marts as values.

The names of the attributes are columns of the mart, except `name`, which stands for its grain.
Amounts are in USD, hours or GiB as their names say, None where nothing was measured; times are UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date, datetime


@dataclass(frozen=True)
class Totals:
    """All runs together."""

    runs: int
    ended_runs: int
    succeeded_runs: int
    failed_runs: int
    open_runs: int
    unpriced_runs: int
    pipelines: int
    users: int
    workspaces: int
    tasks: int
    cpu_hours: float | None
    cost_usd: float | None
    failed_usd: float | None
    failed_hours: float | None
    saved_usd: float | None
    saved_hours: float | None
    cached_tasks: int
    first_at: datetime | None
    last_at: datetime | None


@dataclass(frozen=True)
class Span:
    """The time that the charts show, and what they leave out.

    Attributes:
        step: The time that a column covers: day, week, month or year.
        first_at: Submission of the earliest run in it, None where there is none.
        last_at: Submission of the latest run in it.
        outside_runs: Runs that were submitted too long before or after.
        odd_runs: Runs whose cost or CPU hours are infinite or no number; no sum has them.
    """

    step: str
    first_at: datetime | None
    last_at: datetime | None
    outside_runs: int = 0
    odd_runs: int = 0


@dataclass(frozen=True)
class Slice:
    """The runs of one pipeline that were submitted in one day, week, month or year."""

    begins: date
    pipeline: str
    succeeded_runs: int
    failed_runs: int
    cancelled_runs: int
    open_runs: int
    amount: float | None


@dataclass(frozen=True)
class Spender:
    """A pipeline, user or workspace, and what its runs took."""

    name: str
    runs: int
    succeeded_runs: int
    failed_runs: int
    cpu_hours: float | None
    cost_usd: float | None
    failed_cost_usd: float | None


@dataclass(frozen=True)
class LabelCost:
    """A label, and what the runs that carry it took."""

    label: str
    runs: int
    cpu_hours: float | None
    cost_usd: float | None
    share_usd: float | None


@dataclass(frozen=True)
class ProcessCost:
    """A process, and what its tasks took."""

    process: str
    tasks: int
    runs: int
    cpu_hours: float | None
    cost_usd: float | None
    usd_per_task: float | None


@dataclass(frozen=True)
class MemoryRequest:
    """A process that asks for more memory than it uses."""

    process: str
    tasks: int
    requested_gib: float | None
    lowest_requested_gib: float | None
    requested_cpus: int | None
    lowest_requested_cpus: int | None
    used_gib: float | None
    most_used_gib: float | None
    recommended_gib: int | None
    killed_tasks: int
    grown_tasks: int
    spot_grown_tasks: int
    saves_gib_hours: float | None
    saves_at_least_usd: float | None


@dataclass(frozen=True)
class IdleCpus:
    """A process that leaves CPUs idle."""

    process: str
    tasks: int
    requested_cpus: float
    used_cpus: float
    efficiency: float
    idle_cpu_hours: float
    saves_at_least_usd: float | None


@dataclass(frozen=True)
class Waste:
    """What was paid for and brought nothing, by cause."""

    retried_tasks: int
    retried_hours: float | None
    retried_usd: float | None
    interrupted_tasks: int
    lost_tasks: int
    lost_hours: float | None
    lost_usd: float | None
    memory_processes: int
    memory_gib_hours: float | None
    memory_usd: float | None
    idle_hours: float | None
    idle_usd: float | None


@dataclass(frozen=True)
class FailureReason:
    """An exit code of tasks, whatever their process."""

    exit_code: str
    meaning: str
    processes: int
    worst_process: str
    failed_tasks: int
    retried_tasks: int
    cost_usd: float | None


@dataclass(frozen=True)
class FailureMessage:
    """An error message of runs, without the names and numbers in it."""

    message: str
    times: int
    runs: int
    last_at: datetime | None
    example: str


@dataclass(frozen=True)
class SuccessRate:
    """How often the runs of a pipeline succeed."""

    pipeline: str
    ended_runs: int
    succeeded_runs: int
    failed_runs: int
    cancelled_runs: int
    success_rate: float | None
    median_hours_to_result: float | None


@dataclass(frozen=True)
class Run:
    """One run."""

    run_id: str
    run_name: str | None
    pipeline: str
    revision: str
    user_name: str
    workspace: str
    status: str | None
    submitted_at: datetime | None
    hours: float | None
    tasks: int
    failed_tasks: int
    cpu_hours: float | None
    cost_usd: float | None


@dataclass(frozen=True)
class Regression:
    """A process that became slower or dearer in a run."""

    pipeline: str
    process: str
    run_id: str
    run_name: str | None
    workspace: str
    user_name: str
    revision: str
    submitted_at: datetime | None
    minutes_per_task: float | None
    usual_minutes: float | None
    duration_ratio: float | None
    cost_ratio: float | None


@dataclass(frozen=True)
class Freshness:
    """What is known of a workspace."""

    workspace: str
    runs: int
    open_runs: int
    missing_runs: int
    first_submitted_at: datetime | None
    last_submitted_at: datetime | None


@dataclass(frozen=True)
class SyncRun:
    """One sync."""

    started_at: datetime
    finished_at: datetime | None
    seconds: float | None
    status: str
    endpoint: str | None
    calls: int
    runs_fetched: int


@dataclass(frozen=True)
class Facts:
    """All that the page says.

    Attributes:
        recent: Amounts of the last seven days and of the seven before, None where the history is
            shorter.
        advice: Processes whose requests should change, or not grow on a retry.
    """

    totals: Totals
    span: Span
    slices: tuple[Slice, ...]
    recent: tuple[float, float] | None
    pipelines: tuple[Spender, ...]
    users: tuple[Spender, ...]
    workspaces: tuple[Spender, ...]
    labels: tuple[LabelCost, ...]
    processes: tuple[ProcessCost, ...]
    waste: Waste
    memory: tuple[MemoryRequest, ...]
    advice: tuple[MemoryRequest, ...]
    idle: tuple[IdleCpus, ...]
    reasons: tuple[FailureReason, ...]
    messages: tuple[FailureMessage, ...]
    success: tuple[SuccessRate, ...]
    dearest: tuple[Run, ...]
    slowest: tuple[Run, ...]
    failed: tuple[Run, ...]
    regressions: tuple[Regression, ...]
    freshness: tuple[Freshness, ...]
    syncs: tuple[SyncRun, ...]

    @property
    def priced(self) -> bool:
        """Whether the platform knows what runs cost; where not, CPU hours are what is compared."""
        return bool(self.totals.cost_usd)

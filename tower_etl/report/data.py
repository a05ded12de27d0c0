"""Data of the report: rows of the marts as frozen dataclasses.

Attributes have the names of the mart's columns, except `name`, which is the column of its grain.
Units (USD, hours, GiB) are in the names; None means not measured; times are in UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date, datetime


@dataclass(frozen=True)
class Totals:
    """Totals of all runs."""

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
    """Time span of the charts, with the number of runs that they omit.

    Attributes:
        step: Period of a bar: day, week, month or year.
        first_at: Submission of the earliest run in the span, None if there is none.
        last_at: Submission of the latest run in the span.
        outside_runs: Number of runs that were submitted outside of the span.
        odd_runs: Number of runs whose cost or CPU hours are infinite or NaN; sums omit them.
    """

    step: str
    first_at: datetime | None
    last_at: datetime | None
    outside_runs: int = 0
    odd_runs: int = 0


@dataclass(frozen=True)
class PeriodSummary:
    """Runs of one pipeline that were submitted in one period."""

    begins: date
    pipeline: str
    succeeded_runs: int
    failed_runs: int
    cancelled_runs: int
    open_runs: int
    amount: float | None


@dataclass(frozen=True)
class CostGroup:
    """Cost of a pipeline, user or workspace."""

    name: str
    runs: int
    succeeded_runs: int
    failed_runs: int
    cpu_hours: float | None
    cost_usd: float | None
    failed_cost_usd: float | None


@dataclass(frozen=True)
class LabelCost:
    """Cost of the runs with a label."""

    label: str
    runs: int
    cpu_hours: float | None
    cost_usd: float | None
    share_usd: float | None


@dataclass(frozen=True)
class ProcessCost:
    """Cost of a process."""

    process: str
    tasks: int
    runs: int
    cpu_hours: float | None
    cost_usd: float | None
    usd_per_task: float | None


@dataclass(frozen=True)
class MemoryRequest:
    """Process that requests more memory than it uses."""

    process: str
    tasks: int
    requested_gib: float
    used_gib: float
    most_used_gib: float
    recommended_gib: int
    killed_tasks: int
    saves_gib_hours: float | None
    saves_usd: float | None


@dataclass(frozen=True)
class IdleCpus:
    """Process that uses few of its requested CPUs."""

    process: str
    tasks: int
    requested_cpus: float
    used_cpus: float
    efficiency: float
    idle_cpu_hours: float
    idle_usd: float | None


@dataclass(frozen=True)
class WasteTotals:
    """Totals of waste by cause."""

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
    """Failed tasks of all processes by exit code."""

    exit_code: str
    meaning: str
    processes: int
    worst_process: str
    failed_tasks: int
    retried_tasks: int
    cost_usd: float | None


@dataclass(frozen=True)
class FailureMessage:
    """Error message of runs, with its names and numbers replaced."""

    message: str
    times: int
    runs: int
    last_at: datetime | None
    example: str


@dataclass(frozen=True)
class SuccessRate:
    """Success rate of a pipeline."""

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
    """Process that became slower or more expensive in a run."""

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
    times_slower: float | None
    times_dearer: float | None


@dataclass(frozen=True)
class Freshness:
    """Number and age of the stored runs of a workspace."""

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
class ReportData:
    """All data of the report.

    Attributes:
        recent: Amounts of the last seven days and of the seven days before, None if the history is
            shorter.
    """

    totals: Totals
    span: Span
    slices: tuple[PeriodSummary, ...]
    recent: tuple[float, float] | None
    pipelines: tuple[CostGroup, ...]
    users: tuple[CostGroup, ...]
    workspaces: tuple[CostGroup, ...]
    labels: tuple[LabelCost, ...]
    processes: tuple[ProcessCost, ...]
    waste: WasteTotals
    memory: tuple[MemoryRequest, ...]
    idle: tuple[IdleCpus, ...]
    reasons: tuple[FailureReason, ...]
    messages: tuple[FailureMessage, ...]
    success: tuple[SuccessRate, ...]
    most_expensive: tuple[Run, ...]
    slowest: tuple[Run, ...]
    failed: tuple[Run, ...]
    regressions: tuple[Regression, ...]
    freshness: tuple[Freshness, ...]
    syncs: tuple[SyncRun, ...]

    @property
    def priced(self) -> bool:
        """Whether the platform reports costs; otherwise the report compares CPU hours."""
        return bool(self.totals.cost_usd)

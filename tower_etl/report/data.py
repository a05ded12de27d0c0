"""Data of the report: rows of the marts as frozen dataclasses.

Attributes have the names of the mart's columns, except `name`, which is the column of its grain.
Units (USD, hours, GiB) are in the names; None means not measured; times are in UTC. `_usd` is an
amount in the currency of the report.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tower_etl.report.task_data import TaskFacts, Waste

if TYPE_CHECKING:
    from datetime import date, datetime


@dataclass(frozen=True, kw_only=True)
class Totals(Waste):
    """Totals of all runs; costs are those in the currency of the report."""

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
    saved_usd: float | None
    saved_hours: float | None
    cached_tasks: int
    other_currency_runs: int
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
class RecentSpend:
    """Cost of the tasks that started in the last seven days of a period.

    Attributes:
        ends_at: End of the seven days: the present, or `--until`.
        amount: Cost, or CPU hours if no run has a cost.
        before: Amount of the preceding seven days; None if the history is shorter.
        synced_at: Time of the last sync.
    """

    ends_at: datetime
    amount: float
    before: float | None
    synced_at: datetime


@dataclass(frozen=True, kw_only=True)
class CostGroup(Waste):
    """Cost of a pipeline, user or workspace."""

    name: str
    runs: int
    failed_runs: int
    cpu_hours: float | None


@dataclass(frozen=True)
class LabelCost:
    """Cost of the runs with a label."""

    label: str
    runs: int
    cpu_hours: float | None
    cost_usd: float | None
    share_usd: float | None


@dataclass(frozen=True)
class ReleaseChange:
    """Release of a pipeline against the one before it; intervals are at 95 %."""

    pipeline: str
    revision: str
    previous_revision: str
    compared_runs: int
    previous_compared_runs: int
    duration_ratio: float | None
    duration_ratio_low: float | None
    duration_ratio_high: float | None
    cost_ratio: float | None
    cost_ratio_low: float | None
    cost_ratio_high: float | None
    cpu_hours_ratio: float | None
    cpu_hours_ratio_low: float | None
    cpu_hours_ratio_high: float | None
    failure_rate: float | None
    previous_failure_rate: float | None


@dataclass(frozen=True)
class BilledRun:
    """Run with its cloud bill and the platform's estimate."""

    run_id: str
    run_name: str | None
    pipeline: str
    user_name: str
    workspace: str
    platform_usd: float | None
    used_usd: float | None
    unused_usd: float | None
    bill_usd: float
    ratio: float | None
    coverage: float | None


@dataclass(frozen=True)
class SuccessRate:
    """Success rate of a pipeline."""

    pipeline: str
    ended_runs: int
    succeeded_runs: int
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
    duration_ratio: float | None
    cost_ratio: float | None
    earlier_runs: int
    confidence: str


@dataclass(frozen=True)
class Freshness:
    """Number and age of the stored runs of a workspace."""

    workspace: str
    runs: int
    open_runs: int
    missing_runs: int
    last_submitted_at: datetime | None


@dataclass(frozen=True)
class SyncRun:
    """One sync."""

    started_at: datetime
    seconds: float | None
    status: str
    endpoint: str | None
    calls: int
    runs_fetched: int


@dataclass(frozen=True, kw_only=True)
class ReportData(TaskFacts):
    """All data of the report.

    Attributes:
        currency: Currency of all costs, that of most runs with a cost.
        recent: Amount of the last seven days, None if it is not known.
    """

    currency: str
    totals: Totals
    span: Span
    slices: tuple[PeriodSummary, ...]
    recent: RecentSpend | None
    pipelines: tuple[CostGroup, ...]
    users: tuple[CostGroup, ...]
    workspaces: tuple[CostGroup, ...]
    labels: tuple[LabelCost, ...]
    bills: tuple[BilledRun, ...]
    releases: tuple[ReleaseChange, ...]
    regressions: tuple[Regression, ...]
    success: tuple[SuccessRate, ...]
    most_expensive: tuple[Run, ...]
    slowest: tuple[Run, ...]
    failed: tuple[Run, ...]
    freshness: tuple[Freshness, ...]
    syncs: tuple[SyncRun, ...]

    @property
    def priced(self) -> bool:
        """Whether runs have costs; otherwise the report compares CPU hours."""
        return bool(self.totals.cost_usd)

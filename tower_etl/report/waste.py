"""What was paid for and brought nothing, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tower_etl.report.formats import name_number

if TYPE_CHECKING:
    from tower_etl.report.facts import ReportData
    from tower_etl.report.measures import CostMetric


@dataclass(frozen=True)
class Leak:
    """One cause of waste.

    Attributes:
        size: USD, or hours where no prices are known.
        amount: The same, worded.
        detail: How much of it there was.
        advice: What to do.
    """

    title: str
    size: float
    amount: str
    detail: str
    advice: str


def waste_items(facts: ReportData, measure: CostMetric) -> list[Leak]:
    """The causes of any, the dearest first; without prices in the order below. They overlap."""
    leaks = (
        _idle(facts, measure),
        _memory(facts, measure),
        _failed(facts, measure),
        _retries(facts, measure),
        _spot(facts, measure),
    )
    found = [leak for leak in leaks if leak.size > 0]
    return sorted(found, key=lambda leak: -leak.size) if measure.priced else found


def _size(
    measure: CostMetric, usd: float | None, hours: float | None, unit: str = "CPU h"
) -> tuple[float, str]:
    """How much that is, and how it is worded."""
    return measure.pick(usd, hours), measure.choose(usd, hours, unit)


def _idle(facts: ReportData, measure: CostMetric) -> Leak:
    waste = facts.waste
    return Leak(
        "CPUs that stood idle",
        *_size(measure, waste.idle_usd, waste.idle_hours),
        "requested by tasks that completed, and not used",
        "Lower cpus where the table below shows few in use, or pass task.cpus on to the tool.",
    )


def _memory(facts: ReportData, measure: CostMetric) -> Leak:
    waste = facts.waste
    processes = name_number(waste.memory_processes, "process asks", "processes ask")
    return Leak(
        "Memory that no task used",
        *_size(measure, waste.memory_usd, waste.memory_gib_hours, "GiB h"),
        f"at most; {processes} for more than a high peak and a quarter",
        "Paste the configuration below into nextflow.config.",
    )


def _failed(facts: ReportData, measure: CostMetric) -> Leak:
    totals = facts.totals
    return Leak(
        "Runs that failed",
        *_size(measure, totals.failed_usd, totals.failed_hours),
        f"{name_number(totals.failed_runs, 'run')}, all their tasks",
        "Start them again with -resume: tasks that completed are not paid for twice.",
    )


def _retries(facts: ReportData, measure: CostMetric) -> Leak:
    waste = facts.waste
    return Leak(
        "Attempts made again",
        *_size(measure, waste.retried_usd, waste.retried_hours),
        f"{name_number(waste.retried_tasks, 'task')} took more than one attempt",
        "Begin with what the last attempt needed; the reasons are under Failures.",
    )


def _spot(facts: ReportData, measure: CostMetric) -> Leak:
    waste = facts.waste
    tasks = name_number(waste.interrupted_tasks, "task")
    return Leak(
        "Spot machines taken away",
        *_size(measure, waste.lost_usd, waste.lost_hours),
        f"{tasks} interrupted, {waste.lost_tasks:,} of them lost",
        "Keep the longest processes on machines at the standard price, or add zones and types.",
    )

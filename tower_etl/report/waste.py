"""What was paid for and brought nothing, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tower_etl.report.formats import name_number

if TYPE_CHECKING:
    from tower_etl.report.facts import Facts
    from tower_etl.report.measures import Measure


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


def list_leaks(facts: Facts, measure: Measure) -> list[Leak]:
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


def _idle(facts: Facts, measure: Measure) -> Leak:
    waste = facts.waste
    return Leak(
        "CPUs that stood idle",
        measure.pick(waste.idle_usd, waste.idle_hours),
        measure.choose(waste.idle_usd, waste.idle_hours),
        "requested by tasks that completed, and not used",
        "Lower cpus where the table below shows few in use, or pass task.cpus on to the tool.",
    )


def _memory(facts: Facts, measure: Measure) -> Leak:
    waste = facts.waste
    processes = name_number(waste.memory_processes, "process asks", "processes ask")
    return Leak(
        "Memory that no task used",
        measure.pick(waste.memory_usd, waste.memory_gib_hours),
        measure.choose(waste.memory_usd, waste.memory_gib_hours, "GiB h"),
        f"at most; {processes} for more than a high peak and a quarter",
        "Paste the configuration below into nextflow.config.",
    )


def _failed(facts: Facts, measure: Measure) -> Leak:
    totals = facts.totals
    return Leak(
        "Runs that failed",
        measure.pick(totals.failed_usd, totals.failed_hours),
        measure.choose(totals.failed_usd, totals.failed_hours),
        f"{name_number(totals.failed_runs, 'run')}, all their tasks",
        "Start them again with -resume: tasks that completed are not paid for twice.",
    )


def _retries(facts: Facts, measure: Measure) -> Leak:
    waste = facts.waste
    return Leak(
        "Attempts made again",
        measure.pick(waste.retried_usd, waste.retried_hours),
        measure.choose(waste.retried_usd, waste.retried_hours),
        f"{name_number(waste.retried_tasks, 'task')} took more than one attempt",
        "Begin with what the last attempt needed; the reasons are under Failures.",
    )


def _spot(facts: Facts, measure: Measure) -> Leak:
    waste = facts.waste
    tasks = name_number(waste.interrupted_tasks, "task")
    return Leak(
        "Spot machines taken away",
        measure.pick(waste.lost_usd, waste.lost_hours),
        measure.choose(waste.lost_usd, waste.lost_hours),
        f"{tasks} interrupted, {waste.lost_tasks:,} of them lost",
        "Keep the longest processes on machines at the standard price, or add zones and types.",
    )

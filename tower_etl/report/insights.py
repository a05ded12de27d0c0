"""Insights of the report: main findings, causes of waste, and a memory configuration."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tower_etl.report.formats import (
    NARROW,
    UNKNOWN,
    name_number,
    show_count,
    show_share,
    show_usd,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tower_etl.report.data import (
        CostGroup,
        LabelCost,
        MemoryRequest,
        ProcessCost,
        ReportData,
        Run,
        Totals,
    )

_ENOUGH_RUNS = 5  # with fewer runs, a success rate is not meaningful
_LOW_RATE = 0.9
_WORTH_SAYING = 0.02  # fraction of the total cost
_LEAKS = 2


@dataclass(frozen=True)
class Finding:
    """Finding as one sentence.

    Attributes:
        lead: Beginning of the sentence, in bold.
        rest: Remainder of the sentence, with its leading punctuation.
        anchor: Section of the report with details.
    """

    lead: str
    rest: str
    anchor: str


def list_findings(facts: ReportData, leaks: Sequence[Leak], measure: CostMetric) -> list[Finding]:
    """Return the findings, the most important first; empty without runs."""
    found = (
        *_find_dearest(facts, measure),
        *_find_leaks(facts, leaks),
        *_find_failing(facts),
    )
    return list(found)


def _find_dearest(facts: ReportData, measure: CostMetric) -> Iterator[Finding]:
    total = measure.of(facts.totals)
    if not (facts.pipelines and total):
        return
    first = facts.pipelines[0]
    amount = measure.of(first)
    yield Finding(
        f"{first.name} takes {show_share((amount or 0) / total)} of the "
        f"{'cost' if measure.priced else 'CPU hours'}",
        f": {measure.show(amount)} for {name_number(first.runs, 'run')}.",
        "spend",
    )


def _find_leaks(facts: ReportData, leaks: Sequence[Leak]) -> Iterator[Finding]:
    """Yield the two most expensive causes of waste, if costs are known."""
    total = facts.totals.cost_usd or 0
    for leak in leaks[:_LEAKS]:
        if leak.size > _WORTH_SAYING * total > 0:
            lead = f"{leak.title} cost {leak.amount}"
            yield Finding(lead, f", {show_share(leak.size / total)} of the whole.", "waste")


def _find_failing(facts: ReportData) -> Iterator[Finding]:
    rated = [
        (rate.success_rate, rate)
        for rate in facts.success
        if rate.success_rate is not None and rate.ended_runs >= _ENOUGH_RUNS
    ]
    lowest, worst = min(rated, key=lambda pair: pair[0], default=(1.0, None))
    if worst and lowest < _LOW_RATE:
        yield Finding(
            f"{worst.pipeline} succeeds least often",
            f": {worst.succeeded_runs:,} of {name_number(worst.ended_runs, 'run')}.",
            "failures",
        )


@dataclass(frozen=True)
class Leak:
    """Cause of waste.

    Attributes:
        title: Name of the cause.
        size: Amount in USD, or in hours if costs are unknown.
        amount: Formatted amount.
        detail: Extent of the cause.
        advice: Recommended action.
    """

    title: str
    size: float
    amount: str
    detail: str
    advice: str


def waste_items(facts: ReportData, measure: CostMetric) -> list[Leak]:
    """Return the causes of waste, the most expensive first if costs are known; they overlap."""
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
    """Return an amount, and the formatted amount."""
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


@dataclass(frozen=True)
class CostMetric:
    """Metric of cost: USD or CPU hours.

    Attributes:
        title: Title of a column or chart.
        unit: Name of the unit in a title.
        priced: Whether the metric is USD.
    """

    title: str
    unit: str
    priced: bool

    def of(self, thing: Totals | CostGroup | LabelCost | ProcessCost | Run) -> float | None:
        """Return the amount of an item in this metric."""
        return thing.cost_usd if self.priced else thing.cpu_hours

    def show(self, amount: float | None) -> str:
        """Format an amount with its unit."""
        if amount is None:
            return UNKNOWN
        return show_usd(amount) if self.priced else f"{show_count(amount)}{NARROW}h"

    def pick(self, usd: float | None, hours: float | None) -> float:
        """Return the amount in this metric, 0 if unknown."""
        return (usd if self.priced else hours) or 0.0

    def choose(self, usd: float | None, hours: float | None, unit: str = "CPU h") -> str:
        """Format the amount in this metric; `unit` is the unit of `hours`."""
        amount = self.pick(usd, hours)
        return show_usd(amount) if self.priced else f"{show_count(amount)}{NARROW}{unit}"


USD = CostMetric("Cost", "USD", priced=True)
CPU_HOURS = CostMetric("CPU hours", "hours", priced=False)


_NAME = re.compile(r"[\w:]+", re.ASCII)  # names in Nextflow; other characters would form a pattern


def write_memory_config(requests: Sequence[MemoryRequest]) -> str:
    """Return a Nextflow configuration with the recommended memory, multiplied at each retry.

    `GB` is 2^30 bytes in Nextflow. The result is empty if no request should change.
    """
    lines = [
        f"  withName: '{request.process}' {{ memory = {{ {request.recommended_gib}.GB * "
        "task.attempt } }"
        for request in requests
        if _NAME.fullmatch(request.process)
    ]
    return "\n".join(("process {", *lines, "}")) if lines else ""

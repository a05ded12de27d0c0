"""What a hurried reader should know: a few sentences, each with its figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tower_etl.report.formats import name_number, show_share

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tower_etl.report.facts import ReportData
    from tower_etl.report.measures import CostMetric
    from tower_etl.report.waste import Leak

_ENOUGH_RUNS = 5  # below, a success rate says little
_LOW_RATE = 0.9
_WORTH_SAYING = 0.02  # of all that was spent
_LEAKS = 2


@dataclass(frozen=True)
class Finding:
    """One sentence.

    Attributes:
        lead: Its bold beginning.
        rest: What follows, with a space or a stop in front.
        anchor: Section with more of it.
    """

    lead: str
    rest: str
    anchor: str


def list_findings(facts: ReportData, leaks: Sequence[Leak], measure: CostMetric) -> list[Finding]:
    """Findings, the most important first; none where there are no runs."""
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
    """The dearest causes of waste, where there are prices to say so."""
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

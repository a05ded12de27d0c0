"""Insights of the report: its main results in sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tower_etl.report.formats import format_share
from tower_etl.text import pluralize

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tower_etl.report.actions import Action
    from tower_etl.report.data import ReportData
    from tower_etl.report.formats import CostMetric
    from tower_etl.report.ledger import Ledger

_ENOUGH_RUNS = 5  # with fewer runs, a success rate is not meaningful
_LOW_RATE = 0.9
_SIGNIFICANT_SHARE = 0.02  # fraction of the total cost


@dataclass(frozen=True)
class Insight:
    """Noteworthy result as one sentence.

    Attributes:
        lead: Beginning of the sentence, in bold.
        rest: Remainder of the sentence, with its leading punctuation.
        anchor: Section of the report with details.
    """

    lead: str
    rest: str
    anchor: str


def list_insights(
    facts: ReportData, money: Ledger, actions: Sequence[Action], measure: CostMetric
) -> list[Insight]:
    """Return the insights, the most important first; empty without runs."""
    return [
        *_find_waste(facts, money),
        *_find_action(facts, actions, measure),
        *_find_most_expensive(facts, measure),
        *_find_failing(facts),
    ]


def _find_waste(facts: ReportData, money: Ledger) -> Iterator[Insight]:
    """Yield the share of the cost without useful work, with its largest category."""
    useful, *losses = money.parts
    wasted = money.total - useful.amount
    if not facts.priced or wasted <= _SIGNIFICANT_SHARE * money.total:
        return
    largest = max(losses, key=lambda part: part.amount)
    yield Insight(
        f"At least {format_share(wasted / money.total)} of the cost was no useful work",
        f": the largest part is {largest.title.lower()}, {largest.shown} of {money.shown}.",
        "money",
    )


def _find_action(
    facts: ReportData, actions: Sequence[Action], measure: CostMetric
) -> Iterator[Insight]:
    """Yield the change with the largest certain savings, if they are significant."""
    total = facts.totals.cost_usd or 0
    for action in actions[:1]:
        if facts.priced and action.at_least > _SIGNIFICANT_SHARE * total > 0:
            saved = measure.show(action.at_least)
            title = action.title[0].lower() + action.title[1:]
            yield Insight(f"First, {title}", f": it saves at least {saved}.", "change")


def _find_most_expensive(facts: ReportData, measure: CostMetric) -> Iterator[Insight]:
    total = measure.of(facts.totals)
    if not (facts.pipelines and total):
        return
    first = facts.pipelines[0]
    amount = measure.of(first)
    yield Insight(
        f"{first.name} takes {format_share((amount or 0) / total)} of the "
        f"{'cost' if measure.priced else 'CPU hours'}",
        f": {measure.show(amount)} for {pluralize(first.runs, 'run')}.",
        "spend",
    )


def _find_failing(facts: ReportData) -> Iterator[Insight]:
    rated = [
        (rate.success_rate, rate)
        for rate in facts.success
        if rate.success_rate is not None and rate.ended_runs >= _ENOUGH_RUNS
    ]
    lowest, worst = min(rated, key=lambda pair: pair[0], default=(1.0, None))
    if worst and lowest < _LOW_RATE:
        yield Insight(
            f"{worst.pipeline} succeeds least often",
            f": {worst.succeeded_runs:,} of {pluralize(worst.ended_runs, 'run')}.",
            "failures",
        )

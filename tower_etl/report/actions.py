"""Recommended changes, each with its minimum and maximum savings.

Savings overlap: for example, a smaller request saves nothing on a retry that is avoided.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tower_etl.report.config_snippet import choose_memory
from tower_etl.report.formats import NARROW, name_number, show_count, show_money

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tower_etl.report.data import ReportData

_NOTHING = 0.005  # savings below it are not shown


@dataclass(frozen=True)
class Action:
    """Change that saves money, or hours if runs have no cost.

    Attributes:
        title: What to do.
        detail: Extent of the cause.
        advice: How to do it.
        at_least: Savings that are certain by the price formula; 0 if they depend on the cause.
        at_most: Savings if the cause is removed completely.
        unit: Currency, or the unit of hours.
    """

    title: str
    detail: str
    advice: str
    at_least: float
    at_most: float
    unit: str

    def show(self, amount: float) -> str:
        """Format an amount of the savings."""
        if self.unit.endswith(" h") or self.unit == "h":
            return f"{show_count(amount)}{NARROW}{self.unit}"
        return show_money(amount, self.unit)


def list_actions(facts: ReportData) -> list[Action]:
    """Return the changes, those with the largest certain savings first."""
    if facts.priced:
        actions = [
            _lower_memory(facts),
            _lower_cpus(facts),
            _stop_growth(facts),
            _use_gpus(facts),
            _stage_less(facts, facts.totals.staging_usd),
            _retry_less(facts, facts.totals.retried_usd),
            _lose_less(facts),
        ]
        actions.sort(key=lambda action: (-action.at_least, -action.at_most))
    else:
        actions = [
            _lower_memory(facts),
            _lower_cpus(facts),
            _stage_less(facts, facts.time.kept_staged_hours),
            _retry_less(facts, facts.time.retried_hours),
        ]
    return [action for action in actions if action.at_most >= _NOTHING]


def _lower_memory(facts: ReportData) -> Action:
    rows = [row for row in facts.advice if (choose_memory(row) or 0) == row.recommended_gib]
    least, most = (
        ((row.saves_at_least_usd for row in rows), (row.saves_at_most_usd for row in rows))
        if facts.priced
        else ((), (row.saves_gib_hours for row in rows))
    )
    return Action(
        "Request less memory",
        f"{name_number(len(rows), 'process', 'processes')} in the configuration below",
        "Paste it into nextflow.config.",
        _sum(least),
        _sum(most),
        facts.currency if facts.priced else "GiB h",
    )


def _lower_cpus(facts: ReportData) -> Action:
    rows = facts.idle
    least, most = (
        ((row.saves_at_least_usd for row in rows), (row.saves_at_most_usd for row in rows))
        if facts.priced
        else ((), (row.idle_cpu_hours for row in rows))
    )
    return Action(
        "Request fewer CPUs",
        f"{name_number(len(rows), 'process', 'processes')} below; memory stays as it is",
        "Lower cpus where few are in use, or pass task.cpus on to the tool.",
        _sum(least),
        _sum(most),
        facts.currency if facts.priced else "CPU h",
    )


def _stop_growth(facts: ReportData) -> Action:
    spot = next((row for row in facts.price_models if row.price_model == "spot"), None)
    rows = [row for row in facts.advice if row.spot_grown_tasks and choose_memory(row) is not None]
    return Action(
        "Let nothing grow after a lost spot machine",
        "retries that requested more although nothing was too small",
        "The same configuration grows memory only after exit codes that can mean a lack of it.",
        _sum(row.spot_escalated_usd for row in rows),
        _sum([spot.escalated_usd if spot else None]),
        facts.currency,
    )


def _use_gpus(facts: ReportData) -> Action:
    gpus = facts.gpus
    return Action(
        "Keep GPUs busy",
        f"{name_number(gpus.processes, 'process', 'processes')} with accelerators, "
        f"{show_count(gpus.gpu_hours)}{NARROW}GPU hours",
        "Use fewer or smaller GPUs, or give each more work: tower-etl query gpu_efficiency.",
        0.0,
        gpus.idle_usd or 0.0,
        facts.currency,
    )


def _stage_less(facts: ReportData, amount: float | None) -> Action:
    return Action(
        "Shorten staging",
        "data in and out, images and start-up",
        "Use Fusion, keep data in the region of the machines, and make images smaller.",
        0.0,
        amount or 0.0,
        facts.currency if facts.priced else "h",
    )


def _retry_less(facts: ReportData, amount: float | None) -> Action:
    return Action(
        "Avoid retries",
        "failed attempts that were tried again",
        "The reasons are under Failures. Spot losses: more zones and machine types.",
        0.0,
        amount or 0.0,
        facts.currency if facts.priced else "h",
    )


def _lose_less(facts: ReportData) -> Action:
    return Action(
        "Resume failed runs",
        f"{name_number(facts.totals.failed_runs, 'run')} failed; "
        "what later runs took from the cache is not counted",
        "Launch them again with -resume: tasks that completed are not paid for twice.",
        0.0,
        facts.totals.lost_usd or 0.0,
        facts.currency,
    )


def _sum(amounts: Iterable[float | None]) -> float:
    return sum((amount for amount in amounts if amount), 0.0)

"""Metric for comparing costs: money, or CPU hours if no run has a cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tower_etl.report.formats import NARROW, UNKNOWN, show_count, show_exact, show_money

if TYPE_CHECKING:
    from tower_etl.report.data import CostGroup, LabelCost, ReportData, Run, Totals
    from tower_etl.report.task_data import MachineType, Process


@dataclass(frozen=True)
class CostMetric:
    """Metric of cost: money or CPU hours.

    Attributes:
        title: Title of a column or chart.
        unit: Name of the unit in a title: the currency, or hours.
        priced: Whether the metric is money.
    """

    title: str
    unit: str
    priced: bool

    @classmethod
    def choose(cls, facts: ReportData) -> CostMetric:
        """Return money if runs have costs, and CPU hours otherwise."""
        if facts.priced:
            return cls("Cost", facts.currency, priced=True)
        return cls("CPU hours", "hours", priced=False)

    def of(
        self, thing: Totals | CostGroup | LabelCost | Process | MachineType | Run
    ) -> float | None:
        """Return the amount of an item in this metric."""
        return thing.cost_usd if self.priced else thing.cpu_hours

    def show(self, amount: float | None) -> str:
        """Format an amount with its unit."""
        if amount is None:
            return UNKNOWN
        return show_money(amount, self.unit) if self.priced else f"{show_count(amount)}{NARROW}h"

    def show_exact(self, amount: float, digits: int) -> str:
        """Format an amount of money with all its digits."""
        return show_exact(amount, self.unit, digits)

    def pick(self, usd: float | None, hours: float | None) -> float:
        """Return the amount in this metric, 0 if unknown."""
        return (usd if self.priced else hours) or 0.0

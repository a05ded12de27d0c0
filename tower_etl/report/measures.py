"""What the page compares by: money where the platform knows prices, CPU hours where it does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tower_etl.report.formats import NARROW, UNKNOWN, show_count, show_usd

if TYPE_CHECKING:
    from tower_etl.report.facts import CostGroup, LabelCost, ProcessCost, Run, Totals


@dataclass(frozen=True)
class CostMetric:
    """USD or CPU hours.

    Attributes:
        title: Name of a column or chart of it.
        unit: As it stands in a title.
        priced: Whether it is money.
    """

    title: str
    unit: str
    priced: bool

    def of(self, thing: Totals | CostGroup | LabelCost | ProcessCost | Run) -> float | None:
        """How much of it something took."""
        return thing.cost_usd if self.priced else thing.cpu_hours

    def show(self, amount: float | None) -> str:
        """An amount with its unit."""
        if amount is None:
            return UNKNOWN
        return show_usd(amount) if self.priced else f"{show_count(amount)}{NARROW}h"

    def pick(self, usd: float | None, hours: float | None) -> float:
        """The money if there are prices, else the hours; nothing is 0."""
        return (usd if self.priced else hours) or 0.0

    def choose(self, usd: float | None, hours: float | None, unit: str = "CPU h") -> str:
        """The same, worded; `unit` is that of the hours."""
        amount = self.pick(usd, hours)
        return show_usd(amount) if self.priced else f"{show_count(amount)}{NARROW}{unit}"


USD = CostMetric("Cost", "USD", priced=True)
CPU_HOURS = CostMetric("CPU hours", "hours", priced=False)

"""Ledgers: parts that add up to a whole, as a bar and as figures.

A part has the same name and color wherever it is drawn, in money and in time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tower_etl.report.charts import measure_share
from tower_etl.report.formats import NARROW, format_count, format_exact

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tower_etl.report.formats import CostMetric
    from tower_etl.report.task_data import TaskTime, Waste

_EXACT = 1e12  # beyond it, cents are less than the rounding of a float


@dataclass(frozen=True)
class Part:
    """Part of a whole.

    Attributes:
        key: Name in the style sheet.
        title: Display name.
        note: Explanation of the part.
        amount: Amount in the unit of the ledger.
        shown: Formatted amount, rounded so that the parts add up to the formatted total.
        x: Left edge in the bar, in percent.
        width: Width in the bar, in percent.
    """

    key: str
    title: str
    note: str
    amount: float
    shown: str
    x: float
    width: float


@dataclass(frozen=True)
class Ledger:
    """Parts that add up to a total.

    Attributes:
        total: Sum of the parts.
        shown: Formatted total.
        parts: Parts in the order of the bar, including parts without an amount.
    """

    total: float
    shown: str
    parts: tuple[Part, ...]

    @property
    def drawn(self) -> tuple[Part, ...]:
        """Parts that have a width in the bar."""
        return tuple(part for part in self.parts if part.width > 0)

    @property
    def label(self) -> str:
        """Text alternative of the bar."""
        return ", ".join(f"{part.title} {part.shown}" for part in self.drawn)


_MONEY = (
    ("useful", "Useful", "what remains: completed work with requests that fit"),
    ("over", "Requests too large", "at least; what smaller requests of CPUs and memory would save"),
    ("staging", "Staging", "data in and out, images, start-up: time that was not the command"),
    ("escalated", "Requests that grew", "what retries cost more because they requested more"),
    ("retried", "Retried", "failed attempts that were tried again"),
    ("lost", "Lost", "failed and cancelled work that no later run took from the cache"),
)
_TIME = (
    ("run", "Run", "the commands of tasks"),
    ("staging", "Staged", "data in and out, images, start-up: paid, as the command is"),
    ("retried", "Retried", "failed attempts that were tried again, paid"),
    ("wait", "Waited", "from submission to start: not paid, but it delays the result"),
)


def split_cost(waste: Waste, measure: CostMetric) -> Ledger:
    """Return the ledger of the cost: six exclusive categories."""
    losses = (
        waste.over_requested_usd,
        waste.staging_usd,
        waste.escalated_usd,
        waste.retried_usd,
        waste.lost_usd,
    )
    cost = waste.cost_usd or 0.0
    amounts = [amount or 0.0 for amount in losses]
    digits = 2 if abs(cost) >= 1 else 4
    amounts = [cost - sum(amounts), *amounts]
    return _make_ledger(
        _MONEY, amounts, digits, lambda amount: format_exact(amount, measure.unit, digits)
    )


def split_time(time: TaskTime) -> Ledger:
    """Return the ledger of task time: four exclusive parts, in hours."""
    hours = (time.kept_run_hours, time.kept_staged_hours, time.retried_hours, time.wait_hours)
    return _make_ledger(_TIME, [amount or 0.0 for amount in hours], 1, _format_hours)


def round_parts(amounts: Sequence[float], digits: int) -> list[float]:
    """Round amounts so that they add up to their rounded sum (largest remainders first)."""
    scale = 10**digits
    if not math.isfinite(total := sum(amounts)) or sum(map(abs, amounts)) > _EXACT:
        return list(amounts)
    floors = [math.floor(amount * scale) for amount in amounts]
    missing = round(total * scale) - sum(floors)
    remainders = [amount * scale - floor for amount, floor in zip(amounts, floors, strict=True)]
    largest = sorted(range(len(amounts)), key=lambda index: (-remainders[index], index))[:missing]
    return [(floor + (index in largest)) / scale for index, floor in enumerate(floors)]


def _make_ledger(
    kinds: Sequence[tuple[str, str, str]],
    amounts: Sequence[float],
    digits: int,
    show: Callable[[float], str],
) -> Ledger:
    drawn = sum(amount for amount in amounts if amount > 0)
    parts, left = [], 0.0
    rounded = round_parts(amounts, digits)
    for (key, title, note), amount, exact in zip(kinds, amounts, rounded, strict=True):
        width = measure_share(amount, drawn)
        parts.append(Part(key, title, note, amount, show(exact), left, width))
        left += width
    return Ledger(sum(amounts), show(sum(rounded)), tuple(parts))


def _format_hours(hours: float) -> str:
    return f"{hours:,.1f}{NARROW}h" if abs(hours) < _EXACT else f"{format_count(hours)}{NARROW}h"

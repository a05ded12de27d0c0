"""Axes: round steps, and periods without gaps."""

from __future__ import annotations

import math
from datetime import date, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROUND = (1, 2, 2.5, 5, 10)
_DECEMBER = 12


def choose_ticks(largest: float, least: float = 0, wanted: int = 4) -> tuple[float, ...]:
    """Round values from 0 to at least the largest, in about as many steps as are wanted.

    A step is at least the least: 1 where things are counted.
    """
    if largest <= 0:
        return (0.0, 1.0)
    power = 10 ** math.floor(math.log10(largest / wanted))
    steps = (factor * power for factor in _ROUND if factor * power * wanted >= largest * 0.999)
    step = next(step for step in (*steps, least) if not least or step % least == 0)
    return tuple(step * n for n in range(math.ceil(largest / step - 1e-9) + 1))


def iter_periods(first: date, last: date, step: str) -> Iterator[date]:
    """The first days of all days, weeks or months from one to another, both of them such days."""
    while first <= last:
        yield first
        first = next_period(first, step)


def next_period(begins: date, step: str) -> date:
    """The first day of the period after that which begins on a day."""
    if step == "month":
        late = begins.month == _DECEMBER
        return date(begins.year + late, 1 if late else begins.month + 1, 1)
    return begins + timedelta(days=7 if step == "week" else 1)


def name_period(begins: date, step: str) -> str:
    """What a column is: `23 Nov`, or `Nov 2026` for a month."""
    return f"{begins:%b %Y}" if step == "month" else f"{begins.day} {begins:%b}"


def label_period(begins: date, step: str) -> str:
    """What stands below it, where space is short: `23 Nov`, or `Nov 26` for a month."""
    return f"{begins:%b %y}" if step == "month" else name_period(begins, step)

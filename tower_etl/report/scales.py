"""Axes: round steps, and periods without gaps."""

from __future__ import annotations

import math
from bisect import bisect_left
from datetime import MAXYEAR, MINYEAR, date, timedelta
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

_ROUND = (1, 2, 2.5, 5, 10)
_DECEMBER = 12
_SMALLEST = 1e-300  # below, a quarter of it may be 0
_MOST_YEARS = 60  # of an axis
_STEPS = (("day", 45), ("week", 200), ("month", 8 * 366))  # and the longest spans, in days


def choose_years(runs: Mapping[int, int], present: int) -> tuple[int, int]:
    """Return the first and the last year of an axis: up to the present, or where most runs are.

    One run with a wrong date, such as in the year 1 or 9999, would make an axis of centuries.

    Args:
        runs: Number of runs by the year of their submission.
        present: Year of the last sync.
    """
    near = (present - _MOST_YEARS + 2, present + 1)
    years = sorted(year for year in runs if MINYEAR <= year <= MAXYEAR)
    if not years or any(near[0] <= year <= near[1] for year in years):
        return near
    sums = [0, *accumulate(runs[year] for year in years)]
    starts = [bisect_left(years, year - _MOST_YEARS + 1) for year in years]
    counts = [sums[end + 1] - sums[start] for end, start in enumerate(starts)]
    last = years[counts.index(max(counts))]
    return last - _MOST_YEARS + 1, last


def choose_step(first: datetime | None, last: datetime | None) -> str:
    """The time that one column of a chart covers, so that there are neither few nor too many."""
    days = (last - first).days if first and last else 0
    return next((step for step, longest in _STEPS if days <= longest), "year")


def choose_ticks(largest: float, least: float = 0, wanted: int = 4) -> tuple[float, ...]:
    """Round values from 0 to at least the largest, in about as many steps as are wanted.

    A step is at least the least: 1 where things are counted.
    """
    if largest < _SMALLEST:
        return (0.0, 1.0)
    power = 10.0 ** math.floor(math.log10(largest / wanted))
    steps = (factor * power for factor in _ROUND if factor * power * wanted >= largest * 0.999)
    step = next(step for step in (*steps, least) if not least or step % least == 0)
    return tuple(step * n for n in range(math.ceil(largest / step - 1e-9) + 1))


def iter_periods(first: date, last: date, step: str) -> Iterator[date]:
    """The first days of all periods from one to another, both of them such days."""
    yield first
    while first < last:
        first = next_period(first, step)
        yield first


def next_period(begins: date, step: str) -> date:
    """The first day of the period after that which begins on a day."""
    if step == "year":
        return date(begins.year + 1, 1, 1)
    if step == "month":
        late = begins.month == _DECEMBER
        return date(begins.year + late, 1 if late else begins.month + 1, 1)
    return begins + timedelta(days=7 if step == "week" else 1)


def name_period(begins: date, step: str) -> str:
    """What a column is: `23 Nov`, `Nov 2026` for a month, or `2026` for a year."""
    if step == "year":
        return str(begins.year)
    return f"{begins:%b %Y}" if step == "month" else f"{begins.day} {begins:%b}"


def label_period(begins: date, step: str) -> str:
    """What stands below it, where space is short: `23 Nov`, or `Nov 26` for a month."""
    return f"{begins:%b %y}" if step == "month" else name_period(begins, step)

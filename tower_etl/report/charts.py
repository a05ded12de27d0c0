"""Geometry of the charts, and colors of pipelines.

x is in percent, so that a chart fits any width; y is in pixels. A color is computed from the name
alone, so that it is the same in every report. Two names can have similar colors: in a chart, the
later of the two is hatched instead of recolored. The lightness gives every color a contrast of 3:1
on both the light and the dark page.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, date, timedelta
from hashlib import sha256
from itertools import accumulate
from operator import mul
from typing import TYPE_CHECKING

from tower_etl.report.formats import UNKNOWN, format_day

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from tower_etl.report.data import PeriodSummary

_LIGHTNESS = (0.55, 0.63)  # in OKLCH
_SPREAD = 0.02
_CHROMA = 0.11
_ALIKE = 0.06  # distance in OKLab
_REST = "#a3a6ab"
_LINEAR = 0.0031308

# OKLab to linear sRGB (Ottosson, 2020)
_TO_CONES = (
    (1.0, 0.3963377774, 0.2158037573),
    (1.0, -0.1055613458, -0.0638541728),
    (1.0, -0.0894841775, -1.2914855480),
)
_TO_RGB = (
    (4.0767416621, -3.3077115913, 0.2309699292),
    (-1.2684380046, 2.6097574011, -0.3413193965),
    (-0.0041960863, -0.7034186147, 1.7076147010),
)

HEIGHT = 220  # px between the axes
_LABELS = 8  # labels of the x axis; narrow charts show every third
_GAP = 0.22  # fraction of a column's width
OTHERS = "all others"
_ROUND = (1, 2, 2.5, 5, 10)
_DECEMBER = 12
_SMALLEST = 1e-300  # a quarter of a smaller value may underflow to 0
_MOST_YEARS = 60  # longest axis
_STEPS = (
    ("day", 45),
    ("week", 200),
    ("month", 8 * 366),
)  # period, and the longest span in days that uses it


@dataclass(frozen=True)
class Paint:
    """Fill of a series.

    Attributes:
        color: Color as #rrggbb.
        hatched: Whether the color is similar to that of an earlier series.
    """

    color: str
    hatched: bool = False


def paint_names(names: Sequence[str], rest: str) -> tuple[Paint, ...]:
    """Return the fill of each name; the series `rest`, which sums up all others, is grey."""
    paints: list[Paint] = []
    earlier: list[tuple[float, float, float]] = []
    for name in names:
        if name == rest:
            paints.append(Paint(_REST))
            continue
        lab = _name_to_lab(name)
        alike = any(math.dist(lab, other) < _ALIKE for other in earlier)
        earlier.append(lab)
        paints.append(Paint(_lab_to_hex(lab), alike))
    return tuple(paints)


def _name_to_lab(name: str) -> tuple[float, float, float]:
    digest = sha256(name.encode(errors="surrogatepass")).digest()
    hue = int.from_bytes(digest[:4]) / 2**32 * math.tau
    lightness = _LIGHTNESS[digest[4] % 2] + _SPREAD * digest[5] / 255
    return lightness, _CHROMA * math.cos(hue), _CHROMA * math.sin(hue)


def _lab_to_hex(lab: tuple[float, float, float]) -> str:
    cones = [sum(map(mul, row, lab)) ** 3 for row in _TO_CONES]
    linear = (min(max(sum(map(mul, row, cones)), 0.0), 1.0) for row in _TO_RGB)
    return "#" + "".join(f"{round(_gamma(channel) * 255):02x}" for channel in linear)


def _gamma(channel: float) -> float:
    return 12.92 * channel if channel <= _LINEAR else 1.055 * channel ** (1 / 2.4) - 0.055


@dataclass(frozen=True)
class Tick:
    """Grid line or label of an axis.

    Attributes:
        at: Position in percent (x axis) or pixels (y axis).
        label: Text of the label.
        minor: Whether narrow charts omit it.
    """

    at: float
    label: str
    minor: bool = False


@dataclass(frozen=True)
class Segment:
    """Segment of a bar: the value of one series.

    Attributes:
        series: Index of the series, which selects the color.
        y: Distance from the top in pixels.
        height: Height in pixels.
    """

    series: int
    y: float
    height: float


@dataclass(frozen=True)
class Bar:
    """Bar of one period.

    Attributes:
        x: Left edge of the period in percent.
        width: Width of the period in percent.
        bar_x: Left edge of the bar in percent.
        bar_width: Width of the bar in percent.
        label: Name of the period.
        values: Formatted value of each series.
        total: Formatted sum of the values.
        blocks: Segments of the bar, from the bottom up.
    """

    x: float
    width: float
    bar_x: float
    bar_width: float
    label: str
    values: tuple[str, ...]
    total: str
    blocks: tuple[Segment, ...]

    def tip(self, names: Sequence[str]) -> str:
        """Return the tooltip: the total, and the series with a segment."""
        series = [block.series for block in reversed(self.blocks)]
        parts = [f"{names[index]}: {self.values[index]}" for index in series]
        return "\n".join((f"{self.label}: {self.total}", *parts))


@dataclass(frozen=True)
class StackedBars:
    """Stacked bar chart over time.

    Attributes:
        paints: Paint of each series; without them, series have the colors of the style sheet.
    """

    names: tuple[str, ...]
    columns: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    labels: tuple[Tick, ...]
    paints: tuple[Paint, ...] = ()


def stack_columns(  # noqa: PLR0913, PLR0917 the parts of a chart
    values: Mapping[date, Sequence[float]],
    names: Sequence[str],
    step: str,
    show: Callable[[float], str],
    least: float = 0,
    paints: Sequence[Paint] = (),
) -> StackedBars:
    """Return a bar for each period from the first to the last, including those without values.

    Args:
        values: Values of the series by first day of the period.
        names: Names of the series, from the bottom up.
        step: Length of a period: day, week, month or year.
        show: Function that formats a value.
        least: Smallest step of the axis: 1 for counts.
        paints: Paint of each series.
    """
    periods = list(iter_periods(min(values), max(values), step)) if values else []
    stacks = [values.get(begins, [0.0] * len(names)) for begins in periods]
    heights = (sum(value for value in stack if value > 0) for stack in stacks)
    ticks = choose_ticks(max(heights, default=0), least)
    width = 100 / max(len(periods), 1)
    columns = (
        _stack(name_period(begins, step), stack, index * width, width, ticks[-1], show)
        for index, (begins, stack) in enumerate(zip(periods, stacks, strict=True))
    )
    return StackedBars(
        names=tuple(names),
        columns=tuple(columns),
        ticks=tuple(
            Tick(HEIGHT * (1 - tick / ticks[-1]), show(tick).removesuffix(".00")) for tick in ticks
        ),
        labels=tuple(_label(periods, step, width)),
        paints=tuple(paints),
    )


def _stack(  # noqa: PLR0913, PLR0917 the parts of a bar
    label: str,
    stack: Sequence[float],
    x: float,
    width: float,
    top: float,
    show: Callable[[float], str],
) -> Bar:
    blocks, below = [], 0.0
    for series, value in enumerate(stack):
        if value > 0:
            height = HEIGHT * (value / top)
            below += height
            blocks.append(Segment(series, HEIGHT - below, height))
    return Bar(
        x=x,
        width=width,
        bar_x=x + width * _GAP / 2,
        bar_width=width * (1 - _GAP),
        label=label,
        values=tuple(show(value) if value else UNKNOWN for value in stack),
        total=show(sum(stack)),
        blocks=tuple(blocks),
    )


def _label(periods: Sequence[date], step: str, width: float) -> list[Tick]:
    """Return the labels of at most eight evenly spaced periods."""
    every = math.ceil(len(periods) / _LABELS) or 1
    return [
        Tick((index + 0.5) * width, label_period(begins, step), minor=bool(index // every % 3))
        for index, begins in enumerate(periods)
        if index % every == 0
    ]


def rank_pipelines(slices: Sequence[PeriodSummary], shown: int) -> list[str]:
    """Return the pipelines with the largest amounts, and one name for all others if any."""
    amounts: dict[str, float] = {}
    for part in slices:
        amounts[part.pipeline] = amounts.get(part.pipeline, 0) + (part.amount or 0)
    ranked = sorted(amounts, key=lambda name: (-amounts[name], name))
    return ranked if len(ranked) <= shown + 1 else [*ranked[:shown], OTHERS]


def sum_amounts(slices: Sequence[PeriodSummary], names: Sequence[str]) -> dict[date, list[float]]:
    """Return the amount of each name by period; other pipelines are added to the last name."""
    sums: dict[date, list[float]] = {}
    for part in slices:
        index = names.index(part.pipeline) if part.pipeline in names else len(names) - 1
        sums.setdefault(part.begins, [0.0] * len(names))[index] += part.amount or 0
    return sums


def count_outcomes(slices: Sequence[PeriodSummary]) -> dict[date, list[float]]:
    """Return the number of succeeded, failed, cancelled and open runs by period."""
    sums: dict[date, list[float]] = {}
    for part in slices:
        counts = sums.setdefault(part.begins, [0.0] * 4)
        ends = (part.succeeded_runs, part.failed_runs, part.cancelled_runs, part.open_runs)
        for index, count in enumerate(ends):
            counts[index] += count
    return sums


def share_bars(amounts: Sequence[float | None]) -> list[float]:
    """Return the widths of bars in percent of the largest amount; 0 for negative amounts."""
    largest = max((amount or 0 for amount in amounts), default=0)
    return [measure_share(amount, largest) for amount in amounts]


def measure_share(part: float | None, whole: float | None) -> float:
    """Return a share as percentage from 0 to 100, for the width of a bar."""
    if not part or not whole or whole < 0:
        return 0.0
    return min(max(part / whole * 100, 0.0), 100.0)


def place_ratio(ratio: float) -> float:
    """Return the position of a ratio in percent of an axis from a quarter to four times."""
    return min(max(50 + 25 * math.log2(ratio), 0.0), 100.0) if ratio > 0 else 0.0


def choose_years(runs: Mapping[int, int], present: int) -> tuple[int, int]:
    """Return the first and last year of an axis: up to the present, or the years with most runs.

    A run with a wrong date, such as in the year 1 or 9999, would extend the axis to centuries.

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
    """Return the period of a bar that gives a readable number of bars."""
    days = (last - first).days if first and last else 0
    return next((step for step, longest in _STEPS if days <= longest), "year")


def choose_ticks(largest: float, least: float = 0, wanted: int = 4) -> tuple[float, ...]:
    """Return round values from 0 to at least `largest`, in about `wanted` steps.

    The step is a multiple of `least`: 1 for counts.
    """
    if largest < _SMALLEST:
        return (0.0, 1.0)
    power = 10.0 ** math.floor(math.log10(largest / wanted))
    steps = (factor * power for factor in _ROUND if factor * power * wanted >= largest * 0.999)
    step = next(step for step in (*steps, least) if not least or step % least == 0)
    return tuple(step * n for n in range(math.ceil(largest / step - 1e-9) + 1))


def iter_periods(first: date, last: date, step: str) -> Iterator[date]:
    """Iterate over the first days of the periods from `first` to `last`."""
    yield first
    while first < last:
        first = next_period(first, step)
        yield first


def next_period(begins: date, step: str) -> date:
    """Return the first day of the next period."""
    if step == "year":
        return date(begins.year + 1, 1, 1)
    if step == "month":
        late = begins.month == _DECEMBER
        return date(begins.year + late, 1 if late else begins.month + 1, 1)
    return begins + timedelta(days=7 if step == "week" else 1)


def name_period(begins: date, step: str) -> str:
    """Return the name of a period: `23 Nov 2026`, `Nov 2026` for a month, or `2026` for a year."""
    if step == "year":
        return str(begins.year)
    return f"{begins:%b %Y}" if step == "month" else format_day(begins)


def label_period(begins: date, step: str) -> str:
    """Return the axis label of a period: `23 Nov`, `Nov 26` for a month, or `2026`."""
    if step in {"month", "year"}:
        return f"{begins:%b %y}" if step == "month" else str(begins.year)
    return f"{begins.day} {begins:%b}"

"""Formatting of values in the report, and the metric in which costs are compared.

Unknown values are shown as a dash.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from tower_etl.report.data import CostGroup, LabelCost, ReportData, Run, Totals
    from tower_etl.report.task_data import MachineType, Process

UNKNOWN = "\u2013"
EMPTY = "(empty)"
NARROW = "\u202f"  # narrow no-break space, between a number and its unit

_PARTS = re.compile(r"[^/_:.-]{1,40}[/_:.-]*|[/_:.-]+")  # the parts of a text where lines may break
_CENT, _DIME, _EXACT_USD = 0.01, 0.1, 100
_VAST = 1e15  # from here on, in scientific notation
_LEAST_BEGINNING = 6  # characters of a shortened name, with the ellipsis
_FEW, _DAY_MINUTES, _WEEKS_HOURS = 10, 1440, 240


def format_usd(amount: float | None) -> str:
    """Format an amount in USD: `$1,094`, `$12.40`, `< $0.01`."""
    if amount is None or not math.isfinite(amount):
        return UNKNOWN
    if amount < 0:
        return f"-{format_usd(-amount)}"
    if 0 < amount < _CENT:
        return f"<{NARROW}$0.01"
    if not amount:
        return "$0"
    return f"${_format_whole(amount)}" if amount >= _EXACT_USD else f"${amount:,.2f}"


def format_exact(amount: float, currency: str, digits: int) -> str:
    """Format an amount with all its digits: `$1,094.20`, `12.40 EUR`."""
    if abs(amount) >= _VAST:
        return format_money(amount, currency)
    number = f"{abs(amount):,.{digits}f}"
    sign = "-" if amount < 0 else ""
    return f"{sign}${number}" if currency == "USD" else f"{sign}{number}{NARROW}{currency}"


def format_money(amount: float | None, currency: str) -> str:
    """Format an amount in a currency: `$12.40`, or `12.40 EUR`."""
    text = format_usd(amount)
    return (
        text
        if currency == "USD" or text == UNKNOWN
        else f"{text.replace('$', '')}{NARROW}{currency}"
    )


def format_count(count: float | None) -> str:
    """Format a count or a rounded measure: `5,632`, `0.4`."""
    if count is None or not math.isfinite(count):
        return UNKNOWN
    if count < 0:
        return f"-{format_count(-count)}"
    if count == int(count) or count >= _FEW:
        return _format_whole(count)
    return f"{count:,.1f}" if count >= _DIME else f"{count:,.2f}"


def _format_whole(number: float) -> str:
    """Format a number without its fraction: `5,632`, `1.0e+15`."""
    return f"{number:,.0f}" if number < _VAST else f"{number:.1e}"


def format_share(share: float | None) -> str:
    """Format a fraction as percentage: `82 %`, `< 1 %`."""
    if share is None or not abs(share) < _VAST:
        return UNKNOWN
    if 0 < share < _CENT:
        return f"<{NARROW}1{NARROW}%"
    return f"{format_count(round(share * 100))}{NARROW}%"


def format_gib(gib: float | None) -> str:
    """Format an amount of memory: `36 GiB`, `0.8 GiB`."""
    shown = format_count(gib)
    return shown if shown == UNKNOWN else f"{shown}{NARROW}GiB"


def format_times(times: float | None) -> str:
    """Format a ratio, with a multiplication sign."""
    if times is None or not abs(times) < _VAST:
        return UNKNOWN
    return f"{times:.1f} \N{MULTIPLICATION SIGN}"


def format_ratio(ratio: float | None) -> str:
    """Format a ratio of two amounts to two digits, with a multiplication sign."""
    if ratio is None or not abs(ratio) < _VAST:
        return UNKNOWN
    return f"{ratio:.2f}{NARROW}\N{MULTIPLICATION SIGN}"


def format_interval(low: float | None, high: float | None) -> str:
    """Format an interval: `1.10 to 1.58`; without one, a single run is on a side."""
    if low is None or high is None:
        return "no interval"
    return f"{low:.2f} to {high:.2f}" if abs(high) < _VAST else UNKNOWN


def format_price(amount: float | None, currency: str) -> str:
    """Format a price of an hour: `$0.0310`."""
    return UNKNOWN if amount is None else format_exact(amount, currency, 4)


def format_hours(hours: float | None) -> str:
    """Format a duration: `12 min`, `3 h 12 min`, `2 d 5 h`."""
    if hours is None or not math.isfinite(hours):
        return UNKNOWN
    if hours >= _VAST:
        return f"{_format_whole(hours / 24)}{NARROW}d"
    return f"-{format_hours(-hours)}" if hours < 0 else _format_span(hours)


def _format_span(hours: float) -> str:
    if hours < 1 / 60:
        return f"{hours * 3600:.0f}{NARROW}s"
    minutes = round(hours * 60)
    if minutes < 60:  # noqa: PLR2004 an hour
        return f"{minutes}{NARROW}min"
    if minutes < _DAY_MINUTES:
        return f"{minutes // 60}{NARROW}h {minutes % 60:02d}{NARROW}min"
    whole = round(hours)
    days = f"{_format_whole(whole // 24)}{NARROW}d"
    return days if hours >= _WEEKS_HOURS else f"{days} {whole % 24}{NARROW}h"


def make_key(value: object) -> float | int:
    """Return the sort key of a table cell; unknown values sort as 0."""
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, int | float) and math.isfinite(value):
        return value
    return 0


def format_day(timestamp: date | None) -> str:
    """Format a date: `23 Nov 2026`."""
    return UNKNOWN if timestamp is None else f"{timestamp.day} {timestamp:%b %Y}"


def format_moment(timestamp: datetime | None) -> str:
    """Format a UTC timestamp: `23 Nov 2026, 11:09`."""
    return UNKNOWN if timestamp is None else f"{format_day(timestamp)}, {timestamp:%H:%M}"


def format_clock(timestamp: datetime | None) -> str:
    """Format the time of day of a timestamp: `11:09`."""
    return "" if timestamp is None else f"{timestamp:%H:%M}"


def mark_breaks(text: str) -> Markup:
    """Return escaped text with line break opportunities in long names."""
    return Markup("<wbr>").join(_PARTS.findall(text))


def name_processes(processes: Iterable[str], longest: int = 38) -> dict[str, str]:
    """Return a short name for each process, distinct among those given.

    The name is the shortest unique suffix of whole parts. If it is longer than `longest`, its
    middle is omitted; if the names are no longer distinct, `longest` is increased until they are.
    """
    all_parts = [process.split(":") for process in dict.fromkeys(processes)]
    suffixes = {":".join(parts): _shorten(parts, all_parts) for parts in all_parts}
    names = {process: cut_middle(suffix, longest) for process, suffix in suffixes.items()}
    while len(set(names.values())) < len(names):
        longest += 1
        counts = Counter(names.values())
        clashing = [process for process, name in names.items() if counts[name] > 1]
        names |= {process: cut_middle(suffixes[process], longest) for process in clashing}
    return names


def _shorten(parts: list[str], others: list[list[str]]) -> str:
    lengths = range(1, len(parts) + 1)
    unique = (n for n in lengths if sum(other[-n:] == parts[-n:] for other in others) == 1)
    return ":".join(parts[-next(unique, len(parts)) :])


def cut_middle(text: str, longest: int) -> str:
    """Return a text of at most `longest` characters: its beginning, an ellipsis, and its end.

    The end is the last part of a name where that leaves room for a beginning.
    """
    if len(text) <= longest:
        return text
    last = len(text) - text.rfind(":") if ":" in text else 0
    end = last if 0 < last <= longest - _LEAST_BEGINNING else longest * 2 // 3
    return f"{text[: longest - end - 1]}\u2026{text[len(text) - end :]}"


def format_measure(value: float, name: str) -> str:
    """Format a sum of a measure of a comparison with its unit, which its name ends in."""
    if name.endswith("_seconds"):
        return format_hours(value / 3600)
    if name.endswith("_usd"):
        return format_usd(value)
    return format_count(value)


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
        return (
            format_money(amount, self.unit) if self.priced else f"{format_count(amount)}{NARROW}h"
        )

    def pick(self, usd: float | None, hours: float | None) -> float:
        """Return the amount in this metric, 0 if unknown."""
        return (usd if self.priced else hours) or 0.0

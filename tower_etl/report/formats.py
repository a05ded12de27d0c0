"""Figures as people read them. What is not known is a dash."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

UNKNOWN = "\u2013"
EMPTY = "(empty)"
NARROW = "\u202f"  # a narrow space that does not break, between a number and its unit

_PARTS = re.compile(r"[^/_:.-]{1,40}[/_:.-]*|[/_:.-]+")  # joined, they are the whole text
_CENT, _DIME, _EXACT_USD = 0.01, 0.1, 100
_VAST = 1e15  # from there on, digits say nothing
_FEW, _DAY_MINUTES, _WEEKS_HOURS = 10, 1440, 240


def show_usd(amount: float | None) -> str:
    """Dollars: `$1,094`, `$12.40`, `< $0.01`."""
    if amount is None or not math.isfinite(amount):
        return UNKNOWN
    if amount < 0:
        return f"-{show_usd(-amount)}"
    if 0 < amount < _CENT:
        return f"<{NARROW}$0.01"
    if not amount:
        return "$0"
    return f"${_show_whole(amount)}" if amount >= _EXACT_USD else f"${amount:,.2f}"


def show_count(count: float | None) -> str:
    """A number of things, or a measure whose fractions do not matter: `5,632`, `0.4`."""
    if count is None or not math.isfinite(count):
        return UNKNOWN
    if count < 0:
        return f"-{show_count(-count)}"
    if count == int(count) or count >= _FEW:
        return _show_whole(count)
    return f"{count:,.1f}" if count >= _DIME else f"{count:,.2f}"


def _show_whole(number: float) -> str:
    """A number without its fraction, and no line of digits: `5,632`, `1.0e+15`."""
    return f"{number:,.0f}" if number < _VAST else f"{number:.1e}"


def show_share(share: float | None) -> str:
    """A share of 1 as percent: `82 %`, `< 1 %`."""
    if share is None or not math.isfinite(share):
        return UNKNOWN
    if 0 < share < _CENT:
        return f"<{NARROW}1{NARROW}%"
    return f"{show_count(round(share * 100))}{NARROW}%" if abs(share) < _VAST else UNKNOWN


def show_gib(gib: float | None) -> str:
    """Memory: `36 GiB`, `0.8 GiB`."""
    shown = show_count(gib)
    return shown if shown == UNKNOWN else f"{shown}{NARROW}GiB"


def show_times(times: float | None) -> str:
    """How many times as much, with the sign of multiplication."""
    if times is None or not math.isfinite(times):
        return UNKNOWN
    return f"{times:.1f} \N{MULTIPLICATION SIGN}" if abs(times) < _VAST else UNKNOWN


def show_hours(hours: float | None) -> str:
    """A stretch of time: `12 min`, `3 h 12 min`, `2 d 5 h`."""
    if hours is None or not math.isfinite(hours):
        return UNKNOWN
    if hours >= _VAST:
        return f"{_show_whole(hours / 24)}{NARROW}d"
    return f"-{show_hours(-hours)}" if hours < 0 else _show_span(hours)


def _show_span(hours: float) -> str:
    if hours < 1 / 60:
        return f"{hours * 3600:.0f}{NARROW}s"
    minutes = round(hours * 60)
    if minutes < 60:  # noqa: PLR2004 an hour
        return f"{minutes}{NARROW}min"
    if minutes < _DAY_MINUTES:
        return f"{minutes // 60}{NARROW}h {minutes % 60:02d}{NARROW}min"
    whole = round(hours)
    days = f"{_show_whole(whole // 24)}{NARROW}d"
    return days if hours >= _WEEKS_HOURS else f"{days} {whole % 24}{NARROW}h"


def make_key(value: object) -> float | int:
    """What a column is sorted by: what is not known comes with the nothing."""
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, int | float) and math.isfinite(value):
        return value
    return 0


def show_day(moment: date | None) -> str:
    """A day: `23 Nov 2026`."""
    return UNKNOWN if moment is None else f"{moment.day} {moment:%b %Y}"


def show_moment(moment: datetime | None) -> str:
    """A minute of UTC: `23 Nov 2026, 11:09`."""
    return UNKNOWN if moment is None else f"{show_day(moment)}, {moment:%H:%M}"


def show_clock(moment: datetime | None) -> str:
    """A time of day: `11:09`."""
    return "" if moment is None else f"{moment:%H:%M}"


def mark_breaks(text: str) -> Markup:
    """The text, escaped, with places where a line may end in names that have no spaces."""
    return Markup("<wbr>").join(_PARTS.findall(text))


def name_processes(processes: Iterable[str]) -> dict[str, str]:
    """The last part of each name, which is what people call it; more where others end alike."""
    all_parts = [process.split(":") for process in dict.fromkeys(processes)]
    return {":".join(parts): _shorten(parts, all_parts) for parts in all_parts}


def _shorten(parts: list[str], others: list[list[str]]) -> str:
    lengths = range(1, len(parts) + 1)
    alone = (n for n in lengths if sum(other[-n:] == parts[-n:] for other in others) == 1)
    return ":".join(parts[-next(alone, len(parts)) :])


def name_number(count: int, singular: str, plural: str = "") -> str:
    """A number with its noun: `1 run`, `2 runs`, `3 processes`."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"

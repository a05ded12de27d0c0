"""A comparison as a self-contained HTML page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tower_etl.report import formats
from tower_etl.report.render import render_template

if TYPE_CHECKING:
    from datetime import datetime

    from tower_etl.report.comparison import Comparison


def render_comparison(comparison: Comparison, made_at: datetime) -> str:
    """Return the HTML of a comparison."""
    return render_template(
        "compare.html",
        comparison=comparison,
        groups=(comparison.first, comparison.second),
        made_at=made_at,
        headline=write_headline(comparison),
        show=show_measure,
    )


def show_measure(value: float, name: str) -> str:
    """Format a sum of a measure with its unit."""
    if name.endswith("_seconds"):
        return formats.show_hours(value / 3600)
    if name.endswith("_usd"):
        return formats.show_usd(value)
    return formats.show_count(value)


def write_headline(comparison: Comparison) -> str:
    """Return the result in one sentence: on the bill if there is one, else on the platform cost."""
    by_name = {measure.name: measure for measure in comparison.measures}
    names = ("bill_usd", "platform_usd", "run_seconds")
    measure = next((by_name[n] for n in names if by_name[n].ratio is not None), None)
    first, second = comparison.first.name, comparison.second.name
    if measure is None:
        return f"{first} and {second} have no task in common."
    if not measure.differs:
        return f"{measure.title}: no difference between {first} and {second} is shown."
    return f"{measure.title}: a task of {second} takes {measure.verdict} than one of {first}."

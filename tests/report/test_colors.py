"""Colors of pipelines: derived from the name, visible in both color schemes, unique in a chart."""

from __future__ import annotations

import re

import pytest

from tests.report.conftest import page_of
from tests.sql.small import SmallHistory
from tower_etl.report.charts import OTHERS, paint_names

NAMES = [f"nf-core/pipeline{number}" for number in range(200)]
LIGHT, DARK = "#ffffff", "#1c2027"  # backgrounds of the charts


def read_legend(page: str) -> dict[str, str]:
    """Return the color of each pipeline in the cost chart."""
    chart = page[page.index('aria-labelledby="spend-chart-title"') :]
    items = re.findall(r'fill="(#\w{6})".*?</svg>(.*?)</li>', chart[: chart.index("</ul>")])
    return {name.replace("<wbr>", ""): color for color, name in items}


def history_of(costs: dict[str, float]) -> SmallHistory:
    """Return a history with one run per pipeline."""
    history = SmallHistory()
    for name, cost in costs.items():
        history.add_run(name, projectName=name)
        history.add_task(name, cost=cost)
    return history


@pytest.mark.slow
def test_a_pipeline_has_the_same_color_in_different_reports() -> None:
    """The other pipelines and the rank by cost do not matter."""
    first = read_legend(page_of(history_of({"acme/a": 9, "acme/b": 5, "acme/c": 1})))
    second = read_legend(page_of(history_of({"acme/c": 70, "acme/new": 20, "acme/a": 1})))
    assert len(first) == len(second) == 3
    assert {name: first[name] for name in ("acme/a", "acme/c")} == {
        name: second[name] for name in ("acme/a", "acme/c")
    }


def test_pipelines_of_a_chart_have_distinct_colors() -> None:
    """A color similar to an earlier one is hatched.

    Colors do not depend on the order of the names.
    """
    paints = paint_names([*NAMES, OTHERS], OTHERS)
    assert len({paint.color for paint in paints}) == len(paints)
    assert not paints[0].hatched
    assert any(paint.hatched for paint in paints)
    assert paint_names(NAMES[::-1], OTHERS)[-1].color == paints[0].color


@pytest.mark.parametrize("card", [LIGHT, DARK])
def test_colors_have_enough_contrast_to_the_background(card: str) -> None:
    """WCAG requires 3 : 1 for graphics."""
    below = [paint.color for paint in paint_names(NAMES, OTHERS) if contrast(paint.color, card) < 3]
    assert below == []


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colors, as WCAG defines it."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def luminance(color: str) -> float:
    """Return the relative luminance of a color."""
    channels = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(c * weight for c, weight in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))

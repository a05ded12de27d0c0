"""Geometry of charts: heights of columns, periods without gaps, round axis values."""

from __future__ import annotations

import itertools
import math
from datetime import UTC, date, datetime, timedelta

import pytest

from tower_etl.report.charts import (
    HEIGHT,
    OTHERS,
    choose_step,
    choose_ticks,
    choose_years,
    count_outcomes,
    iter_periods,
    measure_share,
    rank_pipelines,
    share_bars,
    stack_columns,
    sum_amounts,
)
from tower_etl.report.data import PeriodSummary
from tower_etl.report.formats import format_count, format_usd

MONDAY = date(2026, 3, 2)


def slice_of(pipeline: str, amount: float | None, begins: date = MONDAY) -> PeriodSummary:
    """Return the summary of a period with one successful run of a pipeline."""
    return PeriodSummary(begins, pipeline, 1, 0, 0, 0, amount)


@pytest.mark.parametrize(
    ("largest", "ticks"),
    [
        (230, (0, 100, 200, 300)),
        (16, (0, 5, 10, 15, 20)),
        (0.07, (0, 0.02, 0.04, 0.06, 0.08)),
        (4, (0, 1, 2, 3, 4)),
        (1, (0, 0.25, 0.5, 0.75, 1)),
        (0, (0, 1)),
    ],
)
def test_axis_ticks_are_round_and_reach_the_largest_value(
    largest: float, ticks: tuple[float, ...]
) -> None:
    assert choose_ticks(largest) == pytest.approx(ticks)


def test_ticks_of_counts_are_whole_numbers() -> None:
    assert choose_ticks(2, least=1) == (0, 1, 2)
    assert choose_ticks(10, least=1) == (0, 5, 10)


def test_periods_of_days_weeks_and_months_have_no_gaps() -> None:
    assert list(iter_periods(date(2026, 2, 27), date(2026, 3, 1), "day")) == [
        date(2026, 2, 27),
        date(2026, 2, 28),
        date(2026, 3, 1),
    ]
    assert len(list(iter_periods(date(2025, 12, 29), date(2026, 1, 12), "week"))) == 3
    months = list(iter_periods(date(2025, 11, 1), date(2026, 1, 1), "month"))
    assert months == [date(2025, 11, 1), date(2025, 12, 1), date(2026, 1, 1)]


@pytest.mark.parametrize("step", ["day", "week", "month", "year"])
@pytest.mark.parametrize("begins", [date(1, 1, 1), date(9999, 12, 1), date(9999, 12, 27)])
def test_periods_at_the_first_and_last_year_do_not_overflow(begins: date, step: str) -> None:
    """Python's dates have no day before the year 1 and none after 9999."""
    assert list(iter_periods(begins, begins, step)) == [begins]


NORMAL = {2025: 5, 2026: 40}


@pytest.mark.parametrize(
    ("runs", "years"),
    [
        (NORMAL, (1968, 2027)),
        (NORMAL | {1: 500, 9999: 500}, (1968, 2027)),
        (NORMAL | {1970: 3}, (1968, 2027)),
        ({9999: 1}, (9940, 9999)),
        ({1: 2, 9999: 1}, (-58, 1)),
        ({1000: 2, 1050: 2, 1080: 3}, (1021, 1080)),
        ({-43: 9, 290_000: 9, 1500: 1}, (1441, 1500)),
        ({}, (1968, 2027)),
        (dict.fromkeys(range(1, 10_000), 1), (1968, 2027)),
    ],
)
def test_a_time_axis_spans_at_most_sixty_years(
    runs: dict[int, int], years: tuple[int, int]
) -> None:
    """It shows the years up to the last sync, or else those with most runs."""
    assert choose_years(runs, 2026) == years


@pytest.mark.parametrize(
    ("days", "step"), [(0, "day"), (45, "day"), (200, "week"), (2000, "month"), (20_000, "year")]
)
def test_the_period_step_keeps_columns_to_at_most_100(days: int, step: str) -> None:
    first = datetime(1970, 1, 1, tzinfo=UTC)
    last = first + timedelta(days=days)
    assert choose_step(first, last) == step
    begins = date(1970, 1, 1)
    assert len(list(iter_periods(begins, last.date(), step))) <= 100


@pytest.mark.parametrize("largest", [5e-324, 1e-310, 1e-290, 1e-9, 0.5, 1e15, 1e299, 1e306])
def test_axis_ticks_are_finite_and_rising_for_any_largest_value(largest: float) -> None:
    ticks = choose_ticks(largest)
    assert ticks[0] == 0
    assert all(low < high < math.inf for low, high in itertools.pairwise(ticks))
    assert ticks[-1] >= largest * 0.999
    assert len(ticks) <= 6


def test_huge_values_stay_inside_the_chart_and_negative_ones_are_not_drawn() -> None:
    values = {date(2026, 3, 2): [1e299, -9e298], date(2026, 3, 3): [5.0, -7.0]}
    chart = stack_columns(values, ("a", "b"), "day", format_usd)
    blocks = [block for column in chart.columns for block in column.blocks]
    assert all(0 <= block.y <= HEIGHT and 0 <= block.height <= HEIGHT for block in blocks)
    assert len(blocks) == 2


def test_segments_of_a_column_are_stacked() -> None:
    """On an axis up to 4, 3 and 1 fill three quarters and one quarter.

    The day between has no value.
    """
    values = {date(2026, 3, 2): [3.0, 1.0], date(2026, 3, 4): [0.0, 2.0]}
    chart = stack_columns(values, ("a", "b"), "day", format_count)
    assert [tick.label for tick in chart.ticks] == ["0", "1", "2", "3", "4"]
    full, empty, half = chart.columns
    assert [(block.y, block.height) for block in full.blocks] == [
        (HEIGHT / 4, HEIGHT * 3 / 4),
        (0, HEIGHT / 4),
    ]
    assert empty.blocks == ()
    assert [(block.series, block.height) for block in half.blocks] == [(1, HEIGHT / 2)]
    assert [round(column.x, 1) for column in chart.columns] == [0, 33.3, 66.7]
    assert full.tip(chart.names) == "2 Mar 2026: 4\nb: 1\na: 3"


def test_axis_labels_have_cents_only_for_steps_below_one_dollar() -> None:
    for height, label in ((70.0, "$40"), (0.7, "$0.40")):
        chart = stack_columns({MONDAY: [height]}, ("a",), "day", format_usd)
        assert label in {tick.label for tick in chart.ticks}


def test_a_chart_without_values_is_empty() -> None:
    chart = stack_columns({}, ("a",), "day", format_count)
    assert (chart.columns, chart.labels) == ((), ())


def test_a_year_of_weeks_has_at_most_eight_labels() -> None:
    """Two or three labels are not optional: a phone shows only those."""
    values = {begins: [1.0] for begins in iter_periods(MONDAY, date(2027, 2, 22), "week")}
    chart = stack_columns(values, ("a",), "week", format_count)
    assert len(chart.columns) == 52
    assert 5 <= len(chart.labels) <= 8
    assert 2 <= sum(not label.minor for label in chart.labels) <= 3


def test_small_pipelines_are_summed_unless_there_is_only_one() -> None:
    slices = [slice_of(name, amount) for name, amount in (("a", 5), ("b", 3), ("c", 1), ("d", 1))]
    assert rank_pipelines(slices, 2) == ["a", "b", OTHERS]
    assert rank_pipelines(slices, 3) == ["a", "b", "c", "d"]
    assert sum_amounts(slices, ["a", "b", OTHERS]) == {MONDAY: [5, 3, 2]}


def test_an_unknown_amount_counts_as_zero_and_its_run_is_counted() -> None:
    assert sum_amounts([slice_of("a", None)], ["a"]) == {MONDAY: [0]}
    assert count_outcomes([slice_of("a", None)]) == {MONDAY: [1, 0, 0, 0]}


def test_bars_are_shares_of_the_largest() -> None:
    """Unknown and negative amounts have no bar. If the largest amount is 0, no amount has one."""
    assert share_bars([4, 1, None]) == [100, 25, 0]
    assert share_bars([0, None]) == [0, 0]
    assert share_bars([4, -1, 1]) == [100, 0, 25]
    assert share_bars([-4, -1]) == [0, 0]
    assert share_bars([1e308, 5e307]) == [100, 50]
    assert measure_share(5, 1) == 100
    assert measure_share(5, 0) == 0

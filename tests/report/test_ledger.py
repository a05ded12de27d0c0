"""The breakdowns of cost and time: parts add up to the total, as bars and as figures."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.report.conftest import MADE_AT, facts_of, page_of
from tests.sql.small import GIB, HOUR_MS
from tower_etl.report.formats import CostMetric
from tower_etl.report.ledger import round_parts, split_cost, split_time
from tower_etl.report.queries import load_report_data
from tower_etl.warehouse.reader import open_reader

if TYPE_CHECKING:
    from pathlib import Path

    from tests.sql.small import SmallHistory
    from tower_etl.report.data import ReportData
    from tower_etl.report.ledger import Ledger


def list_ledgers(facts: ReportData) -> list[Ledger]:
    """Return every breakdown of a report."""
    measure = CostMetric.choose(facts)
    spenders = (facts.totals, *facts.pipelines, *facts.users, *facts.workspaces, *facts.processes)
    times = (facts.time, *facts.processes)
    return [*(split_cost(row, measure) for row in spenders), *map(split_time, times)]


def read_figure(shown: str) -> Decimal:
    """Return the number in a formatted amount."""
    return Decimal(re.sub(r"[^\d.-]", "", shown))


def wasteful_history(small: SmallHistory) -> SmallHistory:
    """Fill a history with each of the six waste categories; the total is 33.33 USD."""
    staged = {"realtime": HOUR_MS // 2, "complete": "2026-03-01T13:20:00Z"}
    small.add_run("a")
    small.add_task("a", cost=7.0 / 3, status="FAILED", exit="1", errorAction="RETRY")
    small.add_task("a", cost=4.0, attempt=2, memory=16 * GIB, cpus=4, pcpu=400.0)
    small.add_task("a", name="ALIGN (two)", cost=8.0, cpus=8, pcpu=100.0)
    small.add_task("a", name="ALIGN (three)", cost=6.0, **staged)
    small.add_run("b", status="FAILED")
    small.add_task("b", cost=13.0)
    return small


def test_the_six_parts_of_the_cost_bar_add_up_to_the_cost(small: SmallHistory) -> None:
    facts = facts_of(wasteful_history(small))
    money = split_cost(facts.totals, CostMetric.choose(facts))
    assert [part.key for part in money.parts] == [
        *("useful", "over", "staging", "escalated", "retried", "lost")
    ]
    assert all(part.amount > 0 for part in money.parts)
    assert sum(part.width for part in money.parts) == pytest.approx(100)
    ends = [part.x + part.width for part in money.drawn]
    assert [part.x for part in money.drawn] == pytest.approx([0, *ends[:-1]])
    assert sum(read_figure(part.shown) for part in money.parts) == Decimal("33.33")
    assert money.shown == "$33.33"


def test_the_page_shows_the_cost_bar_with_its_amounts_as_label(small: SmallHistory) -> None:
    """Screen readers read the amounts from `aria-label`."""
    page = page_of(wasteful_history(small))
    bar = re.search(r'<svg class="ledger".*?aria-label="([^"]*)".*?</svg>', page, re.DOTALL)
    assert bar
    widths = [
        float(width) for width in re.findall(r'width="([\d.]+)%" height="44"><title>', bar[0])
    ]
    assert len(widths) == 6
    assert sum(widths) == pytest.approx(100, abs=0.01)
    assert "Lost $13.00" in bar[1]


@pytest.mark.slow
def test_every_breakdown_of_a_seeded_history_adds_up(seeded: Path) -> None:
    """The breakdowns are of all runs, of groups and of processes, by cost and by time."""
    with open_reader(seeded) as connection:
        facts = load_report_data(connection, MADE_AT)
    ledgers = list_ledgers(facts)
    assert len(ledgers) > 20
    for ledger in ledgers:
        assert sum(part.amount for part in ledger.parts) == pytest.approx(ledger.total)
        figures = sum(read_figure(part.shown) for part in ledger.parts)
        assert figures == read_figure(ledger.shown)
        assert all(part.amount > -1e-4 for part in ledger.parts)
    by_pipeline = sum(row.lost_usd or 0 for row in facts.pipelines)
    assert by_pipeline == pytest.approx(facts.totals.lost_usd)


@pytest.mark.slow
@pytest.mark.shared
def test_breakdowns_of_real_runs_match_the_reference_values(real_runs: Path) -> None:
    with open_reader(real_runs) as connection:
        facts = load_report_data(connection, MADE_AT)
    money = split_cost(facts.totals, CostMetric.choose(facts))
    amounts = {part.key: part.amount for part in money.parts}
    assert money.shown == "$38.85"
    assert amounts["retried"] == pytest.approx(1.6974, abs=2e-4)
    assert amounts["staging"] == pytest.approx(4.2282, abs=2e-4)
    assert amounts["escalated"] == pytest.approx(2.5937, abs=2e-4)
    assert amounts["lost"] == 0
    waited = split_time(facts.time).parts[-1]
    assert (waited.title, waited.shown[:3]) == ("Waited", "6.2")


@given(st.lists(st.floats(-1e6, 1e6, allow_nan=False), min_size=1, max_size=8), st.integers(0, 4))
def test_rounded_parts_add_up_to_the_rounded_sum(amounts: list[float], digits: int) -> None:
    """No part is changed by more than its last digit."""
    rounded = round_parts(amounts, digits)
    step = 10.0**-digits
    assert sum(rounded) == pytest.approx(sum(amounts), abs=step)
    assert all(abs(a - r) <= step * 1.001 for a, r in zip(amounts, rounded, strict=True))


def test_a_page_without_costs_shows_only_the_time_breakdown(small: SmallHistory) -> None:
    small.add_run("a")
    small.add_task("a", cost=None)
    page = page_of(small)
    assert "Where the money went" not in page
    assert "Where the time went" in page

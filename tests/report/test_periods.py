"""Recent spend: the seven days before now or `--until`, by the start of tasks."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.report.conftest import MADE_AT, PLATFORM
from tests.report.test_page import Reader
from tower_etl.report.queries import load_report_data
from tower_etl.report.render import render_page, write_report
from tower_etl.warehouse.filters import RunFilter

if TYPE_CHECKING:
    from pathlib import Path

    from tests.sql.small import SmallHistory

DAY = timedelta(days=1)


def add_spend(small: SmallHistory, days_ago: float, cost: float) -> None:
    """Add a run with one task of one hour."""
    begun = MADE_AT - days_ago * DAY
    run_id = f"run{days_ago}"
    small.add_run(run_id, submit=begun.isoformat())
    ended = (begun + timedelta(hours=1)).isoformat()
    small.add_task(run_id, cost=cost, start=begun.isoformat(), complete=ended)


def read_until(small: SmallHistory, until: datetime = MADE_AT) -> str:
    """Return the text of a report on the tasks until a time."""
    with small.open(stored=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        facts = load_report_data(connection, until)
    scope = RunFilter(until=until if until < MADE_AT else None)
    return Reader(render_page(facts, PLATFORM, MADE_AT, scope)).text


def test_the_last_seven_days_end_now_and_not_with_the_latest_run(small: SmallHistory) -> None:
    for days_ago, cost in ((3, 1.0), (6.9, 2.0), (7.1, 4.0), (13.9, 8.0), (20, 16.0)):
        add_spend(small, days_ago, cost)
    small.add_sync(started_at=MADE_AT)
    assert "$3.00 in the last 7 days, $12.00 in the 7 before" in read_until(small)


def test_a_history_without_recent_runs_shows_zero_recent_spend(small: SmallHistory) -> None:
    add_spend(small, 430, 5.0)
    small.add_sync(started_at=MADE_AT)
    assert "$0 in the last 7 days, $0 in the 7 before" in read_until(small)


def test_with_until_the_seven_days_end_there_and_are_named_by_date(small: SmallHistory) -> None:
    for days_ago, cost in ((3, 1.0), (12, 2.0)):
        add_spend(small, days_ago, cost)
    small.add_sync(started_at=MADE_AT)
    text = read_until(small, MADE_AT - 10 * DAY)
    assert "$2.00 in the 7 days before 26 Feb 2026, 09:30" in text
    assert "last 7 days," not in text


def test_the_previous_week_is_omitted_if_the_history_starts_in_it(small: SmallHistory) -> None:
    """It would be compared with days before the first run."""
    add_spend(small, 10, 2.0)
    add_spend(small, 1, 1.0)
    small.add_sync(started_at=MADE_AT)
    text = read_until(small)
    assert "$1.00 in the last 7 days" in text
    assert "in the 7 before" not in text


@pytest.mark.parametrize(
    ("days_ago", "said"),
    [
        (0.5, "in the last 7 days 1 runs"),
        (3, "in the last 7 days, as synced on 5 Mar 2026"),
        (8, ""),
    ],
)
def test_recent_spend_names_an_old_sync_and_is_omitted_after_a_week(
    small: SmallHistory, days_ago: float, said: str
) -> None:
    add_spend(small, 9, 2.0)
    small.add_sync(started_at=MADE_AT - days_ago * DAY)
    text = read_until(small).replace("Runs 1 ", "1 runs ")
    assert said in text
    assert ("in the last 7 days" in text) == bool(said)


@pytest.mark.slow
def test_until_in_the_past_ends_the_week_and_in_the_future_is_ignored(
    seeded: Path, tmp_path: Path
) -> None:
    with_until = tmp_path / "until.html"
    now = datetime.now().astimezone()
    for until, said in ((now - DAY, "7 days before"), (now + DAY, "last 7 days")):
        write_report(seeded, with_until, now, scope=RunFilter(until=until))
        assert said in with_until.read_text(encoding="utf-8")

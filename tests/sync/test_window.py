"""Window of a listing: each rule separately."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tower_etl.config.settings import SyncOptions
from tower_etl.sync import (
    ListingWindow,
    TableCoverage,
    WorkspaceState,
    plan_listing,
)
from tower_etl.sync.state import RUN_TABLES

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SYNCED = WorkspaceState(cursor=NOW - HOUR, reconciled_at=NOW - timedelta(hours=2))


def test_the_first_listing_is_full_and_without_bounds() -> None:
    assert plan_listing(WorkspaceState(), SyncOptions(), NOW) == ListingWindow(
        None, None, is_full=True
    )


def test_the_first_listing_starts_at_since_and_ends_at_until() -> None:
    request = SyncOptions(since=NOW - DAY, until=NOW - HOUR)

    expected = ListingWindow(NOW - DAY, NOW - HOUR, is_full=True)
    assert plan_listing(WorkspaceState(), request, NOW) == expected


def test_an_incremental_listing_starts_before_the_cursor() -> None:
    """The lookback window is one hour."""
    assert plan_listing(SYNCED, SyncOptions(), NOW) == ListingWindow(
        NOW - 2 * HOUR, None, is_full=False
    )


def test_a_cursor_in_the_year_1_does_not_underflow() -> None:
    """A server may report that year as the submission time of a run."""
    state = replace(SYNCED, cursor=datetime.min.replace(tzinfo=UTC))

    assert plan_listing(state, SyncOptions(), NOW).after == datetime(1969, 12, 31, 23, tzinfo=UTC)


def test_until_ends_an_incremental_listing() -> None:
    window = plan_listing(SYNCED, SyncOptions(until=NOW - MINUTE), NOW)

    assert (window.before, window.is_full) == (NOW - MINUTE, False)


@pytest.mark.parametrize(
    ("request_", "reconciled", "whole"),
    [
        (SyncOptions(), NOW - DAY + MINUTE, False),
        (SyncOptions(), NOW - DAY, True),
        (SyncOptions(), NOW, False),
        (SyncOptions(), NOW + MINUTE, True),
        (SyncOptions(reconcile_every=timedelta(days=30)), NOW + 365 * DAY, True),
        (SyncOptions(), None, True),
        (SyncOptions(reconcile=True), NOW - MINUTE, True),
        (SyncOptions(reconcile_every=timedelta(hours=1)), NOW - HOUR, True),
        (SyncOptions(reconcile_every=timedelta(days=30)), NOW - 29 * DAY, False),
    ],
)
def test_a_listing_is_full_when_a_reconciliation_is_due(
    request_: SyncOptions, reconciled: datetime | None, *, whole: bool
) -> None:
    """It is due once a day, on request, and after a clock was ahead."""
    state = WorkspaceState(cursor=NOW - HOUR, reconciled_at=reconciled)

    assert plan_listing(state, request_, NOW).is_full == whole


@pytest.mark.parametrize(
    ("floor", "since", "after", "whole"),
    [
        (NOW - 9 * DAY, NOW - 20 * DAY, NOW - 20 * DAY, True),
        (NOW - 9 * DAY, NOW - 9 * DAY, NOW - 2 * HOUR, False),
        (NOW - 9 * DAY, NOW - DAY, NOW - 2 * HOUR, False),
        (NOW - 9 * DAY, None, NOW - 2 * HOUR, False),
        (None, NOW - 20 * DAY, NOW - 2 * HOUR, False),
    ],
)
def test_since_can_extend_the_history_but_never_leaves_a_gap(
    floor: datetime | None, since: datetime | None, after: datetime, *, whole: bool
) -> None:
    """An earlier `since` lists all runs from there on; a later one changes nothing."""
    state = WorkspaceState(cursor=NOW - HOUR, history_start=floor, reconciled_at=NOW - HOUR)

    window = plan_listing(state, SyncOptions(since=since), NOW)

    assert (window.after, window.is_full) == (after, whole)


def test_a_reconciliation_starts_at_the_history_start() -> None:
    """Runs that `since` left out stay out until an earlier `since` includes them."""
    state = WorkspaceState(cursor=NOW, history_start=NOW - 9 * DAY, reconciled_at=NOW - 2 * DAY)

    assert plan_listing(state, SyncOptions(), NOW).after == NOW - 9 * DAY


@pytest.mark.parametrize(
    ("loaded", "wanted", "whole"),
    [
        (RUN_TABLES, RUN_TABLES, False),
        (RUN_TABLES, {"workflows"}, False),
        ({"workflows"}, {"workflows", "tasks"}, True),
        ({"workflows", "tasks"}, {"workflows", "process_metrics"}, True),
        ({"workflows"}, {"workflows", "labels", "sync_runs", "organizations"}, False),
        (set(), RUN_TABLES, True),
    ],
)
def test_a_newly_selected_table_of_runs_requires_a_full_listing(
    loaded: set[str], wanted: set[str], *, whole: bool
) -> None:
    """It lacks the runs loaded before. Tables without rows of runs require none."""
    state = replace(SYNCED, tables=dict.fromkeys(loaded, TableCoverage()))

    assert plan_listing(state, SyncOptions(tables=frozenset(wanted)), NOW).is_full == whole


def test_a_listing_with_a_cursor_in_the_future_starts_before_now() -> None:
    """Otherwise no new run would be listed until the time of the cursor."""
    state = replace(SYNCED, cursor=NOW + 365 * DAY)

    assert plan_listing(state, SyncOptions(), NOW) == ListingWindow(NOW - HOUR, None, is_full=False)

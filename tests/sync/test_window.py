"""Which runs to list: each rule by itself."""

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


def test_the_first_time_everything_is_listed() -> None:
    """From the beginning of all."""
    assert plan_listing(WorkspaceState(), SyncOptions(), NOW) == ListingWindow(
        None, None, is_full=True
    )


def test_the_first_time_since_is_where_it_starts() -> None:
    """And `until` where it ends."""
    request = SyncOptions(since=NOW - DAY, until=NOW - HOUR)

    expected = ListingWindow(NOW - DAY, NOW - HOUR, is_full=True)
    assert plan_listing(WorkspaceState(), request, NOW) == expected


def test_later_the_listing_starts_before_the_cursor() -> None:
    """An hour of overlap."""
    assert plan_listing(SYNCED, SyncOptions(), NOW) == ListingWindow(
        NOW - 2 * HOUR, None, is_full=False
    )


def test_a_cursor_at_the_beginning_of_time_is_one() -> None:
    """A server may say that its last run was submitted in the year 1."""
    state = replace(SYNCED, cursor=datetime.min.replace(tzinfo=UTC))

    assert plan_listing(state, SyncOptions(), NOW).after == datetime(1969, 12, 31, 23, tzinfo=UTC)


def test_until_ends_a_later_listing_too() -> None:
    """Runs after it stay out, for now."""
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
def test_a_complete_listing_is_made_when_it_is_due(
    request_: SyncOptions, reconciled: datetime | None, *, whole: bool
) -> None:
    """By itself once a day, when told to, or after a clock that was ahead."""
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
def test_since_reaches_further_back_but_never_leaves_a_gap(
    floor: datetime | None, since: datetime | None, after: datetime, *, whole: bool
) -> None:
    """An earlier `since` lists everything from there; a later one changes nothing."""
    state = WorkspaceState(cursor=NOW - HOUR, history_start=floor, reconciled_at=NOW - HOUR)

    window = plan_listing(state, SyncOptions(since=since), NOW)

    assert (window.after, window.is_full) == (after, whole)


def test_a_reconciliation_keeps_to_the_floor() -> None:
    """Runs that `since` left out once stay out until it reaches further back."""
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
def test_more_tables_of_a_run_need_a_complete_listing(
    loaded: set[str], wanted: set[str], *, whole: bool
) -> None:
    """Tables lack the runs loaded before; other tables are not filled by runs."""
    state = replace(SYNCED, tables=dict.fromkeys(loaded, TableCoverage()))

    assert plan_listing(state, SyncOptions(tables=frozenset(wanted)), NOW).is_full == whole


def test_a_cursor_in_the_future_is_listed_before_now() -> None:
    """What is submitted now must not hide behind it."""
    state = replace(SYNCED, cursor=NOW + 365 * DAY)

    assert plan_listing(state, SyncOptions(), NOW) == ListingWindow(NOW - HOUR, None, is_full=False)

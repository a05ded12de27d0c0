"""Plan of a workspace after a listing: each rule separately."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tower_etl.config.settings import SyncOptions
from tower_etl.sync import (
    ListedRun,
    OpenRun,
    RunFetch,
    StoredRun,
    TaskBookmark,
    WorkspaceState,
    plan_incremental,
    plan_reconciliation,
)

if TYPE_CHECKING:
    from tower_etl.sync import WorkspacePlan

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SYNCED = WorkspaceState(
    cursor=NOW - HOUR, lookback={"last": NOW - HOUR}, reconciled_at=NOW - timedelta(hours=2)
)


def listed(run_id: str, ago: timedelta, status: str = "SUCCEEDED", **fields: object) -> ListedRun:
    """Return a listed run of the given age."""
    return ListedRun(run_id, NOW - ago, status, **fields)  # type: ignore[arg-type] # by name


def stored(ago: timedelta, status: str = "SUCCEEDED", **fields: object) -> StoredRun:
    """Return a stored run of the given age."""
    return StoredRun(NOW - ago, status, **fields)  # type: ignore[arg-type] # by name


def visited(plan: WorkspacePlan) -> list[str]:
    """Return the ids of the runs to fetch, in order."""
    return [run_fetch.run_id for run_fetch in plan.fetches]


# --- after an incremental listing -----------------------------------------------------------


def test_new_runs_are_fetched_oldest_first_and_advance_the_cursor() -> None:
    runs = [listed("c", MINUTE), listed("b", 2 * MINUTE), listed("a", 3 * MINUTE)]

    plan = plan_incremental(SYNCED, runs, SyncOptions(), NOW)

    assert visited(plan) == ["a", "b", "c"]
    assert all(run_fetch.advances_cursor for run_fetch in plan.fetches)


def test_new_runs_without_a_submission_time_are_fetched_last() -> None:
    """They cannot advance the cursor. Runs with equal times are in the order of their ids."""
    runs = [ListedRun("x"), listed("b", MINUTE), ListedRun("w"), listed("a", MINUTE)]

    assert visited(plan_incremental(SYNCED, runs, SyncOptions(), NOW)) == ["a", "b", "w", "x"]


def test_runs_in_the_lookback_are_not_fetched_again() -> None:
    plan = plan_incremental(SYNCED, [listed("last", HOUR)], SyncOptions(), NOW)

    assert (plan.fetches, plan.initial_state) == ((), SYNCED)


def test_a_run_that_appears_late_in_the_lookback_window_is_new() -> None:
    """It was submitted before the cursor, but the last listing did not contain it."""
    assert visited(plan_incremental(SYNCED, [listed("late", 90 * MINUTE)], SyncOptions(), NOW)) == [
        "late"
    ]


def test_open_runs_are_fetched_first_whether_they_are_listed_or_not() -> None:
    """They keep their task bookmarks, and do not advance the cursor."""
    watched = {
        "old": OpenRun(NOW - 9 * DAY, True, TaskBookmark(100, 107)),  # noqa: FBT003 - starred
        "young": OpenRun(NOW - MINUTE, False, TaskBookmark()),  # noqa: FBT003 - not starred
    }
    state = WorkspaceState(cursor=NOW - MINUTE, open=watched, reconciled_at=NOW)
    runs = [listed("new", MINUTE), listed("young", MINUTE, starred=True)]

    assert plan_incremental(state, runs, SyncOptions(), NOW).fetches == (
        RunFetch("old", NOW - 9 * DAY, True, TaskBookmark(100, 107)),  # noqa: FBT003 - starred
        RunFetch("young", NOW - MINUTE, True),  # noqa: FBT003 - starred since
        RunFetch("new", NOW - MINUTE, None, advances_cursor=True, status=runs[0].status),
    )


def test_open_runs_past_the_maximum_age_are_dropped() -> None:
    """Runs of unknown age are kept."""
    watched = {
        "aged": OpenRun(NOW - 31 * DAY),
        "edge": OpenRun(NOW - 30 * DAY),
        "timeless": OpenRun(None),
    }
    state = WorkspaceState(cursor=NOW, open=watched, reconciled_at=NOW)

    plan = plan_incremental(state, [], SyncOptions(), NOW)

    assert visited(plan) == ["edge", "timeless"]
    assert set(plan.initial_state.open) == {"edge", "timeless"}


def test_an_incremental_listing_finds_no_deleted_runs() -> None:
    plan = plan_incremental(SYNCED, [], SyncOptions(), NOW)

    assert (plan.deleted, plan.is_full, plan.stored_submits) == ((), False, {})


# --- after a full listing -------------------------------------------------------------------


def test_a_final_run_that_equals_its_stored_row_is_not_fetched() -> None:
    fields: dict[str, Any] = {"last_updated": NOW - HOUR, "complete": NOW - 2 * HOUR}
    plan = plan_reconciliation(
        SYNCED, [listed("r", DAY, **fields)], {"r": stored(DAY, **fields)}, SyncOptions(), NOW
    )

    assert (plan.fetches, plan.label_updates, plan.star_updates, plan.deleted) == ((), {}, {}, ())


@pytest.mark.parametrize(
    "known",
    [
        stored(DAY, "FAILED", last_updated=NOW - HOUR, complete=NOW - HOUR),
        stored(DAY, "RUNNING", last_updated=NOW - HOUR, complete=NOW - HOUR),
        stored(DAY, last_updated=NOW - MINUTE, complete=NOW - HOUR),
        stored(DAY, last_updated=NOW - HOUR, complete=NOW - MINUTE),
        stored(DAY, last_updated=NOW - HOUR, complete=None),
        stored(DAY, last_updated=NOW - HOUR, complete=NOW - HOUR, missing_since=NOW - HOUR),
    ],
)
def test_a_run_that_changed_or_reappeared_is_fetched_again(known: StoredRun) -> None:
    """It does not advance the cursor."""
    shown = listed("r", DAY, last_updated=NOW - HOUR, complete=NOW - HOUR)

    plan = plan_reconciliation(SYNCED, [shown], {"r": known}, SyncOptions(), NOW)

    assert [(run_fetch.run_id, run_fetch.advances_cursor) for run_fetch in plan.fetches] == [
        ("r", False)
    ]


@pytest.mark.parametrize("left_out", ["status", "last_updated", "complete"])
def test_a_field_that_a_listing_lacks_does_not_cause_a_refetch(left_out: str) -> None:
    """Listings of 2021 servers have neither status nor completion time."""
    fields: dict[str, Any] = {
        "status": "SUCCEEDED",
        "last_updated": NOW - HOUR,
        "complete": NOW - HOUR,
    }
    brief = ListedRun("r", NOW - DAY, **fields | {left_out: None})

    assert not brief.needs_refetch(StoredRun(NOW - DAY, **fields))
    assert brief.needs_refetch(StoredRun(NOW - DAY, **fields | {"status": "RUNNING"}))
    assert brief.needs_refetch(StoredRun(NOW - DAY, **fields, missing_since=NOW))


@pytest.mark.parametrize("status", ["SUBMITTED", "RUNNING", "UNKNOWN", "PAUSED", None])
def test_a_reconciliation_fetches_every_run_that_is_not_final(status: str | None) -> None:
    """An unknown status counts as open, even if no field has changed."""
    plan = plan_reconciliation(
        SYNCED, [ListedRun("r", NOW, status)], {"r": StoredRun(NOW, status)}, SyncOptions(), NOW
    )

    assert visited(plan) == ["r"]


def test_open_runs_are_fetched_before_new_and_changed_runs() -> None:
    """New runs come before changed ones, oldest first."""
    state = WorkspaceState(cursor=NOW, open={"open": OpenRun(NOW - DAY)}, reconciled_at=NOW)
    runs = [
        listed("new2", MINUTE),
        listed("changed", HOUR),
        listed("new1", 2 * HOUR),
        listed("open", DAY, "RUNNING"),
    ]
    known = {"changed": stored(HOUR, "FAILED"), "open": stored(DAY, "RUNNING")}

    plan = plan_reconciliation(state, runs, known, SyncOptions(), NOW)

    assert visited(plan) == ["open", "new1", "new2", "changed"]


def test_changed_labels_are_updated_without_a_fetch() -> None:
    """Labels are added, replaced and removed. A listing without labels changes nothing."""
    one, two = {"id": 1, "name": "a"}, {"id": 2, "name": "b"}
    runs = [
        listed("same", DAY, labels=(one, two)),
        listed("more", DAY, labels=(one, two)),
        listed("other", DAY, labels=(two,)),
        listed("none", DAY, labels=()),
        listed("silent", DAY, labels=None),
    ]
    known = dict.fromkeys(("more", "other", "none", "silent"), stored(DAY, label_ids={1}))

    plan = plan_reconciliation(
        SYNCED, runs, known | {"same": stored(DAY, label_ids={1, 2})}, SyncOptions(), NOW
    )

    assert plan.label_updates == {"more": (one, two), "other": (two,), "none": ()}
    assert plan.fetches == ()


def test_changed_stars_are_updated_without_a_fetch() -> None:
    """A listing without stars changes nothing."""
    runs = [
        listed("set", DAY, starred=True),
        listed("unset", DAY, starred=False),
        listed("same", DAY, starred=True),
        listed("silent", DAY),
    ]
    known = {
        "set": stored(DAY, starred=None),
        "unset": stored(DAY, starred=True),
        "same": stored(DAY, starred=True),
        "silent": stored(DAY, starred=True),
    }

    plan = plan_reconciliation(SYNCED, runs, known, SyncOptions(), NOW)

    assert (plan.star_updates, plan.fetches) == ({"set": True, "unset": False}, ())


def test_a_run_to_fetch_needs_no_in_place_update() -> None:
    """Its fetch updates labels and star."""
    run = listed("r", DAY, starred=True, labels=({"id": 1},))

    plan = plan_reconciliation(SYNCED, [run], {"r": stored(DAY, "FAILED")}, SyncOptions(), NOW)

    assert (visited(plan), plan.label_updates, plan.star_updates) == (["r"], {}, {})


def test_runs_that_a_full_listing_lacks_are_marked_as_deleted_once() -> None:
    """A run that was marked before keeps its first `missing_since`."""
    known = {"gone": stored(DAY), "long gone": stored(DAY, missing_since=NOW - HOUR)}

    assert plan_reconciliation(SYNCED, [], known, SyncOptions(), NOW).deleted == ("gone",)


def test_only_runs_within_the_listing_window_can_be_deleted() -> None:
    """The window says nothing about runs before or after it, or without a submission time."""
    state = WorkspaceState(cursor=NOW, history_start=NOW - 9 * DAY, reconciled_at=NOW)
    known = {
        "before": stored(10 * DAY),
        "at floor": stored(9 * DAY),
        "within": stored(DAY),
        "at until": stored(HOUR),
        "after": stored(MINUTE),
        "timeless": StoredRun(None, "SUCCEEDED"),
    }

    plan = plan_reconciliation(state, [], known, SyncOptions(until=NOW - HOUR), NOW)

    assert plan.deleted == ("at floor", "within", "at until")


def test_an_unbounded_listing_can_delete_a_run_without_a_time() -> None:
    """A listing without bounds contains runs without a submission time."""
    plan = plan_reconciliation(SYNCED, [], {"r": StoredRun(None, "SUCCEEDED")}, SyncOptions(), NOW)

    assert plan.deleted == ("r",)


def test_an_open_run_that_a_full_listing_lacks_is_not_fetched() -> None:
    """An open run outside the listing window is fetched."""
    watched = {"gone": OpenRun(NOW - DAY), "beyond": OpenRun(NOW - MINUTE)}
    state = WorkspaceState(cursor=NOW, open=watched, reconciled_at=NOW)

    plan = plan_reconciliation(state, [], {}, SyncOptions(until=NOW - HOUR), NOW)

    assert (visited(plan), plan.other_deleted) == (["beyond"], ("gone",))


def test_a_full_listing_with_until_has_an_upper_bound() -> None:
    """It is complete up to the bound; newer runs were not compared."""
    plan = plan_reconciliation(SYNCED, [], {}, SyncOptions(until=NOW - HOUR), NOW)

    assert (plan.is_full, plan.has_upper_bound) == (True, True)
    assert not plan_reconciliation(SYNCED, [], {}, SyncOptions(), NOW).has_upper_bound


def test_a_reconciliation_fetches_abandoned_runs() -> None:
    """They are open in the destination, and no longer in the state."""
    plan = plan_reconciliation(
        SYNCED,
        [listed("r", 60 * DAY, "RUNNING")],
        {"r": stored(60 * DAY, "RUNNING")},
        SyncOptions(),
        NOW,
    )

    assert visited(plan) == ["r"]

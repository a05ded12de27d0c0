"""What to do with what was listed: each rule by itself."""

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
    """Make a run that was submitted so long ago."""
    return ListedRun(run_id, NOW - ago, status, **fields)  # type: ignore[arg-type] # by name


def stored(ago: timedelta, status: str = "SUCCEEDED", **fields: object) -> StoredRun:
    """Make a run of the tables that was submitted so long ago."""
    return StoredRun(NOW - ago, status, **fields)  # type: ignore[arg-type] # by name


def visited(plan: WorkspacePlan) -> list[str]:
    """List the ids of the runs to fetch, in order."""
    return [run_fetch.run_id for run_fetch in plan.fetches]


# --- after a listing since the cursor -------------------------------------------------------


def test_new_runs_are_visited_oldest_first() -> None:
    """So that the cursor may follow; they move it."""
    runs = [listed("c", MINUTE), listed("b", 2 * MINUTE), listed("a", 3 * MINUTE)]

    plan = plan_incremental(SYNCED, runs, SyncOptions(), NOW)

    assert visited(plan) == ["a", "b", "c"]
    assert all(run_fetch.advances_cursor for run_fetch in plan.fetches)


def test_new_runs_without_a_time_come_last() -> None:
    """They cannot move the cursor; ties are told by id."""
    runs = [ListedRun("x"), listed("b", MINUTE), ListedRun("w"), listed("a", MINUTE)]

    assert visited(plan_incremental(SYNCED, runs, SyncOptions(), NOW)) == ["a", "b", "w", "x"]


def test_runs_that_were_loaded_before_are_not_visited() -> None:
    """The overlap shows them again."""
    plan = plan_incremental(SYNCED, [listed("last", HOUR)], SyncOptions(), NOW)

    assert (plan.fetches, plan.initial_state) == ((), SYNCED)


def test_a_run_that_enters_the_overlap_late_is_new() -> None:
    """It was submitted before the cursor, and was not there the last time."""
    assert visited(plan_incremental(SYNCED, [listed("late", 90 * MINUTE)], SyncOptions(), NOW)) == [
        "late"
    ]


def test_open_runs_are_visited_first_listed_or_not() -> None:
    """Whatever their age: with what is settled of them, and without moving the cursor."""
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


def test_open_runs_past_the_give_up_age_are_dropped() -> None:
    """Those whose age is not known stay."""
    watched = {
        "aged": OpenRun(NOW - 31 * DAY),
        "edge": OpenRun(NOW - 30 * DAY),
        "timeless": OpenRun(None),
    }
    state = WorkspaceState(cursor=NOW, open=watched, reconciled_at=NOW)

    plan = plan_incremental(state, [], SyncOptions(), NOW)

    assert visited(plan) == ["edge", "timeless"]
    assert set(plan.initial_state.open) == {"edge", "timeless"}


def test_a_listing_since_the_cursor_finds_nothing_missing() -> None:
    """It is not complete."""
    plan = plan_incremental(SYNCED, [], SyncOptions(), NOW)

    assert (plan.deleted, plan.is_full, plan.recovered) == ((), False, {})


# --- after a complete listing ---------------------------------------------------------------


def test_a_run_that_is_as_stored_is_not_visited() -> None:
    """Final, and nothing differs."""
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
def test_a_run_that_changed_or_came_back_is_visited(known: StoredRun) -> None:
    """It moves no cursor, being old."""
    shown = listed("r", DAY, last_updated=NOW - HOUR, complete=NOW - HOUR)

    plan = plan_reconciliation(SYNCED, [shown], {"r": known}, SyncOptions(), NOW)

    assert [(run_fetch.run_id, run_fetch.advances_cursor) for run_fetch in plan.fetches] == [
        ("r", False)
    ]


@pytest.mark.parametrize("left_out", ["status", "last_updated", "complete"])
def test_what_a_listing_leaves_out_says_nothing(left_out: str) -> None:
    """Those of 2021 show neither status nor completion: not everything is fetched again."""
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
def test_a_run_that_is_not_final_is_visited(status: str | None) -> None:
    """By reconciliation, even when nothing of it seems to differ: new words are open ones."""
    plan = plan_reconciliation(
        SYNCED, [ListedRun("r", NOW, status)], {"r": StoredRun(NOW, status)}, SyncOptions(), NOW
    )

    assert visited(plan) == ["r"]


def test_fetches_come_in_order_of_urgency() -> None:
    """Open ones, then new ones oldest first, then changed ones."""
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


def test_changed_labels_are_found_without_a_fetch() -> None:
    """Added, exchanged, taken away; a listing that shows no labels says nothing."""
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


def test_changed_stars_are_found_without_a_fetch() -> None:
    """A listing that does not speak of stars takes none away."""
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


def test_a_visited_run_needs_no_other_touch() -> None:
    """Its visit brings labels and star."""
    run = listed("r", DAY, starred=True, labels=({"id": 1},))

    plan = plan_reconciliation(SYNCED, [run], {"r": stored(DAY, "FAILED")}, SyncOptions(), NOW)

    assert (visited(plan), plan.label_updates, plan.star_updates) == (["r"], {}, {})


def test_runs_that_are_not_listed_are_missing_once() -> None:
    """What was missing before keeps its first date."""
    known = {"gone": stored(DAY), "long gone": stored(DAY, missing_since=NOW - HOUR)}

    assert plan_reconciliation(SYNCED, [], known, SyncOptions(), NOW).deleted == ("gone",)


def test_only_runs_within_the_listing_are_missing() -> None:
    """Before the floor, after `until`, or without a time: nothing was said of them."""
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


def test_a_run_without_a_time_is_missing_from_an_unbounded_listing() -> None:
    """There it must be shown."""
    plan = plan_reconciliation(SYNCED, [], {"r": StoredRun(None, "SUCCEEDED")}, SyncOptions(), NOW)

    assert plan.deleted == ("r",)


def test_an_open_run_that_is_gone_is_not_visited() -> None:
    """One beyond the listing is."""
    watched = {"gone": OpenRun(NOW - DAY), "beyond": OpenRun(NOW - MINUTE)}
    state = WorkspaceState(cursor=NOW, open=watched, reconciled_at=NOW)

    plan = plan_reconciliation(state, [], {}, SyncOptions(until=NOW - HOUR), NOW)

    assert (visited(plan), plan.vanished) == (["beyond"], ("gone",))


def test_a_listing_with_an_end_is_bounded() -> None:
    """It is complete up to there; younger runs were not compared."""
    plan = plan_reconciliation(SYNCED, [], {}, SyncOptions(until=NOW - HOUR), NOW)

    assert (plan.is_full, plan.has_upper_bound) == (True, True)
    assert not plan_reconciliation(SYNCED, [], {}, SyncOptions(), NOW).has_upper_bound


def test_reconciliation_fetches_runs_that_were_given_up() -> None:
    """They are open in the tables, and no longer watched."""
    plan = plan_reconciliation(
        SYNCED,
        [listed("r", 60 * DAY, "RUNNING")],
        {"r": stored(60 * DAY, "RUNNING")},
        SyncOptions(),
        NOW,
    )

    assert visited(plan) == ["r"]

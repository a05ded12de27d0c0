"""What to do with what was listed: each rule by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tower_etl.settings import Request
from tower_etl.sync import (
    Listed,
    OpenRun,
    Settled,
    Stored,
    Visit,
    WorkspaceState,
    plan_listed,
    plan_whole,
)

if TYPE_CHECKING:
    from tower_etl.sync import Plan

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SYNCED = WorkspaceState(
    cursor=NOW - HOUR, seen={"last": NOW - HOUR}, reconciled_at=NOW - timedelta(hours=2)
)


def listed(run_id: str, ago: timedelta, status: str = "SUCCEEDED", **fields: object) -> Listed:
    """Make a run that was submitted so long ago."""
    return Listed(run_id, NOW - ago, status, **fields)  # type: ignore[arg-type] # by name


def stored(ago: timedelta, status: str = "SUCCEEDED", **fields: object) -> Stored:
    """Make a run of the tables that was submitted so long ago."""
    return Stored(NOW - ago, status, **fields)  # type: ignore[arg-type] # by name


def visited(plan: Plan) -> list[str]:
    """List the ids of the runs to fetch, in order."""
    return [visit.run_id for visit in plan.visits]


# --- after a listing since the cursor -------------------------------------------------------


def test_new_runs_are_visited_oldest_first() -> None:
    """So that the cursor may follow; they move it."""
    runs = [listed("c", MINUTE), listed("b", 2 * MINUTE), listed("a", 3 * MINUTE)]

    plan = plan_listed(SYNCED, runs, Request(), NOW)

    assert visited(plan) == ["a", "b", "c"]
    assert all(visit.is_new for visit in plan.visits)


def test_new_runs_without_a_time_come_last() -> None:
    """They cannot move the cursor; ties are told by id."""
    runs = [Listed("x"), listed("b", MINUTE), Listed("w"), listed("a", MINUTE)]

    assert visited(plan_listed(SYNCED, runs, Request(), NOW)) == ["a", "b", "w", "x"]


def test_runs_that_landed_before_are_not_visited() -> None:
    """The overlap shows them again."""
    plan = plan_listed(SYNCED, [listed("last", HOUR)], Request(), NOW)

    assert (plan.visits, plan.begins) == ((), SYNCED)


def test_a_run_that_enters_the_overlap_late_is_new() -> None:
    """It was submitted before the cursor, and was not there the last time."""
    assert visited(plan_listed(SYNCED, [listed("late", 90 * MINUTE)], Request(), NOW)) == ["late"]


def test_open_runs_are_visited_first_listed_or_not() -> None:
    """Whatever their age: with what is settled of them, and without moving the cursor."""
    watched = {
        "old": OpenRun(NOW - 9 * DAY, True, Settled(100, 107)),  # noqa: FBT003 - starred
        "young": OpenRun(NOW - MINUTE, False, Settled()),  # noqa: FBT003 - not starred
    }
    state = WorkspaceState(cursor=NOW - MINUTE, open=watched, reconciled_at=NOW)
    runs = [listed("new", MINUTE), listed("young", MINUTE, starred=True)]

    assert plan_listed(state, runs, Request(), NOW).visits == (
        Visit("old", NOW - 9 * DAY, True, Settled(100, 107)),  # noqa: FBT003 - starred
        Visit("young", NOW - MINUTE, True),  # noqa: FBT003 - starred since
        Visit("new", NOW - MINUTE, None, is_new=True, status=runs[0].status),
    )


def test_open_runs_past_the_give_up_age_are_dropped() -> None:
    """Those whose age is not known stay."""
    watched = {
        "aged": OpenRun(NOW - 31 * DAY),
        "edge": OpenRun(NOW - 30 * DAY),
        "timeless": OpenRun(None),
    }
    state = WorkspaceState(cursor=NOW, open=watched, reconciled_at=NOW)

    plan = plan_listed(state, [], Request(), NOW)

    assert visited(plan) == ["edge", "timeless"]
    assert set(plan.begins.open) == {"edge", "timeless"}


def test_a_listing_since_the_cursor_finds_nothing_missing() -> None:
    """It is not complete."""
    plan = plan_listed(SYNCED, [], Request(), NOW)

    assert (plan.missing, plan.whole, plan.adopts) == ((), False, {})


# --- after a complete listing ---------------------------------------------------------------


def test_a_run_that_is_as_stored_is_not_visited() -> None:
    """Final, and nothing differs."""
    fields: dict[str, Any] = {"last_updated": NOW - HOUR, "complete": NOW - 2 * HOUR}
    plan = plan_whole(
        SYNCED, [listed("r", DAY, **fields)], {"r": stored(DAY, **fields)}, Request(), NOW
    )

    assert (plan.visits, plan.relabel, plan.restar, plan.missing) == ((), {}, {}, ())


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
def test_a_run_that_changed_or_came_back_is_visited(known: Stored) -> None:
    """It moves no cursor, being old."""
    shown = listed("r", DAY, last_updated=NOW - HOUR, complete=NOW - HOUR)

    plan = plan_whole(SYNCED, [shown], {"r": known}, Request(), NOW)

    assert [(visit.run_id, visit.is_new) for visit in plan.visits] == [("r", False)]


@pytest.mark.parametrize("left_out", ["status", "last_updated", "complete"])
def test_what_a_listing_leaves_out_says_nothing(left_out: str) -> None:
    """Those of 2021 show neither status nor completion: not everything is fetched again."""
    fields: dict[str, Any] = {
        "status": "SUCCEEDED",
        "last_updated": NOW - HOUR,
        "complete": NOW - HOUR,
    }
    brief = Listed("r", NOW - DAY, **fields | {left_out: None})

    assert not brief.differs_from(Stored(NOW - DAY, **fields))
    assert brief.differs_from(Stored(NOW - DAY, **fields | {"status": "RUNNING"}))
    assert brief.differs_from(Stored(NOW - DAY, **fields, missing_since=NOW))


@pytest.mark.parametrize("status", ["SUBMITTED", "RUNNING", "UNKNOWN", "PAUSED", None])
def test_a_run_that_is_not_final_is_visited(status: str | None) -> None:
    """By reconciliation, even when nothing of it seems to differ: new words are open ones."""
    plan = plan_whole(
        SYNCED, [Listed("r", NOW, status)], {"r": Stored(NOW, status)}, Request(), NOW
    )

    assert visited(plan) == ["r"]


def test_visits_come_in_order_of_urgency() -> None:
    """Open ones, then new ones oldest first, then changed ones."""
    state = WorkspaceState(cursor=NOW, open={"open": OpenRun(NOW - DAY)}, reconciled_at=NOW)
    runs = [
        listed("new2", MINUTE),
        listed("changed", HOUR),
        listed("new1", 2 * HOUR),
        listed("open", DAY, "RUNNING"),
    ]
    known = {"changed": stored(HOUR, "FAILED"), "open": stored(DAY, "RUNNING")}

    plan = plan_whole(state, runs, known, Request(), NOW)

    assert visited(plan) == ["open", "new1", "new2", "changed"]


def test_changed_labels_are_found_without_a_visit() -> None:
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

    plan = plan_whole(SYNCED, runs, known | {"same": stored(DAY, label_ids={1, 2})}, Request(), NOW)

    assert plan.relabel == {"more": (one, two), "other": (two,), "none": ()}
    assert plan.visits == ()


def test_changed_stars_are_found_without_a_visit() -> None:
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

    plan = plan_whole(SYNCED, runs, known, Request(), NOW)

    assert (plan.restar, plan.visits) == ({"set": True, "unset": False}, ())


def test_a_visited_run_needs_no_other_touch() -> None:
    """Its visit brings labels and star."""
    run = listed("r", DAY, starred=True, labels=({"id": 1},))

    plan = plan_whole(SYNCED, [run], {"r": stored(DAY, "FAILED")}, Request(), NOW)

    assert (visited(plan), plan.relabel, plan.restar) == (["r"], {}, {})


def test_runs_that_are_not_listed_are_missing_once() -> None:
    """What was missing before keeps its first date."""
    known = {"gone": stored(DAY), "long gone": stored(DAY, missing_since=NOW - HOUR)}

    assert plan_whole(SYNCED, [], known, Request(), NOW).missing == ("gone",)


def test_only_runs_within_the_listing_are_missing() -> None:
    """Before the floor, after `until`, or without a time: nothing was said of them."""
    state = WorkspaceState(cursor=NOW, floor=NOW - 9 * DAY, reconciled_at=NOW)
    known = {
        "before": stored(10 * DAY),
        "at floor": stored(9 * DAY),
        "within": stored(DAY),
        "at until": stored(HOUR),
        "after": stored(MINUTE),
        "timeless": Stored(None, "SUCCEEDED"),
    }

    plan = plan_whole(state, [], known, Request(until=NOW - HOUR), NOW)

    assert plan.missing == ("at floor", "within", "at until")


def test_a_run_without_a_time_is_missing_from_an_unbounded_listing() -> None:
    """There it must be shown."""
    plan = plan_whole(SYNCED, [], {"r": Stored(None, "SUCCEEDED")}, Request(), NOW)

    assert plan.missing == ("r",)


def test_an_open_run_that_is_gone_is_not_visited() -> None:
    """One beyond the listing is."""
    watched = {"gone": OpenRun(NOW - DAY), "beyond": OpenRun(NOW - MINUTE)}
    state = WorkspaceState(cursor=NOW, open=watched, reconciled_at=NOW)

    plan = plan_whole(state, [], {}, Request(until=NOW - HOUR), NOW)

    assert (visited(plan), plan.gone) == (["beyond"], ("gone",))


def test_a_listing_with_an_end_is_bounded() -> None:
    """It is complete up to there; younger runs were not compared."""
    plan = plan_whole(SYNCED, [], {}, Request(until=NOW - HOUR), NOW)

    assert (plan.whole, plan.bounded) == (True, True)
    assert not plan_whole(SYNCED, [], {}, Request(), NOW).bounded


def test_reconciliation_visits_runs_that_were_given_up() -> None:
    """They are open in the tables, and no longer watched."""
    plan = plan_whole(
        SYNCED,
        [listed("r", 60 * DAY, "RUNNING")],
        {"r": stored(60 * DAY, "RUNNING")},
        Request(),
        NOW,
    )

    assert visited(plan) == ["r"]

"""With which state a sync starts out, so that whatever ends it the next one does the rest."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tower_etl.settings import Request
from tower_etl.sync import (
    Listed,
    OpenRun,
    Settled,
    Stored,
    Visit,
    Window,
    WorkspaceState,
    finish_workspace,
    plan_listed,
    plan_whole,
    plan_window,
)
from tower_etl.sync.state import RUN_TABLES

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SYNCED = WorkspaceState(
    cursor=NOW - HOUR, seen={"last": NOW - HOUR}, reconciled_at=NOW - timedelta(hours=2)
)
RUNS, TASKS = frozenset({"workflows", "workflow_labels"}), frozenset({"tasks"})


def listed(run_id: str, ago: timedelta) -> Listed:
    """Make a run that was submitted so long ago, and is final."""
    return Listed(run_id, NOW - ago, "SUCCEEDED")


def stored(ago: timedelta) -> Stored:
    """Make the same as the tables have it."""
    return Stored(NOW - ago, "SUCCEEDED")


def test_tables_without_a_state_are_adopted() -> None:
    """The state was lost: what is stored needs no second fetch and tells where the cursor is."""
    known = {"a": stored(DAY), "timeless": Stored(None, "SUCCEEDED")}

    plan = plan_whole(WorkspaceState(), [listed("a", DAY)], known, Request(), NOW)

    assert (plan.adopts, plan.begins.reconciled_at) == ({"a": NOW - DAY}, None)


def test_a_state_that_is_there_adopts_nothing() -> None:
    """The cursor tells already."""
    assert plan_whole(SYNCED, [], {"a": stored(DAY)}, Request(), NOW).adopts == {}


def test_an_interrupted_first_load_goes_on_from_the_cursor() -> None:
    """It is not listed as a whole again."""
    plan = plan_whole(WorkspaceState(), [], {}, Request(since=NOW - DAY), NOW)

    assert plan.begins == WorkspaceState(floor=NOW - DAY, reconciled_at=NOW)


def test_an_interrupted_reconciliation_is_done_again() -> None:
    """Its time is noted only when all of it landed."""
    state = WorkspaceState(cursor=NOW - HOUR, reconciled_at=NOW - 2 * DAY)

    assert plan_whole(state, [], {}, Request(), NOW).begins == state


def test_an_interrupted_reach_further_back_is_done_again() -> None:
    """The cursor knows nothing of the older runs, so the next listing is complete too."""
    state = WorkspaceState(cursor=NOW - HOUR, floor=NOW - DAY, reconciled_at=NOW - HOUR)
    request = Request(since=NOW - 9 * DAY)

    begins = plan_whole(state, [], {}, request, NOW).begins

    assert plan_window(begins, request, NOW) == Window(NOW - 9 * DAY, None, whole=True)
    assert plan_window(begins, Request(), NOW) == Window(NOW - 9 * DAY, None, whole=True)


# --- the tables that are wanted ---------------------------------------------------------------


def test_the_first_sync_notes_the_tables_that_it_fills() -> None:
    """Of those of a run: others are not filled by runs."""
    request = Request(tables=RUNS | {"labels", "sync_runs"})

    assert plan_whole(WorkspaceState(), [], {}, request, NOW).begins.tables == RUNS
    assert plan_listed(SYNCED, [], request, NOW).begins.tables == RUNS


def test_fewer_tables_are_noted_from_the_start() -> None:
    """Runs that land now are not whole in the others."""
    state = replace(SYNCED, tables=RUN_TABLES)

    assert plan_listed(state, [], Request(tables=RUNS), NOW).begins.tables == RUNS
    assert plan_whole(state, [], {}, Request(tables=RUNS), NOW).begins.tables == RUNS


def test_more_tables_fetch_every_run_again() -> None:
    """As changed ones: the cursor stays, and open ones keep what is settled of them."""
    watched = {"open": OpenRun(NOW - DAY, None, Settled(3, 7))}
    state = replace(SYNCED, open=watched, tables=RUNS)
    runs = [listed("new", HOUR), listed("old", 9 * DAY), listed("open", DAY)]
    known = {"old": stored(9 * DAY), "open": stored(DAY)}
    plan = plan_whole(state, runs, known, Request(tables=RUNS | TASKS), NOW)

    assert plan.visits == (
        Visit("open", NOW - DAY, None, Settled(3, 7)),
        Visit("new", NOW - HOUR, None, is_new=True),
        Visit("old", NOW - 9 * DAY, None),
    )
    assert (plan.again, plan.wanted) == (True, RUNS | TASKS)
    assert (plan.relabel, plan.restar) == ({}, {})


def test_the_same_tables_fetch_no_run_again() -> None:
    """Nor do fewer, or a state that knows nothing of tables."""
    for loaded in (RUNS | TASKS, RUN_TABLES, frozenset[str]()):
        state = replace(SYNCED, tables=loaded)
        request = Request(tables=RUNS | TASKS)
        plan = plan_whole(state, [listed("r", DAY)], {"r": stored(DAY)}, request, NOW)

        assert (plan.visits, plan.again) == ((), False)


def test_more_tables_are_noted_only_when_all_of_it_landed() -> None:
    """Until then every sync fetches everything."""
    state, request = replace(SYNCED, tables=RUNS), Request(tables=RUNS | TASKS)
    plan = plan_whole(state, [listed("r", DAY)], {"r": stored(DAY)}, request, NOW)

    assert plan.begins.tables == RUNS
    assert plan_window(plan.begins, request, NOW).whole
    done = finish_workspace(plan.begins, plan, NOW)
    assert done.tables == RUNS | TASKS
    assert not plan_window(done, request, NOW).whole


@pytest.mark.parametrize("is_bounded", [True, False])
def test_more_tables_up_to_an_end_are_not_noted(*, is_bounded: bool) -> None:
    """Younger runs are owed to them still."""
    state = replace(SYNCED, tables=RUNS)
    request = Request(tables=RUNS | TASKS, until=NOW - HOUR if is_bounded else None)
    plan = plan_whole(state, [], {}, request, NOW)

    assert (finish_workspace(plan.begins, plan, NOW).tables == RUNS) == is_bounded

"""With which state a sync starts out, so that whatever ends it the next one does the rest."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tower_etl.settings import Request
from tower_etl.sync import (
    Holding,
    Landed,
    Listed,
    OpenRun,
    Settled,
    Stored,
    Visit,
    Window,
    WorkspaceState,
    finish_workspace,
    land_run,
    plan_listed,
    plan_whole,
    plan_window,
)

if TYPE_CHECKING:
    from tower_etl.sync import (
        Plan,
    )

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


# --- what tables hold --------------------------------------------------------------------------


def holding(*names: str, complete: bool = True) -> dict[str, Holding]:
    """Return tables that hold every run, or none."""
    return dict.fromkeys(names, Holding(complete))


def plan_wide(state: WorkspaceState, *runs: str, until: datetime | None = None) -> Plan:
    """Plan a complete listing of stored final runs, named for their age in days."""
    listings = [listed(run, int(run[1:]) * DAY) for run in runs]
    known = {run: stored(int(run[1:]) * DAY) for run in runs}
    return plan_whole(state, listings, known, Request(tables=RUNS | TASKS, until=until), NOW)


def test_the_first_sync_fills_the_wanted_tables_of_runs() -> None:
    request = Request(tables=RUNS | {"labels", "sync_runs"})
    plan = plan_whole(WorkspaceState(), [], {}, request, NOW)
    assert plan.begins.tables == holding(*RUNS)


def test_a_table_that_is_selected_later_holds_nothing() -> None:
    state = replace(SYNCED, tables=holding(*RUNS))
    request = Request(tables=RUNS | TASKS)
    assert plan_window(state, request, NOW).whole
    assert plan_wide(state).begins.tables["tasks"] == Holding(complete=False)


def test_only_the_tables_that_lack_a_run_are_filled_oldest_run_first() -> None:
    state = replace(SYNCED, tables=holding(*RUNS))
    visits = plan_wide(state, "r3", "r9", "r5").visits
    assert [visit.run_id for visit in visits] == ["r9", "r5", "r3"]
    assert {visit.tables for visit in visits} == {TASKS}
    assert all(visit.in_order and not visit.is_new for visit in visits)


def test_filling_goes_on_where_it_was_interrupted() -> None:
    state = replace(SYNCED, tables=holding(*RUNS))
    plan = plan_wide(state, "r3", "r9", "r5")
    landed = Landed(plan.visits[0], "SUCCEEDED", NOW - 9 * DAY, tables=TASKS)
    begun = land_run(plan.begins, landed, timedelta(days=30), NOW)
    landed = Landed(plan.visits[1], "SUCCEEDED", NOW - 5 * DAY, tables=TASKS)
    begun = land_run(begun, landed, timedelta(days=30), NOW)
    visits = plan_wide(begun, "r3", "r9", "r5").visits
    assert [visit.run_id for visit in visits] == [
        "r5",
        "r3",
    ]  # runs of one second are not told apart


def test_a_table_is_complete_after_all_runs_were_compared() -> None:
    plan = plan_wide(replace(SYNCED, tables=holding(*RUNS)), "r3")
    done = finish_workspace(plan.begins, plan, NOW)
    assert done.tables == holding(*RUNS, *TASKS)
    assert not plan_window(done, Request(tables=RUNS | TASKS), NOW).whole


def test_a_table_is_not_complete_after_a_listing_with_an_end() -> None:
    plan = plan_wide(replace(SYNCED, tables=holding(*RUNS)), until=NOW - timedelta(hours=1))
    assert not finish_workspace(plan.begins, plan, NOW).tables["tasks"].complete


def test_runs_loaded_while_a_table_was_not_selected_are_filled_in_without_a_listing() -> None:
    state = replace(SYNCED, tables=holding(*RUNS, *TASKS))
    visit = Visit("new", NOW, None, is_new=True)
    state = land_run(state, Landed(visit, "SUCCEEDED", NOW, tables=RUNS), timedelta(days=30), NOW)
    assert state.tables["tasks"].lacks == {"new"}
    request = Request(tables=RUNS | TASKS)
    assert not plan_window(state, request, NOW).whole
    (fill,) = plan_listed(state, [], request, NOW).visits
    assert (fill.run_id, fill.tables) == ("new", TASKS)
    landed = Landed(fill, "SUCCEEDED", NOW, tables=TASKS)
    assert land_run(state, landed, timedelta(days=30), NOW).tables["tasks"] == Holding()


def test_a_table_that_lacks_too_many_runs_is_compared_with_all() -> None:
    holding = Holding()
    for number in range(1001):
        holding = holding.miss(f"r{number}")
    assert holding == Holding(complete=False)


def test_an_open_run_whose_tasks_are_lacking_is_fetched_whole() -> None:
    watched = {"open": OpenRun(NOW - DAY, None, Settled(3, 7))}
    for tables, settled in ((holding(*TASKS), Settled(3, 7)), (holding(*RUNS), Settled())):
        state = replace(SYNCED, open=watched, tables=tables)
        (visit,) = plan_listed(state, [], Request(tables=RUNS | TASKS), NOW).visits
        assert visit.settled == settled


def test_a_reconciliation_without_a_table_leaves_one_due_for_it() -> None:
    state = replace(SYNCED, tables=holding(*RUNS, *TASKS))
    plan = plan_whole(state, [], {}, Request(tables=RUNS), NOW)
    done = finish_workspace(plan.begins, plan, NOW)
    assert not plan_window(done, Request(tables=RUNS), NOW).whole
    assert plan_window(done, Request(tables=RUNS | TASKS), NOW).whole


def test_a_lost_state_fills_every_table_again() -> None:
    plan = plan_wide(WorkspaceState(), "r3")
    assert plan.begins.tables == holding(*RUNS, *TASKS, complete=False)
    assert [visit.tables for visit in plan.visits] == [RUNS | TASKS]

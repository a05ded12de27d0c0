"""With which state a sync starts out, so that whatever ends it the next one does the rest."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tower_etl.config.settings import SyncOptions
from tower_etl.sync import (
    FailedRun,
    ListedRun,
    ListingWindow,
    LoadedRun,
    OpenRun,
    RunFetch,
    StoredRun,
    TableCoverage,
    TaskBookmark,
    WorkspaceState,
    complete_workspace,
    mark_run_loaded,
    plan_incremental,
    plan_listing,
    plan_reconciliation,
)

if TYPE_CHECKING:
    from tower_etl.sync import WorkspacePlan

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SYNCED = WorkspaceState(
    cursor=NOW - HOUR, lookback={"last": NOW - HOUR}, reconciled_at=NOW - timedelta(hours=2)
)
RUNS, TASKS = frozenset({"workflows", "workflow_labels"}), frozenset({"tasks"})


def listed(run_id: str, ago: timedelta) -> ListedRun:
    """Make a run that was submitted so long ago, and is final."""
    return ListedRun(run_id, NOW - ago, "SUCCEEDED")


def stored(ago: timedelta) -> StoredRun:
    """Make the same as the tables have it."""
    return StoredRun(NOW - ago, "SUCCEEDED")


def test_tables_without_a_state_are_adopted() -> None:
    """The state was lost: what is stored needs no second fetch and tells where the cursor is."""
    known = {"a": stored(DAY), "timeless": StoredRun(None, "SUCCEEDED")}

    plan = plan_reconciliation(WorkspaceState(), [listed("a", DAY)], known, SyncOptions(), NOW)

    assert (plan.recovered, plan.initial_state.reconciled_at) == ({"a": NOW - DAY}, None)


def test_a_state_that_is_there_adopts_nothing() -> None:
    """The cursor tells already."""
    assert plan_reconciliation(SYNCED, [], {"a": stored(DAY)}, SyncOptions(), NOW).recovered == {}


def test_an_interrupted_first_load_goes_on_from_the_cursor() -> None:
    """It is not listed as a whole again."""
    plan = plan_reconciliation(WorkspaceState(), [], {}, SyncOptions(since=NOW - DAY), NOW)

    assert plan.initial_state == WorkspaceState(history_start=NOW - DAY, reconciled_at=NOW)


def test_an_interrupted_reconciliation_is_done_again() -> None:
    """Its time is noted only when all of it landed."""
    state = WorkspaceState(cursor=NOW - HOUR, reconciled_at=NOW - 2 * DAY)

    assert plan_reconciliation(state, [], {}, SyncOptions(), NOW).initial_state == state


def test_an_interrupted_reach_further_back_is_done_again() -> None:
    """The cursor knows nothing of the older runs, so the next listing is complete too."""
    state = WorkspaceState(cursor=NOW - HOUR, history_start=NOW - DAY, reconciled_at=NOW - HOUR)
    request = SyncOptions(since=NOW - 9 * DAY)

    begins = plan_reconciliation(state, [], {}, request, NOW).initial_state

    assert plan_listing(begins, request, NOW) == ListingWindow(NOW - 9 * DAY, None, is_full=True)
    assert plan_listing(begins, SyncOptions(), NOW) == ListingWindow(
        NOW - 9 * DAY, None, is_full=True
    )


# --- what tables hold --------------------------------------------------------------------------


def holding(*names: str, complete: bool = True) -> dict[str, TableCoverage]:
    """Return tables that hold every run, or none."""
    return dict.fromkeys(names, TableCoverage(complete))


def plan_wide(state: WorkspaceState, *runs: str, until: datetime | None = None) -> WorkspacePlan:
    """Plan a complete listing of stored final runs, named for their age in days."""
    listings = [listed(run, int(run[1:]) * DAY) for run in runs]
    known = {run: stored(int(run[1:]) * DAY) for run in runs}
    return plan_reconciliation(
        state, listings, known, SyncOptions(tables=RUNS | TASKS, until=until), NOW
    )


def test_the_first_sync_fills_the_wanted_tables_of_runs() -> None:
    request = SyncOptions(tables=RUNS | {"labels", "sync_runs"})
    plan = plan_reconciliation(WorkspaceState(), [], {}, request, NOW)
    assert plan.initial_state.tables == holding(*RUNS)


def test_a_table_that_is_selected_later_holds_nothing() -> None:
    state = replace(SYNCED, tables=holding(*RUNS))
    request = SyncOptions(tables=RUNS | TASKS)
    assert plan_listing(state, request, NOW).is_full
    assert plan_wide(state).initial_state.tables["tasks"] == TableCoverage(complete=False)


def test_only_the_tables_that_lack_a_run_are_filled_oldest_run_first() -> None:
    state = replace(SYNCED, tables=holding(*RUNS))
    fetches = plan_wide(state, "r3", "r9", "r5").fetches
    assert [run_fetch.run_id for run_fetch in fetches] == ["r9", "r5", "r3"]
    assert {run_fetch.tables for run_fetch in fetches} == {TASKS}
    assert all(run_fetch.in_order and not run_fetch.advances_cursor for run_fetch in fetches)


def test_filling_goes_on_where_it_was_interrupted() -> None:
    state = replace(SYNCED, tables=holding(*RUNS))
    plan = plan_wide(state, "r3", "r9", "r5")
    loaded = LoadedRun(plan.fetches[0], "SUCCEEDED", NOW - 9 * DAY, tables=TASKS)
    begun = mark_run_loaded(plan.initial_state, loaded, timedelta(days=30), NOW)
    loaded = LoadedRun(plan.fetches[1], "SUCCEEDED", NOW - 5 * DAY, tables=TASKS)
    begun = mark_run_loaded(begun, loaded, timedelta(days=30), NOW)
    fetches = plan_wide(begun, "r3", "r9", "r5").fetches
    assert [run_fetch.run_id for run_fetch in fetches] == [
        "r5",
        "r3",
    ]  # runs of one second are not told apart


def test_a_table_is_complete_after_all_runs_were_compared() -> None:
    plan = plan_wide(replace(SYNCED, tables=holding(*RUNS)), "r3")
    done = complete_workspace(plan.initial_state, plan, NOW)
    assert done.tables == holding(*RUNS, *TASKS)
    assert not plan_listing(done, SyncOptions(tables=RUNS | TASKS), NOW).is_full


def test_a_table_is_not_complete_after_a_listing_with_an_end() -> None:
    plan = plan_wide(replace(SYNCED, tables=holding(*RUNS)), until=NOW - timedelta(hours=1))
    assert not complete_workspace(plan.initial_state, plan, NOW).tables["tasks"].complete


def test_runs_loaded_while_a_table_was_not_selected_are_filled_in_without_a_listing() -> None:
    state = replace(SYNCED, tables=holding(*RUNS, *TASKS))
    run_fetch = RunFetch("new", NOW, None, advances_cursor=True)
    state = mark_run_loaded(
        state, LoadedRun(run_fetch, "SUCCEEDED", NOW, tables=RUNS), timedelta(days=30), NOW
    )
    assert state.tables["tasks"].missing_runs == {"new"}
    request = SyncOptions(tables=RUNS | TASKS)
    assert not plan_listing(state, request, NOW).is_full
    (fill,) = plan_incremental(state, [], request, NOW).fetches
    assert (fill.run_id, fill.tables) == ("new", TASKS)
    loaded = LoadedRun(fill, "SUCCEEDED", NOW, tables=TASKS)
    assert (
        mark_run_loaded(state, loaded, timedelta(days=30), NOW).tables["tasks"] == TableCoverage()
    )


def test_a_run_filled_in_later_keeps_the_star_of_the_listing() -> None:
    state = replace(SYNCED, tables=holding(*RUNS, *TASKS), lookback={"new": NOW})
    lacking = {"workflows": TableCoverage(missing_runs=frozenset({"new"}))}
    state = replace(state, tables={**state.tables, **lacking})
    listed = [ListedRun("new", NOW, "SUCCEEDED", starred=True)]
    (fill,) = plan_incremental(state, listed, SyncOptions(tables=RUNS), NOW).fetches
    assert (fill.tables, fill.starred) == (frozenset({"workflows"}), True)


def test_a_run_to_fill_in_that_the_lookback_does_not_show_takes_a_complete_listing() -> None:
    tables = holding(*RUNS) | {"workflows": TableCoverage(missing_runs=frozenset({"old"}))}
    state = replace(SYNCED, tables=tables)
    assert plan_listing(state, SyncOptions(tables=RUNS), NOW).is_full
    assert not plan_listing(state, SyncOptions(tables=RUNS - {"workflows"}), NOW).is_full


def test_the_stars_of_open_and_failed_runs_need_no_complete_listing() -> None:
    failed = FailedRun(NOW - DAY, None, TaskBookmark(), 1, NOW, NOW, 1, "HTTP 500")
    tables = holding(*RUNS) | {"workflows": TableCoverage(missing_runs=frozenset({"o", "f"}))}
    state = replace(SYNCED, tables=tables, open={"o": OpenRun(NOW - DAY)}, failed={"f": failed})
    assert not plan_listing(state, SyncOptions(tables=RUNS), NOW).is_full


def test_a_table_that_lacks_too_many_runs_is_compared_with_all() -> None:
    holding = TableCoverage()
    for number in range(1001):
        holding = holding.record_missing(f"r{number}")
    assert holding == TableCoverage(complete=False)


def test_an_open_run_whose_tasks_are_lacking_is_fetched_whole() -> None:
    watched = {"open": OpenRun(NOW - DAY, None, TaskBookmark(3, 7))}
    for tables, bookmark in (
        (holding(*TASKS), TaskBookmark(3, 7)),
        (holding(*RUNS), TaskBookmark()),
    ):
        state = replace(SYNCED, open=watched, tables=tables)
        (run_fetch,) = plan_incremental(state, [], SyncOptions(tables=RUNS | TASKS), NOW).fetches
        assert run_fetch.bookmark == bookmark


def test_a_reconciliation_without_a_table_leaves_one_due_for_it() -> None:
    state = replace(SYNCED, tables=holding(*RUNS, *TASKS))
    plan = plan_reconciliation(state, [], {}, SyncOptions(tables=RUNS), NOW)
    done = complete_workspace(plan.initial_state, plan, NOW)
    assert not plan_listing(done, SyncOptions(tables=RUNS), NOW).is_full
    assert plan_listing(done, SyncOptions(tables=RUNS | TASKS), NOW).is_full


def test_a_lost_state_fills_every_table_again() -> None:
    plan = plan_wide(WorkspaceState(), "r3")
    assert plan.initial_state.tables == holding(*RUNS, *TASKS, complete=False)
    assert [run_fetch.tables for run_fetch in plan.fetches] == [RUNS | TASKS]

"""State at the start of a sync, from which the next sync continues if this one is interrupted."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tower_etl.config.settings import SyncOptions
from tower_etl.sync import (
    FailedRun,
    ListedRun,
    ListingWindow,
    OpenRun,
    RunFetch,
    RunSummary,
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
    """Return a listed final run of the given age."""
    return ListedRun(run_id, NOW - ago, "SUCCEEDED")


def stored(ago: timedelta) -> StoredRun:
    """Return a stored final run of the given age."""
    return StoredRun(NOW - ago, "SUCCEEDED")


def test_a_lost_state_is_recovered_from_the_stored_runs() -> None:
    """Stored runs are not fetched again, and give the cursor."""
    known = {"a": stored(DAY), "timeless": StoredRun(None, "SUCCEEDED")}

    plan = plan_reconciliation(WorkspaceState(), [listed("a", DAY)], known, SyncOptions(), NOW)

    assert (plan.stored_submits, plan.initial_state.reconciled_at) == ({"a": NOW - DAY}, None)


def test_an_existing_state_is_not_recovered_from_the_stored_runs() -> None:
    plan = plan_reconciliation(SYNCED, [], {"a": stored(DAY)}, SyncOptions(), NOW)
    assert plan.stored_submits == {}


def test_an_interrupted_first_sync_continues_from_the_cursor() -> None:
    """It requires no second full listing."""
    plan = plan_reconciliation(WorkspaceState(), [], {}, SyncOptions(since=NOW - DAY), NOW)

    assert plan.initial_state == WorkspaceState(history_start=NOW - DAY, reconciled_at=NOW)


def test_an_interrupted_reconciliation_is_repeated() -> None:
    """Its time is recorded only after all its runs were loaded."""
    state = WorkspaceState(cursor=NOW - HOUR, reconciled_at=NOW - 2 * DAY)

    assert plan_reconciliation(state, [], {}, SyncOptions(), NOW).initial_state == state


def test_an_interrupted_extension_of_the_history_is_repeated() -> None:
    """The cursor says nothing about older runs, so that the next listing is a full one, too."""
    state = WorkspaceState(cursor=NOW - HOUR, history_start=NOW - DAY, reconciled_at=NOW - HOUR)
    request = SyncOptions(since=NOW - 9 * DAY)

    begins = plan_reconciliation(state, [], {}, request, NOW).initial_state

    assert plan_listing(begins, request, NOW) == ListingWindow(NOW - 9 * DAY, None, is_full=True)
    assert plan_listing(begins, SyncOptions(), NOW) == ListingWindow(
        NOW - 9 * DAY, None, is_full=True
    )


# --- table coverage ----------------------------------------------------------------------------


def holding(*names: str, complete: bool = True) -> dict[str, TableCoverage]:
    """Return the coverage of tables that contain every run, or none."""
    return dict.fromkeys(names, TableCoverage(complete))


def plan_full_listing(
    state: WorkspaceState, *runs: str, until: datetime | None = None
) -> WorkspacePlan:
    """Plan a full listing of stored final runs, each named for its age in days."""
    listings = [listed(run, int(run[1:]) * DAY) for run in runs]
    known = {run: stored(int(run[1:]) * DAY) for run in runs}
    return plan_reconciliation(
        state, listings, known, SyncOptions(tables=RUNS | TASKS, until=until), NOW
    )


def test_the_first_sync_covers_the_selected_tables_of_runs() -> None:
    request = SyncOptions(tables=RUNS | {"labels", "sync_runs"})
    plan = plan_reconciliation(WorkspaceState(), [], {}, request, NOW)
    assert plan.initial_state.tables == holding(*RUNS)


def test_a_table_that_is_selected_later_starts_empty() -> None:
    state = replace(SYNCED, tables=holding(*RUNS))
    request = SyncOptions(tables=RUNS | TASKS)
    assert plan_listing(state, request, NOW).is_full
    assert plan_full_listing(state).initial_state.tables["tasks"] == TableCoverage(complete=False)


def test_a_backfill_loads_only_the_tables_that_lack_runs_oldest_first() -> None:
    state = replace(SYNCED, tables=holding(*RUNS))
    fetches = plan_full_listing(state, "r3", "r9", "r5").fetches
    assert [run_fetch.run_id for run_fetch in fetches] == ["r9", "r5", "r3"]
    assert {run_fetch.tables for run_fetch in fetches} == {TASKS}
    assert all(run_fetch.in_order and not run_fetch.advances_cursor for run_fetch in fetches)


def test_an_interrupted_backfill_is_resumed() -> None:
    state = replace(SYNCED, tables=holding(*RUNS))
    plan = plan_full_listing(state, "r3", "r9", "r5")
    summary = RunSummary(plan.fetches[0], "SUCCEEDED", NOW - 9 * DAY, tables=TASKS)
    begun = mark_run_loaded(plan.initial_state, summary, timedelta(days=30), NOW)
    summary = RunSummary(plan.fetches[1], "SUCCEEDED", NOW - 5 * DAY, tables=TASKS)
    begun = mark_run_loaded(begun, summary, timedelta(days=30), NOW)
    fetches = plan_full_listing(begun, "r3", "r9", "r5").fetches
    assert [run_fetch.run_id for run_fetch in fetches] == [
        "r5",
        "r3",
    ]  # r5 again: runs of the same second are not told apart


def test_a_table_is_complete_after_a_reconciliation() -> None:
    plan = plan_full_listing(replace(SYNCED, tables=holding(*RUNS)), "r3")
    done = complete_workspace(plan.initial_state, plan, NOW)
    assert done.tables == holding(*RUNS, *TASKS)
    assert not plan_listing(done, SyncOptions(tables=RUNS | TASKS), NOW).is_full


def test_a_table_is_not_complete_after_a_listing_with_an_upper_bound() -> None:
    plan = plan_full_listing(replace(SYNCED, tables=holding(*RUNS)), until=NOW - timedelta(hours=1))
    assert not complete_workspace(plan.initial_state, plan, NOW).tables["tasks"].complete


def test_missing_runs_of_a_table_are_backfilled_by_an_incremental_sync() -> None:
    state = replace(SYNCED, tables=holding(*RUNS, *TASKS))
    run_fetch = RunFetch("new", NOW, None, advances_cursor=True)
    state = mark_run_loaded(
        state, RunSummary(run_fetch, "SUCCEEDED", NOW, tables=RUNS), timedelta(days=30), NOW
    )
    assert state.tables["tasks"].missing_runs == {"new"}
    request = SyncOptions(tables=RUNS | TASKS)
    assert not plan_listing(state, request, NOW).is_full
    (fill,) = plan_incremental(state, [], request, NOW).fetches
    assert (fill.run_id, fill.tables) == ("new", TASKS)
    summary = RunSummary(fill, "SUCCEEDED", NOW, tables=TASKS)
    assert (
        mark_run_loaded(state, summary, timedelta(days=30), NOW).tables["tasks"] == TableCoverage()
    )


def test_a_backfilled_run_keeps_the_star_of_the_listing() -> None:
    state = replace(SYNCED, tables=holding(*RUNS, *TASKS), lookback={"new": NOW})
    lacking = {"workflows": TableCoverage(missing_runs=frozenset({"new"}))}
    state = replace(state, tables={**state.tables, **lacking})
    listed = [ListedRun("new", NOW, "SUCCEEDED", starred=True)]
    (fill,) = plan_incremental(state, listed, SyncOptions(tables=RUNS), NOW).fetches
    assert (fill.tables, fill.starred) == (frozenset({"workflows"}), True)


def test_a_missing_run_outside_the_lookback_requires_a_full_listing() -> None:
    """Only a listing contains the star of a run."""
    tables = holding(*RUNS) | {"workflows": TableCoverage(missing_runs=frozenset({"old"}))}
    state = replace(SYNCED, tables=tables)
    assert plan_listing(state, SyncOptions(tables=RUNS), NOW).is_full
    assert not plan_listing(state, SyncOptions(tables=RUNS - {"workflows"}), NOW).is_full


def test_missing_open_and_failed_runs_do_not_require_a_full_listing() -> None:
    """The state contains their stars."""
    failed = FailedRun(NOW - DAY, None, TaskBookmark(), 1, NOW, NOW, 1, "HTTP 500")
    tables = holding(*RUNS) | {"workflows": TableCoverage(missing_runs=frozenset({"o", "f"}))}
    state = replace(SYNCED, tables=tables, open={"o": OpenRun(NOW - DAY)}, failed={"f": failed})
    assert not plan_listing(state, SyncOptions(tables=RUNS), NOW).is_full


def test_a_table_with_over_1000_missing_runs_is_no_longer_complete() -> None:
    holding = TableCoverage()
    for number in range(1001):
        holding = holding.record_missing(f"r{number}")
    assert holding == TableCoverage(complete=False)


def test_an_open_run_is_fetched_without_bookmark_if_tasks_are_missing() -> None:
    watched = {"open": OpenRun(NOW - DAY, None, TaskBookmark(3, 7))}
    for tables, bookmark in (
        (holding(*TASKS), TaskBookmark(3, 7)),
        (holding(*RUNS), TaskBookmark()),
    ):
        state = replace(SYNCED, open=watched, tables=tables)
        (run_fetch,) = plan_incremental(state, [], SyncOptions(tables=RUNS | TASKS), NOW).fetches
        assert run_fetch.bookmark == bookmark


def test_a_table_left_out_of_a_reconciliation_requires_another_one() -> None:
    state = replace(SYNCED, tables=holding(*RUNS, *TASKS))
    plan = plan_reconciliation(state, [], {}, SyncOptions(tables=RUNS), NOW)
    done = complete_workspace(plan.initial_state, plan, NOW)
    assert not plan_listing(done, SyncOptions(tables=RUNS), NOW).is_full
    assert plan_listing(done, SyncOptions(tables=RUNS | TASKS), NOW).is_full


def test_a_lost_state_backfills_every_selected_table() -> None:
    plan = plan_full_listing(WorkspaceState(), "r3")
    assert plan.initial_state.tables == holding(*RUNS, *TASKS, complete=False)
    assert [run_fetch.tables for run_fetch in plan.fetches] == [RUNS | TASKS]

"""State transitions after a run was loaded or failed, and at the end of a workspace."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tower_etl.config.settings import SyncOptions
from tower_etl.sync import (
    FailedRun,
    ListedRun,
    OpenRun,
    RunFetch,
    RunSummary,
    TableCoverage,
    TaskBookmark,
    WorkspacePlan,
    WorkspaceState,
    clear_failure,
    complete_workspace,
    mark_run_failed,
    mark_run_loaded,
    plan_incremental,
    plan_listing,
)
from tower_etl.sync.state import LOOKBACK_RUNS, LOOKBACK_WINDOW

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
GIVE_UP = 30 * DAY
FINAL = ("SUCCEEDED", "FAILED", "CANCELLED")
OPEN = ("SUBMITTED", "RUNNING", "UNKNOWN", "PAUSED", None)


def load_run(
    state: WorkspaceState,
    status: str | None = "SUCCEEDED",
    submit: datetime | None = NOW,
    *,
    run_id: str = "r",
    is_new: bool = True,
) -> WorkspaceState:
    """Return the state after a run was loaded."""
    run_fetch = RunFetch(run_id, submit, starred=True, advances_cursor=is_new)
    return mark_run_loaded(
        state, RunSummary(run_fetch, status, submit, TaskBookmark(100, 120)), GIVE_UP, NOW
    )


@pytest.mark.parametrize("status", OPEN)
def test_a_loaded_open_run_is_kept_in_the_state(status: str | None) -> None:
    """The state has its star and its task bookmark. An unknown status counts as open."""
    expected = OpenRun(NOW, starred=True, bookmark=TaskBookmark(100, 120))
    assert load_run(WorkspaceState(), status).open == {"r": expected}


@pytest.mark.parametrize("status", FINAL)
def test_a_loaded_final_run_is_removed_from_the_open_runs(status: str) -> None:
    state = WorkspaceState(open={"r": OpenRun(NOW), "other": OpenRun(NOW)})

    assert set(load_run(state, status).open) == {"other"}


def test_a_run_past_the_maximum_age_is_removed_from_the_open_runs() -> None:
    """Only a reconciliation fetches an abandoned run again."""
    state = WorkspaceState(open={"r": OpenRun(NOW - 31 * DAY)})

    assert load_run(state, "RUNNING", NOW - 31 * DAY, is_new=False).open == {}
    assert set(load_run(state, "RUNNING", NOW - 30 * DAY, is_new=False).open) == {"r"}


def test_new_runs_advance_the_cursor_and_never_move_it_back() -> None:
    state = load_run(WorkspaceState(), submit=NOW - MINUTE, run_id="a")
    state = load_run(state, submit=NOW, run_id="b")
    state = load_run(state, submit=NOW - 2 * MINUTE, run_id="c")

    assert state.cursor == NOW
    assert state.lookback == {"a": NOW - MINUTE, "b": NOW, "c": NOW - 2 * MINUTE}


def test_a_refetched_run_does_not_advance_the_cursor() -> None:
    state = WorkspaceState(cursor=NOW - DAY, lookback={"a": NOW - DAY})

    assert load_run(state, is_new=False) == state


def test_the_submission_time_of_the_detail_advances_the_cursor() -> None:
    """The listing may lack the submission time."""
    summary = RunSummary(RunFetch("r", None, None, advances_cursor=True), "SUCCEEDED", NOW)

    assert mark_run_loaded(WorkspaceState(), summary, GIVE_UP, NOW).cursor == NOW


def test_a_run_without_a_submission_time_does_not_advance_the_cursor() -> None:
    """It is refreshed all the same while it is open."""
    state = load_run(WorkspaceState(), "RUNNING", None)

    assert (state.cursor, state.lookback, set(state.open)) == (None, {}, {"r"})


@given(minutes=st.lists(st.integers(0, 300), min_size=1, max_size=150))
def test_the_lookback_equals_the_loaded_runs_of_the_next_listing(minutes: list[int]) -> None:
    """The next listing shows no unknown run, and the state keeps no other runs."""
    state = WorkspaceState()
    submits = {f"r{number}": NOW + at * MINUTE for number, at in enumerate(minutes)}
    later = max(submits.values())
    for run_id, submit in sorted(submits.items(), key=lambda item: item[1]):
        run_fetch = RunFetch(run_id, submit, starred=None, advances_cursor=True)
        state = mark_run_loaded(state, RunSummary(run_fetch, "SUCCEEDED", submit), GIVE_UP, later)

    start = state.listing_start(later)
    assert start is not None
    assert start >= max(submits.values()) - LOOKBACK_WINDOW
    assert state.lookback == {run_id: at for run_id, at in submits.items() if at >= start}
    assert sum(at > start for at in state.lookback.values()) < LOOKBACK_RUNS


def test_completing_an_incremental_sync_does_not_change_the_state() -> None:
    """Only a full listing shows which runs were deleted."""
    state = WorkspaceState(cursor=NOW, open={"r": OpenRun(NOW)})

    assert complete_workspace(state, WorkspacePlan(state, deleted=("r",)), NOW) == state


def test_completing_a_reconciliation_records_its_time_and_drops_deleted() -> None:
    state = WorkspaceState(cursor=NOW, open={"gone": OpenRun(NOW), "there": OpenRun(NOW)})

    done = complete_workspace(state, WorkspacePlan(state, deleted=("gone",), is_full=True), NOW)

    assert (set(done.open), done.reconciled_at, done.cursor) == ({"there"}, NOW, NOW)


def test_runs_that_a_full_listing_lacks_are_new_if_they_reappear() -> None:
    """This holds for open and loaded runs, with and without stored rows."""
    state = WorkspaceState(
        cursor=NOW,
        lookback={"missing": NOW, "there": NOW, "gone": NOW},
        open={"gone": OpenRun(NOW), "there": OpenRun(NOW), "missing": OpenRun(NOW)},
    )
    plan = WorkspacePlan(state, deleted=("missing",), other_deleted=("gone",), is_full=True)

    done = complete_workspace(state, plan, NOW)

    assert (set(done.open), set(done.deleted)) == ({"there"}, {"missing", "gone"})
    again = plan_incremental(
        done, [ListedRun(name, NOW) for name in state.lookback], SyncOptions(), NOW
    )
    assert {run_fetch.run_id for run_fetch in again.fetches if run_fetch.advances_cursor} == {
        "missing",
        "gone",
    }


def test_tables_are_complete_although_a_run_failed() -> None:
    """The retry of a failed run loads it into all selected tables."""
    tables = {"workflows": TableCoverage(), "tasks": TableCoverage(complete=False)}
    state = WorkspaceState(cursor=NOW, tables=tables)
    plan = WorkspacePlan(state, is_full=True, tables=frozenset(tables))

    assert complete_workspace(state, plan, NOW).tables == dict.fromkeys(tables, TableCoverage())


def test_a_reconciliation_clears_the_missing_runs_of_a_table() -> None:
    """Otherwise every later sync would list all runs to find the star of a deleted run."""
    tables = {"workflows": TableCoverage(missing_runs=frozenset({"deleted"}))}
    state = WorkspaceState(cursor=NOW, tables=tables, reconciled_at=NOW - DAY)
    wanted = frozenset(tables)

    done = complete_workspace(state, WorkspacePlan(state, is_full=True, tables=wanted), NOW)

    assert done.tables == {"workflows": TableCoverage()}
    assert not plan_listing(done, SyncOptions(tables=wanted), NOW).is_full


def test_a_full_listing_with_an_upper_bound_is_not_a_reconciliation() -> None:
    """Newer runs were not compared. Open runs that it lacks are removed all the same."""
    before = WorkspaceState(cursor=NOW, open={"gone": OpenRun(NOW)}, reconciled_at=NOW - DAY)

    plan = WorkspacePlan(before, other_deleted=("gone",), is_full=True, has_upper_bound=True)
    done = complete_workspace(before, plan, NOW)

    assert done == WorkspaceState(cursor=NOW, reconciled_at=NOW - DAY)


def test_the_reconciliation_of_an_empty_workspace_is_recorded() -> None:
    done = complete_workspace(WorkspaceState(), WorkspacePlan(WorkspaceState(), is_full=True), NOW)

    assert done == WorkspaceState(reconciled_at=NOW)


def test_recovered_runs_advance_the_cursor_and_enter_the_lookback() -> None:
    """The lookback contains only those that the next listing shows."""
    state = WorkspaceState(cursor=NOW - MINUTE, lookback={"new": NOW - MINUTE})
    adopts = {"newest": NOW, "recent": NOW - HOUR, "old": NOW - DAY}

    done = complete_workspace(state, WorkspacePlan(state, is_full=True, stored_submits=adopts), NOW)

    assert done.cursor == NOW
    assert done.lookback == {"new": NOW - MINUTE, "newest": NOW, "recent": NOW - HOUR}


# --- runs that failed -------------------------------------------------------------------------


def fail(state: WorkspaceState, run_fetch: RunFetch, times: int = 1) -> WorkspaceState:
    """Return the state after consecutive failures an hour apart, the last of them now."""
    for number in range(times):
        state = mark_run_failed(state, run_fetch, "it failed", NOW - HOUR * (times - 1 - number))
    return state


def test_a_failed_new_run_is_pending_and_advances_the_cursor() -> None:
    state = fail(
        WorkspaceState(cursor=NOW - HOUR), RunFetch("r", NOW, starred=True, advances_cursor=True)
    )
    failed = FailedRun(NOW, True, TaskBookmark(), 1, NOW, NOW, 1, "it failed")  # noqa: FBT003 starred
    assert state == WorkspaceState(cursor=NOW, lookback={"r": NOW}, failed={"r": failed})


def test_a_failed_open_run_keeps_its_task_bookmark() -> None:
    """Other open runs are not affected."""
    watched = {"r": OpenRun(NOW, None, TaskBookmark(100, 120)), "other": OpenRun(NOW)}
    state = WorkspaceState(cursor=NOW - DAY, open=watched)
    failed = fail(state, RunFetch("r", NOW, None, TaskBookmark(100, 120)))
    assert failed.open == {"other": OpenRun(NOW)}
    assert failed.failed["r"].bookmark == TaskBookmark(100, 120)


def test_a_failed_refetch_does_not_advance_the_cursor() -> None:
    state = WorkspaceState(cursor=NOW - 2 * DAY)
    assert fail(state, RunFetch("r", NOW - DAY, None)).cursor == NOW - 2 * DAY


def test_a_failed_run_without_a_submission_time_is_pending() -> None:
    """It does not advance the cursor."""
    state = fail(WorkspaceState(), RunFetch("r", None, None, advances_cursor=True))
    assert (state.cursor, list(state.failed)) == (None, ["r"])


def test_a_pending_run_that_is_loaded_is_no_longer_pending() -> None:
    """As a final run it is not refreshed, and the lookback contains it once."""
    state = fail(WorkspaceState(), RunFetch("r", NOW, None, advances_cursor=True))
    assert load_run(state, is_new=False) == WorkspaceState(cursor=NOW, lookback={"r": NOW})


def test_clear_failure_removes_a_deleted_pending_run() -> None:
    """The rest of the state does not change."""
    state = fail(WorkspaceState(), RunFetch("r", NOW, None, advances_cursor=True))
    assert clear_failure(state, "r") == WorkspaceState(cursor=NOW, lookback={"r": NOW})


@pytest.mark.parametrize(
    ("attempts", "wait"), [(1, 1), (2, 1), (3, 1), (4, 2), (5, 4), (6, 8), (7, 16), (50, 16)]
)
def test_the_retry_wait_grows_up_to_a_maximum(attempts: int, wait: int) -> None:
    """The first three retries are each made by the next sync."""
    failed = fail(WorkspaceState(), RunFetch("r", NOW, None), attempts).failed["r"]
    assert (failed.attempts, failed.retry_in) == (attempts, wait)
    assert failed.first_failed_at == NOW - HOUR * (attempts - 1)
    assert failed.last_failed_at == NOW


def test_a_run_from_the_future_does_not_remove_current_runs() -> None:
    """The next listing starts before the current time and shows them again."""
    state = load_run(WorkspaceState(), submit=NOW, run_id="now")
    state = load_run(state, submit=NOW + DAY, run_id="ahead")

    assert state.cursor == NOW + DAY
    assert state.lookback == {"now": NOW, "ahead": NOW + DAY}

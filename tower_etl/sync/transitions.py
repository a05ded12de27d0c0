"""Transitions of a workspace's state after runs were loaded or failed: pure functions."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from tower_etl.sync.bookmarks import TaskBookmark
from tower_etl.sync.plan import is_abandoned
from tower_etl.sync.state import (
    RUN_TABLES,
    FailedRun,
    OpenRun,
    TableCoverage,
    is_final,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from tower_etl.sync.plan import WorkspacePlan
    from tower_etl.sync.retries import RunFetch
    from tower_etl.sync.state import WorkspaceState

T = TypeVar("T")


@dataclass(frozen=True)
class RunSummary:
    """Summary of a fetched run, from which the next state follows.

    Attributes:
        fetch: Fetch that returned the run.
        status: Status in the run's detail.
        submit: Submission time (UTC), None if unknown.
        bookmark: Final tasks that the next fetch omits.
        complete: Completion time (UTC), None if unknown.
        missing_parts: Parts that the server does not have for the run.
        tables: Tables that the run was fetched for.
    """

    fetch: RunFetch
    status: str | None
    submit: datetime | None
    bookmark: TaskBookmark = field(default_factory=TaskBookmark)
    complete: datetime | None = None
    missing_parts: tuple[str, ...] = ()
    tables: frozenset[str] = RUN_TABLES


def mark_run_loaded(
    state: WorkspaceState, run: RunSummary, open_run_max_age: timedelta, now: datetime
) -> WorkspaceState:
    """Return the state after a run was loaded: open runs are kept, new runs advance the cursor."""
    submit = run.submit or run.fetch.submit
    run_id = run.fetch.run_id
    state = replace(state, tables=_advance_coverage(state, run, submit))
    if run.fetch.tables:  # a backfill of single tables; the run itself has not changed
        return state
    open_runs = _without(state.open, run_id)
    is_open = not is_final(run.status, run.complete)
    if is_open and not is_abandoned(submit, open_run_max_age, now):
        open_runs[run_id] = OpenRun(submit, run.fetch.starred, run.bookmark)
    updated = replace(
        state,
        open=open_runs,
        failed=_without(state.failed, run_id),
        deleted=state.deleted - {run_id},
    )
    if not run.fetch.advances_cursor:
        return updated
    return _advance_cursor(updated, run_id, submit, now)


def _advance_coverage(
    state: WorkspaceState, run: RunSummary, submit: datetime | None
) -> dict[str, TableCoverage]:
    """Return the coverage of the tables after a run was loaded into some of them."""
    run_id, filled_to = run.fetch.run_id, submit if run.fetch.in_order else None

    def advance(table: str, coverage: TableCoverage) -> TableCoverage:
        if table in run.tables:
            return coverage.record_loaded(run_id, filled_to)
        return coverage if run.fetch.tables else coverage.record_missing(run_id)

    return {table: advance(table, coverage) for table, coverage in state.tables.items()}


def mark_run_failed(
    state: WorkspaceState, run_fetch: RunFetch, error: str, now: datetime
) -> WorkspaceState:
    """Return the state after a run could not be fetched: it awaits a retry, the cursor advances.

    Args:
        state: State before.
        run_fetch: Fetch that failed.
        error: Message of the failure.
        now: Start of the sync (UTC).
    """
    before = state.failed.get(run_fetch.run_id)
    attempts = before.attempts + 1 if before else 1
    failed = FailedRun(
        submit=run_fetch.submit,
        starred=run_fetch.starred,
        bookmark=run_fetch.bookmark,
        attempts=attempts,
        first_failed_at=before.first_failed_at if before else now,
        last_failed_at=now,
        retry_in=FailedRun.retry_wait(attempts),
        error=error,
    )
    kept = replace(
        state,
        open=_without(state.open, run_fetch.run_id),
        failed={**state.failed, run_fetch.run_id: failed},
    )
    return (
        _advance_cursor(kept, run_fetch.run_id, run_fetch.submit, now)
        if run_fetch.advances_cursor
        else kept
    )


def clear_failure(state: WorkspaceState, run_id: str) -> WorkspaceState:
    """Return the state after a failed run was found to be deleted: it is not retried."""
    tables = {name: coverage.record_loaded(run_id, None) for name, coverage in state.tables.items()}
    return replace(state, failed=_without(state.failed, run_id), tables=tables)


def complete_workspace(state: WorkspaceState, plan: WorkspacePlan, now: datetime) -> WorkspaceState:
    """Return the state after all fetches of a plan: deleted runs are no longer refreshed.

    Args:
        state: State after the last run.
        plan: Plan that was carried out.
        now: Start of the sync (UTC).
    """
    if not plan.is_full:
        return state
    deleted = {*plan.deleted, *plan.other_deleted}
    done = replace(
        state,
        open=_without(state.open, *deleted),
        failed=_without(state.failed, *deleted),
        lookback={**state.lookback, **plan.stored_submits},
    )
    if plan.stored_submits:
        newest = max(plan.stored_submits.values())
        done = replace(done, cursor=max(done.cursor, newest) if done.cursor else newest)
    if not plan.has_upper_bound:  # with a bound, newer runs were not compared
        done = replace(done, reconciled_at=now, tables=_complete_tables(state, plan.tables))
    return _prune_lookback(replace(done, deleted=state.deleted | deleted), now)


def _complete_tables(state: WorkspaceState, selected: frozenset[str]) -> dict[str, TableCoverage]:
    """Return the coverage of the tables after a reconciliation of the selected ones.

    No run is missing in them: those listed were loaded, deleted ones are no longer wanted, and
    the retries of failed runs load them into all selected tables.
    """
    return {
        name: TableCoverage() if name in selected else replace(coverage, is_behind=True)
        for name, coverage in state.tables.items()
    }


def _without(runs: Mapping[str, T], *run_ids: str) -> dict[str, T]:
    kept = dict(runs)
    for run_id in run_ids:
        kept.pop(run_id, None)
    return kept


def _advance_cursor(
    state: WorkspaceState, run_id: str, submit: datetime | None, now: datetime
) -> WorkspaceState:
    """Return the state with the cursor at or after a run, and the run in the lookback."""
    if submit is None:
        return state
    cursor = max(state.cursor, submit) if state.cursor else submit
    lookback = {**state.lookback, run_id: submit}
    return _prune_lookback(replace(state, cursor=cursor, lookback=lookback), now)


def _prune_lookback(state: WorkspaceState, now: datetime) -> WorkspaceState:
    """Return the state without lookback runs that are before the start of the next listing."""
    start = state.listing_start(now)
    kept = {run_id: at for run_id, at in state.lookback.items() if start is None or at >= start}
    return replace(state, lookback=kept, deleted=state.deleted & kept.keys())

"""How the state moves on when something landed: pure functions."""

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
class LoadedRun:
    """A run whose rows are in the package at hand.

    Attributes:
        run_fetch: What it was fetched for.
        status: Its status when it was described.
        submit: When it was submitted (UTC), None if the server does not say.
        bookmark: Tasks that need no fetching the next time.
        complete: When it ended (UTC), None if the server does not say.
        missing_parts: Parts that the server does not have for the run.
        tables: The tables that it was loaded into.
    """

    fetch: RunFetch
    status: str | None
    submit: datetime | None
    bookmark: TaskBookmark = field(default_factory=TaskBookmark)
    complete: datetime | None = None
    missing_parts: tuple[str, ...] = ()
    tables: frozenset[str] = RUN_TABLES


def mark_run_loaded(
    state: WorkspaceState, loaded: LoadedRun, give_up_after: timedelta, now: datetime
) -> WorkspaceState:
    """The state after a run landed: followed on while it is open, past the cursor if it was new."""
    submit = loaded.submit or loaded.fetch.submit
    run_id = loaded.fetch.run_id
    state = replace(state, tables=_load_tables(state, loaded, submit))
    if loaded.fetch.tables:  # the run is as it was; only tables that lacked it were filled
        return state
    watched = _without(state.open, run_id)
    is_open = not is_final(loaded.status, loaded.complete)
    if is_open and not is_abandoned(submit, give_up_after, now):
        watched[run_id] = OpenRun(submit, loaded.fetch.starred, loaded.bookmark)
    moved = replace(
        state,
        open=watched,
        failed=_without(state.failed, run_id),
        deleted=state.deleted - {run_id},
    )
    return _advance_cursor(moved, run_id, submit, now) if loaded.fetch.advances_cursor else moved


def _load_tables(
    state: WorkspaceState, loaded: LoadedRun, submit: datetime | None
) -> dict[str, TableCoverage]:
    """Return what the tables hold after a run was loaded into some of them."""
    run_id, filled_to = loaded.fetch.run_id, submit if loaded.fetch.in_order else None

    def load(table: str, holding: TableCoverage) -> TableCoverage:
        if table in loaded.tables:
            return holding.record_loaded(run_id, filled_to)
        return holding if loaded.fetch.tables else holding.record_missing(run_id)

    return {table: load(table, holding) for table, holding in state.tables.items()}


def mark_run_failed(
    state: WorkspaceState, run_fetch: RunFetch, error: str, now: datetime
) -> WorkspaceState:
    """Return the state after a fetch of a run failed: it waits for a retry, the cursor moves on.

    Args:
        state: The state before.
        run_fetch: The fetch that failed.
        error: Why, in one sentence.
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
    """Return the state after a run turned out to be deleted: it is fetched no more."""
    tables = {name: holding.record_loaded(run_id, None) for name, holding in state.tables.items()}
    return replace(state, failed=_without(state.failed, run_id), tables=tables)


def complete_workspace(state: WorkspaceState, plan: WorkspacePlan, now: datetime) -> WorkspaceState:
    """The state after all that was planned was done: what is gone is watched no longer.

    Args:
        state: The state after the last run.
        plan: What was planned.
        now: Start of the sync.
    """
    if not plan.is_full:
        return state
    gone = {*plan.deleted, *plan.vanished}
    done = replace(
        state,
        open=_without(state.open, *gone),
        failed=_without(state.failed, *gone),
        lookback={**state.lookback, **plan.recovered},
    )
    if plan.recovered:
        newest = max(plan.recovered.values())
        done = replace(done, cursor=max(done.cursor, newest) if done.cursor else newest)
    if not plan.has_upper_bound:  # or younger runs were not compared
        done = replace(done, reconciled_at=now)
        done = replace(done, tables=_complete_tables(state, plan.tables))
    return _prune_lookback(replace(done, deleted=state.deleted | gone), now)


def _complete_tables(state: WorkspaceState, wanted: frozenset[str]) -> dict[str, TableCoverage]:
    """Return what the tables hold after a complete comparison of which some were a part.

    Runs that failed are loaded into all wanted tables by their retries.
    """
    return {
        name: TableCoverage(missing_runs=holding.missing_runs)
        if name in wanted
        else replace(holding, is_behind=True)
        for name, holding in state.tables.items()
    }


def _without(runs: Mapping[str, T], *run_ids: str) -> dict[str, T]:
    left = dict(runs)
    for run_id in run_ids:
        left.pop(run_id, None)
    return left


def _advance_cursor(
    state: WorkspaceState, run_id: str, submit: datetime | None, now: datetime
) -> WorkspaceState:
    """The state with the cursor past a run."""
    if submit is None:
        return state
    cursor = max(state.cursor, submit) if state.cursor else submit
    seen = {**state.lookback, run_id: submit}
    return _prune_lookback(replace(state, cursor=cursor, lookback=seen), now)


def _prune_lookback(state: WorkspaceState, now: datetime) -> WorkspaceState:
    """The state without what the next listing will not show."""
    start = state.listing_start(now)
    seen = {run_id: at for run_id, at in state.lookback.items() if start is None or at >= start}
    return replace(state, lookback=seen, deleted=state.deleted & seen.keys())

"""Plan of a workspace's sync, computed without I/O from state, listing and time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from tower_etl.sync.bookmarks import TaskBookmark
from tower_etl.sync.changes import (
    ListingWindow,
    find_deleted,
    find_expected,
    find_label_changes,
    find_other_deleted,
    find_star_changes,
)
from tower_etl.sync.retries import (
    RunFetch,
    count_down,
    plan_failed_retries,
    plan_part_retries,
    plan_tracked,
)
from tower_etl.sync.state import RUN_TABLES, TableCoverage

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

    from tower_etl.config.settings import SyncOptions
    from tower_etl.sync.changes import ListedRun, StoredRun
    from tower_etl.sync.retries import RetryCause
    from tower_etl.sync.state import FailedRun, OpenRun, WorkspaceState


RunT = TypeVar("RunT", "OpenRun", "FailedRun")


@dataclass(frozen=True)
class WorkspacePlan:
    """Plan of one workspace's sync.

    Attributes:
        initial_state: State at the start of the sync.
        fetches: Runs to fetch, in this order: open runs, then new runs oldest first, then changed
            runs, then retries.
        deferred: Retries to make only after another retry for the same cause succeeded.
        label_updates: Current labels of the runs whose label links changed, by run id.
        star_updates: Current `starred` of the runs whose star changed, by run id.
        deleted: Ids of stored runs that the full listing does not contain.
        other_deleted: Ids of other deleted runs: open, failed, or marked as missing before.
        is_full: Whether all runs in scope were listed.
        has_upper_bound: Whether `until` limited the scope, so that newer runs were not compared.
        tables: Selected tables, among those with rows of runs.
        stored_submits: Submission times of stored runs by id, only if the state has no cursor.
    """

    initial_state: WorkspaceState
    fetches: tuple[RunFetch, ...] = ()
    deferred: tuple[RunFetch, ...] = ()
    label_updates: Mapping[str, tuple[Mapping[str, Any], ...]] = field(default_factory=dict)
    star_updates: Mapping[str, bool | None] = field(default_factory=dict)
    deleted: tuple[str, ...] = ()
    other_deleted: tuple[str, ...] = ()
    is_full: bool = False
    has_upper_bound: bool = False
    tables: frozenset[str] = frozenset()
    stored_submits: Mapping[str, datetime] = field(default_factory=dict)

    def with_open_runs_last(self) -> WorkspacePlan:
        """Return the plan with open runs after all others.

        If the number of runs is limited, open runs could otherwise use up the limit every time.
        """
        last = self.initial_state.open.keys()
        return replace(
            self, fetches=tuple(sorted(self.fetches, key=lambda fetch: fetch.run_id in last))
        )

    def follow_up(self, causes: Collection[RetryCause]) -> WorkspacePlan:
        """Return the plan of the deferred retries for causes of which a retry succeeded."""
        fetches = tuple(run_fetch for run_fetch in self.deferred if run_fetch.retry in causes)
        # A fetch also updates labels and star.
        fetched = {run_fetch.run_id for run_fetch in fetches}
        return replace(
            self,
            fetches=fetches,
            deferred=(),
            label_updates={
                key: labels for key, labels in self.label_updates.items() if key not in fetched
            },
            star_updates={
                key: star for key, star in self.star_updates.items() if key not in fetched
            },
        )


def plan_listing(state: WorkspaceState, options: SyncOptions, now: datetime) -> ListingWindow:
    """Return the window of runs to list: since the cursor, or all in scope for a reconciliation.

    A reconciliation is due for `reconcile`, in the first sync, when the last one is too long ago
    (or in the future, after a clock error), and when `since` or `tables` cover more than was
    loaded.
    """
    is_full = _is_reconciliation_due(state, options, now)
    after = _lower_bound(state, options) if is_full else state.listing_start(now)
    window = ListingWindow(after, options.until, is_full)
    return replace(window, expected_run_ids=find_expected(state, window))


def plan_incremental(
    state: WorkspaceState, listed: Iterable[ListedRun], options: SyncOptions, now: datetime
) -> WorkspacePlan:
    """Return the plan after a listing since the cursor: fetch the open runs and the new ones."""
    listed_by_id = {run.run_id: run for run in listed}
    selected = options.tables & RUN_TABLES
    initial = count_down(_drop_abandoned(_begin_tables(state, selected), options, now))
    open_fetches = _plan_open(initial, initial.open, listed_by_id)
    earlier = state.lookback.keys() - state.deleted
    tracked = state.open.keys() | state.failed.keys()
    new = [run for run_id, run in listed_by_id.items() if run_id not in earlier | tracked]
    due, deferred = plan_failed_retries(initial.failed, listed_by_id, retry_all=False)
    fetches = (
        *open_fetches,
        *_oldest_first(_plan_new(new)),
        *_backfill_missing_tables(initial, selected, listed_by_id),
        *due,
    )
    return WorkspacePlan(initial, fetches, tuple(deferred), tables=selected)


def plan_reconciliation(
    state: WorkspaceState,
    listed: Iterable[ListedRun],
    stored: Mapping[str, StoredRun],
    options: SyncOptions,
    now: datetime,
) -> WorkspacePlan:
    """Return the plan after a full listing: find new, changed, updated and deleted runs."""
    listed_by_id = {run.run_id: run for run in listed}
    window = ListingWindow(_lower_bound(state, options), options.until, is_full=True)
    selected = options.tables & RUN_TABLES
    initial = count_down(
        _initial_full_state(_begin_tables(state, selected, stored), stored, window, now)
    )
    tracked = state.open.keys() | state.failed.keys()
    new = [run for run_id, run in listed_by_id.items() if run_id not in tracked | stored.keys()]
    old = [run for run_id, run in listed_by_id.items() if run_id in stored.keys() - tracked]
    changed = [run for run in old if run.needs_refetch(stored[run.run_id])]
    same = [run for run in old if not run.needs_refetch(stored[run.run_id])]
    retry_all = options.reconcile
    listed_failed = _drop_deleted(initial.failed, listed_by_id, window)
    failed, deferred = plan_failed_retries(listed_failed, listed_by_id, retry_all=retry_all)
    incomplete = (run for run in same if stored[run.run_id].has_missing_parts)
    parts, deferred_parts = plan_part_retries(incomplete, now, retry_all=retry_all)
    submits = {run_id: run.submit for run_id, run in stored.items() if run.submit}
    open_runs = _drop_deleted(initial.open, listed_by_id, window)
    open_fetches = _plan_open(initial, open_runs, listed_by_id)
    same = [run for run in same if run.run_id not in {run_fetch.run_id for run_fetch in parts}]
    backfills = _backfill(initial, same, selected)
    ordered = [
        replace(fetch, in_order=True) for fetch in _oldest_first([*_plan_new(new), *backfills])
    ]
    return WorkspacePlan(
        initial,
        (*open_fetches, *ordered, *map(_plan_listed, changed), *failed, *parts),
        (*deferred, *deferred_parts),
        label_updates=find_label_changes(same, stored),
        star_updates=find_star_changes(same, stored),
        deleted=find_deleted(listed_by_id, stored, window),
        other_deleted=find_other_deleted(state, listed_by_id, stored, window),
        is_full=True,
        has_upper_bound=window.before is not None,
        tables=selected,
        stored_submits=submits if state.cursor is None else {},
    )


def _needs_refetch_all(state: WorkspaceState, options: SyncOptions) -> bool:
    """Return whether selected tables lack loaded runs, or hold outdated ones."""
    tables = state.tables.items()
    current = {name for name, coverage in tables if coverage.complete and not coverage.is_behind}
    return not state.is_new and not (options.tables & RUN_TABLES) <= current


def _begin_tables(
    state: WorkspaceState, selected: frozenset[str], stored: Collection[str] = ()
) -> WorkspaceState:
    """Return the state with an entry for each selected table.

    A table without an entry is complete if no run was loaded before, and otherwise empty.
    """
    default = TableCoverage(complete=state.is_new and not stored)
    return replace(state, tables={**dict.fromkeys(selected, default), **state.tables})


def _backfill(
    state: WorkspaceState, runs: Iterable[ListedRun], selected: frozenset[str]
) -> list[RunFetch]:
    """Return fetches of the runs that selected tables lack."""
    incomplete = (
        (run, frozenset(name for name in selected if not state.holds(name, run.run_id, run.submit)))
        for run in runs
    )
    return [replace(_plan_listed(run), tables=tables) for run, tables in incomplete if tables]


def _oldest_first(fetches: Iterable[RunFetch]) -> list[RunFetch]:
    """Return fetches by submission time, which the cursor and the backfill of tables rely on.

    Fetches without a submission time move neither, and come last.
    """
    return sorted(fetches, key=lambda fetch: (fetch.submit is None, fetch.submit, fetch.run_id))


def _backfill_missing_tables(
    state: WorkspaceState, selected: frozenset[str], listed_by_id: Mapping[str, ListedRun]
) -> list[RunFetch]:
    """Return fetches of runs that were loaded while some of the selected tables were not selected.

    Only the listing, not the detail of a run, contains `starred`.
    """
    missing_runs = {name: state.tables[name].missing_runs for name in selected}
    missing_tables = {
        run_id: frozenset(name for name in selected if run_id in missing_runs[name])
        for run_id in sorted(frozenset[str]().union(*missing_runs.values()))
    }
    tracked = state.open.keys() | state.failed.keys()
    return [
        RunFetch(
            run_id,
            state.lookback.get(run_id),
            listed_by_id[run_id].starred if run_id in listed_by_id else None,
            tables=tables,
        )
        for run_id, tables in missing_tables.items()
        if run_id not in tracked
    ]


def _drop_abandoned(state: WorkspaceState, options: SyncOptions, now: datetime) -> WorkspaceState:
    """Return the state without open runs that are older than the maximum age."""
    kept = {
        run_id: run
        for run_id, run in state.open.items()
        if not is_abandoned(run.submit, options.open_run_max_age, now)
    }
    return replace(state, open=kept)


def is_abandoned(submit: datetime | None, open_run_max_age: timedelta, now: datetime) -> bool:
    """Return whether an open run is too old to be refreshed by every sync."""
    return submit is not None and now - submit > open_run_max_age


def _is_reconciliation_due(state: WorkspaceState, options: SyncOptions, now: datetime) -> bool:
    return (
        options.reconcile
        or state.reconciled_at is None
        or not timedelta() <= now - state.reconciled_at < options.reconcile_every
        or _needs_refetch_all(state, options)
        or _misses_runs_without_star(state, options)
        or (
            options.since is not None
            and state.history_start is not None
            and options.since < state.history_start
        )
    )


def _misses_runs_without_star(state: WorkspaceState, options: SyncOptions) -> bool:
    """Return whether `workflows` lacks runs for whose stars a full listing is required.

    The state has the stars of open and of failed runs.
    """
    table = state.tables.get("workflows") if "workflows" in options.tables else None
    runs_with_star = {*state.lookback, *state.open, *state.failed}
    return table is not None and not table.missing_runs <= runs_with_star


def _lower_bound(state: WorkspaceState, options: SyncOptions) -> datetime | None:
    """Return the earliest submission time in scope.

    It is `since` for an empty state. Later it can only become earlier, so that there is no gap.
    """
    if state.reconciled_at is None and state.cursor is None:
        return options.since
    if state.history_start is None or options.since is None:
        return state.history_start
    return min(state.history_start, options.since)


def _initial_full_state(
    state: WorkspaceState, stored: Mapping[str, StoredRun], window: ListingWindow, now: datetime
) -> WorkspaceState:
    """Return the state at the start of a reconciliation, valid also if the sync is interrupted.

    An interrupted first sync continues from the cursor. An interrupted sync with an earlier start
    of the history must list all runs again, because the cursor says nothing about older runs.
    """
    if state.cursor is None:
        return replace(state, history_start=window.after, reconciled_at=None if stored else now)
    lowered = window.after != state.history_start
    return replace(
        state, history_start=window.after, reconciled_at=None if lowered else state.reconciled_at
    )


def _drop_deleted(
    runs: Mapping[str, RunT], listed_by_id: Mapping[str, ListedRun], window: ListingWindow
) -> dict[str, RunT]:
    """Return runs of the state without those that a full listing of the window does not contain."""
    return {
        run_id: run
        for run_id, run in runs.items()
        if run_id in listed_by_id or not window.contains(run.submit)
    }


def _plan_open(
    state: WorkspaceState, runs: Mapping[str, OpenRun], listed_by_id: Mapping[str, ListedRun]
) -> list[RunFetch]:
    """Return fetches of open runs, of all their tasks if the table lacks them."""
    fetches = []
    for run_id, run in runs.items():
        fetch = plan_tracked(run_id, run, listed_by_id.get(run_id))
        lacks_tasks = "tasks" in state.tables and not state.holds("tasks", run_id, run.submit)
        fetches.append(replace(fetch, bookmark=TaskBookmark()) if lacks_tasks else fetch)
    return fetches


def _plan_listed(run: ListedRun) -> RunFetch:
    return RunFetch(run.run_id, run.submit, run.starred, status=run.status, complete=run.complete)


def _plan_new(new: Iterable[ListedRun]) -> list[RunFetch]:
    return [replace(_plan_listed(run), advances_cursor=True) for run in new]

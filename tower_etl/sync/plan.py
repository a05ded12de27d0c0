"""What to list, and what to do with what was listed: pure functions of state, listing and time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tower_etl.sync.bookmarks import TaskBookmark
from tower_etl.sync.changes import (
    ListingWindow,
    contains,
    find_deleted,
    find_expected,
    find_label_changes,
    find_star_changes,
    find_vanished,
)
from tower_etl.sync.retries import (
    RunFetch,
    count_down,
    retry_failed,
    retry_parts,
)
from tower_etl.sync.state import RUN_TABLES, TableCoverage

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

    from tower_etl.config.settings import SyncOptions
    from tower_etl.sync.changes import ListedRun, StoredRun
    from tower_etl.sync.retries import RetryCause
    from tower_etl.sync.state import FailedRun, OpenRun, WorkspaceState


@dataclass(frozen=True)
class WorkspacePlan:
    """What a sync does for one workspace.

    Attributes:
        begins: The state with which it starts out.
        visits: Runs to fetch, in this order: open ones, then new ones oldest first, then changed
            ones, then retries.
        deferred: Retries to make after others of the same cause succeeded.
        relabel: Runs whose links to labels changed, with the labels that they have now.
        restar: Runs whose star changed.
        missing: Runs of the tables that a complete listing did not show.
        gone: Runs that it did not show either, open or called missing before.
        whole: Whether everything in scope was listed, for sure.
        bounded: Whether the scope had an end, so that younger runs were not compared.
        wanted: The tables, of those of a run, that are wanted.
        adopts: Runs that the tables had already when the state knew none, with their submission.
    """

    initial_state: WorkspaceState
    fetches: tuple[RunFetch, ...] = ()
    deferred: tuple[RunFetch, ...] = ()
    label_updates: Mapping[str, tuple[Mapping[str, Any], ...]] = field(default_factory=dict)
    star_updates: Mapping[str, bool | None] = field(default_factory=dict)
    deleted: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()
    is_full: bool = False
    has_upper_bound: bool = False
    tables: frozenset[str] = frozenset()
    recovered: Mapping[str, datetime] = field(default_factory=dict)

    def advance_first(self) -> WorkspacePlan:
        """Return the plan with open runs behind all others.

        Where the number of runs is limited, their visits could use it up every time.
        """
        last = self.initial_state.open.keys()
        return replace(self, fetches=tuple(sorted(self.fetches, key=lambda v: v.run_id in last)))

    def follow_up(self, causes: Collection[RetryCause]) -> WorkspacePlan:
        """Return the plan that remains when retries for some causes succeeded."""
        fetches = tuple(run_fetch for run_fetch in self.deferred if run_fetch.retry in causes)
        fetched = {
            run_fetch.run_id for run_fetch in fetches
        }  # the fetch brings labels and star as well
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


def plan_listing(state: WorkspaceState, request: SyncOptions, now: datetime) -> ListingWindow:
    """Which runs to list: those since the cursor, or all in scope when that is due.

    All are listed by `reconcile`, when the last time is too long ago (or in the future, by a clock
    that was wrong), the first time, and when `since` reaches further back, or `tables` further,
    than what was loaded.
    """
    whole = _is_reconciliation_due(state, request, now)
    after = _lower_bound(state, request) if whole else state.listing_start(now)
    window = ListingWindow(after, request.until, whole)
    return replace(window, known=find_expected(state, window))


def plan_incremental(
    state: WorkspaceState, listed: Iterable[ListedRun], request: SyncOptions, now: datetime
) -> WorkspacePlan:
    """What to do after a listing since the cursor: visit the open runs and the new ones."""
    known = {run.run_id: run for run in listed}
    wanted = request.tables & RUN_TABLES
    begins = count_down(drop_abandoned(_begin_tables(state, wanted), request, now))
    opened = [
        _fetch_open(begins, run_id, run, known.get(run_id)) for run_id, run in begins.open.items()
    ]
    passed = state.lookback.keys() - state.deleted
    followed = state.open.keys() | state.failed.keys()
    fresh = [run for run_id, run in known.items() if run_id not in passed | followed]
    retries = retry_failed(begins.failed, known, everything=False)
    fetches = (
        *opened,
        *_oldest_first(_fetch_new(fresh)),
        *_backfill_missing_tables(begins, wanted, known),
        *retries.due,
    )
    return WorkspacePlan(begins, fetches, retries.deferred, tables=wanted)


def plan_reconciliation(
    state: WorkspaceState,
    listed: Iterable[ListedRun],
    stored: Mapping[str, StoredRun],
    request: SyncOptions,
    now: datetime,
) -> WorkspacePlan:
    """What to do after a complete listing: what is new, changed, relabelled, starred or missing."""
    known = {run.run_id: run for run in listed}
    window = ListingWindow(_lower_bound(state, request), request.until, is_full=True)
    wanted = request.tables & RUN_TABLES
    begins = count_down(
        _initial_full_state(_begin_tables(state, wanted, stored), stored, window, now)
    )
    followed = state.open.keys() | state.failed.keys()
    fresh = [run for run_id, run in known.items() if run_id not in followed | stored.keys()]
    old = [run for run_id, run in known.items() if run_id in stored.keys() - followed]
    changed = [run for run in old if run.needs_refetch(stored[run.run_id])]
    same = [run for run in old if not run.needs_refetch(stored[run.run_id])]
    everything = request.reconcile
    failed = retry_failed(_failed_still_listed(begins, known, window), known, everything=everything)
    lacking = (run for run in same if stored[run.run_id].has_missing_parts)
    parts = retry_parts(lacking, now, everything=everything)
    opened = _fetch_opened(begins, known, window)
    same = [run for run in same if run.run_id not in {run_fetch.run_id for run_fetch in parts.due}]
    fills = _backfill(begins, same, wanted)
    ordered = [replace(v, in_order=True) for v in _oldest_first([*_fetch_new(fresh), *fills])]
    return WorkspacePlan(
        begins,
        (*opened, *ordered, *_fetch_changed(changed), *failed.due, *parts.due),
        (*failed.deferred, *parts.deferred),
        label_updates=find_label_changes(same, stored),
        star_updates=find_star_changes(same, stored),
        deleted=find_deleted(known, stored, window),
        vanished=find_vanished(state, known, stored, window),
        is_full=True,
        has_upper_bound=window.before is not None,
        tables=wanted,
        recovered=_recover_from_destination(state, stored),
    )


def needs_refetch_all(state: WorkspaceState, request: SyncOptions) -> bool:
    """Return whether wanted tables do not hold the runs that were loaded before as they are."""
    tables = state.tables.items()
    held = {name for name, holding in tables if holding.complete and not holding.is_behind}
    return not state.is_new and not (request.tables & RUN_TABLES) <= held


def _begin_tables(
    state: WorkspaceState, wanted: frozenset[str], stored: Collection[str] = ()
) -> WorkspaceState:
    """Return the state in which each wanted table has an entry.

    A table without one holds all runs that were loaded before if there were none, and otherwise
    holds nothing.
    """
    missing = TableCoverage(complete=state.is_new and not stored)
    return replace(state, tables={**dict.fromkeys(wanted, missing), **state.tables})


def _backfill(
    state: WorkspaceState, runs: Iterable[ListedRun], wanted: frozenset[str]
) -> list[RunFetch]:
    """Return visits for the tables that lack runs."""
    lacking = (
        (run, frozenset(t for t in wanted if not state.holds(t, run.run_id, run.submit)))
        for run in runs
    )
    return [replace(_fetch_listed(run), tables=tables) for run, tables in lacking if tables]


def _oldest_first(fetches: Iterable[RunFetch]) -> list[RunFetch]:
    """Return visits by submission, so that the cursor and the filling of tables can follow them.

    Visits without a time cannot move anything and come last.
    """
    return sorted(fetches, key=lambda v: (v.submit is None, v.submit, v.run_id))


def _backfill_missing_tables(
    state: WorkspaceState, wanted: frozenset[str], known: Mapping[str, ListedRun]
) -> list[RunFetch]:
    """Return fetches of runs that were loaded while some of the tables were not selected.

    The listing says whether a run is starred; its description does not.
    """
    lacks = {
        run_id: frozenset(t for t in wanted if run_id in state.tables[t].missing_runs)
        for table in wanted
        for run_id in state.tables[table].missing_runs
    }
    followed = state.open.keys() | state.failed.keys()
    return [
        RunFetch(
            run_id,
            state.lookback.get(run_id),
            known[run_id].starred if run_id in known else None,
            tables=tables,
        )
        for run_id, tables in sorted(lacks.items())
        if run_id not in followed
    ]


def drop_abandoned(state: WorkspaceState, request: SyncOptions, now: datetime) -> WorkspaceState:
    """The state without open runs that are past the give-up age."""
    young = {
        run_id: run
        for run_id, run in state.open.items()
        if not is_abandoned(run.submit, request.open_run_max_age, now)
    }
    return replace(state, open=young)


def is_abandoned(submit: datetime | None, give_up_after: timedelta, now: datetime) -> bool:
    """Whether an open run is too old to be visited at every sync."""
    return submit is not None and now - submit > give_up_after


def _is_reconciliation_due(state: WorkspaceState, request: SyncOptions, now: datetime) -> bool:
    return (
        request.reconcile
        or state.reconciled_at is None
        or not timedelta() <= now - state.reconciled_at < request.reconcile_every
        or needs_refetch_all(state, request)
        or _misses_unlisted_runs(state, request)
        or (
            request.since is not None
            and state.history_start is not None
            and request.since < state.history_start
        )
    )


def _misses_unlisted_runs(state: WorkspaceState, request: SyncOptions) -> bool:
    """Return whether `workflows` lacks runs that only a complete listing shows, and their stars."""
    table = state.tables.get("workflows") if "workflows" in request.tables else None
    return table is not None and not table.missing_runs <= state.lookback.keys()


def _lower_bound(state: WorkspaceState, request: SyncOptions) -> datetime | None:
    """`since` on an empty state; later it can only reach further back: there is never a gap."""
    if state.reconciled_at is None and state.cursor is None:
        return request.since
    if state.history_start is None or request.since is None:
        return state.history_start
    return min(state.history_start, request.since)


def _initial_full_state(
    state: WorkspaceState, stored: Mapping[str, StoredRun], window: ListingWindow, now: datetime
) -> WorkspaceState:
    """The state of an interrupted complete listing must say whether the next one is complete too.

    The first time it need not be, because the cursor tells what is done. When the floor was
    lowered it must, because the cursor says nothing of the older runs.
    """
    if state.cursor is None:
        return replace(state, history_start=window.after, reconciled_at=None if stored else now)
    lowered = window.after != state.history_start
    return replace(
        state, history_start=window.after, reconciled_at=None if lowered else state.reconciled_at
    )


def _recover_from_destination(
    state: WorkspaceState, stored: Mapping[str, StoredRun]
) -> dict[str, datetime]:
    if state.cursor is not None:
        return {}
    return {run_id: run.submit for run_id, run in stored.items() if run.submit}


def _failed_still_listed(
    state: WorkspaceState, known: Mapping[str, ListedRun], window: ListingWindow
) -> dict[str, FailedRun]:
    """Return the failed runs, without those that a complete listing should have shown."""
    return {
        run_id: run
        for run_id, run in state.failed.items()
        if run_id in known or not contains(window, run.submit)
    }


def _fetch_opened(
    state: WorkspaceState, known: Mapping[str, ListedRun], window: ListingWindow
) -> list[RunFetch]:
    """Return visits of the open runs, without those that a complete listing should have shown."""
    return [
        _fetch_open(state, run_id, run, known.get(run_id))
        for run_id, run in state.open.items()
        if run_id in known or not contains(window, run.submit)
    ]


def _fetch_open(
    state: WorkspaceState, run_id: str, run: OpenRun, listed: ListedRun | None
) -> RunFetch:
    starred = listed.starred if listed and listed.starred is not None else run.starred
    lacks_tasks = "tasks" in state.tables and not state.holds("tasks", run_id, run.submit)
    return RunFetch(run_id, run.submit, starred, TaskBookmark() if lacks_tasks else run.bookmark)


def _fetch_listed(run: ListedRun) -> RunFetch:
    return RunFetch(run.run_id, run.submit, run.starred, status=run.status, complete=run.complete)


def _fetch_new(fresh: Iterable[ListedRun]) -> list[RunFetch]:
    return [replace(_fetch_listed(run), advances_cursor=True) for run in fresh]


def _fetch_changed(changed: Iterable[ListedRun]) -> list[RunFetch]:
    return [_fetch_listed(run) for run in changed]

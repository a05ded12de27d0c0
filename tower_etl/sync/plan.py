"""What to list, and what to do with what was listed: pure functions of state, listing and time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tower_etl.sync.compare import (
    Window,
    find_expected,
    find_gone,
    find_missing,
    find_relabelled,
    find_restarred,
    spans,
)
from tower_etl.sync.retries import Visit, count_down, retry_failed, retry_parts
from tower_etl.sync.settled import Settled
from tower_etl.sync.state import RUN_TABLES, Holding

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

    from tower_etl.settings import Request
    from tower_etl.sync.compare import Listed, Stored
    from tower_etl.sync.retries import RetryCause
    from tower_etl.sync.state import FailedRun, OpenRun, WorkspaceState


@dataclass(frozen=True)
class Plan:
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

    begins: WorkspaceState
    visits: tuple[Visit, ...] = ()
    deferred: tuple[Visit, ...] = ()
    relabel: Mapping[str, tuple[Mapping[str, Any], ...]] = field(default_factory=dict)
    restar: Mapping[str, bool | None] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    whole: bool = False
    bounded: bool = False
    wanted: frozenset[str] = frozenset()
    adopts: Mapping[str, datetime] = field(default_factory=dict)

    def advance_first(self) -> Plan:
        """Return the plan with open runs behind all others.

        Where the number of runs is limited, their visits could use it up every time.
        """
        last = self.begins.open.keys()
        return replace(self, visits=tuple(sorted(self.visits, key=lambda v: v.run_id in last)))

    def follow_up(self, causes: Collection[RetryCause]) -> Plan:
        """Return the plan that remains when retries for some causes succeeded."""
        visits = tuple(visit for visit in self.deferred if visit.retry in causes)
        fetched = {visit.run_id for visit in visits}  # the fetch brings labels and star as well
        return replace(
            self,
            visits=visits,
            deferred=(),
            relabel={key: labels for key, labels in self.relabel.items() if key not in fetched},
            restar={key: star for key, star in self.restar.items() if key not in fetched},
        )


def plan_window(state: WorkspaceState, request: Request, now: datetime) -> Window:
    """Which runs to list: those since the cursor, or all in scope when that is due.

    All are listed by `reconcile`, when the last time is too long ago (or in the future, by a clock
    that was wrong), the first time, and when `since` reaches further back, or `tables` further,
    than what was loaded.
    """
    whole = _is_whole_due(state, request, now)
    after = _floor(state, request) if whole else state.list_from(now)
    window = Window(after, request.until, whole)
    return replace(window, known=find_expected(state, window))


def plan_listed(
    state: WorkspaceState, listed: Iterable[Listed], request: Request, now: datetime
) -> Plan:
    """What to do after a listing since the cursor: visit the open runs and the new ones."""
    known = {run.run_id: run for run in listed}
    wanted = request.tables & RUN_TABLES
    begins = count_down(drop_aged(_begin_tables(state, wanted), request, now))
    opened = [
        _visit_open(begins, run_id, run, known.get(run_id)) for run_id, run in begins.open.items()
    ]
    passed = state.seen.keys() - state.missing
    followed = state.open.keys() | state.failed.keys()
    fresh = [run for run_id, run in known.items() if run_id not in passed | followed]
    retries = retry_failed(begins.failed, known, everything=False)
    visits = (
        *opened,
        *_oldest_first(_visit_new(fresh)),
        *_fill_lacks(begins, wanted),
        *retries.due,
    )
    return Plan(begins, visits, retries.deferred, wanted=wanted)


def plan_whole(
    state: WorkspaceState,
    listed: Iterable[Listed],
    stored: Mapping[str, Stored],
    request: Request,
    now: datetime,
) -> Plan:
    """What to do after a complete listing: what is new, changed, relabelled, starred or missing."""
    known = {run.run_id: run for run in listed}
    window = Window(_floor(state, request), request.until, whole=True)
    wanted = request.tables & RUN_TABLES
    begins = count_down(_begin_whole(_begin_tables(state, wanted, stored), stored, window, now))
    followed = state.open.keys() | state.failed.keys()
    fresh = [run for run_id, run in known.items() if run_id not in followed | stored.keys()]
    old = [run for run_id, run in known.items() if run_id in stored.keys() - followed]
    changed = [run for run in old if run.differs_from(stored[run.run_id])]
    same = [run for run in old if not run.differs_from(stored[run.run_id])]
    everything = request.reconcile
    failed = retry_failed(_failed_still_listed(begins, known, window), known, everything=everything)
    lacking = (run for run in same if stored[run.run_id].lacks_parts)
    parts = retry_parts(lacking, now, everything=everything)
    opened = _visit_opened(begins, known, window)
    same = [run for run in same if run.run_id not in {visit.run_id for visit in parts.due}]
    fills = _fill(begins, same, wanted)
    ordered = [replace(v, in_order=True) for v in _oldest_first([*_visit_new(fresh), *fills])]
    return Plan(
        begins,
        (*opened, *ordered, *_visit_changed(changed), *failed.due, *parts.due),
        (*failed.deferred, *parts.deferred),
        relabel=find_relabelled(same, stored),
        restar=find_restarred(same, stored),
        missing=find_missing(known, stored, window),
        gone=find_gone(state, known, stored, window),
        whole=True,
        bounded=window.before is not None,
        wanted=wanted,
        adopts=_find_adopted(state, stored),
    )


def wants_more(state: WorkspaceState, request: Request) -> bool:
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
    missing = Holding(complete=state.is_new and not stored)
    return replace(state, tables={**dict.fromkeys(wanted, missing), **state.tables})


def _fill(state: WorkspaceState, runs: Iterable[Listed], wanted: frozenset[str]) -> list[Visit]:
    """Return visits for the tables that lack runs."""
    lacking = (
        (run, frozenset(t for t in wanted if not state.holds(t, run.run_id, run.submit)))
        for run in runs
    )
    return [replace(_visit_listed(run), tables=tables) for run, tables in lacking if tables]


def _oldest_first(visits: Iterable[Visit]) -> list[Visit]:
    """Return visits by submission, so that the cursor and the filling of tables can follow them.

    Visits without a time cannot move anything and come last.
    """
    return sorted(visits, key=lambda v: (v.submit is None, v.submit, v.run_id))


def _fill_lacks(state: WorkspaceState, wanted: frozenset[str]) -> list[Visit]:
    """Return visits for runs that were loaded while some of the tables were not selected."""
    lacks = {
        run_id: frozenset(t for t in wanted if run_id in state.tables[t].lacks)
        for table in wanted
        for run_id in state.tables[table].lacks
    }
    followed = state.open.keys() | state.failed.keys()
    return [
        Visit(run_id, state.seen.get(run_id), None, tables=tables)
        for run_id, tables in sorted(lacks.items())
        if run_id not in followed
    ]


def drop_aged(state: WorkspaceState, request: Request, now: datetime) -> WorkspaceState:
    """The state without open runs that are past the give-up age."""
    young = {
        run_id: run
        for run_id, run in state.open.items()
        if not is_aged(run.submit, request.give_up_after, now)
    }
    return replace(state, open=young)


def is_aged(submit: datetime | None, give_up_after: timedelta, now: datetime) -> bool:
    """Whether an open run is too old to be visited at every sync."""
    return submit is not None and now - submit > give_up_after


def _is_whole_due(state: WorkspaceState, request: Request, now: datetime) -> bool:
    return (
        request.reconcile
        or state.reconciled_at is None
        or not timedelta() <= now - state.reconciled_at < request.reconcile_every
        or wants_more(state, request)
        or (request.since is not None and state.floor is not None and request.since < state.floor)
    )


def _floor(state: WorkspaceState, request: Request) -> datetime | None:
    """`since` on an empty state; later it can only reach further back: there is never a gap."""
    if state.reconciled_at is None and state.cursor is None:
        return request.since
    if state.floor is None or request.since is None:
        return state.floor
    return min(state.floor, request.since)


def _begin_whole(
    state: WorkspaceState, stored: Mapping[str, Stored], window: Window, now: datetime
) -> WorkspaceState:
    """The state of an interrupted complete listing must say whether the next one is complete too.

    The first time it need not be, because the cursor tells what is done. When the floor was
    lowered it must, because the cursor says nothing of the older runs.
    """
    if state.cursor is None:
        return replace(state, floor=window.after, reconciled_at=None if stored else now)
    lowered = window.after != state.floor
    return replace(
        state, floor=window.after, reconciled_at=None if lowered else state.reconciled_at
    )


def _find_adopted(state: WorkspaceState, stored: Mapping[str, Stored]) -> dict[str, datetime]:
    if state.cursor is not None:
        return {}
    return {run_id: run.submit for run_id, run in stored.items() if run.submit}


def _failed_still_listed(
    state: WorkspaceState, known: Mapping[str, Listed], window: Window
) -> dict[str, FailedRun]:
    """Return the failed runs, without those that a complete listing should have shown."""
    return {
        run_id: run
        for run_id, run in state.failed.items()
        if run_id in known or not spans(window, run.submit)
    }


def _visit_opened(
    state: WorkspaceState, known: Mapping[str, Listed], window: Window
) -> list[Visit]:
    """Return visits of the open runs, without those that a complete listing should have shown."""
    return [
        _visit_open(state, run_id, run, known.get(run_id))
        for run_id, run in state.open.items()
        if run_id in known or not spans(window, run.submit)
    ]


def _visit_open(state: WorkspaceState, run_id: str, run: OpenRun, listed: Listed | None) -> Visit:
    starred = listed.starred if listed and listed.starred is not None else run.starred
    lacks_tasks = "tasks" in state.tables and not state.holds("tasks", run_id, run.submit)
    return Visit(run_id, run.submit, starred, Settled() if lacks_tasks else run.settled)


def _visit_listed(run: Listed) -> Visit:
    return Visit(run.run_id, run.submit, run.starred, status=run.status, complete=run.complete)


def _visit_new(fresh: Iterable[Listed]) -> list[Visit]:
    return [replace(_visit_listed(run), is_new=True) for run in fresh]


def _visit_changed(changed: Iterable[Listed]) -> list[Visit]:
    return [_visit_listed(run) for run in changed]

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
from tower_etl.sync.state import RUN_TABLES

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
        again: Whether everything is fetched anew, so that it is whole in all that is wanted.
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
    again: bool = False
    wanted: frozenset[str] = frozenset()
    adopts: Mapping[str, datetime] = field(default_factory=dict)

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
    begins = narrow_tables(count_down(drop_aged(state, request, now)), request)
    opened = [_visit_open(run_id, run, known.get(run_id)) for run_id, run in begins.open.items()]
    passed = state.seen.keys() - state.missing
    followed = state.open.keys() | state.failed.keys()
    fresh = [run for run_id, run in known.items() if run_id not in passed | followed]
    retries = retry_failed(begins.failed, known, everything=False)
    return Plan(begins, (*opened, *_visit_new(fresh), *retries.due), retries.deferred)


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
    begins = count_down(narrow_tables(_begin_whole(state, stored, window, now), request))
    followed = state.open.keys() | state.failed.keys()
    fresh = [run for run_id, run in known.items() if run_id not in followed | stored.keys()]
    old = [run for run_id, run in known.items() if run_id in stored.keys() - followed]
    again = wants_more(state, request)
    changed = [run for run in old if again or run.differs_from(stored[run.run_id])]
    same = [run for run in old if not (again or run.differs_from(stored[run.run_id]))]
    everything = request.reconcile
    failed = retry_failed(_failed_still_listed(begins, known, window), known, everything=everything)
    lacking = (run for run in same if stored[run.run_id].lacks_parts)
    parts = retry_parts(lacking, now, everything=everything)
    first = (*_visit_opened(state, known, window), *_visit_new(fresh), *_visit_changed(changed))
    same = [run for run in same if run.run_id not in {visit.run_id for visit in parts.due}]
    return Plan(
        begins,
        (*first, *failed.due, *parts.due),
        (*failed.deferred, *parts.deferred),
        relabel=find_relabelled(same, stored),
        restar=find_restarred(same, stored),
        missing=find_missing(known, stored, window),
        gone=find_gone(state, known, stored, window),
        whole=True,
        bounded=window.before is not None,
        again=again,
        wanted=request.tables & RUN_TABLES,
        adopts=_find_adopted(state, stored),
    )


def wants_more(state: WorkspaceState, request: Request) -> bool:
    """Whether tables are wanted that the runs loaded so far are not whole in."""
    return bool(state.tables) and not (request.tables & RUN_TABLES) <= state.tables


def narrow_tables(state: WorkspaceState, request: Request) -> WorkspaceState:
    """The state when runs are about to land in the wanted tables alone."""
    wanted = request.tables & RUN_TABLES
    return replace(state, tables=state.tables & wanted if state.tables else wanted)


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
        _visit_open(run_id, run, known.get(run_id))
        for run_id, run in state.open.items()
        if run_id in known or not spans(window, run.submit)
    ]


def _visit_open(run_id: str, run: OpenRun, listed: Listed | None) -> Visit:
    starred = listed.starred if listed and listed.starred is not None else run.starred
    return Visit(run_id, run.submit, starred, run.settled)


def _visit_new(fresh: Iterable[Listed]) -> list[Visit]:
    """Oldest first, so that the cursor may follow; those without a time cannot move it: last."""
    timed = sorted(
        (run for run in fresh), key=lambda run: (run.submit is None, run.submit, run.run_id)
    )
    return [Visit(run.run_id, run.submit, run.starred, is_new=True) for run in timed]


def _visit_changed(changed: Iterable[Listed]) -> list[Visit]:
    return [Visit(run.run_id, run.submit, run.starred) for run in changed]

"""How the state moves on when something landed: pure functions."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from tower_etl.sync.plan import is_aged
from tower_etl.sync.settled import Settled
from tower_etl.sync.state import RUN_TABLES, FailedRun, Holding, OpenRun, is_final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from tower_etl.sync.plan import Plan
    from tower_etl.sync.retries import Visit
    from tower_etl.sync.state import WorkspaceState

T = TypeVar("T")


@dataclass(frozen=True)
class Landed:
    """A run whose rows are in the package at hand.

    Attributes:
        visit: What it was fetched for.
        status: Its status when it was described.
        submit: When it was submitted (UTC), None if the server does not say.
        settled: Tasks that need no fetching the next time.
        complete: When it ended (UTC), None if the server does not say.
        missing_parts: Parts that the server does not have for the run.
        tables: The tables that it was loaded into.
    """

    visit: Visit
    status: str | None
    submit: datetime | None
    settled: Settled = field(default_factory=Settled)
    complete: datetime | None = None
    missing_parts: tuple[str, ...] = ()
    tables: frozenset[str] = RUN_TABLES


def land_run(
    state: WorkspaceState, landed: Landed, give_up_after: timedelta, now: datetime
) -> WorkspaceState:
    """The state after a run landed: followed on while it is open, past the cursor if it was new."""
    submit = landed.submit or landed.visit.submit
    run_id = landed.visit.run_id
    state = replace(state, tables=_load_tables(state, landed, submit))
    if landed.visit.tables:  # the run is as it was; only tables that lacked it were filled
        return state
    watched = _without(state.open, run_id)
    is_open = not is_final(landed.status, landed.complete)
    if is_open and not is_aged(submit, give_up_after, now):
        watched[run_id] = OpenRun(submit, landed.visit.starred, landed.settled)
    moved = replace(
        state,
        open=watched,
        failed=_without(state.failed, run_id),
        missing=state.missing - {run_id},
    )
    return _pass(moved, run_id, submit, now) if landed.visit.is_new else moved


def _load_tables(
    state: WorkspaceState, landed: Landed, submit: datetime | None
) -> dict[str, Holding]:
    """Return what the tables hold after a run was loaded into some of them."""
    run_id, filled_to = landed.visit.run_id, submit if landed.visit.in_order else None

    def load(table: str, holding: Holding) -> Holding:
        if table in landed.tables:
            return holding.add(run_id, filled_to)
        return holding if landed.visit.tables else holding.miss(run_id)

    return {table: load(table, holding) for table, holding in state.tables.items()}


def record_failure(
    state: WorkspaceState, visit: Visit, error: str, now: datetime
) -> WorkspaceState:
    """Return the state after a fetch of a run failed: it waits for a retry, the cursor moves on.

    Args:
        state: The state before.
        visit: The fetch that failed.
        error: Why, in one sentence.
        now: Start of the sync (UTC).
    """
    before = state.failed.get(visit.run_id)
    attempts = before.attempts + 1 if before else 1
    failed = FailedRun(
        submit=visit.submit,
        starred=visit.starred,
        settled=visit.settled,
        attempts=attempts,
        first_failed_at=before.first_failed_at if before else now,
        last_failed_at=now,
        retry_in=FailedRun.retry_wait(attempts),
        error=error,
    )
    kept = replace(
        state,
        open=_without(state.open, visit.run_id),
        failed={**state.failed, visit.run_id: failed},
    )
    return _pass(kept, visit.run_id, visit.submit, now) if visit.is_new else kept


def forget_failure(state: WorkspaceState, run_id: str) -> WorkspaceState:
    """Return the state after a run turned out to be deleted: it is fetched no more."""
    tables = {name: holding.add(run_id, None) for name, holding in state.tables.items()}
    return replace(state, failed=_without(state.failed, run_id), tables=tables)


def finish_workspace(state: WorkspaceState, plan: Plan, now: datetime) -> WorkspaceState:
    """The state after all that was planned was done: what is gone is watched no longer.

    Args:
        state: The state after the last run.
        plan: What was planned.
        now: Start of the sync.
    """
    if not plan.whole:
        return state
    gone = {*plan.missing, *plan.gone}
    done = replace(
        state,
        open=_without(state.open, *gone),
        failed=_without(state.failed, *gone),
        seen={**state.seen, **plan.adopts},
    )
    if plan.adopts:
        newest = max(plan.adopts.values())
        done = replace(done, cursor=max(done.cursor, newest) if done.cursor else newest)
    if not plan.bounded:  # or younger runs were not compared
        done = replace(done, reconciled_at=now)
        done = replace(done, tables=_finish_tables(state, plan.wanted))
    return _trim(replace(done, missing=state.missing | gone), now)


def _finish_tables(state: WorkspaceState, wanted: frozenset[str]) -> dict[str, Holding]:
    """Return what the tables hold after a complete comparison of which some were a part.

    Runs that failed are loaded into all wanted tables by their retries.
    """
    return {
        name: Holding(lacks=holding.lacks) if name in wanted else replace(holding, is_behind=True)
        for name, holding in state.tables.items()
    }


def _without(runs: Mapping[str, T], *run_ids: str) -> dict[str, T]:
    left = dict(runs)
    for run_id in run_ids:
        left.pop(run_id, None)
    return left


def _pass(
    state: WorkspaceState, run_id: str, submit: datetime | None, now: datetime
) -> WorkspaceState:
    """The state with the cursor past a run."""
    if submit is None:
        return state
    cursor = max(state.cursor, submit) if state.cursor else submit
    seen = {**state.seen, run_id: submit}
    return _trim(replace(state, cursor=cursor, seen=seen), now)


def _trim(state: WorkspaceState, now: datetime) -> WorkspaceState:
    """The state without what the next listing will not show."""
    start = state.list_from(now)
    seen = {run_id: at for run_id, at in state.seen.items() if start is None or at >= start}
    return replace(state, seen=seen, missing=state.missing & seen.keys())

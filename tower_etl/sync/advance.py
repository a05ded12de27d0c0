"""How the state moves on when something landed: pure functions."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tower_etl.sync.plan import is_aged
from tower_etl.sync.state import FINAL_STATUSES, OpenRun, Settled

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime, timedelta

    from tower_etl.sync.plan import Plan, Visit
    from tower_etl.sync.state import WorkspaceState

FINAL_TASK_STATUSES = frozenset({"COMPLETED", "FAILED", "ABORTED", "CACHED"})

TaskBrief = tuple[object, str | None]  # taskId, which should be an integer, and status


@dataclass(frozen=True)
class Landed:
    """A run whose rows are in the package at hand.

    Attributes:
        visit: What it was fetched for.
        status: Its status when it was described.
        submit: When it was submitted (UTC), None if the server does not say.
        settled: Tasks that need no fetching the next time.
    """

    visit: Visit
    status: str | None
    submit: datetime | None
    settled: Settled = field(default_factory=Settled)


def land_run(
    state: WorkspaceState, landed: Landed, give_up_after: timedelta, now: datetime
) -> WorkspaceState:
    """The state after a run landed: followed on while it is open, past the cursor if it was new."""
    submit = landed.submit or landed.visit.submit
    watched = dict(state.open)
    watched.pop(landed.visit.run_id, None)
    if landed.status not in FINAL_STATUSES and not is_aged(submit, give_up_after, now):
        watched[landed.visit.run_id] = OpenRun(submit, landed.visit.starred, landed.settled)
    moved = replace(state, open=watched, missing=state.missing - {landed.visit.run_id})
    return _pass(moved, landed.visit.run_id, submit, now) if landed.visit.is_new else moved


def owe_run(state: WorkspaceState, visit: Visit, now: datetime) -> WorkspaceState:
    """The state after a run failed: it is asked for again by every sync, and holds up no other."""
    owed = state.open.get(visit.run_id, OpenRun(visit.submit, visit.starred))
    kept = replace(state, open={**state.open, visit.run_id: owed})
    return _pass(kept, visit.run_id, visit.submit, now) if visit.is_new else kept


def finish_workspace(
    state: WorkspaceState, plan: Plan, now: datetime, *, complete: bool = True
) -> WorkspaceState:
    """The state after all that was planned was done: what is gone is watched no longer.

    Args:
        state: The state after the last run.
        plan: What was planned.
        now: Start of the sync.
        complete: Whether every run landed, so that what is wanted more is whole now.
    """
    if not plan.whole:
        return state
    gone = {*plan.missing, *plan.gone}
    open_still = {run_id: run for run_id, run in state.open.items() if run_id not in gone}
    done = replace(state, open=open_still, seen={**state.seen, **plan.adopts})
    if plan.adopts:
        newest = max(plan.adopts.values())
        done = replace(done, cursor=max(done.cursor, newest) if done.cursor else newest)
    if not plan.bounded:  # or younger runs were not compared
        done = replace(done, reconciled_at=now)
        if plan.again and complete:
            done = replace(done, tables=plan.wanted)
    return _trim(replace(done, missing=state.missing | gone), now)


def measure_settled(tasks: Iterable[TaskBrief], before: Settled) -> Settled:
    """How many of the first tasks of a run are final, by ascending id.

    Args:
        tasks: What was fetched now, from just after the settled ones on.
        before: What was settled before.
    """
    settled = before
    for task_id, status in tasks:
        if not isinstance(task_id, int):
            break
        ascending = settled.last_task_id is None or task_id > settled.last_task_id
        if not ascending or status not in FINAL_TASK_STATUSES:
            break
        settled = Settled(settled.tasks + 1, task_id)
    return settled


def is_undisturbed(tasks: Sequence[TaskBrief], settled: Settled) -> bool:
    """Whether a walk that starts with the last settled task finds it in its place.

    Tasks are listed by ascending id, and ids are given before tasks are submitted: one with a
    lower id may appear later, and shift the others.
    """
    return bool(tasks) and tasks[0][0] == settled.last_task_id


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

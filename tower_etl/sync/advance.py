"""How the state moves on when something landed: pure functions."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tower_etl.sync.plan import is_aged
from tower_etl.sync.state import FINAL_STATUSES, OpenRun, Settled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from tower_etl.sync.plan import Plan, Visit
    from tower_etl.sync.state import WorkspaceState

FINAL_TASK_STATUSES = frozenset({"COMPLETED", "FAILED", "ABORTED", "CACHED"})

TaskBrief = tuple[int, str | None]  # taskId and status


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
    moved = replace(state, open=watched)
    return _move_cursor(moved, landed.visit.run_id, submit) if landed.visit.is_new else moved


def finish_workspace(state: WorkspaceState, plan: Plan, now: datetime) -> WorkspaceState:
    """The state after all that was planned landed: missing runs are watched no longer."""
    if not plan.whole:
        return state
    gone = set(plan.missing)
    watched = {run_id: run for run_id, run in state.open.items() if run_id not in gone}
    done = replace(state, open=watched, reconciled_at=now)
    if not plan.adopts:
        return done
    cursor = max([*plan.adopts.values(), *([done.cursor] if done.cursor else [])])
    adopted = replace(done, cursor=cursor, seen={**done.seen, **plan.adopts})
    return replace(adopted, seen=_trim(adopted.seen, adopted.listed_from))


def measure_settled(pages: Sequence[Sequence[TaskBrief]], before: Settled, page: int) -> Settled:
    """How many of the first tasks of a run are final, in whole pages and by ascending id.

    Only whole pages count: the next walk starts at their end. Ids must ascend, because that is how
    a task that came in between is noticed (see `is_disturbed`).

    Args:
        pages: What was fetched now, from `before.tasks` on.
        before: What was settled before.
        page: Tasks of a whole page.
    """
    settled = before
    for tasks in pages:
        ids = [task_id for task_id, _ in tasks]
        ascending = ids == sorted(ids) and not is_disturbed(tasks, settled)
        final = all(status in FINAL_TASK_STATUSES for _, status in tasks)
        if len(tasks) < page or not ascending or not final:
            break
        settled = Settled(settled.tasks + len(tasks), ids[-1])
    return settled


def is_disturbed(tasks: Sequence[TaskBrief], settled: Settled) -> bool:
    """Whether the page after the settled tasks shows that another came in before it.

    Tasks are listed by ascending id, and ids are given before tasks are submitted: one with a
    lower id may appear later, and shifts the last settled one onto this page.
    """
    if settled.last_task_id is None or not tasks:
        return False
    return min(task_id for task_id, _ in tasks) <= settled.last_task_id


def _move_cursor(state: WorkspaceState, run_id: str, submit: datetime | None) -> WorkspaceState:
    if submit is None:
        return state
    cursor = max(state.cursor, submit) if state.cursor else submit
    moved = replace(state, cursor=cursor, seen={**state.seen, run_id: submit})
    return replace(moved, seen=_trim(moved.seen, moved.listed_from))


def _trim(seen: Mapping[str, datetime], start: datetime | None) -> dict[str, datetime]:
    return {run_id: at for run_id, at in seen.items() if start is None or at >= start}

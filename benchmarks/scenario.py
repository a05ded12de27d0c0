"""Events on the platform between two syncs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tower_etl.simulator.clock import format_timestamp, to_seconds

if TYPE_CHECKING:
    from tower_etl.simulator import World

DAY = timedelta(days=1)
LONG_RUN = "LongRunOfDays1"
_AGE = 3 * DAY
_TASKS, _DONE = range(1, 151), range(1, 101)
_FINAL = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})


@dataclass(frozen=True)
class Event:
    """A method of `World` with its arguments."""

    method: str
    args: tuple[Any, ...]

    def as_order(self) -> dict[str, Any]:
        """Return the event in the form of the simulator's control endpoint."""
        return {"method": self.method, "args": self.args}

    def happen(self, world: World) -> None:
        """Call the method of the world."""
        getattr(world, self.method)(*self.args)


def add_long_run(world: World, workspace: int) -> None:
    """Add a run that has been running for days; 100 of its 150 tasks have ended."""
    submitted = format_timestamp(to_seconds(world.clock.now() - _AGE))
    world.submit_run(workspace, id=LONG_RUN, submit=submitted, dateCreated=submitted)
    world.start_run(LONG_RUN, start=submitted)
    for task_id in _TASKS:
        world.add_task(LONG_RUN, task_id)
        world.start_task(LONG_RUN, task_id)
    for task_id in _DONE:
        world.finish_task(LONG_RUN, task_id)


def plan_events(world: World, workspace: int) -> list[Event]:
    """Plan the end of the long run, an edit of an old run's labels, and the deletion of a run.

    When a day passes, the world also submits new runs and ends open runs.
    """
    runs = world.runs(workspace)
    final = [run["id"] for run in reversed(runs) if run["status"] in _FINAL]
    labelled = next(run_id for run_id in final if world.find_run(run_id).label_ids)
    deleted = next(run_id for run_id in final if run_id != labelled)
    run = world.find_run(labelled)
    others = sorted(set(world.labels[run.workspace_id]) - set(run.label_ids))
    edited = [*run.label_ids[1:], others[0]]
    return [
        *(Event("finish_task", (LONG_RUN, task_id)) for task_id in _TASKS if task_id not in _DONE),
        Event("finish_run", (LONG_RUN,)),
        Event("set_labels", (labelled, edited)),
        Event("delete_run", (deleted,)),
    ]


def pass_day(world: World, events: list[Event]) -> None:
    """Apply a day and its events to a world in this process."""
    world.clock.advance(DAY)
    for event in events:
        event.happen(world)

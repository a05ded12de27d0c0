"""What happens on the platform between two syncs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.sizes import DAY, find_workspace

if TYPE_CHECKING:
    from tower_etl.sim import World

_FINAL = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})


@dataclass(frozen=True)
class Event:
    """A method of `World`, and what it is called with."""

    method: str
    args: tuple[Any, ...]

    def as_order(self) -> dict[str, Any]:
        """As the simulator's control takes it."""
        return {"method": self.method, "args": self.args}

    def happen(self, world: World) -> None:
        """Call the method."""
        getattr(world, self.method)(*self.args)


def plan_events(world: World) -> list[Event]:
    """The labels of an old run are edited, and another old run is deleted.

    A day that passes does the rest: runs are submitted, and runs that were open end.
    """
    runs = world.runs(find_workspace(world))
    final = [run["id"] for run in reversed(runs) if run["status"] in _FINAL]
    labelled = next(run_id for run_id in final if world.find_run(run_id).label_ids)
    deleted = next(run_id for run_id in final if run_id != labelled)
    run = world.find_run(labelled)
    others = sorted(set(world.labels[run.workspace_id]) - set(run.label_ids))
    edited = [*run.label_ids[1:], others[0]]
    return [Event("set_labels", (labelled, edited)), Event("delete_run", (deleted,))]


def pass_day(world: World, events: list[Event]) -> None:
    """Let a day and its events pass in a world at hand."""
    world.clock.advance(DAY)
    for event in events:
        event.happen(world)

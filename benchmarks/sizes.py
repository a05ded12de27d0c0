"""How large the worlds are in which the candidates are measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.scenario import DAY, add_long_run
from tower_etl.simulator import SimClock, build_world

if TYPE_CHECKING:
    from datetime import datetime

    from tower_etl.simulator import World

EVERYONE = ("tower-etl", "declarative", "declarative tuned", "plain script")
_LATENCY_S = 0.1


@dataclass(frozen=True)
class Size:
    """A world, how its server answers, and who is measured there.

    Attributes:
        title: What the tables and the picture call it.
        runs: Runs submitted before the first sync.
        mean_tasks: Mean number of tasks of a run.
        open_runs: Runs that are not final at the first sync.
        limited: Whether the platform's limit of calls holds.
        latency_s: Seconds before every answer.
        quiet: Whether nothing happens between the two syncs.
        long_run: Whether a run is open that was submitted days before the first sync, with tasks
            under way.
        candidates: Names of those who are measured.
        seed: What the world is drawn from.
    """

    title: str
    runs: int
    mean_tasks: int
    open_runs: int = 5
    limited: bool = True
    latency_s: float = _LATENCY_S
    quiet: bool = False
    long_run: bool = True
    candidates: tuple[str, ...] = EVERYONE
    seed: int = 1


SIZES = {
    "idle": Size("nothing new", runs=60, mean_tasks=60, open_runs=2, quiet=True),
    "thousand": Size("1,000 calls", runs=310, mean_tasks=60),
    "tasks": Size("100,000 tasks", runs=100, mean_tasks=1_100),
    "runs": Size(
        "1,000 runs of 100 tasks, no limit",
        runs=1_000,
        mean_tasks=100,
        limited=False,
        latency_s=0,
        candidates=("tower-etl", "declarative tuned", "plain script"),
    ),
    "million": Size(
        "1,000,000 tasks, no limit",
        runs=5_000,
        mean_tasks=216,
        limited=False,
        latency_s=0,
        candidates=("tower-etl", "declarative tuned", "plain script"),
    ),
}


def make_world(size: Size, now: datetime) -> World:
    """The world of a size, one workspace with its clock held still.

    The same size and time give the same bytes, in whichever process.

    Args:
        size: How large.
        now: The time of the second sync (aware); the first is a day before.
    """
    world = build_world(
        size.seed,
        clock=SimClock.frozen_at(now - DAY),
        organizations=1,
        workspaces=1,
        runs=size.runs,
        open_runs=size.open_runs,
        mean_tasks=size.mean_tasks,
    )
    if size.long_run:
        add_long_run(world, find_workspace(world))
    return world


def find_workspace(world: World) -> int:
    """Id of the one workspace that is not personal."""
    return next(place.id for place in world.workspaces.values() if place.id is not None)

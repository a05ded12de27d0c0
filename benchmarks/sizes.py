"""Sizes of the worlds in which the candidates are measured."""

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
    """Size of a world, with the behaviour of its server and the candidates that are measured.

    Attributes:
        title: Name in tables and chart.
        runs: Runs submitted before the first sync.
        mean_tasks: Mean number of tasks of a run.
        open_runs: Runs that are not final at the first sync.
        limited: Whether the platform enforces its rate limit.
        latency_s: Seconds before every response.
        quiet: Whether nothing changes between the two syncs.
        long_run: Whether an open run with running tasks was submitted days before the first sync.
        candidates: Names of the candidates.
        seed: Seed of the generated world.
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
    "idle": Size("no changes", runs=60, mean_tasks=60, open_runs=2, quiet=True),
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
    "many": Size(
        "4,000 runs of 100 tasks, no limit",
        runs=4_000,
        mean_tasks=100,
        limited=False,
        latency_s=0,
        candidates=("tower-etl",),
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
    """Return a world with one workspace and a stopped clock.

    The same size and time give the same bytes in every process.

    Args:
        size: Size of the world.
        now: Time of the second sync (aware); the first sync is a day before.
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
    """Return the id of the only workspace that is not personal."""
    return next(place.id for place in world.workspaces.values() if place.id is not None)

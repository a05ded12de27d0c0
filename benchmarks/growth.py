"""How the cost of a sync grows: several worlds measured, and a line through them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.candidates import OURS
from benchmarks.comparison import prepare_scenario, run_candidate
from benchmarks.sizes import Size, find_workspace, make_world

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from benchmarks.comparison import Outcome

_OPEN = frozenset({"SUBMITTED", "RUNNING", "UNKNOWN"})
# Runs, mean tasks and open runs vary apart from each other, so that each gets its own coefficient.
_WORLDS = (
    *((20, 30, 0), (200, 30, 0), (400, 30, 0), (100, 150, 0), (100, 400, 0), (200, 200, 0)),
    *((60, 60, 10), (60, 60, 25), (60, 60, 50), (400, 30, 25)),
)


@dataclass(frozen=True)
class Line:
    """A cost as a sum: so much for the sync, and so much for one of each.

    Attributes:
        base: What a sync costs whatever it finds.
        slopes: What one more costs, by what it is.
        explained: Share of the variance that the line explains, 1 at most.
    """

    base: float
    slopes: dict[str, float]
    explained: float


def fit_line(counts: Sequence[dict[str, int]], costs: Sequence[float]) -> Line:
    """The line of least squares.

    Args:
        counts: How many there were of each, one mapping a world.
        costs: What the sync of that world cost.
    """
    names = list(counts[0])
    known = np.array([[1, *(count[name] for name in names)] for count in counts], float)
    cost = np.array(costs)
    base, *slopes = np.linalg.lstsq(known, cost)[0].tolist()
    left = cost - known @ np.array([base, *slopes])
    spread = ((cost - cost.mean()) ** 2).sum()
    explained = 1 - float((left**2).sum() / spread) if spread else 1.0
    return Line(base, dict(zip(names, slopes, strict=True)), explained)


def measure_growth(
    now: datetime, folder: Path, say: Callable[[str], object]
) -> dict[str, dict[str, Any]]:
    """Sync worlds of many shapes, twice each, and fit what it took.

    Returns:
        For `first` (all is new) and `again` (nothing is new), by cost, the line as a mapping, and
        under `worlds` what was measured.
    """
    worlds = []
    for number, (runs, mean_tasks, open_runs) in enumerate(_WORLDS):
        say(f"growth: {runs} runs of {mean_tasks} tasks, {open_runs} open ...")
        size = Size(
            "growth",
            runs,
            mean_tasks,
            open_runs,
            limited=False,
            latency_s=0,
            quiet=True,
            long_run=False,
        )
        sync_result = run_candidate(prepare_scenario(size, now, folder / str(number)), OURS)
        worlds.append(_count(size, now) | _list_costs(sync_result))
    first, again = ("runs", "tasks"), ("stored_runs", "open_runs")
    return {
        "worlds": {str(number): world for number, world in enumerate(worlds)},
        "first": _fit(worlds, first, "first"),
        "again": _fit(worlds, again, "again"),
    }


def _count(size: Size, now: datetime) -> dict[str, Any]:
    world = make_world(size, now)
    runs = world.runs(find_workspace(world))
    return {
        "runs": len(runs),
        "stored_runs": len(runs),
        "tasks": sum(len(world.tasks(run["id"])) for run in runs),
        "open_runs": sum(run["status"] in _OPEN for run in runs),
    }


def _list_costs(sync_result: Outcome) -> dict[str, Any]:
    return {
        "first": {
            "calls": sync_result.first_traffic.calls,
            "cpu_s": sync_result.first.cpu_s,
            "wall_s": sync_result.first.wall_s,
        },
        "again": {
            "calls": sync_result.second_traffic.calls,
            "cpu_s": sync_result.second.cpu_s,
            "wall_s": sync_result.second.wall_s,
        },
    }


def _fit(worlds: list[dict[str, Any]], names: tuple[str, ...], sync: str) -> dict[str, Any]:
    counts = [{name: world[name] for name in names} for world in worlds]
    lines = {
        cost: fit_line(counts, [world[sync][cost] for world in worlds])
        for cost in ("calls", "cpu_s", "wall_s")
    }
    return {
        cost: {"base": line.base, "slopes": line.slopes, "explained": line.explained}
        for cost, line in lines.items()
    }

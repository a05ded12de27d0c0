"""Growth of the costs of a sync: measurements of several worlds, and a linear model of them."""

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
# Runs, mean tasks and open runs vary independently, so that each has a coefficient.
_WORLDS = (
    *((20, 30, 0), (200, 30, 0), (400, 30, 0), (100, 150, 0), (100, 400, 0), (200, 200, 0)),
    *((60, 60, 10), (60, 60, 25), (60, 60, 50), (400, 30, 25)),
)


@dataclass(frozen=True)
class Line:
    """Linear model of a cost.

    Attributes:
        base: Fixed cost of a sync.
        slopes: Cost per run, task or open run.
        explained: Share of the variance that the model explains, at most 1.
    """

    base: float
    slopes: dict[str, float]
    explained: float


def fit_line(counts: Sequence[dict[str, int]], costs: Sequence[float]) -> Line:
    """Return the linear model with the least squares.

    Args:
        counts: Numbers of runs, tasks and open runs, a mapping per world.
        costs: Cost of the sync of each world.
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
    """Sync worlds of different sizes, twice each, and fit linear models of the costs.

    Returns:
        The model of each cost for `first` (all runs are new) and `again` (no run is new), and the
        measurements as `worlds`.
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

"""Replay: dumped runs, served exactly as they were dumped."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import orjson

from tower_etl.simulator.runs import summarise
from tower_etl.simulator.timeline import parse_text
from tower_etl.simulator.world import World

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tower_etl.simulator.runs import Row
    from tower_etl.simulator.timeline import SimClock

_KEYS = ("workflow", "tasks", "metrics", "progress", "meta")


@dataclass
class ReplayedRun:
    """A dumped run, the same at any time after its submission (see `Run`).

    Attributes:
        dump: `workflow`, `tasks`, `metrics`, `progress` and `meta` as they were read.
        sorted_tasks: The tasks by `taskId`.
    """

    workspace_id: int
    dump: Row
    label_ids: tuple[int, ...] = ()
    sorted_tasks: list[Row] = field(init=False)

    def __post_init__(self) -> None:
        """Sort the tasks once."""
        tasks = [entry["task"] for entry in self.dump["tasks"]]
        self.sorted_tasks = sorted(tasks, key=lambda task: task["taskId"])

    @property
    def id(self) -> str:
        """The dumped id."""
        return str(self.dump["workflow"]["id"])

    @property
    def submit_s(self) -> float:
        """Time of submission, epoch seconds."""
        return parse_text(self.dump["workflow"]["submit"])

    @property
    def launch_id(self) -> str | None:
        """The dumped launch."""
        launch_id: str | None = self.dump["workflow"].get("launchId")
        return launch_id

    @property
    def platform_id(self) -> str | None:
        """Unknown: a dump does not say."""
        return None

    def extras(self, now_s: int) -> Row:  # noqa: ARG002 - part of Run; a dump does not change
        """Nothing: the dump is all that is known."""
        return {}

    def status(self, now_s: int) -> str:  # noqa: ARG002 - as in extras
        """The dumped status."""
        return str(self.dump["workflow"]["status"])

    def summary(self, now_s: int) -> Row:
        """The dumped workflow, without what the listing leaves out."""
        return summarise(self.workflow(now_s))

    def workflow(self, now_s: int) -> Row:  # noqa: ARG002 - as in extras
        """The dumped workflow."""
        workflow: Row = self.dump["workflow"]
        return workflow

    def tasks(self, now_s: int) -> Sequence[Row]:  # noqa: ARG002 - as in extras
        """The dumped tasks, by `taskId`."""
        return self.sorted_tasks

    def progress(self, now_s: int) -> Row:  # noqa: ARG002 - as in extras
        """The dumped progress."""
        progress: Row = self.dump["progress"]
        return progress

    def metrics(self, now_s: int) -> list[Row]:  # noqa: ARG002 - as in extras
        """The dumped metrics."""
        metrics: list[Row] = self.dump["metrics"]
        return metrics


def _read_dump(path: Path) -> Row:
    try:
        dump = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as fault:
        msg = f"{path} is not JSON: {fault}."
        raise ValueError(msg) from fault
    missing = [key for key in _KEYS if not isinstance(dump, dict) or key not in dump]
    if missing:
        msg = f"{path} is no dump of a run: it lacks {', '.join(missing)}."
        raise ValueError(msg)
    return dict(dump)


def _find_place(world: World, full_name: str) -> int:
    org_name, _, name = full_name.partition("/")
    org_ids = {org["name"]: org_id for org_id, org in world.organizations.items()}
    org_id = org_ids.get(org_name) or world.add_organization(org_name)
    keys = {(place.org_id, place.name): key for key, place in world.workspaces.items()}
    return keys.get((org_id, name)) or world.add_workspace(org_id, name)


def _make_run(world: World, path: Path) -> ReplayedRun:
    dump = _read_dump(path)
    try:
        run = ReplayedRun(_find_place(world, dump["meta"]["workspace"]), dump)
        named = (run.id, run.submit_s, run.status(0))
    except (AttributeError, KeyError, TypeError, ValueError) as fault:
        msg = f"{path} is no dump of a run: {type(fault).__name__} at {fault}."
        raise ValueError(msg) from fault
    if named[0] in world.run_ids():
        msg = f"{path} repeats run {named[0]}."
        raise ValueError(msg)
    return run


def load_runs(folder: Path, clock: SimClock | None = None) -> World:
    """A world of dumped runs.

    Each `*.json` file holds one run: `workflow`, `tasks` (as the task list gives them), `metrics`,
    `progress`, and `meta` with `workspace` as `organization/workspace`.

    Args:
        folder: Where the files are.
        clock: Clock of the world; a running one when left out.

    Raises:
        ValueError: The folder holds no dump, or one of them is not usable.
    """
    paths = sorted(folder.glob("*.json"))
    if not paths:
        msg = f"No dumped run (*.json) in {folder}."
        raise ValueError(msg)
    world = World.empty(clock)
    world.owner()
    for path in paths:
        world.add_run(_make_run(world, path))
    return world

"""Replay of dumped runs, served without changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from tower_etl.simulator.clock import SimClock, parse_timestamp
from tower_etl.simulator.events import World
from tower_etl.simulator.runs import RecordedTasks, Run, Snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from tower_etl.simulator.aggregates import Row

_KEYS = ("workflow", "tasks", "metrics", "progress", "meta")


def _read_dump(path: Path) -> Row:
    try:
        dump = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        msg = f"{path} is not JSON: {error}."
        raise ValueError(msg) from error
    missing = [key for key in _KEYS if not isinstance(dump, dict) or key not in dump]
    if missing:
        msg = f"{path} is not a dump of a run: it lacks {', '.join(missing)}."
        raise ValueError(msg)
    return dict(dump)


def _find_or_add_workspace(world: World, full_name: str) -> int:
    org_name, _, name = full_name.partition("/")
    org_ids = {org["name"]: org_id for org_id, org in world.organizations.items()}
    org_id = org_ids.get(org_name) or world.add_organization(org_name)
    keys = {(entry.org_id, entry.name): key for key, entry in world.workspaces.items()}
    return keys.get((org_id, name)) or world.add_workspace(org_id, name)


def _make_run(workspace_id: int, dump: Row) -> Run:
    workflow = dump["workflow"]
    rows = sorted((entry["task"] for entry in dump["tasks"]), key=lambda task: task["taskId"])
    tasks = RecordedTasks(rows, dump["progress"], dump["metrics"])
    snapshot = Snapshot(workflow, lambda: tasks)
    return Run(
        id=str(workflow["id"]),
        workspace_id=workspace_id,
        submit_s=parse_timestamp(workflow["submit"]),
        at=lambda _: snapshot,
        launch_id=workflow.get("launchId"),
    )


def _add_dump(world: World, path: Path) -> None:
    dump = _read_dump(path)
    try:
        run = _make_run(_find_or_add_workspace(world, dump["meta"]["workspace"]), dump)
        dump["workflow"]["status"]  # every route reads it
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        msg = f"{path} is not a dump of a run: {type(error).__name__} at {error}."
        raise ValueError(msg) from error
    if run.id in world.run_ids():
        msg = f"{path} repeats run {run.id}."
        raise ValueError(msg)
    world.add_run(run)


def load_runs(folder: Path, clock: SimClock | None = None) -> World:
    """Return a world of recorded runs.

    Each `*.json` file holds one run: `workflow`, `tasks` (as in the task list), `metrics`,
    `progress`, and `meta` with `workspace` as `organization/workspace`.

    Args:
        folder: Folder of the files.
        clock: Clock of the world; a running clock by default.

    Raises:
        ValueError: The folder contains no dump, or a dump is invalid.
    """
    paths = sorted(folder.glob("*.json"))
    if not paths:
        msg = f"No dumped run (*.json) in {folder}."
        raise ValueError(msg)
    world = World(clock or SimClock())
    world.owner()
    for path in paths:
        _add_dump(world, path)
    return world

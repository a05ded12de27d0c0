"""Compute the rows that the tables must hold from the simulated world."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.run_tables import build_run
from tower_etl.schema import TABLES

if TYPE_CHECKING:
    from tower_etl.simulator import World

Rows = dict[tuple[Any, ...], dict[str, Any]]

RUN_TABLES = (
    "workflows",
    "tasks",
    "process_metrics",
    "workflow_progress",
    "process_progress",
    "workflow_labels",
)


def list_visible_runs(world: World) -> dict[str, int | None]:
    """Return the workspace id of each run that the API lists, by run id."""
    spaces = [None, *(place.id for place in world.workspaces.values() if place.id is not None)]
    return {run["id"]: space for space in spaces for run in world.runs(space)}


def expect_run(world: World, run_id: str, workspace_id: int | None) -> dict[str, Rows]:
    """Return the expected rows of one run, by table and key."""
    tables = build_run(
        world.describe(run_id),
        workspace_id=workspace_id,
        starred=run_id in world.starred,
        tasks=[[{"task": task} for task in world.tasks(run_id)]],
        metrics=world.snapshot(run_id).tasks.metrics,
    )
    return {name: index(name, tables[name].to_pylist()) for name in RUN_TABLES}


def expect_labels(world: World) -> Rows:
    """Return the expected rows of `labels`."""
    rows: Rows = {}
    for key, labels in world.labels.items():
        space = world.workspaces[key].id
        rows |= index(
            "labels", TABLES["labels"].build(labels.values(), workspace_id=space).to_pylist()
        )
    return rows


def expect_pipelines(world: World) -> Rows:
    """Return the expected rows of `pipelines`, without deleted pipelines."""
    rows = [row for of_space in world.entities.get("pipelines", {}).values() for row in of_space]
    return index("pipelines", TABLES["pipelines"].build(rows).to_pylist())


def expect_team_members(world: World, team: int) -> Rows:
    """Return the expected rows of `team_members` for one team, without former members."""
    (org,) = world.organizations
    rows = world.entities.get("teamMembers", {}).get(team, [])
    batch = TABLES["team_members"].build(rows, team_id=team, org_id=org)
    return index("team_members", batch.to_pylist())


def index(table: str, rows: list[dict[str, Any]]) -> Rows:
    """Return rows by the key of their table."""
    return {tuple(row[name] for name in TABLES[table].key): row for row in rows}

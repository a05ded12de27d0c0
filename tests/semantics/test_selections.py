"""Jobs that select different tables and share one destination."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.semantics.in_memory import InMemoryDestination
from tests.semantics.platform import SimulatedPlatform
from tests.semantics.test_entities import START, count, rows_of, sync
from tower_etl.simulator import Fault, SimClock, build_world
from tower_etl.sync import RUN_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.semantics.platform import SwappableApp
    from tower_etl.simulator import World


@pytest.fixture
def platform(swappable_app: tuple[str, SwappableApp]) -> SimulatedPlatform:
    """Serve a world with pipelines, labels, and final runs."""
    world = build_world(3, clock=SimClock.frozen_at(START), runs=4, open_runs=0, mean_tasks=2)
    return SimulatedPlatform.start(*swappable_app, world)


def publish(world: World, key: int | None = None) -> tuple[int, str]:
    """Give a pipeline, by default the first, a new default version; return the ids of both."""
    pipelines = [row for rows in world.entities["pipelines"].values() for row in rows]
    pipeline = next(row for row in pipelines if key in {None, row["pipelineId"]})
    pipeline["version"] = {**pipeline["version"], "id": "v9", "hash": "9"}
    world.add_entity("pipelineVersions", pipeline["pipelineId"], **pipeline)
    return pipeline["pipelineId"], "v9"


def list_versions(warehouse: InMemoryDestination) -> set[tuple[int, str]]:
    """Return the stored versions of pipelines, as pairs of their ids."""
    rows = rows_of(warehouse, "pipeline_versions")
    return {(row["pipeline_id"], row["version__id"]) for row in rows}


@pytest.mark.slow
@pytest.mark.parametrize("other", [("pipelines",), ("pipelines_history",), ("pipelines", "tasks")])
def test_versions_are_fetched_of_a_pipeline_that_another_job_stored(
    platform: SimulatedPlatform, other: tuple[str, ...]
) -> None:
    """A stored pipeline does not prove that its versions were fetched."""
    warehouse, world = InMemoryDestination(), platform.world
    sync(platform, warehouse)
    version = publish(world)
    sync(platform, warehouse, tables=other, reconcile=True)
    assert version not in list_versions(warehouse)
    world.clock.advance(timedelta(hours=25))
    sync(platform, warehouse)
    assert version in list_versions(warehouse)


def test_versions_are_fetched_after_pipelines_were_dropped_and_reloaded(
    platform: SimulatedPlatform,
) -> None:
    """The dropped rows were the only record of the default versions that had been fetched."""
    warehouse, world = InMemoryDestination(), platform.world
    sync(platform, warehouse)
    version = publish(world)
    warehouse.tables["pipelines"] = {}
    warehouse.state["resources"].pop("pipelines")
    sync(platform, warehouse, tables=["pipelines"])
    sync(platform, warehouse)
    assert version in list_versions(warehouse)


def test_reference_tables_selected_later_are_requested_once(platform: SimulatedPlatform) -> None:
    """The sync that fills the selected tables does not reconcile any workspace."""
    warehouse, later = InMemoryDestination(), ["workflows", "pipelines", "credentials", "labels"]
    sync(platform, warehouse, tables=["workflows"])
    warehouse.state["resources"].pop("labels")  # like `dlt pipeline drop labels`
    sync(platform, warehouse, tables=later)
    filled = count(platform, "/pipelines"), count(platform, "/credentials")
    assert min(filled) > 0
    sync(platform, warehouse, tables=later)
    assert (count(platform, "/pipelines"), count(platform, "/credentials")) == filled


def test_versions_of_unchanged_pipelines_are_not_fetched_again(platform: SimulatedPlatform) -> None:
    """Between the two syncs, another job selects the pipelines only."""
    warehouse = InMemoryDestination()
    sync(platform, warehouse)
    sync(platform, warehouse, tables=["pipelines"])
    before = count(platform, "/versions")
    sync(platform, warehouse)
    assert count(platform, "/versions") == before


@pytest.mark.parametrize("failures", [0, 10**6])
def test_versions_are_fetched_of_a_pipeline_that_was_loaded_for_a_run(
    platform: SimulatedPlatform, failures: int
) -> None:
    """The pipeline is stored between two reconciliations, because a run names it."""
    warehouse, world = InMemoryDestination(), platform.world
    sync(platform, warehouse)
    run = next(row for row in rows_of(warehouse, "workflows") if row["pipeline_info__id"])
    pipeline, version = publish(world, run["pipeline_info__id"])
    warehouse.tables["pipelines"].pop((pipeline,))
    reopen(warehouse, run)
    if failures:
        fault = Fault("status", 500, times=failures)
        platform.simulator.faults.add(r"/pipelines/\d+/versions", fault)
    sync(platform, warehouse)
    assert pipeline in {row["pipeline_id"] for row in rows_of(warehouse, "pipelines")}
    platform.simulator.faults.clear()
    world.clock.advance(timedelta(hours=25))
    sync(platform, warehouse)
    assert (pipeline, version) in list_versions(warehouse)


def reopen(warehouse: InMemoryDestination, run: dict[str, Any]) -> None:
    """Mark a run as open in the state, so that the next sync fetches it."""
    known = {"submit": None, "starred": None, "settled_tasks": 0, "last_settled_task_id": None}
    warehouse.state["workspaces"][str(run["workspace_id"])]["open"] = {run["id"]: known}


def add_studio(world: World) -> str:
    """Add a row to a table that only reconciliations refresh; return its id."""
    space = next(place.key for place in world.workspaces.values() if place.org_id)
    world.add_entity("studios", space, sessionId="new", name="notebook")
    return "new"


def list_studios(warehouse: InMemoryDestination) -> set[str]:
    """Return the ids of the stored studios."""
    return {row["session_id"] for row in rows_of(warehouse, "studios")}


@pytest.mark.slow
@pytest.mark.parametrize(("change", "read"), [(add_studio, list_studios), (publish, list_versions)])
def test_tables_left_out_of_a_reconciliation_are_refreshed_once_later(
    platform: SimulatedPlatform,
    change: Callable[[World], Any],
    read: Callable[[InMemoryDestination], set[Any]],
) -> None:
    """The next sync that selects the other tables refreshes them."""
    warehouse, world = InMemoryDestination(), platform.world
    sync(platform, warehouse)
    changed = change(world)
    for _ in range(2):
        world.clock.advance(timedelta(hours=25))
        sync(platform, warehouse, tables=RUN_TABLES)
        assert changed not in read(warehouse)
    sync(platform, warehouse)
    assert changed in read(warehouse)
    before = platform.count_calls()
    sync(platform, warehouse)
    assert count_since(platform, before, "/studios") == 0


def count_since(platform: SimulatedPlatform, before: int, path: str) -> int:
    """Return the number of calls to paths with this suffix, without the first `before` calls."""
    return sum(call.path.endswith(path) for call in platform.simulator.calls[before:])


def test_reconciliation_does_not_fetch_tables_that_no_job_selects(
    platform: SimulatedPlatform,
) -> None:
    warehouse, world = InMemoryDestination(), platform.world
    for hours in (0, 25, 0):
        world.clock.advance(timedelta(hours=hours))
        sync(platform, warehouse, tables=RUN_TABLES)
    assert count(platform, "/studios") == 0
    assert "studios" not in warehouse.state["resources"]

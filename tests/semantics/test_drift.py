"""Runs and tasks that are added or deleted between two pages do not hide others."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.semantics.expected import list_visible_runs
from tests.semantics.in_memory import InMemoryDestination
from tests.semantics.platform import SimulatedPlatform, make_world
from tower_etl.config.settings import PackageLimits
from tower_etl.simulator import SimClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.semantics.platform import SwappableApp
    from tower_etl.simulator import World

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
RUNS = 230
LISTING = "/api/workflow"


@pytest.fixture
def platform(swappable_app: tuple[str, SwappableApp]) -> SimulatedPlatform:
    """Serve a workspace of 230 runs, submitted one second apart: three pages."""
    world = make_world(SimClock.frozen_at(START))
    space = max(place.key for place in world.workspaces.values())
    for _ in range(RUNS):
        run_id = world.submit_run(space)
        world.start_run(run_id)
        world.finish_run(run_id)
        world.clock.advance(1)
    return SimulatedPlatform.start(*swappable_app, world)


def sync(platform: SimulatedPlatform, warehouse: InMemoryDestination, **request: bool) -> list[str]:
    """Run one sync that succeeds; return its warnings."""
    session = platform.open_session(**request)
    try:
        warehouse.load(session, PackageLimits())
    finally:
        session.close()
    assert session.sync_result.status == "ok"
    return session.sync_result.warnings


def on_listing(platform: SimulatedPlatform, number: int, change: Callable[[World], None]) -> None:
    """Change the world before the nth page of runs is served."""
    left = [number]

    def watch(_index: int, call: object) -> None:
        if getattr(call, "path", "") == LISTING and "workspaceId" in getattr(call, "query", ""):
            left[0] -= 1
            if left[0] == 0:
                change(platform.world)

    platform.simulator.before_call = watch


def newest(world: World, first: int, count: int) -> list[str]:
    """Return the ids of runs by their position in the listing, newest first."""
    space = max(place.key for place in world.workspaces.values())
    return [run["id"] for run in world.runs(space)][first : first + count]


@pytest.mark.slow
@pytest.mark.parametrize("page", [2, 3])
@pytest.mark.parametrize("count", [1, 2, 60, 120])
def test_runs_deleted_between_pages_do_not_hide_other_runs(
    platform: SimulatedPlatform, page: int, count: int
) -> None:
    """Deletions shift the list towards its start, so that the next page would skip runs."""

    def delete(world: World) -> None:
        for run_id in newest(world, 0, count):
            world.delete_run(run_id)

    on_listing(platform, page, delete)
    warehouse = InMemoryDestination()
    sync(platform, warehouse)
    assert {run_id for (run_id,) in warehouse.tables["workflows"]} == set(
        list_visible_runs(platform.world)
    )


@pytest.mark.slow
@pytest.mark.parametrize("page", [2, 3])
@pytest.mark.parametrize("count", [1, 60, 120])
def test_runs_submitted_between_pages_do_not_hide_other_runs(
    platform: SimulatedPlatform, page: int, count: int
) -> None:
    """New runs shift the list towards its end. They are loaded by this sync or by the next one."""

    def submit(world: World) -> None:
        space = max(place.key for place in world.workspaces.values())
        for _ in range(count):
            world.clock.advance(1)
            world.submit_run(space)

    on_listing(platform, page, submit)
    warehouse = InMemoryDestination()
    before = set(list_visible_runs(platform.world))
    sync(platform, warehouse)
    assert before <= {run_id for (run_id,) in warehouse.tables["workflows"]}
    sync(platform, warehouse)
    assert {run_id for (run_id,) in warehouse.tables["workflows"]} == set(
        list_visible_runs(platform.world)
    )


@pytest.mark.slow
def test_reconciliation_marks_only_deleted_runs_while_the_list_shifts(
    platform: SimulatedPlatform,
) -> None:
    """Thirty runs are deleted while the full listing is read."""
    warehouse = InMemoryDestination()
    sync(platform, warehouse)
    gone = newest(platform.world, 0, 30)

    def shake(world: World) -> None:
        for run_id in gone:
            world.delete_run(run_id)

    on_listing(platform, 2, shake)
    sync(platform, warehouse, reconcile=True)
    missing = {
        run_id
        for (run_id,), row in warehouse.tables["workflows"].items()
        if row["missing_since"] is not None
    }
    assert missing <= set(gone)
    platform.simulator.before_call = None
    sync(platform, warehouse, reconcile=True)
    rows = warehouse.tables["workflows"].items()
    assert {key[0] for key, row in rows if row["missing_since"] is not None} == set(gone)


@pytest.mark.slow
def test_a_listing_that_keeps_changing_marks_no_run_as_missing(platform: SimulatedPlatform) -> None:
    """The incomplete listing is reported, and a later sync reconciles again."""
    warehouse = InMemoryDestination()
    sync(platform, warehouse)
    space = max(place.key for place in platform.world.workspaces.values())
    ids = newest(platform.world, 0, RUNS)

    def churn(_index: int, call: object) -> None:
        if getattr(call, "path", "") == LISTING and "offset=0" not in getattr(call, "query", ""):
            for run_id in ids[:3]:
                platform.world.delete_run(run_id)
            del ids[:3]

    platform.simulator.before_call = churn
    warnings = sync(platform, warehouse, reconcile=True)
    assert any("changed while it was read" in warning for warning in warnings)
    rows = warehouse.tables["workflows"].values()
    assert [row["id"] for row in rows if row["missing_since"] is not None] == []
    reconciled = warehouse.state["workspaces"][str(space)]["reconciled_at"]
    platform.simulator.before_call = None
    platform.world.clock.advance(90_000)
    sync(platform, warehouse)
    assert warehouse.state["workspaces"][str(space)]["reconciled_at"] > reconciled
    shown = set(list_visible_runs(platform.world))
    missing = {row["id"] for row in warehouse.tables["workflows"].values() if row["missing_since"]}
    assert missing == {key[0] for key in warehouse.tables["workflows"]} - shown


@pytest.mark.slow
def test_a_task_inserted_between_two_pages_is_loaded(platform: SimulatedPlatform) -> None:
    """A lower task id shifts the following pages, so that the list is read again."""
    world = platform.world
    run_id = world.submit_run(max(place.key for place in world.workspaces.values()))
    world.start_run(run_id)
    for number in range(250):
        world.add_task(run_id, 10 + number)
    left = [2]

    def insert(_index: int, call: object) -> None:
        if getattr(call, "path", "").endswith(f"{run_id}/tasks"):
            left[0] -= 1
            if left[0] == 0:
                world.add_task(run_id, 5)

    platform.simulator.before_call = insert
    warehouse = InMemoryDestination()
    sync(platform, warehouse)
    expected = {task["taskId"] for task in world.tasks(run_id)}
    assert {task_id for _, task_id in warehouse.rows_of("tasks", run_id)} == expected

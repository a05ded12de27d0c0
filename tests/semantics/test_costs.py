"""Number of API calls of a sync, counted at the server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.semantics.in_memory import InMemoryDestination
from tests.semantics.platform import SimulatedPlatform, make_world
from tower_etl.config.settings import PackageLimits
from tower_etl.simulator import SimClock

if TYPE_CHECKING:
    from tests.semantics.platform import SwappableApp

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
DISCOVERY_CALLS = 3
WORKSPACES = 3  # the personal workspace and two of an organization


@pytest.fixture
def platform(swappable_app: tuple[str, SwappableApp]) -> SimulatedPlatform:
    """Serve a world without runs."""
    return SimulatedPlatform.start(*swappable_app, make_world(SimClock.frozen_at(START)))


def count_sync(platform: SimulatedPlatform, warehouse: InMemoryDestination, **request: Any) -> int:
    """Run one sync and return the number of its calls."""
    before = platform.count_calls()
    session = platform.open_session(**request)
    try:
        warehouse.load(session, PackageLimits())
    finally:
        session.close()
    assert session.sync_result.status == "ok"
    calls = platform.count_calls() - before
    assert session.request_stats.calls == calls
    return calls


def add_run(platform: SimulatedPlatform, tasks: int, *, final: bool = True, **fields: Any) -> str:
    """Add a run with completed tasks; return its id."""
    world = platform.world
    run_id = world.submit_run(max(place.key for place in world.workspaces.values()), **fields)
    world.start_run(run_id)
    for _ in range(tasks):
        world.finish_task(run_id, world.add_task(run_id))
    if final:
        world.finish_run(run_id)
    world.clock.advance(1)
    return run_id


def test_an_idle_sync_makes_one_call_per_workspace(platform: SimulatedPlatform) -> None:
    """The calls of discovery are made in addition."""
    warehouse = InMemoryDestination()
    for _ in range(70):
        add_run(platform, 0)
    count_sync(platform, warehouse)
    assert count_sync(platform, warehouse) == DISCOVERY_CALLS + WORKSPACES


@pytest.mark.parametrize(("tasks", "pages"), [(0, 1), (1, 1), (99, 1), (101, 2), (250, 3)])
def test_a_new_final_run_takes_two_calls_plus_one_per_hundred_tasks(
    platform: SimulatedPlatform, tasks: int, pages: int
) -> None:
    """The two calls are for its description and its metrics. A run without tasks has one page."""
    warehouse = InMemoryDestination()
    count_sync(platform, warehouse)
    add_run(platform, tasks)
    assert count_sync(platform, warehouse) == DISCOVERY_CALLS + WORKSPACES + 2 + pages


def test_the_launch_of_a_run_is_fetched_once_with_one_call(platform: SimulatedPlatform) -> None:
    """The launch names the compute environment. Fetching an open run again does not request it."""
    warehouse = InMemoryDestination()
    count_sync(platform, warehouse)
    run_id = add_run(platform, 0, final=False, launchId="launch-1")
    assert count_sync(platform, warehouse) == DISCOVERY_CALLS + WORKSPACES + 3 + 1
    assert count_sync(platform, warehouse) == DISCOVERY_CALLS + WORKSPACES + 3
    platform.world.finish_run(run_id)
    assert count_sync(platform, warehouse) == DISCOVERY_CALLS + WORKSPACES + 3
    assert count_sync(platform, warehouse) == DISCOVERY_CALLS + WORKSPACES


def test_a_backfill_requests_each_launch_once(platform: SimulatedPlatform) -> None:
    """Four of the ten runs were started from three launches, the others from the command line."""
    for launch_id in ("a", "b", "c", "c", *(None,) * 6):
        add_run(platform, 3, launchId=launch_id)
    first, without = InMemoryDestination(), InMemoryDestination()
    assert count_sync(platform, first) - count_sync(platform, without, tables=["!launches"]) == 3
    assert count_sync(platform, first) == DISCOVERY_CALLS + WORKSPACES


def test_only_reconciliations_make_one_call_per_compute_environment(
    platform: SimulatedPlatform,
) -> None:
    """A compute environment that several workspaces list takes one call, too."""
    world, warehouse = platform.world, InMemoryDestination()
    count_sync(platform, warehouse)
    bare = count_sync(platform, warehouse, reconcile=True)
    for key in world.workspaces:
        if key > 0:
            world.add_entity("computeEnvs", key, id="shared", workspaceName="research")
    world.add_entity("computeEnvs", id="own", name="own")
    assert count_sync(platform, warehouse, reconcile=True) == bare + 2
    assert count_sync(platform, warehouse) == DISCOVERY_CALLS + WORKSPACES


def test_task_pages_before_the_bookmark_are_not_fetched_again(platform: SimulatedPlatform) -> None:
    """Of an open run, only tasks that may still change and the last page are fetched."""
    warehouse = InMemoryDestination()
    run_id = add_run(platform, 520, final=False)
    count_sync(platform, warehouse)
    assert count_sync(platform, warehouse) == DISCOVERY_CALLS + WORKSPACES + 2 + 1
    for _ in range(100):
        platform.world.add_task(run_id)
    assert count_sync(platform, warehouse) == DISCOVERY_CALLS + WORKSPACES + 2 + 2
    assert len(warehouse.rows_of("tasks", run_id)) == 620


@pytest.mark.slow
def test_reconciliation_takes_one_call_per_hundred_runs(platform: SimulatedPlatform) -> None:
    """Reference data takes one call per list of the server, organization, workspace, or team."""
    warehouse = InMemoryDestination()
    for _ in range(250):
        add_run(platform, 0)
    count_sync(platform, warehouse)
    # Quotas, workspaces, members, collaborators and teams, plus the members of the team.
    of_organization = 5 + 1
    entities = (
        1 + of_organization + 10 * WORKSPACES + 2
    )  # ten lists of each workspace, and participants
    pages = 3 + (WORKSPACES - 1)
    assert count_sync(platform, warehouse, reconcile=True) == DISCOVERY_CALLS + entities + pages


def test_a_sync_reconciles_automatically_once_a_day(platform: SimulatedPlatform) -> None:
    warehouse = InMemoryDestination()
    add_run(platform, 0)
    count_sync(platform, warehouse)
    platform.world.clock.advance(timedelta(hours=23))
    assert count_sync(platform, warehouse) == DISCOVERY_CALLS + WORKSPACES
    platform.world.clock.advance(timedelta(hours=2))
    assert count_sync(platform, warehouse) > DISCOVERY_CALLS + WORKSPACES
    assert count_sync(platform, warehouse) == DISCOVERY_CALLS + WORKSPACES


def test_each_open_run_adds_three_calls_until_it_is_abandoned(platform: SimulatedPlatform) -> None:
    """The runs have few tasks, so that each has one page of them."""
    warehouse = InMemoryDestination()
    for _ in range(4):
        add_run(platform, 3, final=False)
    count_sync(platform, warehouse)
    assert count_sync(platform, warehouse) == DISCOVERY_CALLS + WORKSPACES + 4 * 3
    platform.world.clock.advance(timedelta(days=31))
    count_sync(platform, warehouse)  # reconciles; the runs are abandoned from now on
    assert count_sync(platform, warehouse) == DISCOVERY_CALLS + WORKSPACES


def test_a_sync_needs_only_the_tables_and_state_of_the_destination(
    platform: SimulatedPlatform,
) -> None:
    """A lost local folder does not cause another backfill."""
    warehouse = InMemoryDestination()
    add_run(platform, 5)
    count_sync(platform, warehouse)
    restored = InMemoryDestination(tables=warehouse.tables, state=warehouse.state)
    assert count_sync(platform, restored) == DISCOVERY_CALLS + WORKSPACES


def test_a_run_takes_one_call_if_tasks_and_metrics_are_not_selected(
    platform: SimulatedPlatform,
) -> None:
    warehouse = InMemoryDestination()
    add_run(platform, 150)
    before = platform.count_calls()
    session = platform.open_session(tables=["workflows"])
    try:
        warehouse.load(session, PackageLimits())
    finally:
        session.close()
    runs = [call for call in platform.simulator.calls[before:] if "/workflow/" in call.path]
    assert len(runs) == 1
    assert warehouse.tables["tasks"] == {}

"""What a sync costs, counted at the server."""

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
WORKSPACES = 3  # the personal one and two of an organisation


@pytest.fixture
def platform(swappable_app: tuple[str, SwappableApp]) -> SimulatedPlatform:
    """A world without runs."""
    return SimulatedPlatform.start(*swappable_app, make_world(SimClock.frozen_at(START)))


def count_sync(platform: SimulatedPlatform, warehouse: InMemoryDestination, **request: Any) -> int:
    """Calls that one sync makes."""
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
    """A run with so many tasks, all of them ended."""
    world = platform.world
    run_id = world.submit_run(max(place.key for place in world.workspaces.values()), **fields)
    world.start_run(run_id)
    for _ in range(tasks):
        world.finish_task(run_id, world.add_task(run_id))
    if final:
        world.finish_run(run_id)
    world.clock.advance(1)
    return run_id


def test_an_idle_sync_costs_one_call_a_workspace(platform: SimulatedPlatform) -> None:
    """At most two are allowed, beyond discovery."""
    warehouse = InMemoryDestination()
    for _ in range(70):
        add_run(platform, 0)
    count_sync(platform, warehouse)
    assert count_sync(platform, warehouse) == DISCOVERY_CALLS + WORKSPACES


@pytest.mark.parametrize(("tasks", "pages"), [(0, 1), (1, 1), (99, 1), (101, 2), (250, 3)])
def test_a_new_final_run_costs_two_calls_and_one_per_hundred_tasks(
    platform: SimulatedPlatform, tasks: int, pages: int
) -> None:
    """A description, its metrics, and its pages of tasks."""
    warehouse = InMemoryDestination()
    count_sync(platform, warehouse)
    add_run(platform, tasks)
    assert count_sync(platform, warehouse) == DISCOVERY_CALLS + WORKSPACES + 2 + pages


def test_the_launch_of_a_new_run_costs_one_call_more_and_only_once(
    platform: SimulatedPlatform,
) -> None:
    """It tells the compute environment; an open run does not request it again."""
    warehouse = InMemoryDestination()
    count_sync(platform, warehouse)
    run_id = add_run(platform, 0, final=False, launchId="launch-1")
    assert count_sync(platform, warehouse) == DISCOVERY_CALLS + WORKSPACES + 3 + 1
    assert count_sync(platform, warehouse) == DISCOVERY_CALLS + WORKSPACES + 3
    platform.world.finish_run(run_id)
    assert count_sync(platform, warehouse) == DISCOVERY_CALLS + WORKSPACES + 3
    assert count_sync(platform, warehouse) == DISCOVERY_CALLS + WORKSPACES


def test_a_backfill_requests_each_launch_once(platform: SimulatedPlatform) -> None:
    """Of ten runs, four were launched from three launches; the others by hand."""
    for launch_id in ("a", "b", "c", "c", *(None,) * 6):
        add_run(platform, 3, launchId=launch_id)
    first, without = InMemoryDestination(), InMemoryDestination()
    assert count_sync(platform, first) - count_sync(platform, without, tables=["!launches"]) == 3
    assert count_sync(platform, first) == DISCOVERY_CALLS + WORKSPACES


def test_compute_environments_cost_a_call_each_at_a_reconciliation_alone(
    platform: SimulatedPlatform,
) -> None:
    """Also where several workspaces list the same one."""
    world, warehouse = platform.world, InMemoryDestination()
    count_sync(platform, warehouse)
    bare = count_sync(platform, warehouse, reconcile=True)
    for key in world.workspaces:
        if key > 0:
            world.add_entity("computeEnvs", key, id="shared", workspaceName="research")
    world.add_entity("computeEnvs", id="own", name="own")
    assert count_sync(platform, warehouse, reconcile=True) == bare + 2
    assert count_sync(platform, warehouse) == DISCOVERY_CALLS + WORKSPACES


def test_pages_of_settled_tasks_are_not_fetched_again(platform: SimulatedPlatform) -> None:
    """Of a running run, only what may still change."""
    warehouse = InMemoryDestination()
    run_id = add_run(platform, 520, final=False)
    count_sync(platform, warehouse)
    assert count_sync(platform, warehouse) == DISCOVERY_CALLS + WORKSPACES + 2 + 1
    for _ in range(100):
        platform.world.add_task(run_id)
    assert count_sync(platform, warehouse) == DISCOVERY_CALLS + WORKSPACES + 2 + 2
    assert len(warehouse.rows_of("tasks", run_id)) == 620


@pytest.mark.slow
def test_reconciliation_costs_one_call_per_hundred_runs(platform: SimulatedPlatform) -> None:
    """And the reference data: a call for each list of the server, a place, or a team."""
    warehouse = InMemoryDestination()
    for _ in range(250):
        add_run(platform, 0)
    count_sync(platform, warehouse)
    # Quotas, workspaces, members, collaborators, teams; and the members of the team.
    of_organization = 5 + 1
    entities = 1 + of_organization + 10 * WORKSPACES + 2  # ten lists each, and participants
    pages = 3 + (WORKSPACES - 1)
    assert count_sync(platform, warehouse, reconcile=True) == DISCOVERY_CALLS + entities + pages


def test_a_sync_reconciles_by_itself_once_a_day(platform: SimulatedPlatform) -> None:
    """Not before, and not at every sync after."""
    warehouse = InMemoryDestination()
    add_run(platform, 0)
    count_sync(platform, warehouse)
    platform.world.clock.advance(timedelta(hours=23))
    assert count_sync(platform, warehouse) == DISCOVERY_CALLS + WORKSPACES
    platform.world.clock.advance(timedelta(hours=2))
    assert count_sync(platform, warehouse) > DISCOVERY_CALLS + WORKSPACES
    assert count_sync(platform, warehouse) == DISCOVERY_CALLS + WORKSPACES


def test_open_runs_alone_make_an_idle_sync_dearer(platform: SimulatedPlatform) -> None:
    """Three calls for each small one, until it is given up."""
    warehouse = InMemoryDestination()
    for _ in range(4):
        add_run(platform, 3, final=False)
    count_sync(platform, warehouse)
    assert count_sync(platform, warehouse) == DISCOVERY_CALLS + WORKSPACES + 4 * 3
    platform.world.clock.advance(timedelta(days=31))
    count_sync(platform, warehouse)  # reconciles, and gives them up
    assert count_sync(platform, warehouse) == DISCOVERY_CALLS + WORKSPACES


def test_a_lost_folder_costs_nothing_more(platform: SimulatedPlatform) -> None:
    """The state is all that the next sync needs."""
    warehouse = InMemoryDestination()
    add_run(platform, 5)
    count_sync(platform, warehouse)
    restored = InMemoryDestination(tables=warehouse.tables, state=warehouse.state)
    assert count_sync(platform, restored) == DISCOVERY_CALLS + WORKSPACES


def test_unwanted_tables_are_not_paid_for(platform: SimulatedPlatform) -> None:
    """Without tasks and metrics a run is one call."""
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

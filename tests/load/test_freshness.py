"""A workspace is up to date if its listing was read and its new runs were attempted."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from prometheus_client import generate_latest

from tests.load.warehouse import ask_for
from tower_etl.cli.prometheus import build_registry
from tower_etl.destinations.config import DestinationConfig
from tower_etl.destinations.duckdb import DuckDBDestination
from tower_etl.extract.session import SyncSession
from tower_etl.pipeline import SyncRunner
from tower_etl.simulator import Fault
from tower_etl.warehouse.status import (
    query_destination,
    query_last_sync,
    query_status,
    stale_workspaces,
)

if TYPE_CHECKING:
    from datetime import datetime

    from tests.load.warehouse import Warehouse
    from tower_etl.simulator import Simulator, World
    from tower_etl.warehouse.status import WorkspaceStatus

FOREVER = 1_000_000


def add_run(world: World, lab: int) -> str:
    """Add a final run; return its id."""
    run_id = world.submit_run(lab)
    world.start_run(run_id)
    world.finish_run(run_id)
    world.clock.advance(60)
    return run_id


def config_of(warehouse: Warehouse) -> DestinationConfig:
    """Return the configuration of the target."""
    path = warehouse.target.path
    return DestinationConfig("duckdb", str(path), path.parent)


def read_lab(warehouse: Warehouse) -> WorkspaceStatus:
    """Return the status of the workspace, as read from the target."""
    spaces = query_destination(config_of(warehouse), query_status)
    (space,) = [space for space in spaces if space.name == "acme/lab"]
    return space


def started_at(warehouse: Warehouse) -> datetime:
    """Return the start of the last sync."""
    ((moment,),) = warehouse.select("SELECT max(started_at) FROM sync_runs")
    return moment  # type: ignore[no-any-return] # a timestamp of DuckDB


@pytest.mark.slow
def test_a_workspace_with_a_run_that_always_fails_is_up_to_date(
    warehouse: Warehouse, world: World, lab: int, simulator: Simulator
) -> None:
    """The failing run is pending and counted by a separate metric."""
    bad = add_run(world, lab)
    simulator.faults.add(f"/workflow/{bad}/metrics", Fault("status", status=500, times=FOREVER))
    for _ in range(2):
        add_run(world, lab)
        assert warehouse.sync().result.exit_code == 4
        space = read_lab(warehouse)
        assert space.last_sync_at is not None
        assert space.last_sync_at >= started_at(warehouse)
        assert list(space.pending) == [bad]
    now = world.clock.now()
    assert stale_workspaces([space], timedelta(hours=1), now) == []
    last = query_destination(config_of(warehouse), query_last_sync)
    metrics = generate_latest(build_registry([space], last, now, 0)).decode()
    assert 'tower_etl_pending_runs{workspace="acme/lab"} 1.0' in metrics
    assert 'tower_etl_last_success_timestamp_seconds{workspace="acme/lab"}' in metrics


@pytest.mark.slow
def test_a_workspace_that_cannot_be_listed_is_not_up_to_date(
    warehouse: Warehouse, world: World, lab: int, simulator: Simulator
) -> None:
    """The workspace keeps the time of the previous sync."""
    add_run(world, lab)
    assert warehouse.sync().result.exit_code == 0
    before = read_lab(warehouse).last_sync_at
    world.clock.advance(3600)
    simulator.faults.add("/workflow", Fault("status", status=500, times=FOREVER))
    assert warehouse.sync().result.exit_code != 0
    assert read_lab(warehouse).last_sync_at == before


@pytest.mark.slow
def test_a_workspace_that_a_sync_did_not_finish_is_not_up_to_date(
    warehouse: Warehouse, world: World, lab: int, simulator: Simulator
) -> None:
    """It has a pending run, like a workspace that a sync finished."""
    bad = add_run(world, lab)
    simulator.faults.add(f"/workflow/{bad}/metrics", Fault("status", status=500, times=FOREVER))
    warehouse.sync()
    before = read_lab(warehouse).last_sync_at
    world.clock.advance(3600)
    add_run(world, lab)
    settings = ask_for(warehouse.endpoint)
    destination = DuckDBDestination(warehouse.target)
    SyncRunner(settings, destination, warehouse.clock, SyncSession.stop).run()
    assert read_lab(warehouse).last_sync_at == before

"""The access check: whether the token may read each table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tower_etl.api import TowerClient
from tower_etl.extract.access import check_table_access
from tower_etl.extract.discovery import discover
from tower_etl.extract.reference import ENTITIES
from tower_etl.schema import TABLES
from tower_etl.simulator import (
    Fault,
    Simulator,
    build_world,
    serve,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tower_etl.extract.access import TableAccess
    from tower_etl.http import JsonHttpClient
    from tower_etl.simulator import World


def inspect(connect: Callable[..., JsonHttpClient], simulator: Simulator) -> dict[str, TableAccess]:
    """Check the access to all tables; return the results by table."""
    with serve(simulator) as url:
        client = TowerClient(connect(url))
        discovery = discover(client, ())
        found = check_table_access(client, discovery, frozenset(TABLES), 2)
    return {access.table: access for access in found}


def make_world() -> World:
    """Return a small generated world."""
    return build_world(2, runs=8, open_runs=0, days=2, mean_tasks=2)


def test_the_access_check_covers_every_table_and_partition(
    connect: Callable[..., JsonHttpClient],
) -> None:
    """Calls request a single item where the API allows it."""
    simulator = Simulator(make_world(), limit=None)
    found = inspect(connect, simulator)

    others = {"workflows", "tasks", "process_metrics", "audit_logs"}
    others |= {"launches", "launch_datasets"}
    assert set(found) == {entity.table for entity in ENTITIES} | others
    assert {name: access.denied for name, access in found.items() if access.denied} == {}
    assert len(found["pipelines"].readable) == 5
    assert len(found["members"].readable) == 2
    sizes = [call.query for call in simulator.calls if "max=" in call.query]
    assert len(simulator.calls) > len(sizes) > 50
    assert {query for query in sizes if "max=1&" not in f"{query}&"} == {
        query for query in sizes if "timestamp" in query
    }


def test_a_denied_partition_is_reported_with_the_reason(
    connect: Callable[..., JsonHttpClient],
) -> None:
    """The other partitions of the table are reported as readable."""
    simulator = Simulator(make_world(), limit=None)
    world = simulator.world
    place = next(place for place in world.workspaces.values() if place.org_id)
    refused = Fault("status", 403, times=9)
    simulator.faults.add(f"/credentials.*workspaceId={place.id}", refused)
    simulator.faults.add("/collaborators", refused)
    found = inspect(connect, simulator)

    ((name, why),) = found["credentials"].denied.items()
    assert name.endswith(f"/{place.name}")
    assert "the server answered 403" in why
    assert len(found["credentials"].readable) == 4
    assert found["collaborators"].readable == ()
    assert len(found["collaborators"].denied) == 2

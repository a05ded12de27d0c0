"""Compute environments: the details from one call each, and how they are merged and versioned."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.semantics.in_memory import InMemoryDestination
from tests.semantics.platform import SimulatedPlatform, make_world
from tower_etl.config.settings import PackageLimits
from tower_etl.simulator import Fault, SimClock, build_world
from tower_etl.simulator.routes.reference import describe_compute_env

if TYPE_CHECKING:
    from tests.semantics.platform import SwappableApp
    from tower_etl.extract.result import SyncResult

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
FOREVER = 10**6
MADE = {"dateCreated": "2026-01-01T00:00:00Z", "lastUpdated": "2026-01-02T00:00:00Z"}


@pytest.fixture
def platform(swappable_app: tuple[str, SwappableApp]) -> SimulatedPlatform:
    """Serve a world with one compute environment, in the personal workspace."""
    platform = SimulatedPlatform.start(*swappable_app, make_world(SimClock.frozen_at(START)))
    add_env(platform)
    return platform


def add_env(platform: SimulatedPlatform, **fields: Any) -> None:
    """Replace the compute environment by one with these fields."""
    platform.world.clear_entities("computeEnvs")
    config = {"discriminator": "slurm-platform", "headQueue": "short"}
    fields = {"name": "cluster", "config": config, **MADE, **fields}
    platform.world.add_entity("computeEnvs", id="ce", platform="slurm-platform", **fields)


def sync(platform: SimulatedPlatform, warehouse: InMemoryDestination) -> SyncResult:
    """Reconcile once, a minute after the previous sync; return the result."""
    platform.world.clock.advance(60)
    session = platform.open_session(reconcile=True)
    try:
        warehouse.load(session, PackageLimits())
    finally:
        session.close()
    return session.sync_result


def list_rows(warehouse: InMemoryDestination, table: str = "compute_envs") -> list[dict[str, Any]]:
    """Return the rows of a table, versions in the order of their start."""
    rows = list(warehouse.tables[table].values())
    return sorted(rows, key=lambda row: str(row.get("valid_from")))


def test_compute_environments_have_the_details_of_the_platform(
    swappable_app: tuple[str, SwappableApp],
) -> None:
    """Columns that only the list fills, such as `region`, keep their values."""
    world = build_world(3, clock=SimClock.frozen_at(START), runs=1, open_runs=0, mean_tasks=2)
    platform, warehouse = SimulatedPlatform.start(*swappable_app, world), InMemoryDestination()
    sync(platform, warehouse)
    found = {row["id"]: row for row in list_rows(warehouse)}
    for key, rows in world.entities["computeEnvs"].items():
        for env in rows:
            one, row = describe_compute_env(env, world.workspaces[key]), found.pop(env["id"])
            names = ("config", "orgId", "awsAccountId", "deleted", "workspaceId")
            config, *others = (one[name] for name in names)
            assert [row["org_id"], row["aws_account_id"], row["deleted"], row["workspace_id"]] == (
                others
            )
            assert json.loads(row["config"])["discriminator"] == config["discriminator"]
            assert (row["region"], row["visibility"]) == (env["region"], env["visibility"])
            assert (row["date_created"] is None, row["undocumented"]) == (False, None)
    assert found == {}


@pytest.mark.parametrize("status", [403, 404, 500])
def test_failed_detail_calls_keep_the_stored_details(
    platform: SimulatedPlatform, status: int
) -> None:
    """Columns of the list are still updated. Only server errors are reported by each sync."""
    warehouse = InMemoryDestination()
    sync(platform, warehouse)
    platform.simulator.faults.add("/compute-envs/ce", Fault("status", status, times=FOREVER))
    add_env(platform, name="renamed", config={"headQueue": "long"})
    outcomes = [sync(platform, warehouse) for _ in range(2)]

    (row,) = list_rows(warehouse)
    assert (row["name"], json.loads(row["config"])["headQueue"]) == ("renamed", "short")
    assert row["date_created"] == datetime(2026, 1, 1, tzinfo=UTC)
    told = [
        (len(sync_result.warnings), len(sync_result.reference_errors)) for sync_result in outcomes
    ]
    assert told == ([(1, 0), (0, 0)] if status < 500 else [(0, 1), (0, 1)])
    assert len(list_rows(warehouse, "compute_envs_history")) == 2
    assert warehouse.state["entities"]["owed"] == []

    platform.simulator.faults.clear()
    sync(platform, warehouse)
    assert json.loads(list_rows(warehouse)[0]["config"])["headQueue"] == "long"
    assert warehouse.state["entities"]["refused"] == {}


def test_a_changed_configuration_opens_a_version(platform: SimulatedPlatform) -> None:
    """A new `lastUpdated` alone does not open a version."""
    warehouse = InMemoryDestination()
    for fields in ({}, {"lastUpdated": "2026-02-01T00:00:00Z"}, {"config": {"headQueue": "long"}}):
        add_env(platform, **fields)
        sync(platform, warehouse)
    versions = list_rows(warehouse, "compute_envs_history")
    assert [json.loads(row["config"])["headQueue"] for row in versions] == ["short", "long"]
    assert [row["valid_to"] is None for row in versions] == [False, True]


def test_details_are_added_to_a_version_that_was_stored_without_them(
    platform: SimulatedPlatform,
) -> None:
    """A target of an earlier release has no details.

    Adding them does not open a version, but a real change does.
    """
    warehouse = InMemoryDestination()
    sync(platform, warehouse)
    details = (
        *("config", "date_created", "last_updated", "deleted", "org_id"),
        "fusion_metrics_collection_enabled",
    )
    for row in [*list_rows(warehouse), *list_rows(warehouse, "compute_envs_history")]:
        row.update(dict.fromkeys(details))
    sync(platform, warehouse)
    (version,) = list_rows(warehouse, "compute_envs_history")
    assert json.loads(version["config"])["headQueue"] == "short"
    version.update(dict.fromkeys(details))
    add_env(platform, name="renamed")
    sync(platform, warehouse)
    old, new = list_rows(warehouse, "compute_envs_history")
    assert (old["config"], old["valid_to"] is None) == (None, False)
    assert (new["name"], json.loads(new["config"])["headQueue"]) == ("renamed", "short")

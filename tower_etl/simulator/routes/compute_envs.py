"""Compute environments in the shapes of the list, of a single object and of launches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tower_etl.simulator.data import load_json

if TYPE_CHECKING:
    from tower_etl.simulator.aggregates import Row
    from tower_etl.simulator.state import Workspace

_CONFIGS = load_json("compute_envs.json")

# Fields of single objects only, and fields that single objects share with the list.
_DETAIL_ONLY = (
    *("awsAccountId", "config", "dateCreated", "deleted", "fusionMetricsCollectionEnabled"),
    *("lastUpdated", "managedIdentityId", "orgId", "workspaceId"),
)
_SHARED = (
    *("credentialsId", "description", "id", "labels", "lastUsed", "message", "name", "platform"),
    *("primary", "resources", "status"),
)
_NOT_IN_LAUNCHES = frozenset({"awsAccountId", "managedIdentityId", "labels", "resources"})


def list_compute_env(row: Row) -> Row:
    """Return a compute environment in the shape of `/compute-envs`."""
    return {name: value for name, value in row.items() if name not in _DETAIL_ONLY}


def describe_compute_env(row: Row, workspace: Workspace) -> Row:
    """Return a compute environment in the shape of `/compute-envs/{id}`."""
    platform = str(row.get("platform"))
    config = {"discriminator": platform, "workDir": row.get("workDir")}
    derived = {
        "awsAccountId": "210987654321" if platform == "aws-batch" else None,
        "config": _CONFIGS["config"] | config | _CONFIGS["platforms"].get(platform, {}),
        "dateCreated": workspace.created,
        "deleted": False,
        "fusionMetricsCollectionEnabled": bool(row.get("fusion2Enabled")),
        "lastUpdated": workspace.created,
        "managedIdentityId": None,
        "orgId": workspace.org_id,
        "workspaceId": workspace.id,
    }
    return {name: row.get(name, derived.get(name)) for name in (*_SHARED, *_DETAIL_ONLY)}


def embed_compute_env(row: Row | None, workspace: Workspace) -> Row | None:
    """Return a compute environment in the shape of launches, None if the launch has none."""
    if row is None:
        return None
    described = describe_compute_env(row, workspace)
    return {name: value for name, value in described.items() if name not in _NOT_IN_LAUNCHES}

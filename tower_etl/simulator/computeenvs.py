"""Compute environments: what the list shows of one, what one call shows, and its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tower_etl.simulator import catalog

if TYPE_CHECKING:
    from tower_etl.simulator.directory import Workspace
    from tower_etl.simulator.runs import Row

# Fields that only the call for one compute environment shows, and those that only the list shows.
_OF_ONE = (
    *("awsAccountId", "config", "dateCreated", "deleted", "fusionMetricsCollectionEnabled"),
    *("lastUpdated", "managedIdentityId", "orgId", "workspaceId"),
)
_OF_BOTH = (
    *("credentialsId", "description", "id", "labels", "lastUsed", "message", "name", "platform"),
    *("primary", "resources", "status"),
)
# A launch shows neither the labels nor the machine of its compute environment.
_NOT_OF_LAUNCHES = frozenset({"awsAccountId", "managedIdentityId", "labels", "resources"})


def list_compute_env(row: Row) -> Row:
    """What `/compute-envs` shows of a compute environment."""
    return {name: value for name, value in row.items() if name not in _OF_ONE}


def describe_compute_env(row: Row, place: Workspace) -> Row:
    """What `/compute-envs/{id}` shows of it: its row, and what follows from its platform."""
    made = {
        "awsAccountId": "210987654321" if row.get("platform") == "aws-batch" else None,
        "config": make_config(row),
        "dateCreated": place.created,
        "deleted": False,
        "fusionMetricsCollectionEnabled": bool(row.get("fusion2Enabled")),
        "lastUpdated": place.created,
        "managedIdentityId": None,
        "orgId": place.org_id,
        "workspaceId": place.id,
    }
    return {name: row.get(name, made.get(name)) for name in (*_OF_BOTH, *_OF_ONE)}


def embed_compute_env(row: Row | None, place: Workspace) -> Row | None:
    """What a launch shows of its compute environment, None where it has none."""
    if row is None:
        return None
    described = describe_compute_env(row, place)
    return {name: value for name, value in described.items() if name not in _NOT_OF_LAUNCHES}


def make_config(row: Row) -> Row:
    """The settings of a compute environment, by its platform."""
    platform = str(row.get("platform"))
    config = {
        "discriminator": platform,
        "workDir": row.get("workDir"),
        "preRunScript": "export NXF_OPTS='-Xms1g -Xmx4g'\n",
        "postRunScript": None,
        "nextflowConfig": "process.resourceLimits = [cpus: 32, memory: 256.GB]\n",
        "environment": [
            {"name": "NXF_ANSI_LOG", "value": "false", "head": True, "compute": False},
            {"name": "LICENCE_TOKEN", "value": "sim-licence-0042", "head": True, "compute": True},
        ],
    }
    return config | _CONFIGS.get(platform, {})


_QUEUES = {platform.id: platform.queue for platform in catalog.PLATFORMS}
_CONFIGS: dict[str, Row] = {
    "aws-batch": {
        "region": "eu-west-1",
        "computeQueue": _QUEUES["aws-batch"],
        "headQueue": _QUEUES["aws-batch"].replace("-work", "-head"),
        "executionRole": "arn:aws:iam::210987654321:role/TowerForge-ExecutionRole",
        "fusion2Enabled": True,
        "waveEnabled": True,
        "headJobCpus": 2,
        "headJobMemoryMb": 4096,
        "volumes": [],
        "forge": {
            "type": "SPOT",
            "minCpus": 0,
            "maxCpus": 500,
            "instanceTypes": ["m6id", "r6id"],
            "gpuEnabled": False,
            "disposeOnDeletion": True,
        },
        "forgedResources": [{"IamRole": "arn:aws:iam::210987654321:role/TowerForge-HeadRole"}],
    },
    "google-batch": {
        "location": "europe-west1",
        "spot": True,
        "projectId": "sim-genomics",
        "machineType": "n2-standard-8",
        "bootDiskSizeGb": 50,
        "labels": {"managed-by": "platform"},
    },
    "slurm-platform": {
        "hostName": "login.sim.example.org",
        "port": 22,
        "userName": "nextflow",
        "launchDir": "/scratch/nextflow",
        "headQueue": "cpu_short",
        "computeQueue": _QUEUES["slurm-platform"],
        "headJobOptions": "--time=72:00:00",
        "maxQueueSize": 200,
    },
}

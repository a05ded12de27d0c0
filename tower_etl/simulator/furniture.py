"""What stands in a seeded world beside its runs: pipelines, compute environments, people, data."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from tower_etl.simulator import catalog
from tower_etl.simulator.people import let_in, populate

if TYPE_CHECKING:
    from tower_etl.simulator.catalog import Pipeline, Platform
    from tower_etl.simulator.directory import Directory, User, Workspace
    from tower_etl.simulator.runs import Row

_ID_LENGTH = 22
_PUBLIC_DATA = {
    "id": "v1-cloud-1000genomes",
    "name": "1000genomes",
    "resourceRef": "s3://1000genomes",
    "region": "us-east-1",
    "publicAccessible": True,
}


def furnish(world: Directory) -> None:
    """Fill every organisation and workspace of a world."""
    for org_id in world.organizations:
        populate(world, org_id)
    for place in list(world.workspaces.values()):
        if place.org_id is not None:
            let_in(world, place, place.org_id)
            _furnish_workspace(world, place)
    for entry in _list_audit_logs(world):
        world.add_entity("auditLogs", 0, **entry)


def _furnish_workspace(world: Directory, place: Workspace) -> None:
    for number, pipeline in enumerate(catalog.PIPELINES):
        row = _make_pipeline(world, place, number, pipeline)
        world.add_entity("pipelines", place.id, **row)
        for version in _list_versions(row, pipeline):
            world.add_entity("pipelineVersions", row["pipelineId"], **version)
    for platform in catalog.PLATFORMS:
        world.add_entity("computeEnvs", place.id, **_make_compute_env(place, platform))
        world.add_entity("credentials", place.id, **_make_credentials(place, platform))
    world.add_entity("datasets", place.id, **_make_dataset(world, place))
    world.add_entity("datasetVersions", place.id, **_make_dataset_version(world, place))
    world.add_entity("dataLinks", place.id, **_make_data_link(place))
    world.add_entity("dataLinks", place.id, **(_make_data_link(place) | _PUBLIC_DATA))
    world.add_entity("pipelineSecrets", place.id, **_make_secret(place))
    world.add_entity("actions", place.id, **_make_action(place))
    world.add_entity("studios", place.id, **_make_studio(world, place))


def make_pipeline_id(key: int, number: int) -> int:
    """The id of a pipeline of the catalogue in a workspace."""
    return key % 1_000_003 * 100 + number


def _list_versions(row: Row, pipeline: Pipeline) -> list[Row]:
    """A pipeline once for each of its versions; the newest is the default."""
    return [
        row
        | {
            "version": row["version"]
            | _name_version(row, name, default=name == pipeline.revisions[-1])
        }
        for name in pipeline.revisions
    ]


def _name_version(row: Row, name: str, *, default: bool) -> Row:
    digest = hashlib.sha256(f"{row['pipelineId']}:{name}".encode()).hexdigest()
    return {"id": digest[:_ID_LENGTH], "name": name, "hash": digest, "isDefault": default}


def _make_id(place: Workspace, text: str) -> str:
    return hashlib.sha256(f"{place.key}:{text}".encode()).hexdigest()[:_ID_LENGTH]


def _describe_user(user: User) -> Row:
    return {"id": user.id, "userName": user.name, "email": f"{user.name}@example.org"}


def _make_pipeline(world: Directory, place: Workspace, number: int, pipeline: Pipeline) -> Row:
    owner = world.owner()
    org_id = place.org_id
    row: Row = {
        "pipelineId": make_pipeline_id(place.key, number),
        "name": pipeline.name.replace("/", "-"),
        "description": pipeline.description,
        "icon": None,
        "repository": f"https://github.com/{pipeline.name}",
        "userId": owner.id,
        "userName": owner.name,
        "orgId": org_id,
        "orgName": None if org_id is None else world.organizations[org_id]["name"],
        "workspaceId": place.id,
        "workspaceName": place.name,
        "visibility": place.visibility,
        "deleted": False,
        "lastUpdated": place.created,
        "labels": [],
        "computeEnv": {
            "id": _make_id(place, f"compute:{catalog.PLATFORMS[0].id}"),
            "name": f"{catalog.PLATFORMS[0].executor}-{place.name}",
            "platform": catalog.PLATFORMS[0].id,
            "region": catalog.PLATFORMS[0].region,
        },
    }
    row["version"] = _make_version(owner, place) | _name_version(
        row, pipeline.revisions[-1], default=True
    )
    return row


def _make_version(owner: User, place: Workspace) -> Row:
    return {
        "creatorUserId": owner.id,
        "creatorUserName": owner.name,
        **dict.fromkeys(("creatorFirstName", "creatorLastName", "creatorAvatarUrl")),
        "dateCreated": place.created,
        "lastUpdated": place.created,
    }


def _make_compute_env(place: Workspace, platform: Platform) -> Row:
    return {
        "id": _make_id(place, f"compute:{platform.id}"),
        "name": f"{platform.executor}-{place.name}",
        "platform": platform.id,
        "status": "AVAILABLE",
        "message": None,
        "lastUsed": place.created,
        "primary": platform is catalog.PLATFORMS[0],
        "workspaceName": place.name,
        "visibility": place.visibility,
        "workDir": f"s3://sim-{platform.region or 'hpc'}/scratch",
        "credentialsId": _make_id(place, f"credentials:{platform.id}"),
        "region": platform.region or None,
        "labels": [],
        "resources": {"cpus": 8, "memory": 32_768, "gpus": 0, "diskSize": 100},
        "description": None,
        "schedEnabled": False,
        "fusion2Enabled": True,
        "waveEnabled": True,
    }


def _make_credentials(place: Workspace, platform: Platform) -> Row:
    provider = platform.id.partition("-")[0]
    return {
        "id": _make_id(place, f"credentials:{platform.id}"),
        "name": f"{provider}-{place.name}",
        "description": None,
        "provider": {"slurm": "ssh"}.get(provider, provider),
        "baseUrl": None,
        "category": None,
        "deleted": None,
        "lastUsed": place.created,
        "dateCreated": place.created,
        "lastUpdated": place.created,
        "keys": None,
        "status": "AVAILABLE",
        "message": None,
        "lastValidated": None,
    }


def _make_dataset(world: Directory, place: Workspace) -> Row:
    return {
        "id": _make_id(place, "dataset"),
        "name": f"samplesheet-{place.name}",
        "description": "Samples of the current study",
        "mediaType": "text/csv",
        "version": 1,
        "deleted": False,
        "hidden": False,
        "dateCreated": place.created,
        "lastUpdated": place.created,
        "organizationId": place.org_id,
        "workspaceId": place.id,
        "user": _describe_user(world.owner()),
        "labels": [],
        "sourceType": "UPLOADED",
    }


def _make_data_link(place: Workspace) -> Row:
    return {
        "id": f"v1-cloud-{_make_id(place, 'data-link')}",
        "name": f"sim-data-{place.name}",
        "description": None,
        "resourceRef": f"s3://sim-data-{place.name}",
        "type": "bucket",
        "provider": "aws",
        "region": "eu-west-1",
        "credentials": [],
        "publicAccessible": False,
        "hidden": False,
        "status": None,
        "message": None,
    }


def _make_action(place: Workspace) -> Row:
    return {
        "id": _make_id(place, "action"),
        "name": f"nightly-{place.name}",
        "pipeline": "https://github.com/nf-core/rnaseq",
        "source": "tower",
        "status": "ACTIVE",
        "lastSeen": None,
        "dateCreated": place.created,
        "event": None,
        "endpoint": None,
        "labels": [],
        "nextExecution": None,
    }


def _make_studio(world: Directory, place: Workspace) -> Row:
    return {
        "sessionId": _make_id(place, "studio")[:8],
        "workspaceId": place.id,
        "name": f"notebook-{place.name}",
        "description": None,
        "studioUrl": None,
        "user": _describe_user(world.owner()),
        "dateCreated": place.created,
        "lastUpdated": place.created,
        "lastStarted": None,
        "isPrivate": True,
        "allowedUsers": [_describe_user(user) for user in list(world.users.values())[1:2]],
        "statusInfo": {"status": "stopped", "message": "", "lastUpdate": place.created},
        "labels": [],
        "mountedDataLinks": [],
        "progress": [],
    }


def _make_dataset_version(world: Directory, place: Workspace) -> Row:
    return {
        "datasetId": _make_id(place, "dataset"),
        "datasetName": f"samplesheet-{place.name}",
        "datasetDescription": "Samples of the current study",
        "workspaceId": place.id,
        "version": 1,
        "fileName": "samplesheet.csv",
        "fileSize": 4096,
        "mediaType": "text/csv",
        "hasHeader": True,
        "url": None,
        "disabled": False,
        "dateCreated": place.created,
        "lastUpdated": place.created,
        "createdBy": _describe_user(world.owner()),
        "linkedSource": None,
    }


def _make_secret(place: Workspace) -> Row:
    return {
        "id": place.key % 1_000_003 + 7,
        "name": "LICENCE_SERVER",
        "lastUsed": None,
        "dateCreated": place.created,
        "lastUpdated": place.created,
    }


def _list_audit_logs(world: Directory) -> list[Row]:
    """An entry for each workspace that was made, the newest first."""
    places = [place for place in world.workspaces.values() if place.org_id is not None]
    return [_make_audit_log(world, place) for place in reversed(places)]


def _make_audit_log(world: Directory, place: Workspace) -> Row:
    owner, org_id = world.owner(), place.org_id or 0
    organization = {"id": org_id, "name": world.organizations[org_id]["name"]}
    return {
        "id": _make_id(place, "audit"),
        "timestamp": place.created,
        "event": "workspace_created",
        "correlationId": _make_id(place, "correlation"),
        "actor": {"type": "user", "userId": owner.id, "userName": owner.name, "isRoot": True},
        "client": {"ip": "192.0.2.1", "userAgent": "sim", "accessTokenId": None},
        "target": {
            "type": "workspace",
            "id": str(place.id),
            "name": place.name,
            "context": "Organization",
            "organization": organization,
            "workspace": {"id": place.id, "name": place.name},
            "user": None,
            "state": None,
        },
    }

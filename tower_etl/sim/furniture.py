"""What stands in a seeded world beside its runs: pipelines, compute environments, people, data."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from tower_etl.sim import catalog

if TYPE_CHECKING:
    from tower_etl.sim.catalog import Pipeline, Platform
    from tower_etl.sim.directory import Directory, User, Workspace
    from tower_etl.sim.runs import Row

_ID_LENGTH = 22


def furnish(world: Directory) -> None:
    """Fill every organisation and workspace of a world."""
    for org_id in world.organizations:
        for user in world.users.values():
            world.add_entity("members", org_id, **_make_member(user))
        for number, name in enumerate(("bioinformatics", "platform")):
            world.add_entity("teams", org_id, **_make_team(org_id, number, name))
    for place in list(world.workspaces.values()):
        if place.org_id is not None:
            _furnish_workspace(world, place)


def _furnish_workspace(world: Directory, place: Workspace) -> None:
    for number, pipeline in enumerate(catalog.PIPELINES):
        row = _make_pipeline(world, place, number, pipeline)
        world.add_entity("pipelines", place.id, **row)
    for platform in catalog.PLATFORMS:
        world.add_entity("computeEnvs", place.id, **_make_compute_env(place, platform))
        world.add_entity("credentials", place.id, **_make_credentials(place, platform))
    for user in world.users.values():
        world.add_entity("participants", place.id, **_make_participant(place, user))
    world.add_entity("datasets", place.id, **_make_dataset(world, place))
    world.add_entity("dataLinks", place.id, **_make_data_link(place))
    world.add_entity("actions", place.id, **_make_action(place))
    world.add_entity("studios", place.id, **_make_studio(world, place))


def _make_id(place: Workspace, text: str) -> str:
    return hashlib.sha256(f"{place.key}:{text}".encode()).hexdigest()[:_ID_LENGTH]


def _describe_user(user: User) -> Row:
    return {"id": user.id, "userName": user.name, "email": f"{user.name}@example.org"}


def _make_member(user: User) -> Row:
    return {
        "memberId": 500_000 + user.id,
        "userId": user.id,
        "userName": user.name,
        "email": f"{user.name}@example.org",
        "firstName": user.name.partition("-")[0].title(),
        "lastName": user.name.partition("-")[2].title(),
        "avatar": None,
        "role": "member",
    }


def _make_team(org_id: int, number: int, name: str) -> Row:
    return {
        "teamId": org_id % 1_000_003 * 10 + number,
        "name": name,
        "description": f"The {name} team",
        "avatarUrl": None,
        "membersCount": 4 + number,
        "idpGroupId": None,
        "idpGroupName": None,
    }


def _make_participant(place: Workspace, user: User) -> Row:
    return {
        "participantId": place.key % 1_000_003 * 1000 + user.id % 1000,
        "memberId": 500_000 + user.id,
        "userName": user.name,
        "firstName": user.name.partition("-")[0].title(),
        "lastName": user.name.partition("-")[2].title(),
        "email": f"{user.name}@example.org",
        "orgRole": "member",
        "teamId": None,
        "teamName": None,
        "wspRole": "launch",
        "type": "MEMBER",
        "teamAvatarUrl": None,
        "userAvatarUrl": None,
    }


def _make_pipeline(world: Directory, place: Workspace, number: int, pipeline: Pipeline) -> Row:
    owner = world.owner()
    org_id = place.org_id
    return {
        "pipelineId": place.key % 1_000_003 * 100 + number,
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
        "labels": None,
        "computeEnv": None,
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
        "labels": None,
        "resources": None,
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
        "labels": None,
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
        "labels": None,
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
        "isPrivate": False,
        "statusInfo": {"status": "stopped", "message": "", "lastUpdate": place.created},
        "labels": [],
        "mountedDataLinks": [],
        "progress": [],
    }

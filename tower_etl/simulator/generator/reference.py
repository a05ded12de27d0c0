"""Reference data of generated worlds: people, pipelines, compute environments, data."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from tower_etl.simulator.data import fill, load_json
from tower_etl.simulator.generator import catalog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tower_etl.simulator.aggregates import Row
    from tower_etl.simulator.events import World
    from tower_etl.simulator.generator.catalog import Pipeline, Platform
    from tower_etl.simulator.state import User, Workspace

_TEMPLATES = load_json("reference.json")
_ID_LENGTH = 22
_TEAMS = ("bioinformatics", "platform")
_OF_WORKSPACES = ("datasets", "datasetVersions", "pipelineSecrets", "actions", "studios")


def _make(kind: str, values: Row) -> Row:
    row: Row = fill(_TEMPLATES[kind], values)
    return row


def add_reference_data(world: World) -> None:
    """Add reference data to every organization and workspace of a world."""
    for org_id in world.organizations:
        add_members(world, org_id)
    shared = [entry for entry in world.workspaces.values() if entry.org_id is not None]
    for workspace in shared:
        add_participants(world, workspace)
        _add_pipelines(world, workspace)
        _add_platforms(world, workspace)
        _add_data(world, workspace)
    for workspace in reversed(shared):
        world.add_entity("auditLogs", 0, **_make("audit_log", _values(world, workspace)))


def add_members(world: World, org_id: int) -> None:
    """Add members, teams and a collaborator to an organization."""
    for user in world.users.values():
        world.add_entity("members", org_id, **_make("member", _member_values(user, org_id)))
    collaborator = _make("collaborator", {"collaborator_id": 900_000 + org_id % 1000})
    world.add_entity("collaborators", org_id, **collaborator)
    for number, name in enumerate(_TEAMS):
        crew = [user for user in world.users.values() if user.id % len(_TEAMS) == number]
        team_id = _team_id(org_id, number)
        values = {"team_id": team_id, "team_name": name, "team_size": len(crew)}
        world.add_entity("teams", org_id, **_make("team", values))
        for user in crew:
            member = _make("member", _member_values(user, org_id))
            world.add_entity("teamMembers", team_id, **member)


def add_participants(world: World, workspace: Workspace) -> None:
    """Add every user and the first team to the participants of a workspace."""
    first_id = workspace.key % 1_000_003 * 1000
    for user in world.users.values():
        person = _member_values(user, workspace.org_id or 0)
        values = person | {"participant_id": first_id + user.id % 1000}
        world.add_entity("participants", workspace.id, **_make("participant", values))
    team = {"team_id": _team_id(workspace.org_id or 0, 0), "team_name": _TEAMS[0]}
    row = _make("team_participant", team | {"participant_id": first_id + 999})
    world.add_entity("participants", workspace.id, **row)


def make_pipeline_id(key: int, number: int) -> int:
    """Return the id of a pipeline of the catalog in a workspace."""
    return key % 1_000_003 * 100 + number


def _add_pipelines(world: World, workspace: Workspace) -> None:
    values = _values(world, workspace) | _platform_values(workspace, catalog.PLATFORMS[0])
    for number, pipeline in enumerate(catalog.PIPELINES):
        pipeline_id = make_pipeline_id(workspace.key, number)
        rows = list(_iter_versions(values | {"pipeline_id": pipeline_id}, pipeline))
        world.add_entity("pipelines", workspace.id, **rows[-1])
        for row in rows:
            world.add_entity("pipelineVersions", pipeline_id, **row)


def _iter_versions(values: Row, pipeline: Pipeline) -> Iterator[Row]:
    """Iterate over the versions of a pipeline; the newest is the last and the default."""
    described = {
        "pipeline_slug": pipeline.name.replace("/", "-"),
        "pipeline_name": pipeline.name,
        "pipeline_description": pipeline.description,
    }
    for name in pipeline.revisions:
        digest = hashlib.sha256(f"{values['pipeline_id']}:{name}".encode()).hexdigest()
        version = {"version_id": digest[:_ID_LENGTH], "version_name": name, "version_hash": digest}
        default = {"is_default": name == pipeline.revisions[-1]}
        yield _make("pipeline", values | described | version | default)


def _add_platforms(world: World, workspace: Workspace) -> None:
    for platform in catalog.PLATFORMS:
        values = _values(world, workspace) | _platform_values(workspace, platform)
        world.add_entity("computeEnvs", workspace.id, **_make("compute_env", values))
        world.add_entity("credentials", workspace.id, **_make("credentials", values))


def _add_data(world: World, workspace: Workspace) -> None:
    values = _values(world, workspace)
    link = _make("dataLinks", values)
    world.add_entity("dataLinks", workspace.id, **link)
    world.add_entity("dataLinks", workspace.id, **(link | _TEMPLATES["public_data_link"]))
    for kind in _OF_WORKSPACES:
        world.add_entity(kind, workspace.id, **_make(kind, values))


def _values(world: World, workspace: Workspace) -> Row:
    org_id = workspace.org_id or 0
    users = [_make("user", _user_values(user)) for user in world.users.values()]
    ids = {name: _make_id(workspace, name) for name in ("dataset", "action", "audit")}
    return _user_values(world.owner()) | {
        "created": workspace.created,
        "workspace_id": workspace.id,
        "workspace_id_text": str(workspace.id),
        "workspace_name": workspace.name,
        "visibility": workspace.visibility,
        "org_id": org_id,
        "org_name": world.organizations[org_id]["name"],
        "user": _make("user", _user_values(world.owner())),
        "second_user": users[1:2],
        **{f"{name}_id": digest for name, digest in ids.items()},
        "data_link_id": _make_id(workspace, "data-link"),
        "correlation_id": _make_id(workspace, "correlation"),
        "studio_id": _make_id(workspace, "studio")[:8],
        "secret_id": workspace.key % 1_000_003 + 7,
    }


def _platform_values(workspace: Workspace, platform: Platform) -> Row:
    prefix = platform.id.partition("-")[0]
    return {
        "compute_env_id": _make_id(workspace, f"compute:{platform.id}"),
        "credentials_id": _make_id(workspace, f"credentials:{platform.id}"),
        "executor": platform.executor,
        "platform": platform.id,
        "region": platform.region or None,
        "storage": platform.region or "hpc",
        "is_primary": platform is catalog.PLATFORMS[0],
        "provider_prefix": prefix,
        "provider": {"slurm": "ssh"}.get(prefix, prefix),
    }


def _member_values(user: User, org_id: int) -> Row:
    """Return the values of a user with the id of the membership in an organization."""
    return _user_values(user) | {"member_id": org_id % 1_000_003 * 1000 + user.id % 1000}


def _user_values(user: User) -> Row:
    first, _, last = user.name.partition("-")
    return {
        "user_id": user.id,
        "user_name": user.name,
        "first_name": first.title(),
        "last_name": last.title(),
    }


def _team_id(org_id: int, number: int) -> int:
    return org_id % 1_000_003 * 10 + number


def _make_id(workspace: Workspace, text: str) -> str:
    return hashlib.sha256(f"{workspace.key}:{text}".encode()).hexdigest()[:_ID_LENGTH]

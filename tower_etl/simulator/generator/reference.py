"""Reference data of generated worlds: people, pipelines, compute environments, data."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from tower_etl.simulator.data import fill, load_json
from tower_etl.simulator.generator.specs import PIPELINES, PLATFORMS

if TYPE_CHECKING:
    from tower_etl.simulator.aggregates import Row
    from tower_etl.simulator.events import World
    from tower_etl.simulator.generator.specs import Pipeline, Platform
    from tower_etl.simulator.state import User, Workspace

_TEMPLATES = load_json("reference.json")
_ID_LENGTH = 22
_TEAMS = ("bioinformatics", "platform")
_OF_WORKSPACES = ("datasets", "datasetVersions", "pipelineSecrets", "actions", "studios")


def _make(kind: str, values: Row) -> Row:
    return fill(_TEMPLATES[kind], values)


def add_reference_data(world: World) -> None:
    """Add reference data to every organization and workspace of a world."""
    for org_id in world.organizations:
        _add_members(world, org_id)
    shared = [entry for entry in world.workspaces.values() if entry.org_id is not None]
    for workspace in shared:
        values = _workspace_values(world, workspace)
        _add_participants(world, workspace)
        _add_pipelines(world, workspace, values)
        for platform in PLATFORMS:
            described = values | _platform_values(workspace, platform)
            world.add_entity("computeEnvs", workspace.id, **_make("compute_env", described))
            world.add_entity("credentials", workspace.id, **_make("credentials", described))
        link = _make("dataLinks", values)
        for row in (link, link | _TEMPLATES["public_data_link"]):
            world.add_entity("dataLinks", workspace.id, **row)
        for kind in _OF_WORKSPACES:
            world.add_entity(kind, workspace.id, **_make(kind, values))
    for workspace in reversed(shared):
        row = _make("audit_log", _workspace_values(world, workspace))
        world.add_entity("auditLogs", 0, **row)


def _add_members(world: World, org_id: int) -> None:
    """Add members, teams and a collaborator to an organization."""
    members = {user: _make("member", _member_values(user, org_id)) for user in world.users.values()}
    for row in members.values():
        world.add_entity("members", org_id, **row)
    collaborator = _make("collaborator", {"collaborator_id": 900_000 + org_id % 1000})
    world.add_entity("collaborators", org_id, **collaborator)
    for number, name in enumerate(_TEAMS):
        crew = [row for user, row in members.items() if user.id % len(_TEAMS) == number]
        team_id = _team_id(org_id, number)
        values = {"team_id": team_id, "team_name": name, "team_size": len(crew)}
        world.add_entity("teams", org_id, **_make("team", values))
        for row in crew:
            world.add_entity("teamMembers", team_id, **row)


def _add_participants(world: World, workspace: Workspace) -> None:
    """Add every user and the first team to the participants of a workspace."""
    first_id, org_id = workspace.key % 1_000_003 * 1000, workspace.org_id or 0
    for user in world.users.values():
        values = {"participant_id": first_id + user.id % 1000}
        row = _make("participant", values | _member_values(user, org_id))
        world.add_entity("participants", workspace.id, **row)
    values = {"participant_id": first_id + 999, "team_id": _team_id(org_id, 0)}
    row = _make("team_participant", values | {"team_name": _TEAMS[0]})
    world.add_entity("participants", workspace.id, **row)


def make_pipeline_id(key: int, number: int) -> int:
    """Return the id of a pipeline, by its number, in a workspace."""
    return key % 1_000_003 * 100 + number


def _add_pipelines(world: World, workspace: Workspace, values: Row) -> None:
    described = values | _platform_values(workspace, PLATFORMS[0])
    for number, pipeline in enumerate(PIPELINES):
        pipeline_id = make_pipeline_id(workspace.key, number)
        rows = _list_versions(described | {"pipeline_id": pipeline_id}, pipeline)
        world.add_entity("pipelines", workspace.id, **rows[-1])
        for row in rows:
            world.add_entity("pipelineVersions", pipeline_id, **row)


def _list_versions(values: Row, pipeline: Pipeline) -> list[Row]:
    """Return the versions of a pipeline; the newest is the last and the default."""
    described = values | {"pipeline": pipeline, "pipeline_slug": pipeline.name.replace("/", "-")}
    rows = []
    for name in pipeline.revisions:
        digest = hashlib.sha256(f"{values['pipeline_id']}:{name}".encode()).hexdigest()
        version = {"version_id": digest[:_ID_LENGTH], "version_name": name, "version_hash": digest}
        default = {"is_default": name == pipeline.revisions[-1]}
        rows.append(_make("pipeline", described | version | default))
    return rows


def _workspace_values(world: World, workspace: Workspace) -> Row:
    org_id = workspace.org_id or 0
    users = [_make("user", {"user": user}) for user in world.users.values()]
    return {
        "user": world.owner(),
        "workspace": workspace,
        "workspace_id_text": str(workspace.id),
        "org_name": world.organizations[org_id]["name"],
        "creator": users[0],
        "second_user": users[1:2],
        "dataset_id": _make_id(workspace, "dataset"),
        "action_id": _make_id(workspace, "action"),
        "audit_id": _make_id(workspace, "audit"),
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
        "platform": platform,
        "region": platform.region or None,
        "storage": platform.region or "hpc",
        "is_primary": platform is PLATFORMS[0],
        "provider_prefix": prefix,
        "provider": {"slurm": "ssh"}.get(prefix, prefix),
    }


def _member_values(user: User, org_id: int) -> Row:
    first, _, last = user.name.partition("-")
    return {
        "user": user,
        "first_name": first.title(),
        "last_name": last.title(),
        "member_id": org_id % 1_000_003 * 1000 + user.id % 1000,
    }


def _team_id(org_id: int, number: int) -> int:
    return org_id % 1_000_003 * 10 + number


def _make_id(workspace: Workspace, text: str) -> str:
    return hashlib.sha256(f"{workspace.key}:{text}".encode()).hexdigest()[:_ID_LENGTH]

"""Where runs belong: `organizations` and `workspaces`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tower_etl.lossless import to_json
from tower_etl.schema.records import as_objects
from tower_etl.schema.table import TableSpec
from tower_etl.schema.types import (
    INTEGER,
    ApiObject,
    ColumnSpec,
    local_column,
    missing_since,
    undocumented,
    workspace_id,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pyarrow as pa


ORGANIZATION = ApiObject("OrganizationDbDto")
WORKSPACE = ApiObject("WorkspaceDbDto")
MEMBERSHIP = ApiObject("OrgAndWorkspaceDto")
QUOTAS = ApiObject("OrganizationQuotas")

ORGANIZATIONS = TableSpec(
    name="organizations",
    key=("org_id",),
    columns=(
        ORGANIZATION.integer("orgId", "Identifier of the organisation.", key=True),
        workspace_id("Always null: an organisation stands above workspaces."),
        ORGANIZATION.text("name", "Name of the organisation, as in addresses."),
        ORGANIZATION.text("fullName", "Full name of the organisation."),
        ORGANIZATION.text("description", "What the organisation is."),
        ORGANIZATION.text("location", "Where the organisation is."),
        ORGANIZATION.text("website", "Website of the organisation."),
        ORGANIZATION.text("logoId", "Identifier of the logo."),
        ORGANIZATION.text("logoUrl", "Address of the logo."),
        ORGANIZATION.text("type", "Plan: academic, evaluating, pro, basic or internal."),
        ORGANIZATION.boolean("paying", "Whether the organisation pays; deprecated by the API."),
        ORGANIZATION.integer("memberId", "Membership of the owner of the token."),
        ORGANIZATION.text(
            "memberRole", "Role of the owner of the token: owner, member or collaborator."
        ),
        missing_since(),
        undocumented(),
    ),
    description="Organisations that the token can see.",
    grain="One row per organisation.",
    source="GET /orgs",
)

ORGANIZATION_QUOTAS = TableSpec(
    name="organization_quotas",
    key=("org_id",),
    columns=(
        local_column("org_id", INTEGER, "Organisation (`organizations.org_id`).", key=True),
        workspace_id("Always null: quotas belong to an organisation, not to a workspace."),
        QUOTAS.integer(
            "maxRunHistory", "Most runs that the platform keeps; older ones are deleted.", "runs"
        ),
        QUOTAS.integer("maxRuns", "Most runs of the organisation.", "runs"),
        QUOTAS.integer("maxMembers", "Most members.", "members"),
        QUOTAS.integer("maxTeams", "Most teams.", "teams"),
        QUOTAS.integer("maxWorkspaces", "Most workspaces.", "workspaces"),
        QUOTAS.integer(
            "maxParticipantsPerWorkspace", "Most participants of a workspace.", "participants"
        ),
        QUOTAS.integer("maxPipelinesPerWorkspace", "Most pipelines of a workspace.", "pipelines"),
        QUOTAS.integer("maxDatasetsPerWorkspace", "Most datasets of a workspace.", "datasets"),
        QUOTAS.integer("maxVersionsPerDataset", "Most versions of a dataset.", "versions"),
        QUOTAS.integer("maxLabelsPerWorkspace", "Most labels of a workspace.", "labels"),
        QUOTAS.integer("maxCustomRolesPerOrg", "Most roles of its own.", "roles"),
        QUOTAS.integer("maxDataStudiosRunning", "Most studios that run at once.", "studios"),
        QUOTAS.integer(
            "maxSeqeraComputeComputeEnvs",
            "Most compute environments of Seqera Compute.",
            "compute environments",
        ),
        QUOTAS.integer("maxFusionThroughputBytes", "Fusion throughput allowed.", "bytes"),
        undocumented(),
    ),
    description="Quotas of organisations, such as the number of runs that the platform keeps.",
    grain="One row per organisation.",
    source="GET /orgs/{orgId}/quotas",
)

WORKSPACES = TableSpec(
    name="workspaces",
    key=("id",),
    columns=(
        WORKSPACE.integer("id", "Identifier of the workspace.", key=True),
        ColumnSpec(
            "workspace_id",
            INTEGER,
            ("workspaceId",),
            "The same as `id`, as in every table.",
            unit=None,
            source="OrgAndWorkspaceDto.workspaceId",
        ),
        WORKSPACE.text("name", "Name of the workspace, as in addresses."),
        WORKSPACE.text("fullName", "Full name of the workspace."),
        WORKSPACE.text("description", "What the workspace is for."),
        WORKSPACE.text("visibility", "Who sees it: PRIVATE or SHARED (all of the organisation)."),
        MEMBERSHIP.integer("orgId", "Organisation of the workspace (`organizations.org_id`)."),
        MEMBERSHIP.text("orgName", "Name of the organisation."),
        MEMBERSHIP.text("orgLogoUrl", "Address of the logo of the organisation."),
        MEMBERSHIP.text(
            "orgType", "Plan of the organisation: academic, evaluating, pro, basic or internal."
        ),
        MEMBERSHIP.json("roles", "Roles of the owner of the token there, a JSON list."),
        missing_since(),
        undocumented(),
    ),
    description="Workspaces that the token can see; the personal one has no row.",
    grain="One row per workspace.",
    source="GET /user/{userId}/workspaces, and GET /orgs/{orgId}/workspaces",
)

_RENAMED = {"workspaceName": "name", "workspaceFullName": "fullName"}
"""Fields of OrgAndWorkspaceDto that WorkspaceDbDto knows by another name."""


def organization_rows(organizations: Iterable[object]) -> pa.Table:
    """Build `organizations` from OrganizationDbDto objects."""
    return ORGANIZATIONS.build(organizations, workspace_id=None)


def workspace_rows(seen: Iterable[object], described: Iterable[object] = ()) -> pa.Table:
    """Build `workspaces`.

    Args:
        seen: OrgAndWorkspaceDto objects of GET /user/{userId}/workspaces; those without a workspace
            are organisations and give no row.
        described: WorkspaceDbDto objects of GET /orgs/{orgId}/workspaces for the same workspaces,
            where they were asked for; they know the description.
    """
    records: dict[str, dict[str, Any]] = {}
    for entry in as_objects(seen):
        if entry.get("workspaceId") is not None:
            records[to_json(entry["workspaceId"])] = _rename(entry)
    for workspace in as_objects(described):
        key = workspace.get("id")
        records[to_json(key)] = records.get(to_json(key), {"workspaceId": key}) | workspace
    return WORKSPACES.build(records.values())


def _rename(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Name the fields as WorkspaceDbDto does."""
    renamed = {_RENAMED.get(field, field): value for field, value in entry.items()}
    return {"id": entry["workspaceId"], **renamed}


MEMBER = ApiObject("MemberDbDto")
TEAM = ApiObject("TeamDbDto")
PARTICIPANT = ApiObject("ParticipantResponseDto")
RUN = ApiObject("WorkflowDbDto")

_ABOVE = "Always null: {} stands above workspaces."


def _org_id() -> ColumnSpec:
    return local_column("org_id", INTEGER, "Organisation (`organizations.org_id`).")


def _member_columns() -> tuple[ColumnSpec, ...]:
    return (
        MEMBER.integer("memberId", "Identifier of the membership.", key=True),
        MEMBER.integer("userId", "Identifier of the user."),
        MEMBER.text("userName", "Name of the user."),
        MEMBER.text("email", "Address of the user."),
        MEMBER.text("firstName", "First name of the user."),
        MEMBER.text("lastName", "Last name of the user."),
        MEMBER.text("avatar", "Address of the picture of the user."),
        MEMBER.text("role", "Role in the organisation: owner, member or collaborator."),
        missing_since(),
        undocumented(),
    )


MEMBERS = TableSpec(
    name="members",
    key=("member_id",),
    columns=(_org_id(), workspace_id(_ABOVE.format("a membership")), *_member_columns()),
    description="Members of organisations.",
    grain="One row per member of an organisation.",
    source="GET /orgs/{orgId}/members",
)

COLLABORATORS = TableSpec(
    name="collaborators",
    key=("member_id",),
    columns=(_org_id(), workspace_id(_ABOVE.format("a membership")), *_member_columns()),
    description="Collaborators: users who see single workspaces of an organisation.",
    grain="One row per collaborator of an organisation.",
    source="GET /orgs/{orgId}/collaborators",
)

TEAMS = TableSpec(
    name="teams",
    key=("team_id",),
    columns=(
        TEAM.integer("teamId", "Identifier of the team.", key=True),
        _org_id(),
        workspace_id(_ABOVE.format("a team")),
        TEAM.text("name", "Name of the team."),
        TEAM.text("description", "What the team is."),
        TEAM.integer("membersCount", "Members of the team.", "members"),
        TEAM.text("avatarUrl", "Address of the picture of the team."),
        TEAM.integer("idpGroupId", "Group of the identity provider that fills the team."),
        TEAM.text("idpGroupName", "Name of that group."),
        missing_since(),
        undocumented(),
    ),
    description="Teams of organisations.",
    grain="One row per team.",
    source="GET /orgs/{orgId}/teams",
)

TEAM_MEMBERS = TableSpec(
    name="team_members",
    key=("team_id", "member_id"),
    columns=(
        local_column("team_id", INTEGER, "Team (`teams.team_id`).", key=True),
        _org_id(),
        workspace_id(_ABOVE.format("a team")),
        *_member_columns(),
    ),
    description="Who is in which team.",
    grain="One row per team and member of it.",
    source="GET /orgs/{orgId}/teams/{teamId}/members",
)

PARTICIPANTS = TableSpec(
    name="participants",
    key=("participant_id",),
    columns=(
        PARTICIPANT.integer("participantId", "Identifier of the participation.", key=True),
        workspace_id("Workspace that is open to the participant (`workspaces.id`)."),
        _org_id(),
        PARTICIPANT.text("type", "What participates: MEMBER, TEAM or COLLABORATOR."),
        PARTICIPANT.text(
            "wspRole", "Role in the workspace: owner, admin, maintain, launch, connect or view."
        ),
        PARTICIPANT.text("orgRole", "Role in the organisation: owner, member or collaborator."),
        PARTICIPANT.integer("memberId", "Membership of the user (`members.member_id`)."),
        PARTICIPANT.text("userName", "Name of the user; null for a team."),
        PARTICIPANT.text("email", "Address of the user."),
        PARTICIPANT.text("firstName", "First name of the user."),
        PARTICIPANT.text("lastName", "Last name of the user."),
        PARTICIPANT.text("userAvatarUrl", "Address of the picture of the user."),
        PARTICIPANT.integer("teamId", "Team (`teams.team_id`); null for a user."),
        PARTICIPANT.text("teamName", "Name of the team."),
        PARTICIPANT.text("teamAvatarUrl", "Address of the picture of the team."),
        missing_since(),
        undocumented(),
    ),
    description="Who may enter a workspace, in which role.",
    grain="One row per user or team and workspace.",
    source="GET /orgs/{orgId}/workspaces/{workspaceId}/participants",
)

USERS = TableSpec(
    name="users",
    key=("id",),
    columns=(
        ColumnSpec(
            "id",
            INTEGER,
            ("ownerId",),
            "Identifier of the user, `owner_id` of their runs.",
            unit=None,
            source="WorkflowDbDto.ownerId",
            nullable=False,
        ),
        workspace_id(_ABOVE.format("a user")),
        RUN.text("userName", "Name of the user, as the run fetched last has it."),
    ),
    description="Users who launched runs; what else is known of them is in `members`.",
    grain="One row per user.",
    source="GET /workflow/{workflowId}",
)


def user_rows(runs: Iterable[Mapping[str, object]]) -> pa.Table:
    """Build `users` from rows of `workflows`; a run that names no user gives no row."""
    users = ({"ownerId": run["owner_id"], "userName": run["user_name"]} for run in runs)
    return USERS.build(user for user in users if user["ownerId"] is not None)

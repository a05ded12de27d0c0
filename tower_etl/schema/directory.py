"""Tables of organizations, workspaces and people: members, teams, participants and users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tower_etl.lossless import to_json
from tower_etl.schema.convert import as_objects
from tower_etl.schema.table import define_table
from tower_etl.schema.types import LOCAL, MISSING_SINCE, UNDOCUMENTED, ApiObject

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pyarrow as pa


ORGANIZATION = ApiObject("OrganizationDbDto")
WORKSPACE = ApiObject("WorkspaceDbDto")
MEMBERSHIP = ApiObject("OrgAndWorkspaceDto")
QUOTAS = ApiObject("OrganizationQuotas")

ORGANIZATIONS = define_table(
    "organizations",
    ORGANIZATION.integer("orgId", "Identifier of the organization.", key=True),
    LOCAL.integer("workspace_id", "Always null: an organization does not belong to a workspace."),
    ORGANIZATION.text("name", "Name of the organization, as used in URLs."),
    ORGANIZATION.text("fullName", "Full name of the organization."),
    ORGANIZATION.text("description", "Description of the organization."),
    ORGANIZATION.text("location", "Location of the organization."),
    ORGANIZATION.text("website", "Website of the organization."),
    ORGANIZATION.text("logoId", "Identifier of the logo."),
    ORGANIZATION.text("logoUrl", "URL of the logo."),
    ORGANIZATION.text("type", "Type of the plan: academic, evaluating, pro, basic or internal."),
    ORGANIZATION.boolean("paying", "Whether the organization pays; deprecated by the API."),
    ORGANIZATION.integer("memberId", "Identifier of the membership of the token's user."),
    ORGANIZATION.text("memberRole", "Role of the token's user: owner, member or collaborator."),
    MISSING_SINCE,
    UNDOCUMENTED,
    description="Organizations that the token can see.",
    grain="One row per organization.",
    source="GET /orgs",
)

ORGANIZATION_QUOTAS = define_table(
    "organization_quotas",
    LOCAL.integer("org_id", "Organization (`organizations.org_id`).", key=True),
    LOCAL.integer(
        "workspace_id", "Always null: quotas belong to an organization, not to a workspace."
    ),
    QUOTAS.integer(
        "maxRunHistory",
        "Maximum number of runs that the platform keeps; older runs are deleted.",
        "runs",
    ),
    QUOTAS.integer("maxRuns", "Maximum number of runs of the organization.", "runs"),
    QUOTAS.integer("maxMembers", "Maximum number of members.", "members"),
    QUOTAS.integer("maxTeams", "Maximum number of teams.", "teams"),
    QUOTAS.integer("maxWorkspaces", "Maximum number of workspaces.", "workspaces"),
    QUOTAS.integer(
        "maxParticipantsPerWorkspace",
        "Maximum number of participants of a workspace.",
        "participants",
    ),
    QUOTAS.integer(
        "maxPipelinesPerWorkspace", "Maximum number of pipelines of a workspace.", "pipelines"
    ),
    QUOTAS.integer(
        "maxDatasetsPerWorkspace", "Maximum number of datasets of a workspace.", "datasets"
    ),
    QUOTAS.integer("maxVersionsPerDataset", "Maximum number of versions of a dataset.", "versions"),
    QUOTAS.integer("maxLabelsPerWorkspace", "Maximum number of labels of a workspace.", "labels"),
    QUOTAS.integer("maxCustomRolesPerOrg", "Maximum number of custom roles.", "roles"),
    QUOTAS.integer(
        "maxDataStudiosRunning", "Maximum number of studios that run at the same time.", "studios"
    ),
    QUOTAS.integer(
        "maxSeqeraComputeComputeEnvs",
        "Maximum number of Seqera Compute environments.",
        "compute environments",
    ),
    QUOTAS.integer("maxFusionThroughputBytes", "Maximum Fusion throughput.", "bytes"),
    UNDOCUMENTED,
    description="Quotas of organizations, such as the number of runs that the platform keeps.",
    grain="One row per organization.",
    source="GET /orgs/{orgId}/quotas",
)

WORKSPACES = define_table(
    "workspaces",
    WORKSPACE.integer("id", "Identifier of the workspace.", key=True),
    MEMBERSHIP.integer("workspaceId", "Same as `id`; every table has this column."),
    WORKSPACE.text("name", "Name of the workspace, as used in URLs."),
    WORKSPACE.text("fullName", "Full name of the workspace."),
    WORKSPACE.text("description", "Description of the workspace."),
    WORKSPACE.text("visibility", "Visibility: PRIVATE or SHARED (with the whole organization)."),
    MEMBERSHIP.integer("orgId", "Organization of the workspace (`organizations.org_id`)."),
    MEMBERSHIP.text("orgName", "Name of the organization."),
    MEMBERSHIP.text("orgLogoUrl", "URL of the organization's logo."),
    MEMBERSHIP.text(
        "orgType", "Type of the organization's plan: academic, evaluating, pro, basic or internal."
    ),
    MEMBERSHIP.json("roles", "Roles of the token's user in the workspace, a JSON list."),
    MISSING_SINCE,
    UNDOCUMENTED,
    description="Workspaces that the token can see; the personal workspace has no row.",
    grain="One row per workspace.",
    source="GET /user/{userId}/workspaces, and GET /orgs/{orgId}/workspaces",
)

_RENAMED = {"workspaceName": "name", "workspaceFullName": "fullName"}
"""Fields of OrgAndWorkspaceDto that have another name in WorkspaceDbDto."""


def workspace_rows(visible: Iterable[object], details: Iterable[object] = ()) -> pa.Table:
    """Build `workspaces`.

    Args:
        visible: OrgAndWorkspaceDto objects; those without a workspace are organizations and yield
            no row.
        details: WorkspaceDbDto objects of the same workspaces, which have the description.
    """
    records: dict[str, dict[str, Any]] = {}
    for entry in as_objects(visible):
        if entry.get("workspaceId") is not None:
            records[to_json(entry["workspaceId"])] = _rename(entry)
    for workspace in as_objects(details):
        key = workspace.get("id")
        records[to_json(key)] = records.get(to_json(key), {"workspaceId": key}) | workspace
    return WORKSPACES.build(records.values())


def _rename(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an OrgAndWorkspaceDto object with the field names of WorkspaceDbDto."""
    renamed = {_RENAMED.get(field, field): value for field, value in entry.items()}
    return {"id": entry["workspaceId"], **renamed}


MEMBER = ApiObject("MemberDbDto")
TEAM = ApiObject("TeamDbDto")
PARTICIPANT = ApiObject("ParticipantResponseDto")
RUN = ApiObject("WorkflowDbDto")

_NO_WORKSPACE = "Always null: {} belong to an organization, not to a workspace."

_ORG_ID = LOCAL.integer("org_id", "Organization (`organizations.org_id`).")

_MEMBER_COLUMNS = (
    MEMBER.integer("memberId", "Identifier of the membership.", key=True),
    MEMBER.integer("userId", "Identifier of the user."),
    MEMBER.text("userName", "Name of the user."),
    MEMBER.text("email", "E-mail address of the user."),
    MEMBER.text("firstName", "First name of the user."),
    MEMBER.text("lastName", "Last name of the user."),
    MEMBER.text("avatar", "URL of the user's profile picture."),
    MEMBER.text("role", "Role in the organization: owner, member or collaborator."),
    MISSING_SINCE,
    UNDOCUMENTED,
)

MEMBERS = define_table(
    "members",
    _ORG_ID,
    LOCAL.integer("workspace_id", _NO_WORKSPACE.format("memberships")),
    *_MEMBER_COLUMNS,
    description="Members of organizations.",
    grain="One row per member of an organization.",
    source="GET /orgs/{orgId}/members",
)

COLLABORATORS = define_table(
    "collaborators",
    _ORG_ID,
    LOCAL.integer("workspace_id", _NO_WORKSPACE.format("memberships")),
    *_MEMBER_COLUMNS,
    description="Collaborators: users with access to single workspaces of an organization.",
    grain="One row per collaborator of an organization.",
    source="GET /orgs/{orgId}/collaborators",
)

TEAMS = define_table(
    "teams",
    TEAM.integer("teamId", "Identifier of the team.", key=True),
    _ORG_ID,
    LOCAL.integer("workspace_id", _NO_WORKSPACE.format("teams")),
    TEAM.text("name", "Name of the team."),
    TEAM.text("description", "Description of the team."),
    TEAM.integer("membersCount", "Number of members of the team.", "members"),
    TEAM.text("avatarUrl", "URL of the team's picture."),
    TEAM.integer("idpGroupId", "Group of the identity provider that determines the members."),
    TEAM.text("idpGroupName", "Name of the group of the identity provider."),
    MISSING_SINCE,
    UNDOCUMENTED,
    description="Teams of organizations.",
    grain="One row per team.",
    source="GET /orgs/{orgId}/teams",
)

TEAM_MEMBERS = define_table(
    "team_members",
    LOCAL.integer("team_id", "Team (`teams.team_id`).", key=True),
    _ORG_ID,
    LOCAL.integer("workspace_id", _NO_WORKSPACE.format("teams")),
    *_MEMBER_COLUMNS,
    description="Members of teams.",
    grain="One row per team and member.",
    source="GET /orgs/{orgId}/teams/{teamId}/members",
)

PARTICIPANTS = define_table(
    "participants",
    PARTICIPANT.integer("participantId", "Identifier of the participant.", key=True),
    LOCAL.integer(
        "workspace_id", "Workspace that the participant has access to (`workspaces.id`)."
    ),
    _ORG_ID,
    PARTICIPANT.text("type", "Type of the participant: MEMBER, TEAM or COLLABORATOR."),
    PARTICIPANT.text(
        "wspRole", "Role in the workspace: owner, admin, maintain, launch, connect or view."
    ),
    PARTICIPANT.text("orgRole", "Role in the organization: owner, member or collaborator."),
    PARTICIPANT.integer("memberId", "Membership of the user (`members.member_id`)."),
    PARTICIPANT.text("userName", "Name of the user; null for a team."),
    PARTICIPANT.text("email", "E-mail address of the user."),
    PARTICIPANT.text("firstName", "First name of the user."),
    PARTICIPANT.text("lastName", "Last name of the user."),
    PARTICIPANT.text("userAvatarUrl", "URL of the user's profile picture."),
    PARTICIPANT.integer("teamId", "Team (`teams.team_id`); null for a user."),
    PARTICIPANT.text("teamName", "Name of the team."),
    PARTICIPANT.text("teamAvatarUrl", "URL of the team's picture."),
    MISSING_SINCE,
    UNDOCUMENTED,
    description="Users and teams with access to a workspace, and their roles.",
    grain="One row per user or team and workspace.",
    source="GET /orgs/{orgId}/workspaces/{workspaceId}/participants",
)

USERS = define_table(
    "users",
    RUN.integer(
        "ownerId", "Identifier of the user, `owner_id` of the user's runs.", key=True, name="id"
    ),
    LOCAL.integer("workspace_id", "Always null: a user does not belong to a workspace."),
    RUN.text("userName", "Name of the user in the run that was fetched last."),
    description="Users who launched runs; `members` has more details of them.",
    grain="One row per user.",
    source="GET /workflow/{workflowId}",
)


def user_rows(runs: Iterable[Mapping[str, object]]) -> pa.Table:
    """Build `users` from rows of `workflows`; a run without a user yields no row."""
    users = ({"ownerId": run["owner_id"], "userName": run["user_name"]} for run in runs)
    return USERS.build(user for user in users if user["ownerId"] is not None)

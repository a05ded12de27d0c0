"""Who may do what: `members`, `collaborators`, `teams`, `team_members`, `participants`, `users`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tower_etl.tables.column import (
    INTEGER,
    ApiObject,
    ColumnSpec,
    local_column,
    missing_since,
    undocumented,
    workspace_id,
)
from tower_etl.tables.table import TableSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pyarrow as pa

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

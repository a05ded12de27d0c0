"""Who did what on the platform: `audit_logs`, for administrators."""

from __future__ import annotations

from tower_etl.tables.column import INTEGER, ApiObject, ColumnSpec, undocumented
from tower_etl.tables.table import TableSpec

LOG = ApiObject("AuditLogV2ResponseDto")
ACTOR = ApiObject("AuditLogV2ResponseDto.Actor", ("actor",))
CLIENT = ApiObject("AuditLogV2ResponseDto.Client", ("client",))
TARGET = ApiObject("AuditLogV2ResponseDto.Target", ("target",))
ORGANIZATION = ApiObject("AuditLogV2ResponseDto.ResourceOrganization", ("target", "organization"))
WORKSPACE = ApiObject("AuditLogV2ResponseDto.ResourceWorkspace", ("target", "workspace"))
USER = ApiObject("AuditLogV2ResponseDto.ResourceUser", ("target", "user"))

AUDIT_LOGS = TableSpec(
    name="audit_logs",
    key=("id",),
    columns=(
        LOG.text("id", "Identifier of the entry.", key=True),
        ColumnSpec(
            "workspace_id",
            INTEGER,
            ("target", "workspace", "id"),
            "Workspace in which it happened (`workspaces.id`); null where it was in none.",
            unit=None,
            source="AuditLogV2ResponseDto.ResourceWorkspace.id",
        ),
        LOG.timestamp("timestamp", "When it happened."),
        LOG.text("event", "What happened, such as `workflow_launched`."),
        LOG.text("correlationId", "Shared by entries of the same request."),
        ACTOR.text("type", "Who did it: user or system."),
        ACTOR.integer("userId", "Identifier of that user."),
        ACTOR.text("userName", "Name of that user."),
        ACTOR.text("email", "Address of that user."),
        ACTOR.text("firstName", "First name of that user."),
        ACTOR.text("lastName", "Last name of that user."),
        ACTOR.boolean("isRoot", "Whether that user is an administrator."),
        CLIENT.text("ip", "Network address that it was done from."),
        CLIENT.text("userAgent", "Program that it was done with."),
        CLIENT.integer("accessTokenId", "Identifier of the access token used, never the token."),
        TARGET.text("type", "Kind of thing that it was done to."),
        TARGET.text("id", "Identifier of that thing."),
        TARGET.text("name", "Name of that thing."),
        TARGET.text("context", "Where that thing is: User, Organization, Workspace or System."),
        TARGET.json("state", "That thing before and after, a JSON object; not asked for."),
        ORGANIZATION.integer("id", "Organisation of that thing."),
        ORGANIZATION.text("name", "Name of the organisation."),
        WORKSPACE.text("name", "Name of the workspace."),
        USER.integer("id", "User that the thing is of."),
        USER.text("name", "Name of that user."),
        undocumented(),
    ),
    description="Audit log of the server; only when the table is asked for by name.",
    grain="One row per entry.",
    source="GET /admin/audit-logs-v2",
)

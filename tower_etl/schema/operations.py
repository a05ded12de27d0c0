"""Tables about the server and syncs: `service_info`, `audit_logs` and `sync_runs`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tower_etl.schema.table import TableSpec
from tower_etl.schema.types import (
    BOOLEAN,
    INTEGER,
    NUMBER,
    TEXT,
    TIMESTAMP,
    ApiObject,
    ColumnSpec,
    local_column,
    undocumented,
    workspace_id,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import pyarrow as pa

INFO = ApiObject("ServiceInfo")
NAVBAR = ApiObject("NavbarConfig", ("navbar",))
EXCLUDED_FIELDS = frozenset({"analytics"})
"""Fields that are never stored: keys of the services that track users of the platform's pages."""

SERVICE_INFO = TableSpec(
    name="service_info",
    key=("sync_id",),
    columns=(
        local_column(
            "sync_id", TEXT, "Sync that first observed these values (`sync_runs.id`).", key=True
        ),
        local_column(
            "seen_at",
            TIMESTAMP,
            "Start of the sync `sync_id`; the row is valid until the `seen_at` of the next row.",
            "UTC",
        ),
        workspace_id("Always null: the server does not belong to a workspace."),
        INFO.text("version", "Version of the platform."),
        INFO.text("apiVersion", "Version of the platform's API."),
        INFO.text("commitId", "Commit that the platform was built from."),
        INFO.json("authTypes", "Login methods, a JSON list."),
        INFO.text("loginPath", "Path of the login page."),
        INFO.text("logoutUrl", "URL of the logout page."),
        INFO.text("landingUrl", "URL of the landing page."),
        INFO.text("termsOfUseUrl", "URL of the terms of use."),
        INFO.text("contentUrl", "URL from which files are served."),
        INFO.text("contactEmail", "E-mail address of the administrators."),
        INFO.text("forgePrefix", "Prefix of the container images that the platform runs."),
        INFO.integer("heartbeatInterval", "Interval of the heartbeats of runs.", "s"),
        INFO.integer(
            "contentMaxFileSize", "Maximum size of a file that the platform displays.", "bytes"
        ),
        INFO.integer(
            "launchParamsTextMaxSize", "Maximum length of the parameters of a launch.", "characters"
        ),
        INFO.integer(
            "launchConfigTextMaxSize",
            "Maximum length of the configuration of a launch.",
            "characters",
        ),
        INFO.boolean("userWorkspaceEnabled", "Whether users have a personal workspace."),
        INFO.boolean(
            "allowInstanceCredentials", "Whether the server's own credentials may be used."
        ),
        INFO.boolean("allowLocalRepos", "Whether local repositories may be run; deprecated."),
        INFO.boolean(
            "allowNextflowCliLogs", "Whether logs of runs started on the command line are kept."
        ),
        INFO.boolean("waveEnabled", "Whether Wave is enabled."),
        INFO.boolean("seqeraCloud", "Whether the server is Seqera Cloud."),
        INFO.boolean("seqeraComputeEnabled", "Whether Seqera Compute is enabled."),
        INFO.boolean("groundswellEnabled", "Whether resource optimization is enabled."),
        INFO.json(
            "groundswellAllowedWorkspaces",
            "Workspaces with resource optimization, a JSON list of ids.",
        ),
        INFO.json("evalWorkspaceIds", "Workspaces under evaluation, a JSON list of ids."),
        INFO.boolean("llmEnabled", "Whether a language model is enabled."),
        INFO.text("seqeraAiBaseUrl", "URL of Seqera AI."),
        INFO.text("seqeraAgentBackendUrl", "URL of Seqera's agents."),
        NAVBAR.json("menus", "Menus added to the platform's pages, a JSON list of objects."),
        undocumented(),
    ),
    description="Version and configuration of the server, whenever they change.",
    grain="One row per change.",
    source="GET /service-info",
)


def service_rows(info: Mapping[str, object], sync_id: str, seen_at: datetime) -> pa.Table:
    """Build the row of `service_info` of a sync."""
    shown = {field: value for field, value in info.items() if field not in EXCLUDED_FIELDS}
    return SERVICE_INFO.build([shown], sync_id=sync_id, seen_at=seen_at)


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
            "Workspace of the event (`workspaces.id`); null if it happened outside of workspaces.",
            unit=None,
            source="AuditLogV2ResponseDto.ResourceWorkspace.id",
        ),
        LOG.timestamp("timestamp", "Time of the event."),
        LOG.text("event", "Type of the event, such as `workflow_launched`."),
        LOG.text("correlationId", "Identifier that entries of the same request have in common."),
        ACTOR.text("type", "Type of the actor: user or system."),
        ACTOR.integer("userId", "Identifier of the actor."),
        ACTOR.text("userName", "Name of the actor."),
        ACTOR.text("email", "E-mail address of the actor."),
        ACTOR.text("firstName", "First name of the actor."),
        ACTOR.text("lastName", "Last name of the actor."),
        ACTOR.boolean("isRoot", "Whether the actor is an administrator."),
        CLIENT.text("ip", "IP address of the client."),
        CLIENT.text("userAgent", "User agent of the client."),
        CLIENT.integer("accessTokenId", "Identifier of the access token, never the token itself."),
        TARGET.text("type", "Type of the target of the event."),
        TARGET.text("id", "Identifier of the target."),
        TARGET.text("name", "Name of the target."),
        TARGET.text("context", "Context of the target: User, Organization, Workspace or System."),
        TARGET.json(
            "state",
            "State of the target before and after, a JSON object; null: syncs do not request it.",
        ),
        ORGANIZATION.integer("id", "Identifier of the target's organization."),
        ORGANIZATION.text("name", "Name of the target's organization."),
        WORKSPACE.text("name", "Name of the target's workspace."),
        USER.integer("id", "Identifier of the user to whom the target belongs."),
        USER.text("name", "Name of the user to whom the target belongs."),
        undocumented(),
    ),
    description="Audit log of the server; synced only if the table is selected by name.",
    grain="One row per entry.",
    source="GET /admin/audit-logs-v2",
)


SYNC_RUNS = TableSpec(
    name="sync_runs",
    key=("id",),
    columns=(
        local_column("id", TEXT, "Identifier of the sync.", key=True),
        workspace_id("Always null: a sync covers several workspaces."),
        local_column("started_at", TIMESTAMP, "Start of the sync.", "UTC"),
        local_column("finished_at", TIMESTAMP, "End of the sync.", "UTC"),
        local_column("seconds", NUMBER, "Duration of the sync.", "s"),
        local_column("status", TEXT, "Result: ok, partial (some workspaces failed) or failed."),
        local_column("endpoint", TEXT, "Host of the API."),
        local_column("server_version", TEXT, "Version of the platform."),
        local_column("api_version", TEXT, "Version of the platform's API."),
        local_column("connector_version", TEXT, "Version of tower-etl."),
        local_column("calls", INTEGER, "Number of API calls, including retries.", "calls"),
        local_column("retries", INTEGER, "Number of retries of API calls.", "calls"),
        local_column(
            "throttled_seconds",
            NUMBER,
            "Time for which the server's rate limit (429) paused calls.",
            "s",
        ),
        local_column("runs_listed", INTEGER, "Number of listed runs.", "runs"),
        local_column("runs_fetched", INTEGER, "Number of runs that were fetched.", "runs"),
        local_column(
            "reconciled", BOOLEAN, "Whether the sync compared all runs with a full listing."
        ),
        local_column(
            "rows", TEXT, "Number of rows written, a JSON object by table.", "rows", is_json=True
        ),
        local_column(
            "workspaces",
            TEXT,
            "Result per workspace, a JSON list of objects with id, name, status and error.",
            is_json=True,
        ),
    ),
    description="Syncs into this destination.",
    grain="One row per sync.",
    source="tower-etl",
)


def sync_run_rows(**values: object) -> pa.Table:
    """Build the row of one sync.

    Args:
        values: Values by column name; times are aware datetimes, `rows` and `workspaces` are JSON
            values.

    Raises:
        TypeError: There is no column for a value, or `id` is missing.
    """
    return SYNC_RUNS.build([{}], **values)

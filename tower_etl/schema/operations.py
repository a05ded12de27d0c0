"""What the server says of itself: `service_info`."""

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
"""Fields that never get in: keys of the services that watch the platform's own pages."""

SERVICE_INFO = TableSpec(
    name="service_info",
    key=("sync_id",),
    columns=(
        local_column("sync_id", TEXT, "Sync that found it first (`sync_runs.id`).", key=True),
        local_column(
            "seen_at", TIMESTAMP, "When that sync started; it holds until the next row.", "UTC"
        ),
        workspace_id("Always null: a server stands above workspaces."),
        INFO.text("version", "Version of the platform."),
        INFO.text("apiVersion", "Version of its API."),
        INFO.text("commitId", "Commit that the platform was built from."),
        INFO.json("authTypes", "Ways to log in, a JSON list."),
        INFO.text("loginPath", "Path of the login page."),
        INFO.text("logoutUrl", "Address of the logout page."),
        INFO.text("landingUrl", "Address of the landing page."),
        INFO.text("termsOfUseUrl", "Address of the terms of use."),
        INFO.text("contentUrl", "Address from which files are served."),
        INFO.text("contactEmail", "Address of the administrators."),
        INFO.text("forgePrefix", "Prefix of the images that the platform runs."),
        INFO.integer("heartbeatInterval", "How often runs give a sign of life.", "s"),
        INFO.integer("contentMaxFileSize", "Largest file that is shown.", "bytes"),
        INFO.integer("launchParamsTextMaxSize", "Longest text of parameters.", "characters"),
        INFO.integer("launchConfigTextMaxSize", "Longest text of configuration.", "characters"),
        INFO.boolean("userWorkspaceEnabled", "Whether users have a personal workspace."),
        INFO.boolean(
            "allowInstanceCredentials", "Whether the server's own credentials may be used."
        ),
        INFO.boolean("allowLocalRepos", "Whether local repositories may be run; deprecated."),
        INFO.boolean("allowNextflowCliLogs", "Whether logs of runs by hand are kept."),
        INFO.boolean("waveEnabled", "Whether the server has Wave."),
        INFO.boolean("seqeraCloud", "Whether it is Seqera's own cloud."),
        INFO.boolean("seqeraComputeEnabled", "Whether the server has Seqera Compute."),
        INFO.boolean("groundswellEnabled", "Whether the server optimises resources."),
        INFO.json("groundswellAllowedWorkspaces", "Workspaces where it does, a JSON list of ids."),
        INFO.json("evalWorkspaceIds", "Workspaces under evaluation, a JSON list of ids."),
        INFO.boolean("llmEnabled", "Whether the server has a language model."),
        INFO.text("seqeraAiBaseUrl", "Address of Seqera AI."),
        INFO.text("seqeraAgentBackendUrl", "Address of Seqera's agents."),
        NAVBAR.json("menus", "Menus added to the platform's pages, a JSON list of objects."),
        undocumented(),
    ),
    description="What the server says of itself, each time that it says something new.",
    grain="One row per change.",
    source="GET /service-info",
)


def service_rows(info: Mapping[str, object], sync_id: str, seen_at: datetime) -> pa.Table:
    """Build the row of `service_info` that a sync found."""
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


SYNC_RUNS = TableSpec(
    name="sync_runs",
    key=("id",),
    columns=(
        local_column("id", TEXT, "Identifier of the sync.", key=True),
        workspace_id("Always null: a sync visits many workspaces."),
        local_column("started_at", TIMESTAMP, "When the sync started.", "UTC"),
        local_column("finished_at", TIMESTAMP, "When the sync ended.", "UTC"),
        local_column("seconds", NUMBER, "How long the sync took.", "s"),
        local_column(
            "status", TEXT, "How it ended: ok, partial (some workspaces failed) or failed."
        ),
        local_column("endpoint", TEXT, "Host of the API."),
        local_column("server_version", TEXT, "Version of the platform."),
        local_column("api_version", TEXT, "Version of the platform's API."),
        local_column("connector_version", TEXT, "Version of tower-etl."),
        local_column("calls", INTEGER, "Calls made, retried ones included.", "calls"),
        local_column("retries", INTEGER, "Calls made again after a failure.", "calls"),
        local_column("throttled_seconds", NUMBER, "Time spent waiting for the rate limit.", "s"),
        local_column("runs_listed", INTEGER, "Runs seen in listings.", "runs"),
        local_column("runs_fetched", INTEGER, "Runs fetched with their tasks.", "runs"),
        local_column(
            "reconciled", BOOLEAN, "Whether the sync compared all runs with a complete listing."
        ),
        local_column(
            "rows", TEXT, "Rows written, a JSON object: table -> rows.", "rows", is_json=True
        ),
        local_column(
            "workspaces",
            TEXT,
            "Outcome per workspace, a JSON list of objects with id, name, status and error.",
            is_json=True,
        ),
    ),
    description="Syncs into this target.",
    grain="One row per sync.",
    source="tower-etl",
)


def sync_run_rows(**values: object) -> pa.Table:
    """Build the row of one sync.

    Args:
        values: By column name; times are aware datetimes, `rows` and `workspaces` plain objects.

    Raises:
        TypeError: A value is of no column, or `id` is not given.
    """
    return SYNC_RUNS.build([{}], **values)

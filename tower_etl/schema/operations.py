"""Tables about the server, syncs and costs: service info, audit log, sync runs, bill lines.

`tower-etl bill load` fills `bill_lines`, and no sync touches the table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tower_etl.schema.table import define_table
from tower_etl.schema.types import LOCAL, UNDOCUMENTED, ApiObject

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import pyarrow as pa

INFO = ApiObject("ServiceInfo")
NAVBAR = ApiObject("NavbarConfig", ("navbar",))
EXCLUDED_FIELDS = frozenset({"analytics"})
"""Fields that are never stored: keys of the services that track users of the platform's pages."""

SERVICE_INFO = define_table(
    "service_info",
    LOCAL.text("sync_id", "Sync that first observed these values (`sync_runs.id`).", key=True),
    LOCAL.timestamp(
        "seen_at",
        "Start of the sync `sync_id`; the row is valid until the `seen_at` of the next row.",
    ),
    LOCAL.integer("workspace_id", "Always null: the server does not belong to a workspace."),
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
        "launchConfigTextMaxSize", "Maximum length of the configuration of a launch.", "characters"
    ),
    INFO.boolean("userWorkspaceEnabled", "Whether users have a personal workspace."),
    INFO.boolean("allowInstanceCredentials", "Whether the server's own credentials may be used."),
    INFO.boolean("allowLocalRepos", "Whether local repositories may be run; deprecated."),
    INFO.boolean(
        "allowNextflowCliLogs", "Whether logs of runs started on the command line are kept."
    ),
    INFO.boolean("waveEnabled", "Whether Wave is enabled."),
    INFO.boolean("seqeraCloud", "Whether the server is Seqera Cloud."),
    INFO.boolean("seqeraComputeEnabled", "Whether Seqera Compute is enabled."),
    INFO.boolean("groundswellEnabled", "Whether resource optimization is enabled."),
    INFO.json(
        "groundswellAllowedWorkspaces", "Workspaces with resource optimization, a JSON list of ids."
    ),
    INFO.json("evalWorkspaceIds", "Workspaces under evaluation, a JSON list of ids."),
    INFO.boolean("llmEnabled", "Whether a language model is enabled."),
    INFO.text("seqeraAiBaseUrl", "URL of Seqera AI."),
    INFO.text("seqeraAgentBackendUrl", "URL of Seqera's agents."),
    NAVBAR.json("menus", "Menus added to the platform's pages, a JSON list of objects."),
    UNDOCUMENTED,
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

AUDIT_LOGS = define_table(
    "audit_logs",
    LOG.text("id", "Identifier of the entry.", key=True),
    WORKSPACE.integer(
        "id",
        "Workspace of the event (`workspaces.id`); null if it happened outside of workspaces.",
        name="workspace_id",
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
    UNDOCUMENTED,
    description="Audit log of the server; synced only if the table is selected by name.",
    grain="One row per entry.",
    source="GET /admin/audit-logs-v2",
)

SYNC_RUNS = define_table(
    "sync_runs",
    LOCAL.text("id", "Identifier of the sync.", key=True),
    LOCAL.integer("workspace_id", "Always null: a sync covers several workspaces."),
    LOCAL.timestamp("started_at", "Start of the sync."),
    LOCAL.timestamp("finished_at", "End of the sync."),
    LOCAL.number("seconds", "Duration of the sync.", "s"),
    LOCAL.text("status", "Result: ok, partial (some workspaces failed) or failed."),
    LOCAL.text("endpoint", "Host of the API."),
    LOCAL.text("server_version", "Version of the platform."),
    LOCAL.text("api_version", "Version of the platform's API."),
    LOCAL.text("connector_version", "Version of tower-etl."),
    LOCAL.integer("calls", "Number of API calls, including retries.", "calls"),
    LOCAL.integer("retries", "Number of retries of API calls.", "calls"),
    LOCAL.number(
        "throttled_seconds", "Time for which the server's rate limit (429) paused calls.", "s"
    ),
    LOCAL.integer("runs_listed", "Number of listed runs.", "runs"),
    LOCAL.integer("runs_fetched", "Number of runs that were fetched.", "runs"),
    LOCAL.boolean("reconciled", "Whether the sync compared all runs with a full listing."),
    LOCAL.json("rows", "Number of rows written, a JSON object by table.", "rows"),
    LOCAL.json(
        "workspaces",
        "Result per workspace, a JSON list of objects with id, name, status and error.",
    ),
    description="Syncs into this destination.",
    grain="One row per sync.",
    source="tower-etl",
)

BILL_LINES = define_table(
    "bill_lines",
    LOCAL.text("provider", "Format of the export: aws (CUR) or focus.", key=True),
    LOCAL.text(
        "billing_account",
        "Account that pays the bill; `unknown` where the export does not name it.",
        key=True,
    ),
    LOCAL.text("billing_period", "Month of the bill, as YYYY-MM.", key=True),
    LOCAL.integer("line_number", "Number of the line in the load of its period.", key=True),
    LOCAL.integer(
        "workspace_id", "Always null: a bill belongs to a cloud account, not to a workspace."
    ),
    LOCAL.text("line_id", "Identifier of the line in the export."),
    LOCAL.text("account", "Account, subscription or project that used the resource."),
    LOCAL.timestamp("usage_start", "Start of the hour or day that the line is for."),
    LOCAL.timestamp("usage_end", "End of the hour or day that the line is for."),
    LOCAL.text("charge_type", "Kind of the charge, such as Usage, Tax or Credit."),
    LOCAL.text("service", "Service of the cloud, such as AmazonEC2."),
    LOCAL.text("resource_type", "Kind of the resource, such as Compute Instance."),
    LOCAL.text("resource_id", "Identifier of the resource in the cloud."),
    LOCAL.text("parent_id", "Machine that a split line is a part of, such as i-0123."),
    LOCAL.text("machine_type", "Machine type, such as m6id.24xlarge."),
    LOCAL.text("region", "Region of the cloud, such as eu-west-1."),
    LOCAL.boolean("is_split", "Whether the line is the share of one task in a machine's cost."),
    LOCAL.number("cost", "Cost after discounts: used_cost + unused_cost.", "currency"),
    LOCAL.number("used_cost", "Cost of what was used.", "currency"),
    LOCAL.number("unused_cost", "Cost of capacity that was paid for and not used.", "currency"),
    LOCAL.text("currency", "Currency of the costs, such as USD."),
    LOCAL.text("run_id", "Value of the tag that names the run (`workflows.id`)."),
    LOCAL.text("task_hash", "Value of the tag that names the task's hash, without `/`."),
    LOCAL.text("compute_env", "Value of the tag that names a compute environment or queue."),
    LOCAL.json("tags", "All tags of the line, a JSON object: key -> value."),
    LOCAL.json("other", "All other fields of the line, a JSON object."),
    LOCAL.text("source_file", "File of the export that the line was read from."),
    description="Lines of cloud bills, as `tower-etl bill load` read them.",
    grain="One row per line of an export.",
    source="a cloud bill",
    merge_key=("provider", "billing_account", "billing_period"),
)

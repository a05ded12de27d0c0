"""What the server says of itself: `service_info`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tower_etl.tables.column import (
    TEXT,
    TIMESTAMP,
    ApiObject,
    local_column,
    undocumented,
    workspace_id,
)
from tower_etl.tables.table import TableSpec

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

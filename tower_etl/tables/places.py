"""Where runs belong: `organizations` and `workspaces`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tower_etl.lossless import to_json
from tower_etl.tables.column import (
    INTEGER,
    ApiObject,
    ColumnSpec,
    local_column,
    missing_since,
    undocumented,
    workspace_id,
)
from tower_etl.tables.shape import as_objects
from tower_etl.tables.table import TableSpec

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

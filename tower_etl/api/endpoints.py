"""Table of the endpoints: path, key of the records in a response, and pagination.

Checked against the platform's published OpenAPI descriptions 1.140.0, 1.181.0 and 1.187.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

FieldTypes = Mapping[str, type[int] | type[str]]
"""Types of the columns that fields of an item are loaded into, by field."""

MAX_PAGE = 100  # API fact 1: a larger `max` is answered with 400, the default is 50 or 10


@dataclass(frozen=True)
class Endpoint:
    """GET endpoint of the API.

    Attributes:
        path: Path below the API's base URL, with `{placeholders}`.
        records_key: Key of the list or object in the response, empty for the whole response.
        total_key: Key of the number of all items, empty if there is no reliable one.
        approximate_total_key: Key of a count that may be a lower bound, empty if there is none.
        paged: Whether the endpoint supports `max` and `offset`.
        key: Fields of the items' primary key, with dots for nested fields, and the types of their
            columns; these are the columns of the table's key that a response fills.
        single: Whether the response has one object instead of a list.
        scoped: Whether the parameter `workspaceId` selects the workspace (API fact 13).
        attributes: Values of the parameter `attributes`, without which fields are null, newest
            last (API fact 14).
        filters: Further query parameters.
    """

    path: str
    records_key: str = ""
    total_key: str = ""
    approximate_total_key: str = ""
    paged: bool = False
    key: FieldTypes = field(default_factory=dict)
    single: bool = False
    scoped: bool = False
    attributes: tuple[str, ...] = ()
    filters: Mapping[str, str] = field(default_factory=dict)

    @property
    def id_field(self) -> str:
        """The field that identifies an item in the paths of other endpoints."""
        return next(iter(self.key))


@dataclass(frozen=True)
class PathScope:
    """Scope of a list: the values of the placeholders in an endpoint's path.

    Attributes:
        workspace_id: Id of the workspace, None for the personal one.
        org_id: Id of the organization, if the path contains one.
        parent_id: Id of the team, pipeline or compute environment, if the path contains one.
    """

    workspace_id: int | None = None
    org_id: int | None = None
    parent_id: int | str | None = None


SERVICE_INFO = Endpoint("/service-info", "serviceInfo")
USER_INFO = Endpoint("/user-info", "user")
USER_WORKSPACES = Endpoint("/user/{user_id}/workspaces", "orgsAndWorkspaces")
ORGANIZATIONS = Endpoint("/orgs", "organizations", "totalSize", key={"orgId": int})
ORG_WORKSPACES = Endpoint("/orgs/{org_id}/workspaces", "workspaces", key={"id": int})
RUNS = Endpoint(
    "/workflow", "workflows", "totalSize", paged=True, scoped=True, attributes=("labels",)
)
RUN = Endpoint(
    "/workflow/{run_id}",
    scoped=True,
    attributes=("labels", "optimized", "messages", "pipelineInfo"),
)
RUN_TASKS = Endpoint(
    "/workflow/{run_id}/tasks", "tasks", approximate_total_key="total", paged=True, scoped=True
)
RUN_METRICS = Endpoint("/workflow/{run_id}/metrics", "metrics", scoped=True)
LAUNCH = Endpoint("/launch/{launch_id}", "launch", single=True, scoped=True)
LAUNCH_DATASETS = Endpoint("/launch/{launch_id}/datasets", "versions", scoped=True)
AUDIT_LOGS = Endpoint("/admin/audit-logs-v2", "auditLogs", key={"id": int})


def _paged_endpoint(
    path: str, items: str, key: FieldTypes, attributes: tuple[str, ...] = (), **filters: str
) -> Endpoint:
    """Return the endpoint of a list with pages."""
    return Endpoint(
        path,
        items,
        "totalSize",
        paged=True,
        key=key,
        scoped="/orgs/" not in path,
        attributes=attributes,
        filters=filters,
    )


def _unpaged_endpoint(path: str, items: str, *attributes: str) -> Endpoint:
    """Return the endpoint of a workspace's list that has no pages (API fact 1)."""
    return Endpoint(path, items, key={"id": str}, scoped=True, attributes=attributes)


LABELS = _paged_endpoint("/labels", "labels", {"id": int})
PIPELINES = _paged_endpoint(
    "/pipelines", "pipelines", {"pipelineId": int}, attributes=("labels", "computeEnv", "optimized")
)
PIPELINE_VERSIONS = _paged_endpoint(
    "/pipelines/{parent_id}/versions", "versions", {"pipelineId": int, "version.id": str}
)
COMPUTE_ENVS = _unpaged_endpoint("/compute-envs", "computeEnvs", "labels", "resources")
COMPUTE_ENV = Endpoint("/compute-envs/{parent_id}", "computeEnv", single=True, scoped=True)
ACTIONS = _unpaged_endpoint("/actions", "actions", "labels")
CREDENTIALS = _unpaged_endpoint("/credentials", "credentials")
PIPELINE_SECRETS = Endpoint(
    "/pipeline-secrets", "pipelineSecrets", "totalSize", key={"id": int}, scoped=True
)
DATASETS = _paged_endpoint(
    "/datasets", "datasets", {"id": str}, attributes=("labels",), visibility="all"
)
DATASET_VERSIONS = _paged_endpoint(
    "/datasets/versions", "versions", {"datasetId": str, "version": int}
)
STUDIOS = _paged_endpoint("/studios", "studios", {"sessionId": str}, attributes=("labels",))
DATA_LINKS = _paged_endpoint("/data-links", "dataLinks", {"id": str}, visibility="all")
QUOTAS = Endpoint("/orgs/{org_id}/quotas", "quotas", single=True)
MEMBERS = _paged_endpoint("/orgs/{org_id}/members", "members", {"memberId": int})
COLLABORATORS = _paged_endpoint("/orgs/{org_id}/collaborators", "members", {"memberId": int})
TEAMS = _paged_endpoint("/orgs/{org_id}/teams", "teams", {"teamId": int})
TEAM_MEMBERS = _paged_endpoint(
    "/orgs/{org_id}/teams/{parent_id}/members", "members", {"memberId": int}
)
PARTICIPANTS = _paged_endpoint(
    "/orgs/{org_id}/workspaces/{workspace_id}/participants", "participants", {"participantId": int}
)

"""Table of the endpoints: path, key of the records in a response, and pagination.

Checked against the platform's published OpenAPI descriptions 1.140.0, 1.181.0 and 1.187.0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

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
        key: Path of the items' primary key.
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
    key: tuple[str, ...] = ()
    single: bool = False
    scoped: bool = False
    attributes: tuple[str, ...] = ()
    filters: Mapping[str, str] = field(default_factory=dict)


SERVICE_INFO = Endpoint("/service-info", "serviceInfo")
USER_INFO = Endpoint("/user-info", "user")
USER_WORKSPACES = Endpoint("/user/{user_id}/workspaces", "orgsAndWorkspaces")
ORGANIZATIONS = Endpoint("/orgs", "organizations", key=("orgId",))
ORG_WORKSPACES = Endpoint("/orgs/{org_id}/workspaces", "workspaces", key=("id",))
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
AUDIT_LOGS = Endpoint("/admin/audit-logs-v2", "auditLogs", key=("id",))


def _paged(
    path: str, items: str, *key: str, attributes: tuple[str, ...] = (), **filters: str
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


def _unpaged(path: str, items: str, key: str, *attributes: str) -> Endpoint:
    """Return the endpoint of a workspace's list that has no pages (API fact 1)."""
    return Endpoint(path, items, key=(key,), scoped=True, attributes=attributes)


LABELS = _paged("/labels", "labels", "id")
PIPELINES = _paged(
    "/pipelines", "pipelines", "pipelineId", attributes=("labels", "computeEnv", "optimized")
)
PIPELINE_VERSIONS = _paged("/pipelines/{parent_id}/versions", "versions", "version", "id")
COMPUTE_ENVS = _unpaged("/compute-envs", "computeEnvs", "id", "labels", "resources")
COMPUTE_ENV = Endpoint("/compute-envs/{parent_id}", "computeEnv", single=True, scoped=True)
ACTIONS = _unpaged("/actions", "actions", "id", "labels")
CREDENTIALS = _unpaged("/credentials", "credentials", "id")
PIPELINE_SECRETS = _unpaged("/pipeline-secrets", "pipelineSecrets", "id")
DATASETS = _paged("/datasets", "datasets", "id", attributes=("labels",), visibility="all")
DATASET_VERSIONS = _paged("/datasets/versions", "versions", "datasetId")
STUDIOS = _paged("/studios", "studios", "sessionId", attributes=("labels",))
DATA_LINKS = _paged("/data-links", "dataLinks", "id", visibility="all")
QUOTAS = Endpoint("/orgs/{org_id}/quotas", "quotas", single=True)
MEMBERS = _paged("/orgs/{org_id}/members", "members", "memberId")
COLLABORATORS = _paged("/orgs/{org_id}/collaborators", "members", "memberId")
TEAMS = _paged("/orgs/{org_id}/teams", "teams", "teamId")
TEAM_MEMBERS = _paged("/orgs/{org_id}/teams/{parent_id}/members", "members", "memberId")
PARTICIPANTS = _paged(
    "/orgs/{org_id}/workspaces/{workspace_id}/participants", "participants", "participantId"
)

"""The endpoints that are asked, as a table: where the items stand and how they are paged.

Checked against the platform's published OpenAPI description, 1.140.0 and 1.181.0.
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_PAGE = 100  # API fact 1: above it the server answers 400, left out it is 50 or 10


@dataclass(frozen=True)
class Endpoint:
    """One GET endpoint.

    Attributes:
        path: Below the API's base, with `{names}` to fill in.
        items: The key under which the answer has its list or object, empty for the whole answer.
        total: The key of the count of all items, empty where there is none to be trusted.
        count: The key of a count that is good for a guess alone, empty where there is none.
        paged: Whether `max` and `offset` are understood.
    """

    path: str
    items: str = ""
    total: str = ""
    count: str = ""
    paged: bool = False


SERVICE_INFO = Endpoint("/service-info", "serviceInfo")
USER_INFO = Endpoint("/user-info", "user")
USER_WORKSPACES = Endpoint("/user/{user_id}/workspaces", "orgsAndWorkspaces")
ORGANIZATIONS = Endpoint("/orgs", "organizations")
ORG_WORKSPACES = Endpoint("/orgs/{org_id}/workspaces", "workspaces")
RUNS = Endpoint("/workflow", "workflows", "totalSize", paged=True)
RUN = Endpoint("/workflow/{run_id}")
RUN_TASKS = Endpoint("/workflow/{run_id}/tasks", "tasks", count="total", paged=True)
RUN_METRICS = Endpoint("/workflow/{run_id}/metrics", "metrics")
LABELS = Endpoint("/labels", "labels", "totalSize", paged=True)

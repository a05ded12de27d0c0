"""Routes of reference data: pipelines, compute environments, people, teams and the like."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.routing import Route

from tower_etl.simulator.auth import current_user
from tower_etl.simulator.data import load_json
from tower_etl.simulator.parameters import http_error, read_attributes, read_int, read_page
from tower_etl.simulator.routes.base import RouteGroup, get
from tower_etl.simulator.routes.launches import describe_compute_env, list_compute_env

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from tower_etl.simulator.aggregates import Row
    from tower_etl.simulator.routes.base import Endpoint

_DEFAULT_ROWS = 10
_QUOTAS: Row = load_json("reference.json")["quotas"]


@dataclass(frozen=True)
class EntityKind:
    """A list of reference data.

    Attributes:
        name: Name of the list in the response.
        path: Path below `/api`.
        paged: Whether the list accepts `max` and `offset`.
        totalled: Whether the response has `totalSize`.
        stored: Key of the rows in the world, if it differs from `name`.
        optional: Attributes on request, with the field that is null without them.
    """

    name: str
    path: str
    paged: bool = True
    totalled: bool = True
    stored: str = ""
    optional: Mapping[str, str] = field(default_factory=dict)


_LABELS = {"labels": "labels"}
_OF_PIPELINES = _LABELS | {"computeEnv": "computeEnv", "optimized": "optimizationStatus"}
_OF_COMPUTE_ENVS = _LABELS | {"resources": "resources"}

ENTITY_KINDS: tuple[EntityKind, ...] = (
    EntityKind("pipelines", "/pipelines", optional=_OF_PIPELINES),
    EntityKind("versions", "/pipelines/{parent:int}/versions", stored="pipelineVersions"),
    EntityKind(
        "computeEnvs", "/compute-envs", paged=False, totalled=False, optional=_OF_COMPUTE_ENVS
    ),
    EntityKind("datasets", "/datasets", optional=_LABELS),
    EntityKind("versions", "/datasets/versions", stored="datasetVersions"),
    EntityKind("datasets", "/workspaces/{key:int}/datasets", paged=False),
    EntityKind("actions", "/actions", paged=False, totalled=False, optional=_LABELS),
    EntityKind("credentials", "/credentials", paged=False, totalled=False),
    EntityKind("pipelineSecrets", "/pipeline-secrets", paged=False),
    EntityKind("studios", "/studios", optional=_LABELS),
    EntityKind("dataLinks", "/data-links"),
    EntityKind("members", "/orgs/{org_id:int}/members"),
    EntityKind("members", "/orgs/{org_id:int}/collaborators", stored="collaborators"),
    EntityKind("teams", "/orgs/{org_id:int}/teams"),
    EntityKind("members", "/orgs/{org_id:int}/teams/{parent:int}/members", stored="teamMembers"),
    EntityKind("participants", "/orgs/{org_id:int}/workspaces/{key:int}/participants"),
)


class ReferenceRoutes(RouteGroup):
    """Handlers for reference data: one for each kind, and others for single objects."""

    def list_routes(self) -> list[Route]:
        """Return the routes of all kinds, then those of the marked methods."""
        return [
            *(Route(kind.path, self._kind_endpoint(kind)) for kind in ENTITY_KINDS),
            *super().list_routes(),
        ]

    def _kind_endpoint(self, kind: EntityKind) -> Endpoint:
        def handle(routes: ReferenceRoutes, request: Request) -> Row:
            return routes.list_entities(request, kind)

        return self.endpoint(handle)

    def list_entities(self, request: Request, kind: EntityKind) -> Row:
        """Return the rows of a kind."""
        holder, stored = self._find_holder(request), kind.stored or kind.name
        rows = self.world.entities.get(stored, {}).get(holder, [])
        if stored == "computeEnvs":
            rows = [list_compute_env(row) for row in rows]
        requested = read_attributes(request, self.profile.quirks, frozenset(kind.optional))
        hidden = {field for name, field in kind.optional.items() if name not in requested}
        words = request.query_params.get("search", "").lower()
        rows = [row for row in rows if words in str(row.get("name", "")).lower()]
        total = {"totalSize": len(rows)} if kind.totalled else {}
        if kind.paged:
            rows = rows[read_page(request, _DEFAULT_ROWS, self.profile.quirks).rows]
        shown = [
            {name: None if name in hidden else value for name, value in row.items()} for row in rows
        ]
        return {kind.name: [self.profile.api.filter_fields(stored, row) for row in shown], **total}

    def _find_holder(self, request: Request) -> int:
        params: dict[str, int] = request.path_params
        if "key" in params:
            return self.authorize(request, params["key"]).key
        if "org_id" not in params:
            key = self.requested_workspace(request)
            return self._find_parent("pipelines", "pipelineId", key, params.get("parent"))
        self.authorize_organization(request, params["org_id"])
        return self._find_parent("teams", "teamId", params["org_id"], params.get("parent"))

    def _find_parent(self, kind: str, id_field: str, holder: int, parent: int | None) -> int:
        """Return the requested pipeline or team; without one, the workspace or organization."""
        if parent is None:
            return holder
        rows = self.world.entities.get(kind, {}).get(holder, [])
        if parent not in {row.get(id_field) for row in rows}:
            raise http_error(403, "Operation not allowed")
        return parent

    @get("/compute-envs/{env_id}")
    def describe_compute_env(self, request: Request) -> Row:
        """Return a compute environment with its settings; labels and resources on request."""
        key, env_id = self.requested_workspace(request), request.path_params["env_id"]
        known = frozenset(_OF_COMPUTE_ENVS)
        hidden = known - read_attributes(request, self.profile.quirks, known)
        envs = self.world.list_compute_envs(key)
        row = next((env for env in envs if env.get("id") == env_id), None)
        if row is None:
            raise http_error(403, "Operation not allowed")
        shown = describe_compute_env(row, self.world.workspaces[key]) | dict.fromkeys(hidden)
        return {"computeEnv": self.profile.api.filter_fields("computeEnv", shown)}

    @get("/orgs/{org_id:int}/quotas", legacy=False)
    def describe_quotas(self, request: Request) -> Row:
        """Return the quotas of an organization."""
        org_id = request.path_params["org_id"]
        self.authorize_organization(request, org_id)
        stored = self.world.entities.get("quotas", {}).get(org_id)
        return {"quotas": stored[-1] if stored else _QUOTAS}

    @get("/admin/audit-logs-v2")
    def list_audit_logs(self, request: Request) -> Row:
        """Return a page of the audit log by token, newest entry first; for the first user only."""
        if current_user(request) != self.world.owner():
            raise http_error(403, "Operation not allowed")
        if not self.profile.api.has_audit_logs:
            raise http_error(404, "Not found")
        after = request.query_params.get("timestampAfterOrEqual", "")
        before = request.query_params.get("timestampBeforeOrEqual", "9999")
        found = [
            row
            for row in self.world.entities.get("auditLogs", {}).get(0, [])
            if _to_second(after) <= _to_second(row["timestamp"]) <= _to_second(before)
        ]
        found.sort(key=lambda row: (_to_second(row["timestamp"]), row["id"]), reverse=True)
        start = read_int(request, "nextPageToken", 0) or 0
        size = read_page(request, _DEFAULT_ROWS, self.profile.quirks).size
        token = str(start + size) if start + size < len(found) else None
        return {"auditLogs": found[start : start + size], "nextPageToken": token}


def _to_second(text: str) -> str:
    """Return a timestamp without fractions of a second, for comparisons."""
    return text.replace(" ", "T")[:19]

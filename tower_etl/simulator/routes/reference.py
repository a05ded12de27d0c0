"""Routes of reference data: pipelines, compute environments, people, teams and the like."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.routing import Route

from tower_etl.simulator.data import load_json, load_toml
from tower_etl.simulator.routes.base import RouteGroup, current_user, denied, get, read_int

if TYPE_CHECKING:
    from starlette.requests import Request

    from tower_etl.simulator.aggregates import Row
    from tower_etl.simulator.state import Workspace

_DEFAULT_ROWS = 10
_QUOTAS: Row = load_json("reference.json")["quotas"]
_COMPUTE_ENVS = load_json("compute_envs.json")
_FIELDS: dict[str, list[str]] = _COMPUTE_ENVS["fields"]
_COMPUTE_ENV_ATTRIBUTES = frozenset({"labels", "resources"})


@dataclass(frozen=True)
class EntityKind:
    """A list of reference data; `data/entity_kinds.toml` describes the fields."""

    name: str
    path: str
    paged: bool = True
    totalled: bool = True
    stored: str = ""
    optional: dict[str, str] = field(default_factory=dict)


_KINDS = [EntityKind(**row) for row in load_toml("entity_kinds.toml")["kinds"]]


def describe_compute_env(row: Row, workspace: Workspace) -> Row:
    """Return a compute environment in the shape of `/compute-envs/{id}`."""
    platform = str(row.get("platform"))
    config = {"discriminator": platform, "workDir": row.get("workDir")}
    derived = {
        "awsAccountId": "210987654321" if platform == "aws-batch" else None,
        "config": _COMPUTE_ENVS["config"] | config | _COMPUTE_ENVS["platforms"].get(platform, {}),
        "dateCreated": workspace.created,
        "deleted": False,
        "fusionMetricsCollectionEnabled": bool(row.get("fusion2Enabled")),
        "lastUpdated": workspace.created,
        "orgId": workspace.org_id,
        "workspaceId": workspace.id,
    }
    names = _FIELDS["shared"] + _FIELDS["detail_only"]
    return {name: row.get(name, derived.get(name)) for name in names}


def embed_compute_env(row: Row, workspace: Workspace) -> Row:
    """Return a compute environment in the shape of launches."""
    env = describe_compute_env(row, workspace)
    return {name: env[name] for name in env if name not in _FIELDS["not_in_launches"]}


class ReferenceRoutes(RouteGroup):
    """Handlers for reference data: one for each kind, and others for single objects."""

    def list_routes(self) -> list[Route]:
        """Return the routes of all kinds, then those of the marked methods."""
        handlers = {kind.path: partial(ReferenceRoutes.list_kind, kind=kind) for kind in _KINDS}
        kinds = [Route(path, self.endpoint(handler)) for path, handler in handlers.items()]
        return kinds + super().list_routes()

    def list_kind(self, request: Request, kind: EntityKind) -> Row:
        """Return the rows of a kind."""
        holder, stored = self._find_holder(request), kind.stored or kind.name
        rows = self.world.list_entities(stored, holder)
        if stored == "computeEnvs":
            details = set(_FIELDS["detail_only"])
            rows = [{name: row[name] for name in row if name not in details} for row in rows]
        requested = self.read_attributes(request, frozenset(kind.optional))
        hidden = {field for name, field in kind.optional.items() if name not in requested}
        words = request.query_params.get("search", "").lower()
        rows = [row for row in rows if words in str(row.get("name", "")).lower()]
        total = {"totalSize": len(rows)} if kind.totalled else {}
        if kind.paged:
            rows = rows[self.read_page(request, _DEFAULT_ROWS)]
        shown = [row | dict.fromkeys(hidden & row.keys()) for row in rows]
        return {kind.name: [self.profile.filter_fields(stored, row) for row in shown], **total}

    def _find_holder(self, request: Request) -> int:
        params: dict[str, int] = request.path_params
        if "key" in params:
            return self.authorize(request, params["key"]).key
        if "org_id" not in params:
            key = self.requested_workspace(request)
            return self._find_parent("pipelines", "pipelineId", key, params.get("parent"))
        org_id = self._requested_organization(request)
        return self._find_parent("teams", "teamId", org_id, params.get("parent"))

    def _requested_organization(self, request: Request) -> int:
        org_id: int = request.path_params["org_id"]
        if org_id not in self.visible_organizations(current_user(request)):
            raise denied()
        return org_id

    def _find_parent(self, kind: str, id_field: str, holder: int, parent: int | None) -> int:
        """Return the requested pipeline or team; without one, the workspace or organization."""
        if parent is None:
            return holder
        if parent not in {row.get(id_field) for row in self.world.list_entities(kind, holder)}:
            raise denied()
        return parent

    @get("/compute-envs/{env_id}")
    def describe_compute_env(self, request: Request) -> Row:
        """Return a compute environment with its settings; labels and resources on request."""
        key, env_id = self.requested_workspace(request), request.path_params["env_id"]
        known = _COMPUTE_ENV_ATTRIBUTES
        hidden = known - self.read_attributes(request, known)
        envs = self.world.list_entities("computeEnvs", key)
        row = next((env for env in envs if env.get("id") == env_id), None)
        if row is None:
            raise denied()
        shown = describe_compute_env(row, self.world.workspaces[key]) | dict.fromkeys(hidden)
        return {"computeEnv": self.profile.filter_fields("computeEnv", shown)}

    @get("/orgs/{org_id:int}/quotas", legacy=False)
    def describe_quotas(self, request: Request) -> Row:
        """Return the quotas of an organization."""
        stored = self.world.list_entities("quotas", self._requested_organization(request))
        return {"quotas": stored[-1] if stored else _QUOTAS}

    @get("/admin/audit-logs-v2")
    def list_audit_logs(self, request: Request) -> Row:
        """Return a page of the audit log by token, newest entry first; for the first user only."""
        if current_user(request) != self.world.owner():
            raise denied()
        if not self.profile.has_audit_logs:
            raise HTTPException(404, "Not found")
        after = _to_second(request.query_params.get("timestampAfterOrEqual", ""))
        before = _to_second(request.query_params.get("timestampBeforeOrEqual", "9999"))
        rows = self.world.list_entities("auditLogs", 0)
        found = [row for row in rows if after <= _to_second(row["timestamp"]) <= before]
        found.sort(key=lambda row: (_to_second(row["timestamp"]), row["id"]), reverse=True)
        start = read_int(request, "nextPageToken")
        page = self.read_page(request, _DEFAULT_ROWS)
        end = start + page.stop - page.start
        token = str(end) if end < len(found) else None
        return {"auditLogs": found[start:end], "nextPageToken": token}


def _to_second(text: str) -> str:
    """Return a timestamp without fractions of a second, for comparisons."""
    return text.replace(" ", "T")[:19]

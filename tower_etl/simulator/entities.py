"""The routes of slow entities: pipelines, compute environments, people, teams and the like."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.routing import Route

from tower_etl.simulator.access import (
    admit,
    endpoint,
    find_org,
    find_place,
    find_user,
)
from tower_etl.simulator.computeenvs import list_compute_env
from tower_etl.simulator.parameters import (
    read_attributes,
    read_int,
    read_page,
    refuse,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from tower_etl.simulator.editions import ServerProfile
    from tower_etl.simulator.runs import Row
    from tower_etl.simulator.world import World

_PAGE_BY_DEFAULT = 10


@dataclass(frozen=True)
class EntityKind:
    """How a kind of entity is listed.

    Attributes:
        name: The list's name in the answer.
        path: Its route.
        paged: Whether it takes `max` and `offset`; the others come whole (API fact 1).
        totalled: Whether the answer gives `totalSize`.
        stored: Kind under which the world holds the rows, where it is not the list's name.
        optional: Attributes that must be asked for, each with the field that is null otherwise.
    """

    name: str
    path: str
    paged: bool = True
    totalled: bool = True
    stored: str = ""
    optional: Mapping[str, str] = field(default_factory=dict)


_LABELS = {"labels": "labels"}
_OF_PIPELINES = _LABELS | {"computeEnv": "computeEnv", "optimized": "optimizationStatus"}

ENTITY_KINDS: tuple[EntityKind, ...] = (
    EntityKind("pipelines", "/pipelines", optional=_OF_PIPELINES),
    EntityKind("versions", "/pipelines/{parent:int}/versions", stored="pipelineVersions"),
    EntityKind(
        "computeEnvs",
        "/compute-envs",
        paged=False,
        totalled=False,
        optional=_LABELS | {"resources": "resources"},
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


@dataclass(frozen=True)
class EntityRoutes:
    """One endpoint per kind (see `Routes` for the attributes)."""

    world: World
    profile: ServerProfile

    def list_routes(self) -> list[Route]:
        """The routes, below `/api`."""
        listed = [Route(kind.path, self._make_endpoint(kind)) for kind in ENTITY_KINDS]
        return [*listed, Route("/admin/audit-logs-v2", self.list_audit_logs)]

    def _make_endpoint(self, kind: EntityKind) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            request.scope["sim.kind"] = kind
            return await self.list_entities(request)

        return answer

    @endpoint
    def list_entities(self, request: Request) -> Row:
        """Entities of the kind that the route is for."""
        kind: EntityKind = request.scope["sim.kind"]
        holder, stored = self._find_holder(request), kind.stored or kind.name
        rows = self.world.entities.get(stored, {}).get(holder, [])
        if stored == "computeEnvs":
            rows = [list_compute_env(row) for row in rows]
        asked = read_attributes(request, self.profile.quirks, frozenset(kind.optional))
        hidden = {field for name, field in kind.optional.items() if name not in asked}
        words = request.query_params.get("search", "").lower()
        rows = [row for row in rows if words in str(row.get("name", "")).lower()]
        total = {"totalSize": len(rows)} if kind.totalled else {}
        if kind.paged:
            page = read_page(request, _PAGE_BY_DEFAULT, self.profile.quirks)
            rows = rows[page.offset : page.offset + page.size]
        shown = [
            {name: None if name in hidden else value for name, value in row.items()} for row in rows
        ]
        return {kind.name: [self.profile.edition.trim(stored, row) for row in shown], **total}

    def _find_holder(self, request: Request) -> int:
        named: dict[str, int] = request.path_params
        if "key" in named:
            admit(self, request, named["key"])
            return named["key"]
        if "org_id" not in named:
            place = find_place(self, request)
            return self._find_parent("pipelines", "pipelineId", place, named.get("parent"))
        find_org(self, request, named["org_id"])
        return self._find_parent("teams", "teamId", named["org_id"], named.get("parent"))

    def _find_parent(self, kind: str, key: str, holder: int, parent: int | None) -> int:
        """The pipeline or team whose rows are asked for; without one, the place itself."""
        if parent is None:
            return holder
        if parent not in {
            row.get(key) for row in self.world.entities.get(kind, {}).get(holder, [])
        }:
            raise refuse(403, "Operation not allowed")
        return parent

    @endpoint
    def list_audit_logs(self, request: Request) -> Row:
        """`/admin/audit-logs-v2`: newest first, a page at a time by token; for the first user."""
        if find_user(request) != self.world.owner():
            raise refuse(403, "Operation not allowed")
        if not self.profile.edition.has_audit_logs:
            raise refuse(404, "Not found")
        after = request.query_params.get("timestampAfterOrEqual", "")
        before = request.query_params.get("timestampBeforeOrEqual", "9999")
        found = [
            row
            for row in self.world.entities.get("auditLogs", {}).get(0, [])
            if _cut(after) <= _cut(row["timestamp"]) <= _cut(before)
        ]
        found.sort(key=lambda row: (_cut(row["timestamp"]), row["id"]), reverse=True)
        start = read_int(request, "nextPageToken", 0) or 0
        size = read_page(request, _PAGE_BY_DEFAULT, self.profile.quirks).size
        token = str(start + size) if start + size < len(found) else None
        return {"auditLogs": found[start : start + size], "nextPageToken": token}


def _cut(text: str) -> str:
    """A time to the second, so that fractions and their absence compare."""
    return text.replace(" ", "T")[:19]

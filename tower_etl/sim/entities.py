"""The routes of slow entities: pipelines, compute environments, people, teams and the like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.routing import Route

from tower_etl.sim.access import admit, endpoint, find_place, find_user
from tower_etl.sim.parameters import read_page, refuse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from tower_etl.sim.editions import ServerProfile
    from tower_etl.sim.runs import Row
    from tower_etl.sim.world import World

_PAGE_BY_DEFAULT = 10


@dataclass(frozen=True)
class EntityKind:
    """How a kind of entity is listed.

    Attributes:
        name: The list's name in the answer.
        path: Its route.
        paged: Whether it takes `max` and `offset`; the others come whole (API fact 1).
        totalled: Whether the answer gives `totalSize`.
    """

    name: str
    path: str
    paged: bool = True
    totalled: bool = True


ENTITY_KINDS: tuple[EntityKind, ...] = (
    EntityKind("pipelines", "/pipelines"),
    EntityKind("computeEnvs", "/compute-envs", paged=False, totalled=False),
    EntityKind("datasets", "/datasets"),
    EntityKind("datasets", "/workspaces/{key:int}/datasets", paged=False),
    EntityKind("actions", "/actions", paged=False, totalled=False),
    EntityKind("credentials", "/credentials", paged=False, totalled=False),
    EntityKind("studios", "/studios"),
    EntityKind("dataLinks", "/data-links"),
    EntityKind("members", "/orgs/{org_id:int}/members"),
    EntityKind("teams", "/orgs/{org_id:int}/teams"),
    EntityKind("participants", "/orgs/{org_id:int}/workspaces/{key:int}/participants"),
)


@dataclass(frozen=True)
class EntityRoutes:
    """One endpoint per kind (see `Routes` for the attributes)."""

    world: World
    profile: ServerProfile

    def list_routes(self) -> list[Route]:
        """The routes, below `/api`."""
        return [Route(kind.path, self._make_endpoint(kind)) for kind in ENTITY_KINDS]

    def _make_endpoint(self, kind: EntityKind) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            request.scope["sim.kind"] = kind
            return await self.list_entities(request)

        return answer

    @endpoint
    def list_entities(self, request: Request) -> Row:
        """Entities of the kind that the route is for."""
        kind: EntityKind = request.scope["sim.kind"]
        rows = self.world.entities.get(kind.name, {}).get(self._find_holder(request), [])
        words = request.query_params.get("search", "").lower()
        rows = [row for row in rows if words in str(row.get("name", "")).lower()]
        total = {"totalSize": len(rows)} if kind.totalled else {}
        if kind.paged:
            page = read_page(request, _PAGE_BY_DEFAULT)
            rows = rows[page.offset : page.offset + page.size]
        return {kind.name: [self.profile.edition.trim(kind.name, row) for row in rows], **total}

    def _find_holder(self, request: Request) -> int:
        named: dict[str, int] = request.path_params
        if "key" in named:
            admit(self, request, named["key"])
            return named["key"]
        if "org_id" not in named:
            return find_place(self, request)
        user, org_id = find_user(request), named["org_id"]
        places = self.world.workspaces.items()
        seen = {place.org_id for key, place in places if self.world.may_see(user, key)}
        if org_id not in self.world.organizations or (user.workspaces and org_id not in seen):
            raise refuse(403, "Operation not allowed")
        return org_id

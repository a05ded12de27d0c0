"""Groups of routes: parameters and authorization of a request, and its response under the lock."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

import orjson
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from tower_etl.simulator.aggregates import Row
    from tower_etl.simulator.api_versions import ServerProfile
    from tower_etl.simulator.events import World
    from tower_etl.simulator.runs import Run
    from tower_etl.simulator.state import User, Workspace

    Handler = Callable[[Any, Request], Row]
    Endpoint = Callable[[Request], Awaitable[Response]]

_ROUTE = "_route"
_RUN_ATTRIBUTES = frozenset({"optimized", "labels", "messages", "minimal", "pipelineInfo"})


def get(path: str, *, legacy: bool = True) -> Callable[[Handler], Handler]:
    """Mark a method as the handler of a path below `/api`, which legacy servers may not have."""

    def mark(handler: Handler) -> Handler:
        setattr(handler, _ROUTE, (path, legacy))
        return handler

    return mark


def denied() -> HTTPException:
    """Return the platform's error for forbidden objects, and for missing ones."""
    return HTTPException(403, "Operation not allowed")


def current_user(request: Request) -> User:
    """Return the user whose token the request carries."""
    user: User = request.scope["sim.user"]
    return user


def read_int(request: Request, name: str, default: int = 0) -> int:
    """Return an integer parameter; a text that is not an integer is refused with 400."""
    text = request.query_params.get(name)
    try:
        return int(text) if text else default
    except ValueError as error:
        raise HTTPException(400, f"Invalid value for parameter {name}: {text}") from error


class RouteGroup:
    """Handlers of related routes; each returns the JSON object of its response.

    Methods that take a request refuse it with an `HTTPException`.
    """

    def __init__(self, world: World, profile: ServerProfile) -> None:
        self.world = world
        self.profile = profile

    def list_routes(self) -> list[Route]:
        """Return the routes of the marked methods, in the order of their definition."""
        marked = [
            (*getattr(handler, _ROUTE), handler)
            for handler in vars(type(self)).values()
            if hasattr(handler, _ROUTE)
        ]
        return [
            Route(path, self.endpoint(handler))
            for path, legacy, handler in marked
            if legacy or not self.profile.legacy
        ]

    def endpoint(self, handler: Handler) -> Endpoint:
        """Return the endpoint of a handler; the world does not change while it runs."""

        async def respond(request: Request) -> Response:
            with self.world.lock:
                body = orjson.dumps(handler(self, request))
            body = self.profile.quirks.format_times(body)
            return Response(body, media_type="application/json")

        return respond

    def read_page(self, request: Request, default: int) -> slice:
        """Return the rows of a list that `offset` and `max` (or the default) request."""
        quirks = self.profile.quirks
        size, offset = read_int(request, "max", default), read_int(request, "offset")
        is_sent = "max" in request.query_params
        if size < 1 or (is_sent and size > quirks.largest_page):
            message = f"Parameter max must be between 1 and {quirks.largest_page}"
            raise HTTPException(400, message)
        if offset < 0:
            raise HTTPException(400, "Parameter offset cannot be negative")
        if quirks.unpaged and re.search(quirks.unpaged, request.url.path):
            return slice(0, sys.maxsize)
        size = default if quirks.ignores_max else size
        return slice(offset, offset + min(size, quirks.page_cap or size))

    def read_attributes(
        self, request: Request, known: frozenset[str] = _RUN_ATTRIBUTES
    ) -> frozenset[str]:
        """Return the names in `attributes`, separated by commas."""
        texts = request.query_params.getlist("attributes")
        requested = frozenset(name for text in texts for name in text.split(",") if name)
        if unknown := requested - (known - self.profile.quirks.unknown_attributes):
            raise HTTPException(400, f"Unknown attribute: {', '.join(sorted(unknown))}")
        return requested

    def authorize(self, request: Request, key: int) -> Workspace:
        """Return a workspace that the user may read."""
        if key in self.world.forbidden or not self.world.may_see(current_user(request), key):
            raise denied()
        return self.world.workspaces[key]

    def visible_workspaces(self, user: User) -> list[tuple[int, int]]:
        """Return key and organization of the workspaces that a user sees in organizations."""
        return [
            (key, workspace.org_id)
            for key, workspace in self.world.workspaces.items()
            if workspace.org_id is not None and self.world.may_see(user, key)
        ]

    def visible_organizations(self, user: User) -> list[int]:
        """Return the organizations that a user sees."""
        visible = {org_id for _, org_id in self.visible_workspaces(user)}
        orgs = self.world.organizations
        return [org_id for org_id in orgs if user.workspaces is None or org_id in visible]

    def requested_workspace(self, request: Request) -> int:
        """Return the key of the requested workspace; without `workspaceId`, the personal one."""
        if request.query_params.get("workspaceId"):
            key = read_int(request, "workspaceId")
        elif self.profile.user_workspace:
            key = -current_user(request).id
        else:
            raise HTTPException(403, "User workspace is not enabled on this server")
        self.authorize(request, key)
        return key

    def requested_run(self, request: Request) -> Run:
        """Return the run in the path of a request, in the requested workspace."""
        key = self.requested_workspace(request)
        try:
            run = self.world.find_run(request.path_params["run_id"])
        except KeyError as error:
            raise denied() from error
        if run.workspace_id != key or not self.world.shows(run):
            raise denied()
        return run

"""Groups of routes: methods marked with `get`, called under the lock of the world."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

import orjson
from starlette.responses import Response
from starlette.routing import Route

from tower_etl.simulator.auth import Authorization

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from tower_etl.simulator.aggregates import Row

    Handler = Callable[[Any, Request], Row]
    Endpoint = Callable[[Request], Awaitable[Response]]

_ROUTE = "_route"


def get(path: str, *, legacy: bool = True) -> Callable[[Handler], Handler]:
    """Mark a method as the handler of GET requests.

    Args:
        path: Path below `/api`.
        legacy: Whether a legacy server has the route.
    """

    def mark(handler: Handler) -> Handler:
        setattr(handler, _ROUTE, (path, legacy))
        return handler

    return mark


class RouteGroup(Authorization):
    """Handlers of related routes; each returns the JSON object of its response."""

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

        @wraps(handler)
        async def respond(request: Request) -> Response:
            with self.world.lock:
                body = orjson.dumps(handler(self, request))
            body = self.profile.quirks.format_times(body)
            return Response(body, media_type="application/json")

        return respond

"""The simulated server, an ASGI application: log, rate limit, authentication, routes, faults."""

from __future__ import annotations

import asyncio
import ipaddress
import random
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Mount

from tower_etl.simulator.api_versions import ServerProfile
from tower_etl.simulator.calls import (
    NO_LIMIT,
    Call,
    RateLimit,
    RateLimiter,
    RequestLog,
    digest_token,
)
from tower_etl.simulator.control import ControlRoutes
from tower_etl.simulator.faults import FaultPlan
from tower_etl.simulator.responses import capture, error_response, json_response, send_with_fault
from tower_etl.simulator.routes.accounts import AccountRoutes
from tower_etl.simulator.routes.reference import ReferenceRoutes
from tower_etl.simulator.routes.runs import RunRoutes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from tower_etl.simulator.events import World
    from tower_etl.simulator.responses import BufferedResponse
    from tower_etl.simulator.state import User

DEMO_TOKEN = "tower-etl-demo-token"  # noqa: S105 - valid for the simulator only

_API = "/api/"
_PUBLIC_PATHS = frozenset({"/api/service-info"})
_ROUTE_GROUPS = (AccountRoutes, RunRoutes, ReferenceRoutes)


async def _handle_error(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
    if isinstance(error, HTTPException):
        return json_response({"message": error.detail}, error.status_code)
    return json_response({"message": str(error)}, 500)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Simulator:
    """The API of Seqera Platform for a simulated world.

    Args:
        world: State of the platform.
        tokens: Valid access tokens, or a mapping from token to user id (None: the first user).
        profile: Kind of server.
        limit: Rate limit per token, None for no limit.
        faults: Plan of injected faults; none by default.
        latency_s: Seconds before every response.
        jitter_s: Maximum delay of a call before it arrives, seconds; seeded.
        monotonic: Clock of the arrivals, in seconds.

    Attributes:
        faults: Plan of injected faults, which may be changed while serving.
        log: Log of the calls.
        before_call: Called with the number of the call (from 0) and the call before it is handled,
            so that a test can change the world between two pages. The server waits meanwhile.
    """

    def __init__(  # noqa: PLR0913 - settings by keyword, each with a default
        self,
        world: World,
        *,
        tokens: Iterable[str] | Mapping[str, int | None] = (DEMO_TOKEN,),
        profile: ServerProfile | None = None,
        limit: RateLimit | None = RateLimit(),  # noqa: B008 - a frozen value
        faults: FaultPlan | None = None,
        latency_s: float = 0.0,
        jitter_s: float = 0.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        owners = tokens if isinstance(tokens, Mapping) else dict.fromkeys(tokens)
        self._users = {digest_token(token): owner for token, owner in owners.items()}
        self.world = world
        self.faults = faults or FaultPlan()
        self.log = RequestLog()
        self.before_call: Callable[[int, Call], None] | None = None
        self._limiter = RateLimiter(limit or NO_LIMIT)
        self._latency_s, self._jitter_s = latency_s, jitter_s
        self._jitter = random.Random("jitter")
        self._monotonic = monotonic
        self._app = self._build_app(profile or ServerProfile())

    @property
    def calls(self) -> list[Call]:
        """Latest 200,000 calls below `/api`, oldest first."""
        return list(self.log.calls)

    def _build_app(self, profile: ServerProfile) -> ASGIApp:
        groups = [group(self.world, profile) for group in _ROUTE_GROUPS]
        api = [route for group in groups for route in group.list_routes()]
        control = ControlRoutes(self.world, self.log, self.faults).list_routes()
        return Starlette(
            routes=[Mount("/api", routes=api), Mount("/_sim", routes=control)],
            exception_handlers={HTTPException: _handle_error, Exception: _handle_error},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one HTTP request; the server passes on no other connections."""
        if scope["path"].startswith(_API):
            await self._handle_call(scope, receive, send)
        elif _is_loopback((scope.get("client") or ("",))[0]):
            await self._app(scope, receive, send)
        else:
            await error_response(403, "Only from this machine").send(send)

    async def _handle_call(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._jitter_s:
            await asyncio.sleep(self._jitter_s * self._jitter.random())
        call = self._record(scope)
        if self.before_call is not None:
            self.before_call(self.log.total - 1, call)
        response, fault = self._refuse(scope, call), None
        if self._latency_s:
            await asyncio.sleep(self._latency_s)
        if response is None:
            fault = self.faults.choose(call.path, call.query)
            response = await capture(self._app, scope, receive)
        call.status = response.status
        if fault is None:
            await response.send(send)
        else:
            call.fault = fault.kind
            call.status = await send_with_fault(fault, response, scope, send)

    def _record(self, scope: Scope) -> Call:
        arrived_s = self._monotonic()
        header = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
        bearer = header.partition("Bearer ")[2]
        token = digest_token(bearer) if bearer else None
        query = scope["query_string"].decode("latin-1")
        call = Call(arrived_s, scope["method"], scope["path"], query, token)
        self.log.add(call)
        return call

    def _refuse(self, scope: Scope, call: Call) -> BufferedResponse | None:
        if call.token is not None and not self._limiter.admit(call.token, call.arrived_s):
            return error_response(429, "Too many requests", self._limiter.limit.retry_after)
        user = self._find_user(call.token)
        if user is None and call.path not in _PUBLIC_PATHS:
            return error_response(401, "Unauthorized")
        scope["sim.user"] = user
        return None

    def _find_user(self, token: str | None) -> User | None:
        if token is None or token not in self._users:
            return None
        with self.world.lock:
            user_id = self._users[token]
            return self.world.owner() if user_id is None else self.world.users[user_id]

"""The simulated server as an ASGI application: calls are counted, limited, struck, answered."""

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

from tower_etl.simulator.access import answer_json
from tower_etl.simulator.calls import Call, CallLog, digest_token
from tower_etl.simulator.control import ControlRoutes
from tower_etl.simulator.details import DetailRoutes
from tower_etl.simulator.editions import ServerProfile
from tower_etl.simulator.entities import EntityRoutes
from tower_etl.simulator.faults import FaultPlan
from tower_etl.simulator.limits import RateGate, RateLimit
from tower_etl.simulator.places import PlaceRoutes
from tower_etl.simulator.replies import capture, play, refusal
from tower_etl.simulator.routes import RunRoutes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from tower_etl.simulator.directory import User
    from tower_etl.simulator.replies import Reply
    from tower_etl.simulator.world import World

DEMO_TOKEN = "tower-etl-demo-token"  # noqa: S105 - opens the simulator and nothing else

_API = "/api/"
_OPEN_PATHS = frozenset({"/api/service-info"})


async def _answer_refusal(request: Request, fault: Exception) -> Response:  # noqa: ARG001 - starlette's shape
    status, detail = 500, str(fault)
    if isinstance(fault, HTTPException):
        status, detail = fault.status_code, fault.detail
    return answer_json({"message": detail}, status)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Simulator:
    """A Tower API on a world.

    Args:
        world: Where the answers come from.
        tokens: Access tokens that open it, or a mapping of token to user id (None: the owner).
        profile: What kind of server answers.
        limit: Rate limit per token, None for no limit.
        faults: Which calls go wrong; none by default.
        latency_s: Seconds before every answer.
        jitter_s: Up to that many seconds on the way of a call, before it arrives; seeded.
        monotonic: Arrival clock, in seconds.

    Attributes:
        world: As given.
        faults: The fault plan; may be changed while serving.
        log: The record of calls.
        before_call: Called with the number of the call (from 0) and the call, before it is
            answered, so that a test can change the world between two pages. The server stands
            still meanwhile.
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
        self.log = CallLog()
        self.before_call: Callable[[int, Call], None] | None = None
        self._gate = RateGate(limit or RateLimit(None, None))
        self._retry_after = limit.retry_after if limit else None
        self._latency_s, self._jitter_s = latency_s, jitter_s
        self._jitter = random.Random("jitter")
        self._monotonic = monotonic
        self._app = self._make_app(profile or ServerProfile())

    @property
    def calls(self) -> list[Call]:
        """The calls that arrived under `/api`, oldest first (the latest 200,000)."""
        return self.log.list_calls()

    def _make_app(self, profile: ServerProfile) -> ASGIApp:
        groups = (PlaceRoutes, RunRoutes, EntityRoutes, DetailRoutes)
        routes = [route for group in groups for route in group(self.world, profile).list_routes()]
        return Starlette(
            routes=[
                Mount("/api", routes=routes),
                Mount("/_sim", routes=ControlRoutes(self).list_routes()),
            ],
            exception_handlers={HTTPException: _answer_refusal, Exception: _answer_refusal},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI event."""
        if scope["type"] != "http":
            msg = f"The simulator speaks HTTP alone, not {scope['type']}."
            raise NotImplementedError(msg)
        if scope["path"].startswith(_API):
            await self._answer_call(scope, receive, send)
        elif _is_loopback((scope.get("client") or ("",))[0]):
            await self._app(scope, receive, send)
        else:
            await refusal(403, "Only from this machine").send(send)

    async def _answer_call(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _pass(self._jitter_s * self._jitter.random())
        call = self._record(scope)
        if self.before_call is not None:
            self.before_call(self.log.total - 1, call)
        reply = self._check(scope, call)
        await _pass(self._latency_s)
        fault = self.faults.choose(call.path, call.query) if reply is None else None
        if reply is None:
            reply = await capture(self._app, scope, receive)
        call.status = reply.status
        if fault is None:
            await reply.send(send)
        else:
            call.fault = fault.kind
            call.status = await play(fault, reply, scope, send)

    def _record(self, scope: Scope) -> Call:
        arrived_s = self._monotonic()
        bearer = _find_header(scope, b"authorization").partition("Bearer ")[2]
        call = Call(
            arrived_s,
            scope["method"],
            scope["path"],
            scope["query_string"].decode("latin-1"),
            digest_token(bearer) if bearer else None,
        )
        self.log.add(call)
        return call

    def _check(self, scope: Scope, call: Call) -> Reply | None:
        if call.token is not None and not self._gate.admit(call.token, call.arrived_s):
            return refusal(429, "Too many requests", self._retry_after)
        user = self._find_user(call.token)
        if user is None and call.path not in _OPEN_PATHS:
            return refusal(401, "Unauthorized")
        scope["sim.user"] = user
        return None

    def _find_user(self, token: str | None) -> User | None:
        if token is None or token not in self._users:
            return None
        with self.world.lock:
            user_id = self._users[token]
            return self.world.owner() if user_id is None else self.world.users[user_id]


async def _pass(seconds: float) -> None:
    if seconds:
        await asyncio.sleep(seconds)


def _find_header(scope: Scope, name: bytes) -> str:
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    return next((value.decode("latin-1") for key, value in headers if key == name), "")

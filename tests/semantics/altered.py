"""Serve a simulated platform whose responses are changed before they are sent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

import orjson

from tests.semantics.platform import SimulatedPlatform
from tests.semantics.quirky import START
from tower_etl.simulator import SimClock, build_world
from tower_etl.simulator.responses import BufferedResponse, capture

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

    from tests.semantics.platform import SwappableApp
    from tower_etl.simulator import Simulator, World

    Change = Callable[[Any], Any]


class AlteredSimulator:
    """Pass calls to a simulator and change its responses; an ASGI application.

    Attributes:
        changes: Functions by a regular expression, which must match the whole path. Each turns the
            decoded response into the new one. If it returns `bytes`, they are sent unchanged.
    """

    def __init__(self, simulator: Simulator) -> None:
        self.changes: dict[str, Change] = {}
        self._simulator = simulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response of the simulator, with the changes of its path."""
        reply = await capture(self._simulator, scope, receive)
        path = scope["path"].removeprefix("/api")
        for pattern, change in self.changes.items():
            if reply.status == 200 and re.fullmatch(pattern, path):
                changed = change(orjson.loads(reply.body))
                body = changed if isinstance(changed, bytes) else orjson.dumps(changed)
                reply = BufferedResponse(reply.status, body)
        await reply.send(send)


def serve_altered(
    swappable_app: tuple[str, SwappableApp], world: World | None = None
) -> tuple[SimulatedPlatform, dict[str, Change]]:
    """Serve a world with runs and reference data; return it with the changes, which tests fill."""
    world = world or build_world(3, clock=SimClock.frozen_at(START), runs=12, mean_tasks=3)
    platform = SimulatedPlatform.start(*swappable_app, world)
    altered = AlteredSimulator(platform.simulator)
    swappable_app[1].simulator = cast("Simulator", altered)
    return platform, altered.changes

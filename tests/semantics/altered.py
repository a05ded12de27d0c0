"""A simulator whose answers are changed on their way out."""

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
    """An ASGI application that passes calls to a simulator and changes its answers.

    Attributes:
        changes: By a regular expression that the path must match whole, what makes the new answer
            out of the old one. A `bytes` answer is sent as it is.
    """

    def __init__(self, simulator: Simulator) -> None:
        self.changes: dict[str, Change] = {}
        self._simulator = simulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, with the changes."""
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
    """Serve a furnished world; return it with the changes, which tests fill."""
    world = world or build_world(3, clock=SimClock.frozen_at(START), runs=12, mean_tasks=3)
    platform = SimulatedPlatform.start(*swappable_app, world)
    altered = AlteredSimulator(platform.simulator)
    swappable_app[1].simulator = cast("Simulator", altered)
    return platform, altered.changes

"""A platform with a secret in every text of its responses."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Any, cast

import orjson

from tests.privacy.secret_samples import SECRETS, plant
from tower_etl.simulator.responses import BufferedResponse, capture

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from tower_etl.simulator import Simulator

# A sync needs these fields to identify records and to detect changes.
KEPT = frozenset(
    {
        *("datasetId", "sessionId", "id", "taskId", "orgId", "workspaceId"),
        *("userId", "process", "status", "submit", "dateCreated", "lastUpdated"),
        *("complete", "starred", "hasMore", "totalSize", "total", "version"),
        *("apiVersion", "userWorkspaceEnabled", "authTypes", "labels"),
    }
)


class SecretInjector:
    """An ASGI application that inserts secrets into the responses of a simulator.

    Attributes:
        planted: Number of texts with secrets so far.
        names: Names of the fields that got such a text.
    """

    def __init__(self, simulator: Simulator) -> None:
        self.planted = 0
        self.names: set[str] = set()
        self._simulator = simulator
        self._texts = cycle(plant(name) for name in SECRETS)

    @property
    def app(self) -> Simulator:
        """The application, with the type that `serve` takes."""
        return cast("Simulator", self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response of the simulator with secrets."""
        reply = await capture(self._simulator, scope, receive)
        body = orjson.dumps(self._corrupt("", orjson.loads(reply.body)))
        await BufferedResponse(reply.status, body).send(send)

    def _corrupt(self, name: str, value: Any) -> Any:
        if isinstance(value, dict):
            corrupted = {key: self._corrupt(key, item) for key, item in value.items()}
            return corrupted | {"brandNew": self._next("brandNew"), "config": self._nest()}
        if isinstance(value, list):
            return [self._corrupt(name, item) for item in value]
        return self._next(name) if name not in KEPT and _has_room(value) else value

    def _nest(self) -> dict[str, Any]:
        return {"password": "hunter2 in a field", "list": [{"note": self._next("config")}]}

    def _next(self, name: str) -> str:
        self.planted += 1
        self.names.add(name)
        return f"some text\n{next(self._texts)}"


def _has_room(value: object) -> bool:
    return value is None or isinstance(value, str)

"""Control routes of the simulator, `/_sim/...`: clock, log of calls, faults, events."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.routing import Route

from tower_etl.simulator.calls import peak_calls_in_window
from tower_etl.simulator.faults import Fault
from tower_etl.simulator.responses import json_response

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from tower_etl.simulator.calls import RequestLog
    from tower_etl.simulator.events import World
    from tower_etl.simulator.faults import FaultPlan

# An explicit list, so that a caller cannot reach other attributes of the world.
EVENTS = frozenset(
    {
        *("submit_run", "start_run", "update_run", "lose_heartbeat", "find_heartbeat"),
        *("finish_run", "fail_run", "cancel_run", "delete_run", "restore_run", "star"),
        *("add_task", "start_task", "update_task", "finish_task"),
        *("create_label", "rename_label", "set_labels"),
        *("add_organization", "add_workspace", "add_user", "forbid", "allow"),
        *("add_entity", "clear_entities"),
    }
)


class ControlRoutes:
    """Handlers of the control routes, for tests that run the simulator in another process."""

    def __init__(self, world: World, log: RequestLog, faults: FaultPlan) -> None:
        self._world, self._log, self._faults = world, log, faults

    def list_routes(self) -> list[Route]:
        """Return the routes below `/_sim`."""
        return [
            Route("/advance", self.advance, methods=["POST"]),
            Route("/calls", self.list_calls),
            Route("/faults", self.set_faults, methods=["POST"]),
            Route("/event", self.trigger_event, methods=["POST"]),
            Route("/state", self.describe_state),
        ]

    async def advance(self, request: Request) -> Response:
        """Move the clock by `seconds`."""
        try:
            seconds = float(request.query_params.get("seconds", ""))
        except ValueError as error:
            raise HTTPException(400, "Invalid step: expected ?seconds=NUMBER") from error
        return json_response({"now": self._world.clock.advance(seconds).isoformat()})

    async def list_calls(self, request: Request) -> Response:
        """Return the latest calls; with `count=true` their number and peak rate only."""
        peak = peak_calls_in_window(self._log.arrivals, 1.0)
        content: dict[str, Any] = {"total": self._log.total, "worstSecond": peak}
        if request.query_params.get("count") != "true":
            content["calls"] = [asdict(call) for call in self._log.calls]
        return json_response(content)

    async def set_faults(self, request: Request) -> Response:
        """Apply `{"rate": 0.15}`, `{"path": REGEX, "fault": {...}}` or `{"clear": true}`."""
        command = await _read_object(request)
        try:
            if command.get("clear"):
                self._faults.clear()
            if "fault" in command:
                self._faults.add(str(command["path"]), Fault(**command["fault"]))
            self._faults.rate = float(command.get("rate", self._faults.rate))
        except (KeyError, TypeError, ValueError, re.error) as error:
            raise HTTPException(400, f"Invalid fault: {error}") from error
        return json_response({"rate": self._faults.rate})

    async def trigger_event(self, request: Request) -> Response:
        """Call a method of World: `{"method": NAME, "args": [...], "kwargs": {...}}`."""
        command = await _read_object(request)
        name = str(command.get("method"))
        if name not in EVENTS:
            raise HTTPException(400, f"Unknown event: expected one of {', '.join(sorted(EVENTS))}")
        event = getattr(self._world, name)
        try:
            result = event(*command.get("args", ()), **command.get("kwargs", {}))
        except (KeyError, TypeError, ValueError) as error:
            raise HTTPException(400, f"The event failed: {error}") from error
        return json_response({"result": result})

    async def describe_state(self, request: Request) -> Response:  # noqa: ARG002 - handler's signature
        """Return the simulated time and the number of calls, organizations and runs."""
        world = self._world
        state: dict[str, Any] = {
            "now": world.clock.now().isoformat(),
            "calls": self._log.total,
            "organizations": len(world.organizations),
        }
        with world.lock:
            state["runs"] = {
                workspace.name: sum(1 for _ in world.iter_runs(key))
                for key, workspace in world.workspaces.items()
            }
        return json_response(state)


async def _read_object(request: Request) -> dict[str, Any]:
    try:
        content = json.loads(await request.body())
    except ValueError as error:
        raise HTTPException(400, "The body is not JSON") from error
    if not isinstance(content, dict):
        raise HTTPException(400, "The body is not a JSON object")
    return content

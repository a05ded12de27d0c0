"""The simulator's own routes, `/_sim/...`: move the clock, read the calls, make things happen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from tower_etl.simulator.access import answer_json
from tower_etl.simulator.calls import find_worst_window
from tower_etl.simulator.faults import Fault
from tower_etl.simulator.parameters import refuse

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from tower_etl.simulator.simulator import Simulator

# Named one by one: what a caller sends must never choose among all attributes.
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
    """One method per control."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def list_routes(self) -> list[Route]:
        """The routes, below `/_sim`."""
        return [
            Route("/advance", self.advance, methods=["POST"]),
            Route("/calls", self.list_calls),
            Route("/faults", self.set_faults, methods=["POST"]),
            Route("/event", self.make_event, methods=["POST"]),
            Route("/state", self.describe_state),
        ]

    async def advance(self, request: Request) -> Response:
        """Move the clock by `seconds`."""
        try:
            seconds = float(request.query_params.get("seconds", ""))
        except ValueError as fault:
            raise refuse(400, "Say how far to move: ?seconds=NUMBER") from fault
        now = self._simulator.world.clock.advance(seconds)
        return answer_json({"now": now.isoformat()})

    async def list_calls(self, request: Request) -> Response:
        """The latest calls, or with `count=true` their number and worst second alone."""
        log = self._simulator.log
        worst = find_worst_window(log.list_arrivals(), 1.0)
        answer: dict[str, Any] = {"total": log.total, "worstSecond": worst}
        if request.query_params.get("count") != "true":
            answer["calls"] = [call.as_row() for call in log.list_calls()]
        return answer_json(answer)

    async def set_faults(self, request: Request) -> Response:
        """`{"rate": 0.15}`, `{"path": REGEX, "fault": {...}}` or `{"clear": true}`."""
        order = await _read_object(request)
        plan = self._simulator.faults
        try:
            if order.get("clear"):
                plan.clear()
            if "fault" in order:
                plan.add(str(order["path"]), Fault(**order["fault"]))
            plan.rate = float(order.get("rate", plan.rate))
        except (KeyError, TypeError, ValueError) as fault:
            raise refuse(400, f"Not a fault: {fault}") from fault
        return answer_json({"rate": plan.rate})

    async def make_event(self, request: Request) -> Response:
        """`{"method": NAME, "args": [...], "kwargs": {...}}`: a method of World."""
        order = await _read_object(request)
        if order.get("method") not in EVENTS:
            raise refuse(400, f"No such event; one of {', '.join(sorted(EVENTS))}")
        event = getattr(self._simulator.world, str(order["method"]))
        try:
            result = event(*order.get("args", ()), **order.get("kwargs", {}))
        except (KeyError, TypeError, ValueError) as fault:
            raise refuse(400, f"The event failed: {fault}") from fault
        return answer_json({"result": result})

    async def describe_state(self, request: Request) -> Response:  # noqa: ARG002 - endpoint's shape
        """The simulated time, and how much there is of everything."""
        world = self._simulator.world
        with world.lock:
            runs = {
                place.name: sum(1 for _ in world.iter_runs(key))
                for key, place in world.workspaces.items()
            }
        return answer_json(
            {
                "now": world.clock.now().isoformat(),
                "calls": self._simulator.log.total,
                "organizations": len(world.organizations),
                "runs": runs,
            }
        )


async def _read_object(request: Request) -> dict[str, Any]:
    try:
        order = json.loads(await request.body())
    except ValueError as fault:
        raise refuse(400, "The body is no JSON") from fault
    if not isinstance(order, dict):
        raise refuse(400, "The body is no JSON object")
    return order

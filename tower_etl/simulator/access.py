"""Who may ask for what, and the making of endpoints."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import orjson
from starlette.responses import Response

from tower_etl.simulator.parameters import read_int, refuse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from tower_etl.simulator.directory import User
    from tower_etl.simulator.editions import ServerProfile
    from tower_etl.simulator.runs import Row, Run
    from tower_etl.simulator.world import World


class Routes(Protocol):
    """What every group of endpoints has.

    Attributes:
        world: Where the answers come from.
        profile: What kind of server answers.
    """

    @property
    def world(self) -> World: ...  # noqa: D102 - the class docstring names it
    @property
    def profile(self) -> ServerProfile: ...  # noqa: D102 - the class docstring names it


Group = TypeVar("Group", bound=Routes)


def answer_json(content: Any, status: int = 200) -> Response:  # noqa: ANN401 - any JSON value
    """A JSON answer."""
    return Response(orjson.dumps(content), status, media_type="application/json")


def endpoint(
    method: Callable[[Group, Request], Row],
) -> Callable[[Group, Request], Awaitable[Response]]:
    """Make an endpoint of a method: the world stands still while it composes its answer."""

    @wraps(method)
    async def answer(routes: Group, request: Request) -> Response:
        with routes.world.lock:
            body = orjson.dumps(method(routes, request))
        return Response(routes.profile.quirks.write(body), media_type="application/json")

    return answer


def find_user(request: Request) -> User:
    """Whose token the call carries."""
    user: User = request.scope["sim.user"]
    return user


def admit(routes: Routes, request: Request, key: int) -> None:
    """Let the call into a workspace.

    Raises:
        HTTPException: 403, the workspace is not there, or not for this user.
    """
    world = routes.world
    if key in world.forbidden or not world.may_see(find_user(request), key):
        raise refuse(403, "Operation not allowed")


def find_place(routes: Routes, request: Request) -> int:
    """Key of the workspace that the call speaks of; the personal one without `workspaceId`.

    Raises:
        HTTPException: 400 or 403, there is no such workspace for this user.
    """
    workspace_id = read_int(request, "workspaceId")
    if workspace_id is None and not routes.profile.user_workspace:
        raise refuse(403, "User workspace is not enabled on this server")
    key = routes.world.find_key(workspace_id, find_user(request).id)
    admit(routes, request, key)
    return key


def find_org(routes: Routes, request: Request, org_id: int) -> None:
    """Let the call into an organisation.

    Raises:
        HTTPException: 403, the organisation is not there, or not for this user.
    """
    user, places = find_user(request), routes.world.workspaces.items()
    seen = {place.org_id for key, place in places if routes.world.may_see(user, key)}
    if org_id not in routes.world.organizations or (user.workspaces and org_id not in seen):
        raise refuse(403, "Operation not allowed")


def find_run(routes: Routes, request: Request) -> Run:
    """The run that the path names.

    Raises:
        HTTPException: 400 or 403, there is no such run for this user, in this workspace, now.
    """
    key, run_id = find_place(routes, request), request.path_params["run_id"]
    try:
        run = routes.world.find_run(run_id)
    except KeyError as fault:
        raise refuse(403, "Operation not allowed") from fault
    if run.workspace_id != key or not routes.world.shows(run):
        raise refuse(403, "Operation not allowed")
    return run

"""Authorization: access of a request to organizations, workspaces and runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tower_etl.simulator.parameters import http_error, read_int

if TYPE_CHECKING:
    from starlette.requests import Request

    from tower_etl.simulator.api_versions import ServerProfile
    from tower_etl.simulator.events import World
    from tower_etl.simulator.runs import Run
    from tower_etl.simulator.state import User, Workspace

# The platform responds with 403 to missing objects as well as to forbidden ones.
_DENIED = (403, "Operation not allowed")


def current_user(request: Request) -> User:
    """Return the user whose token the request carries."""
    user: User = request.scope["sim.user"]
    return user


class Authorization:
    """Checks of a request against the world.

    Attributes:
        world: State of the platform.
        profile: Profile of the server.
    """

    def __init__(self, world: World, profile: ServerProfile) -> None:
        self.world = world
        self.profile = profile

    def authorize(self, request: Request, key: int) -> Workspace:
        """Return a workspace that the caller may read.

        Raises:
            HTTPException: 403, the workspace does not exist or the user may not read it.
        """
        if key in self.world.forbidden or not self.world.may_see(current_user(request), key):
            raise http_error(*_DENIED)
        return self.world.workspaces[key]

    def authorize_organization(self, request: Request, org_id: int) -> None:
        """Reject a user without access to any workspace of an organization.

        Raises:
            HTTPException: 403, the organization does not exist or the user may not read it.
        """
        user = current_user(request)
        visible = {org for _, org in self.visible_workspaces(user)}
        hidden = user.workspaces is not None and org_id not in visible
        if hidden or org_id not in self.world.organizations:
            raise http_error(*_DENIED)

    def visible_workspaces(self, user: User) -> list[tuple[int, int]]:
        """Return key and organization of the workspaces that a user sees in organizations."""
        return [
            (key, workspace.org_id)
            for key, workspace in self.world.workspaces.items()
            if workspace.org_id is not None and self.world.may_see(user, key)
        ]

    def requested_workspace(self, request: Request) -> int:
        """Return the key of the requested workspace; without `workspaceId`, the personal one.

        Raises:
            HTTPException: 400 or 403, the user has no such workspace.
        """
        workspace_id = read_int(request, "workspaceId")
        if workspace_id is None and not self.profile.user_workspace:
            raise http_error(403, "User workspace is not enabled on this server")
        key = self.world.find_key(workspace_id, current_user(request).id)
        self.authorize(request, key)
        return key

    def requested_run(self, request: Request) -> Run:
        """Return the run in the path of a request.

        Raises:
            HTTPException: 400 or 403, the user has no such run in this workspace now.
        """
        key, run_id = self.requested_workspace(request), request.path_params["run_id"]
        try:
            run = self.world.find_run(run_id)
        except KeyError as error:
            raise http_error(*_DENIED) from error
        if run.workspace_id != key or not self.world.shows(run):
            raise http_error(*_DENIED)
        return run

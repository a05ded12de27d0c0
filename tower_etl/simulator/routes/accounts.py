"""Routes of the service, the user, organizations, workspaces and labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tower_etl.simulator.data import fill
from tower_etl.simulator.routes.base import RouteGroup, current_user, denied, get
from tower_etl.simulator.state import ACCOUNT_TEMPLATES

if TYPE_CHECKING:
    from starlette.requests import Request

    from tower_etl.simulator.aggregates import Row
    from tower_etl.simulator.state import Workspace

_DEFAULT_LABELS = 50


class AccountRoutes(RouteGroup):
    """Handlers for accounts."""

    @get("/service-info")
    def describe_service(self, request: Request) -> Row:  # noqa: ARG002 - handler's signature
        """Return the description of the server, which needs no token."""
        return {"serviceInfo": fill(ACCOUNT_TEMPLATES["service"], vars(self.profile))}

    @get("/user-info")
    def describe_user(self, request: Request) -> Row:
        """Return the user whose token the request carries."""
        user = fill(ACCOUNT_TEMPLATES["user"], vars(current_user(request)))
        return {"user": user, "needConsent": False, "defaultWorkspaceId": None}

    @get("/user/{user_id:int}/workspaces")
    def list_memberships(self, request: Request) -> Row:
        """Return organizations (with null workspace) and workspaces of the user, not paged."""
        user = current_user(request)
        if request.path_params["user_id"] != user.id:
            raise denied()
        visible = self.visible_workspaces(user)
        rows = [self._membership(org_id, None) for org_id in self.visible_organizations(user)]
        rows += [self._membership(org_id, self.world.workspaces[key]) for key, org_id in visible]
        return {"orgsAndWorkspaces": rows}

    @get("/orgs")
    def list_organizations(self, request: Request) -> Row:
        """Return the organizations of the user, not paged."""
        visible = self.visible_organizations(current_user(request))
        orgs = [self.world.organizations[org_id] for org_id in visible]
        rows = [self.profile.filter_fields("organization", org) for org in orgs]
        return {"organizations": rows, "totalSize": None if self.profile.legacy else len(rows)}

    @get("/orgs/{org_id:int}/workspaces")
    def list_workspaces(self, request: Request) -> Row:
        """Return the workspaces of an organization, not paged."""
        org_id = request.path_params["org_id"]
        if org_id not in self.world.organizations:
            raise denied()
        visible = self.visible_workspaces(current_user(request))
        found = [self.world.workspaces[key] for key, org in visible if org == org_id]
        return {"workspaces": [_describe(workspace) for workspace in found]}

    @get("/orgs/{org_id:int}/workspaces/{key:int}")
    def describe_workspace(self, request: Request) -> Row:
        """Return a workspace."""
        workspace = self.authorize(request, request.path_params["key"])
        if workspace.org_id != request.path_params["org_id"]:
            raise denied()
        times = dict.fromkeys(("dateCreated", "lastUpdated"), workspace.created)
        return {"workspace": _describe(workspace) | times}

    @get("/labels")
    def list_labels(self, request: Request) -> Row:
        """Return a page of the labels of a workspace."""
        key = self.requested_workspace(request)
        page = self.read_page(request, _DEFAULT_LABELS)
        kind = request.query_params.get("type", "all")
        words = request.query_params.get("search", "").lower()
        rows = [
            label
            for label in self.world.labels.get(key, {}).values()
            if words in label["name"].lower()
            and (kind == "all" or label["resource"] == (kind == "resource"))
        ]
        return {"labels": rows[page], "totalSize": len(rows)}

    def _membership(self, org_id: int, workspace: Workspace | None) -> Row:
        org = self.world.organizations[org_id]
        row = {
            "orgId": org_id,
            "orgName": org["name"],
            "orgLogoUrl": org["logoUrl"],
            "orgType": org["type"],
            "workspaceId": workspace and workspace.key,
            "workspaceName": workspace and workspace.name,
            "workspaceFullName": workspace and workspace.name,
            "visibility": workspace and workspace.visibility,
            "roles": ["owner"],
        }
        return self.profile.filter_fields("membership", row)


def _describe(workspace: Workspace) -> Row:
    return fill(ACCOUNT_TEMPLATES["workspace"], vars(workspace))

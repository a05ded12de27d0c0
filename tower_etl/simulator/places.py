"""The routes of who and where: service, user, organisations, workspaces, labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.routing import Route

from tower_etl.simulator.access import (
    admit,
    endpoint,
    find_place,
    find_user,
)
from tower_etl.simulator.parameters import read_page, refuse

if TYPE_CHECKING:
    from starlette.requests import Request

    from tower_etl.simulator.directory import User
    from tower_etl.simulator.editions import ServerProfile
    from tower_etl.simulator.runs import Row
    from tower_etl.simulator.world import World

_LABELS_BY_DEFAULT = 50


@dataclass(frozen=True)
class PlaceRoutes:
    """One method per endpoint (see `Routes` for the attributes)."""

    world: World
    profile: ServerProfile

    def list_routes(self) -> list[Route]:
        """The routes, below `/api`."""
        return [
            Route("/service-info", self.describe_service),
            Route("/user-info", self.describe_user),
            Route("/user/{user_id:int}/workspaces", self.list_memberships),
            Route("/orgs", self.list_organizations),
            Route("/orgs/{org_id:int}/workspaces", self.list_workspaces),
            Route("/orgs/{org_id:int}/workspaces/{key:int}", self.describe_workspace),
            Route("/labels", self.list_labels),
        ]

    @endpoint
    def describe_service(self, request: Request) -> Row:  # noqa: ARG002 - every endpoint takes one
        """`/service-info`, which needs no token."""
        return {
            "serviceInfo": {
                "version": self.profile.version,
                "apiVersion": self.profile.api_version,
                "commitId": "51a1ed0",
                "authTypes": ["oidc"],
                "loginPath": "/login",
                "userWorkspaceEnabled": self.profile.user_workspace,
                "heartbeatInterval": 60,
                "waveEnabled": True,
                "seqeraCloud": False,
                "groundswellEnabled": False,
                "contentMaxFileSize": 5_242_880,
                "evalWorkspaceIds": [],
            }
        }

    @endpoint
    def describe_user(self, request: Request) -> Row:
        """`/user-info`: whose token this is."""
        user = find_user(request)
        return {
            "user": {
                **dict.fromkeys(("firstName", "lastName", "organization", "description", "avatar")),
                "id": user.id,
                "userName": user.name,
                "email": f"{user.name}@example.org",
                "notification": None,
                "termsOfUseConsent": True,
                "marketingConsent": None,
                "dateCreated": user.created,
                "lastUpdated": user.created,
                "lastAccess": user.created,
                "deleted": False,
            },
            "needConsent": False,
            "defaultWorkspaceId": None,
        }

    @endpoint
    def list_memberships(self, request: Request) -> Row:
        """`/user/{id}/workspaces`: organisations (null workspace) and workspaces, not paged."""
        user = find_user(request)
        if request.path_params["user_id"] != user.id:
            raise refuse(403, "Operation not allowed")
        places = self._visible(user)
        seen_orgs = {org_id for _, org_id in places}
        rows = [
            self._membership(org_id, None)
            for org_id in self.world.organizations
            if user.workspaces is None or org_id in seen_orgs
        ]
        rows += [self._membership(org_id, key) for key, org_id in places]
        return {"orgsAndWorkspaces": rows}

    @endpoint
    def list_organizations(self, request: Request) -> Row:
        """`/orgs`, not paged."""
        user = find_user(request)
        seen = {org_id for _, org_id in self._visible(user)}
        rows = [
            self.profile.edition.trim("organization", org)
            for org_id, org in self.world.organizations.items()
            if user.workspaces is None or org_id in seen
        ]
        return {"organizations": rows, "totalSize": None if self.profile.legacy else len(rows)}

    @endpoint
    def list_workspaces(self, request: Request) -> Row:
        """`/orgs/{id}/workspaces`, not paged."""
        org_id = request.path_params["org_id"]
        if org_id not in self.world.organizations:
            raise refuse(403, "Operation not allowed")
        keys = [key for key, org in self._visible(find_user(request)) if org == org_id]
        return {"workspaces": [self._workspace(key) for key in keys]}

    @endpoint
    def describe_workspace(self, request: Request) -> Row:
        """`/orgs/{id}/workspaces/{id}`."""
        key = request.path_params["key"]
        admit(self, request, key)
        place = self.world.workspaces[key]
        if place.org_id != request.path_params["org_id"]:
            raise refuse(403, "Operation not allowed")
        times = {"dateCreated": place.created, "lastUpdated": place.created}
        return {"workspace": self._workspace(key) | times}

    @endpoint
    def list_labels(self, request: Request) -> Row:
        """`/labels` of a workspace."""
        quirks = self.profile.quirks
        key, page = find_place(self, request), read_page(request, _LABELS_BY_DEFAULT, quirks)
        wanted = request.query_params.get("type", "all")
        words = request.query_params.get("search", "").lower()
        rows = [
            label
            for label in self.world.labels.get(key, {}).values()
            if words in label["name"].lower()
            and (wanted == "all" or label["resource"] == (wanted == "resource"))
        ]
        return {"labels": rows[page.offset : page.offset + page.size], "totalSize": len(rows)}

    def _visible(self, user: User) -> list[tuple[int, int]]:
        return [
            (key, place.org_id)
            for key, place in self.world.workspaces.items()
            if place.org_id is not None and self.world.may_see(user, key)
        ]

    def _membership(self, org_id: int, key: int | None) -> Row:
        org = self.world.organizations[org_id]
        place = None if key is None else self.world.workspaces[key]
        row = {
            "orgId": org_id,
            "orgName": org["name"],
            "orgLogoUrl": org["logoUrl"],
            "orgType": org["type"],
            "workspaceId": key,
            "workspaceName": place.name if place else None,
            "workspaceFullName": place.name if place else None,
            "visibility": place.visibility if place else None,
            "roles": ["owner"],
        }
        return self.profile.edition.trim("membership", row)

    def _workspace(self, key: int) -> Row:
        place = self.world.workspaces[key]
        return {
            "id": key,
            "name": place.name,
            "fullName": place.name,
            "description": None,
            "visibility": place.visibility,
        }

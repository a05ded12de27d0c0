"""Discovery before the first listing: visible workspaces, and the selection among them."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tower_etl.errors import ConfigurationError
from tower_etl.extract.handshake import (
    request_memberships,
    request_service_info,
    request_user,
)
from tower_etl.lossless import parse_integer
from tower_etl.redaction import redact_text
from tower_etl.sync import PERSONAL
from tower_etl.text import enumerate_names, suggest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tower_etl.api import Item, TowerClient

_SHOWN = 8  # workspaces that a message names


@dataclass(frozen=True)
class Workspace:
    """Workspace that is visible to the token.

    Attributes:
        id: Numeric id, None for the personal workspace of the user.
        name: `ORG/NAME`, or `personal`.
        membership: Element of the user's list of workspaces, as the API returned it.
    """

    id: int | None
    name: str
    membership: Mapping[str, Any]

    @property
    def key(self) -> str:
        """Key of the workspace in the state."""
        return PERSONAL if self.id is None else str(self.id)

    def is_selected_by(self, selector: str) -> bool:
        """Return whether a selector names the workspace, by id or by a pattern for its name."""
        wanted = selector.strip()
        return wanted == self.key or fnmatch.fnmatchcase(self.name.lower(), wanted.lower())

    @property
    def org_id(self) -> int | None:
        """Id of the organization, None for the personal workspace."""
        org_id = self.membership.get("orgId")
        return org_id if isinstance(org_id, int) else None

    @property
    def org_name(self) -> str:
        """Name of the organization."""
        return str(self.membership.get("orgName"))


@dataclass(frozen=True)
class Discovery:
    """Result of the discovery.

    Attributes:
        server_version: Version of the platform, None if the server does not report it.
        api_version: Version of the API, None if the server does not report it.
        user_id: Id of the token's user.
        user_name: Name of the token's user, None if the server does not report it.
        memberships: Organizations and workspaces of the user, with ids as numbers.
        workspaces: Selected workspaces.
        info: Service information of the server.
        visible: Keys of all workspaces that are visible to the token.
        unmatched: Selectors that name no workspace, each with a message for the user.
        left_out: Elements of the list of organizations and workspaces without a usable id.
    """

    server_version: str | None
    api_version: str | None
    user_id: int | None
    user_name: str | None
    memberships: tuple[Item, ...]
    workspaces: tuple[Workspace, ...]
    info: Mapping[str, Any] = field(default_factory=dict)
    visible: frozenset[str] = frozenset()
    unmatched: Mapping[str, str] = field(default_factory=dict)
    left_out: int = 0


def discover(client: TowerClient, selectors: Iterable[str]) -> Discovery:
    """Request server, user and workspaces with three calls, and apply the selectors.

    Raises:
        ApiConnectionError: The server cannot be reached.
        ServerError: The responses are not those of the platform's API.
        AuthenticationError: The server rejects the token.
        ConfigurationError: No selector matches a visible workspace.
    """
    info = request_service_info(client)
    user = request_user(client)
    listed = request_memberships(client, user)
    memberships = tuple(listed.items)
    has_personal = info.get("userWorkspaceEnabled") is not False
    visible = visible_workspaces(memberships, personal=has_personal)
    selected, unmatched = select_workspaces(visible, tuple(selectors))
    return Discovery(
        server_version=_text(info.get("version")),
        api_version=_text(info.get("apiVersion")),
        user_id=user["id"],
        user_name=redact_text(_text(user.get("userName")) or "") or None,
        memberships=memberships,
        workspaces=selected,
        info=info,
        visible=frozenset(workspace.key for workspace in visible),
        unmatched=unmatched,
        left_out=listed.left_out,
    )


def visible_workspaces(memberships: Iterable[Item], *, personal: bool) -> tuple[Workspace, ...]:
    """Return the workspaces among the user's memberships; others are organizations."""
    shared = {
        workspace_id: Workspace(workspace_id, _full_name(membership), membership)
        for membership in memberships
        if (workspace_id := parse_integer(membership.get("workspaceId"))) is not None
    }
    personal_workspace = (Workspace(None, PERSONAL, {}),) if personal else ()
    return (*personal_workspace, *shared.values())


def _full_name(membership: Item) -> str:
    return redact_text(f"{membership.get('orgName')}/{membership.get('workspaceName')}")


def select_workspaces(
    visible: tuple[Workspace, ...], selectors: tuple[str, ...]
) -> tuple[tuple[Workspace, ...], dict[str, str]]:
    """Return the workspaces that selectors match, and a message for each selector without match.

    A selector is a numeric id, `ORG/NAME` with `*` and `?`, or `personal`; without any, all
    visible workspaces are selected.

    Raises:
        ConfigurationError: No selector matches a workspace; the message lists the visible ones.
    """
    if not selectors:
        return visible, {}
    chosen: dict[str, Workspace] = {}
    unmatched: dict[str, str] = {}
    for selector in selectors:
        named = [workspace for workspace in visible if workspace.is_selected_by(selector)]
        chosen.update({workspace.key: workspace for workspace in named})
        if not named:
            unmatched[selector.strip()] = _unknown_message(selector.strip(), visible)
    if not chosen:
        raise ConfigurationError(" ".join(unmatched.values()))
    return tuple(chosen.values()), unmatched


def _unknown_message(selector: str, visible: tuple[Workspace, ...]) -> str:
    names = [
        workspace.name if workspace.id is None else f"{workspace.name} ({workspace.key})"
        for workspace in visible
    ]
    return (
        f"No workspace {selector!r} for this token.{_suggestion(selector, visible)} "
        f"It sees {enumerate_names(names, _SHOWN)}. Name one as ORG/NAME or by its id, or ask its "
        "owner to add you."
    )


def _suggestion(selector: str, visible: tuple[Workspace, ...]) -> str:
    """Return a suggestion: the workspaces of an organization, or similar names."""
    if any(workspace.name.lower().startswith(f"{selector.lower()}/") for workspace in visible):
        return f" Did you mean {selector}/*?"
    return suggest(
        selector, [name for workspace in visible for name in (workspace.name, workspace.key)]
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None

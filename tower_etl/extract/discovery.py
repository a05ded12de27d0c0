"""Before the first listing: which workspaces does the token see, and which of them are meant?"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from tower_etl.api import parse_id
from tower_etl.errors import ConfigurationError, ForbiddenError, NotFoundError
from tower_etl.extract.handshake import (
    request_memberships,
    request_service_info,
    request_user,
)
from tower_etl.redaction import redact_text
from tower_etl.sync import PERSONAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tower_etl.api import Item, TowerClient
    from tower_etl.errors import ApiError

_SHOWN = 8


@dataclass(frozen=True)
class Workspace:
    """A workspace that the token sees.

    Attributes:
        id: Its numeric id, None for the user's personal workspace.
        name: `ORG/NAME`, or `personal`.
        role: The element of the user's list that names it, as the API gave it.
    """

    id: int | None
    name: str
    membership: Mapping[str, Any]

    @property
    def key(self) -> str:
        """Its key in the state."""
        return PERSONAL if self.id is None else str(self.id)

    def is_selected_by(self, selector: str) -> bool:
        """Return whether a selector names the workspace, by id or by a pattern for its name."""
        wanted = selector.strip()
        return wanted == self.key or fnmatch.fnmatchcase(self.name.lower(), wanted.lower())

    @property
    def org_id(self) -> int | None:
        """Its organisation, None for the personal workspace."""
        found = self.membership.get("orgId")
        return found if isinstance(found, int) else None

    @property
    def org_name(self) -> str:
        """Name of its organisation."""
        return str(self.membership.get("orgName"))


@dataclass(frozen=True)
class Discovery:
    """What preflight found.

    Attributes:
        server_version: The platform's version by its own word, None if it does not say.
        api_version: The API's version likewise.
        user_id: The user that the token belongs to.
        user_name: The name of that user, None if it does not say.
        roles: The user's organisations and workspaces, as the API gave them.
        workspaces: The selected ones.
        info: What the server says of itself.
        visible: Keys of all workspaces that the token sees.
        unmatched: Selectors that name no workspace, each with a message for the user.
        left_out: Elements of the list of organisations and workspaces without a usable id.
    """

    server_version: str | None
    api_version: str | None
    user_id: int | None
    user_name: str | None
    roles: tuple[Item, ...]
    workspaces: tuple[Workspace, ...]
    info: Mapping[str, Any] = field(default_factory=dict)
    visible: frozenset[str] = frozenset()
    unmatched: Mapping[str, str] = field(default_factory=dict)
    left_out: int = 0


def discover(client: TowerClient, selectors: Iterable[str]) -> Discovery:
    """Ask the server who it is, who we are, and what we may see: three calls.

    Raises:
        ApiConnectionError: Nothing answers.
        ServerError: What answers is not the platform's API.
        AuthenticationError: It does not accept the token.
        ConfigurationError: No selector names a workspace that the token sees.
    """
    info = request_service_info(client)
    user = request_user(client)
    listed = request_memberships(client, user)
    roles = tuple(listed.items)
    visible = visible_workspaces(roles, personal=info.get("userWorkspaceEnabled") is not False)
    selected, unmatched = select_workspaces(visible, tuple(selectors))
    return Discovery(
        server_version=_text(info.get("version")),
        api_version=_text(info.get("apiVersion")),
        user_id=user["id"],
        user_name=redact_text(_text(user.get("userName")) or "") or None,
        roles=roles,
        workspaces=selected,
        info=info,
        visible=frozenset(space.key for space in visible),
        unmatched=unmatched,
        left_out=listed.left_out,
    )


def visible_workspaces(roles: Iterable[Item], *, personal: bool) -> tuple[Workspace, ...]:
    """The workspaces among the user's roles; entries with a null id are organisations."""
    found = {
        space_id: Workspace(
            space_id, redact_text(f"{role.get('orgName')}/{role.get('workspaceName')}"), role
        )
        for role in roles
        if (space_id := parse_id(role.get("workspaceId"))) is not None
    }
    own = (Workspace(None, PERSONAL, {}),) if personal else ()
    return (*own, *found.values())


def select_workspaces(
    visible: tuple[Workspace, ...], selectors: tuple[str, ...]
) -> tuple[tuple[Workspace, ...], dict[str, str]]:
    """Return the workspaces that selectors name, and a message for each selector that names none.

    A selector is a numeric id, `ORG/NAME` with `*` and `?`, or `personal`; without any, all
    visible workspaces are selected.

    Raises:
        ConfigurationError: No selector names a workspace; the message lists those that there are.
    """
    if not selectors:
        return visible, {}
    chosen: dict[str, Workspace] = {}
    unmatched: dict[str, str] = {}
    for selector in selectors:
        named = [space for space in visible if space.is_selected_by(selector)]
        chosen.update({space.key: space for space in named})
        if not named:
            unmatched[selector.strip()] = _unknown_message(selector.strip(), visible)
    if not chosen:
        raise ConfigurationError(" ".join(unmatched.values()))
    return tuple(chosen.values()), unmatched


def _unknown_message(selector: str, visible: tuple[Workspace, ...]) -> str:
    names = [space.name if space.id is None else f"{space.name} ({space.key})" for space in visible]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    there = ", ".join(names[:_SHOWN]) + more if names else "none"
    return (
        f"No workspace {selector!r} for this token.{_suggestion(selector, visible)} "
        f"It sees {there}. Name one as ORG/NAME or by its id, or ask its owner to add you."
    )


def _suggestion(selector: str, visible: tuple[Workspace, ...]) -> str:
    """What was meant, perhaps: the workspaces of an organisation, or names that are like it."""
    known = {name.lower(): name for space in visible for name in (space.name, space.key)}
    close = [known[name] for name in get_close_matches(selector.lower(), known, n=3)]
    if any(name.startswith(f"{selector.lower()}/") for name in known):
        close = [f"{selector}/*"]
    return f" Did you mean {' or '.join(close)}?" if close else ""


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def access_error_message(workspace: Workspace, error: ApiError) -> str:
    """Why a workspace failed, in one sentence that a report can carry."""
    if isinstance(error, ForbiddenError | NotFoundError):
        return f"{workspace.name}: the token may not read it ({error})"
    return f"{workspace.name}: {error}"

"""Who and where: organisations, workspaces, users and labels of a world."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tower_etl.simulator.timeline import SimClock, to_seconds, to_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    Row = dict[str, Any]

_FIRST_USER_ID = 12_001


@dataclass(frozen=True)
class Workspace:
    """A workspace of an organisation, or the personal one of a user.

    Attributes:
        key: How the world names it: the workspace id, or minus the user id for a personal one.
        name: Its name.
        org_id: Its organisation, None for a personal one.
        created: When it was made, as API text.
        visibility: PRIVATE or SHARED.
    """

    key: int
    name: str
    org_id: int | None
    created: str
    visibility: str = "PRIVATE"

    @property
    def id(self) -> int | None:
        """The id that the API gives, None for a personal workspace."""
        return self.key if self.key > 0 else None


@dataclass(frozen=True)
class User:
    """A user.

    Attributes:
        id: Numeric id.
        name: User name.
        created: When the account was made, as API text.
        workspaces: The workspaces that the user may see, None for all of them.
    """

    id: int
    name: str
    created: str
    workspaces: frozenset[int] | None = None


def _spread_id(number: int) -> int:
    # Real ids of organisations and workspaces have 14 or 15 digits and no order.
    return 10_000_000_000_000 + number * 104_395_301_777 % 89_000_000_000_000


@dataclass
class Directory:
    """Organisations, workspaces, users and labels; every change is safe between threads.

    Attributes:
        clock: The world's clock.
        lock: Held by whoever reads or changes the world.
        organizations: By id, in the shape of the API's list.
        workspaces: By key, personal ones included.
        users: By id; the first one owns what no other user is named for.
        labels: By workspace key, then by label id, in the API's shape.
        entities: Rows of pipelines, members and the like, by kind, then by the key of the
            workspace or the id of the organisation.
        forbidden: Keys of workspaces that are listed, yet refuse every call.
    """

    clock: SimClock = field(default_factory=SimClock)
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    organizations: dict[int, Row] = field(default_factory=dict)
    workspaces: dict[int, Workspace] = field(default_factory=dict)
    users: dict[int, User] = field(default_factory=dict)
    labels: dict[int, dict[int, Row]] = field(default_factory=dict)
    entities: dict[str, dict[int, list[Row]]] = field(default_factory=dict, repr=False)
    forbidden: set[int] = field(default_factory=set)
    _last_number: int = field(default=0, repr=False)

    def now_s(self) -> int:
        """The simulated time in whole epoch seconds."""
        return to_seconds(self.clock.now())

    def _take_number(self) -> int:
        self._last_number += 1
        return self._last_number

    def add_organization(self, name: str, **fields: object) -> int:
        """A new organisation; `fields` override what its row says. Answers its id."""
        with self.lock:
            org_id = _spread_id(self._take_number())
            self.organizations[org_id] = {
                **dict.fromkeys(("description", "location", "website", "logoId", "logoUrl")),
                "orgId": org_id,
                "name": name,
                "fullName": name,
                "memberId": org_id % 1_000_000_007,
                "memberRole": "owner",
                "type": "pro",
                **fields,
            }
        return org_id

    def add_workspace(self, org_id: int, name: str, visibility: str = "PRIVATE") -> int:
        """A new workspace of that organisation. Answers its id."""
        with self.lock:
            key = _spread_id(self._take_number())
            created = to_text(self.now_s())
            self.workspaces[key] = Workspace(key, name, org_id, created, visibility)
        return key

    def add_user(self, name: str, workspaces: Iterable[int] | None = None) -> int:
        """A new user, with a personal workspace. Answers the user's id.

        Args:
            name: User name.
            workspaces: What the user may see; everything when left out.
        """
        with self.lock:
            user_id = _FIRST_USER_ID + self._take_number()
            created = to_text(self.now_s())
            visible = None if workspaces is None else frozenset(workspaces)
            self.users[user_id] = User(user_id, name, created, visible)
            self.workspaces[-user_id] = Workspace(-user_id, name, None, created)
        return user_id

    def owner(self) -> User:
        """The first user, made when there is none."""
        with self.lock:
            if not self.users:
                self.add_user("sim-user")
            return next(iter(self.users.values()))

    def find_key(self, workspace_id: int | None, user_id: int | None = None) -> int:
        """The key of a workspace; without an id, of the user's (or owner's) personal one."""
        if workspace_id is not None:
            return workspace_id
        return -(self.owner().id if user_id is None else user_id)

    def may_see(self, user: User, key: int) -> bool:
        """Whether the user may see that workspace at all."""
        if key < 0:
            return key == -user.id
        return key in self.workspaces and (user.workspaces is None or key in user.workspaces)

    def forbid(self, workspace_id: int) -> None:
        """Let the workspace refuse every call from now on, though it is still listed."""
        self.forbidden.add(workspace_id)

    def allow(self, workspace_id: int) -> None:
        """Take `forbid` back."""
        self.forbidden.discard(workspace_id)

    def create_label(
        self, workspace_id: int | None, name: str, value: str | None = None, **fields: object
    ) -> int:
        """A new label, a resource label when it has a value. Answers its id."""
        with self.lock:
            label_id = 100_000 + self._take_number()
            self.labels.setdefault(self.find_key(workspace_id), {})[label_id] = {
                "id": label_id,
                "name": name,
                "value": value,
                "resource": value is not None,
                "isDefault": False,
                "isDynamic": False,
                "isInterpolated": False,
                "dateCreated": to_text(self.now_s()),
                **fields,
            }
        return label_id

    def rename_label(self, label_id: int, name: str, value: str | None = None) -> None:
        """Change a label; every run that carries it shows the change, none is touched.

        Raises:
            KeyError: No workspace has such a label.
        """
        with self.lock:
            label = self.find_label(label_id)
            label |= {"name": name} | ({} if value is None else {"value": value})

    def find_label(self, label_id: int) -> Row:
        """The row of a label.

        Raises:
            KeyError: No workspace has such a label.
        """
        for labels in self.labels.values():
            if label_id in labels:
                return labels[label_id]
        msg = f"No label has the id {label_id}."
        raise KeyError(msg)

    def add_entity(self, kind: str, place: int | None = None, **fields: object) -> None:
        """A new row of a slow entity, as the API lists it.

        Args:
            kind: The API's name of the list: `pipelines`, `computeEnvs`, `members` and the like.
            place: Workspace id, or organisation id for members and teams; the owner's personal
                workspace when left out.
            **fields: The row, in the API's names.
        """
        with self.lock:
            rows = self.entities.setdefault(kind, {})
            rows.setdefault(self.find_key(place), []).append(dict(fields))

    def clear_entities(self, kind: str, place: int | None = None) -> None:
        """Take all rows of a kind away from a place."""
        with self.lock:
            self.entities.get(kind, {}).pop(self.find_key(place), None)

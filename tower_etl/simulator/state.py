"""State of the simulated platform: accounts (organizations, workspaces, users, labels) and runs."""

from __future__ import annotations

import bisect
import itertools
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tower_etl.simulator.clock import SimClock, format_timestamp, to_seconds
from tower_etl.simulator.data import fill, load_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tower_etl.simulator.aggregates import Row
    from tower_etl.simulator.runs import Run

_FIRST_USER_ID = 12_001
ACCOUNT_TEMPLATES = load_json("account_templates.json")


@dataclass(frozen=True)
class Workspace:
    """A workspace of an organization, or the personal workspace of a user (without organization).

    Attributes:
        key: Workspace id, or minus the user id for a personal workspace.
        created: Creation, an API timestamp.
        visibility: PRIVATE or SHARED.
    """

    key: int
    name: str
    org_id: int | None
    created: str
    visibility: str = "PRIVATE"

    @property
    def id(self) -> int | None:
        """Id in the API, None for a personal workspace."""
        return self.key if self.key > 0 else None


@dataclass(frozen=True)
class User:
    """A user; `workspaces` are those that the user may read, None for all of them."""

    id: int
    name: str
    created: str
    workspaces: frozenset[int] | None = None


def _spread_id(number: int) -> int:
    # Real ids of organizations and workspaces have 14 or 15 digits and are not ordered.
    return 10_000_000_000_000 + number * 104_395_301_777 % 89_000_000_000_000


@dataclass
class PlatformState:
    """Organizations, workspaces, users, labels, reference data and runs.

    Methods are thread-safe. Methods that find an object raise a KeyError if it does not exist.

    Attributes:
        lock: Lock for reading and changing the state.
        organizations: Organizations by id, in the API's shape.
        workspaces: Workspaces by key, personal workspaces included.
        users: Users by id; the first user owns runs without another owner.
        labels: Labels in the API's shape, by workspace key, then by label id.
        entities: Rows of reference data by kind, then by workspace key or organization id.
        forbidden: Keys of workspaces that are listed but refuse every call.
        starred: Ids of runs with a star.
        deleted: Ids of runs that the API no longer shows.
    """

    clock: SimClock = field(default_factory=SimClock)
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    organizations: dict[int, Row] = field(default_factory=dict)
    workspaces: dict[int, Workspace] = field(default_factory=dict)
    users: dict[int, User] = field(default_factory=dict)
    labels: dict[int, dict[int, Row]] = field(default_factory=dict)
    entities: dict[str, dict[int, list[Row]]] = field(default_factory=dict, repr=False)
    forbidden: set[int] = field(default_factory=set)
    starred: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1), repr=False)
    _runs: dict[str, Run] = field(default_factory=dict, repr=False)
    _listed: dict[int, list[tuple[float, int, Run]]] = field(default_factory=dict, repr=False)
    _launched: dict[str, list[Run]] = field(default_factory=dict, repr=False)

    def now_s(self) -> int:
        """Return the simulated time in whole epoch seconds."""
        return to_seconds(self.clock.now())

    def now(self) -> str:
        """Return the simulated time as an API timestamp."""
        return format_timestamp(self.now_s())

    # --- accounts -------------------------------------------------------------------------

    def add_organization(self, name: str, **fields: object) -> int:
        """Add an organization and return its id; `fields` override its row."""
        with self.lock:
            org_id = _spread_id(next(self._numbers))
            values = {"org_id": org_id, "name": name, "member_id": org_id % 1_000_000_007}
            self.organizations[org_id] = fill(ACCOUNT_TEMPLATES["organization"], values) | fields
        return org_id

    def add_workspace(self, org_id: int, name: str, visibility: str = "PRIVATE") -> int:
        """Add a workspace to an organization and return its id."""
        with self.lock:
            key = _spread_id(next(self._numbers))
            self.workspaces[key] = Workspace(key, name, org_id, self.now(), visibility)
        return key

    def add_user(self, name: str, workspaces: Iterable[int] | None = None) -> int:
        """Add a user, who may read some workspaces or all, with a personal one; return the id."""
        with self.lock:
            user_id = _FIRST_USER_ID + next(self._numbers)
            visible = None if workspaces is None else frozenset(workspaces)
            self.users[user_id] = User(user_id, name, self.now(), visible)
            self.workspaces[-user_id] = Workspace(-user_id, name, None, self.now())
        return user_id

    def owner(self) -> User:
        """Return the first user; add one if there is none."""
        with self.lock:
            if not self.users:
                self.add_user("sim-user")
            return next(iter(self.users.values()))

    def find_key(self, workspace_id: int | None) -> int:
        """Return the key of a workspace; without an id, the personal one of the owner."""
        return -self.owner().id if workspace_id is None else workspace_id

    def may_see(self, user: User, key: int) -> bool:
        """Return whether the user may read a workspace."""
        if key < 0:
            return key == -user.id
        return key in self.workspaces and (user.workspaces is None or key in user.workspaces)

    def forbid(self, workspace_id: int) -> None:
        """Make a listed workspace refuse every call."""
        self.forbidden.add(workspace_id)

    def allow(self, workspace_id: int) -> None:
        """Undo `forbid`."""
        self.forbidden.discard(workspace_id)

    def create_label(
        self, workspace_id: int | None, name: str, value: str | None = None, **fields: object
    ) -> int:
        """Add a label, a resource label if it has a value, and return its id."""
        with self.lock:
            label_id = 100_000 + next(self._numbers)
            values: Row = {"label_id": label_id, "name": name, "value": value}
            values |= {"resource": value is not None, "created": self.now()}
            labels = self.labels.setdefault(self.find_key(workspace_id), {})
            labels[label_id] = fill(ACCOUNT_TEMPLATES["label"], values) | fields
        return label_id

    def rename_label(self, label_id: int, name: str, value: str | None = None) -> None:
        """Change a label; all runs with it show the change, `lastUpdated` stays."""
        changes = {"name": name} | ({} if value is None else {"value": value})
        with self.lock:
            for labels in self.labels.values():
                if label_id in labels:
                    labels[label_id] |= changes
                    return
        msg = f"No label has the id {label_id}."
        raise KeyError(msg)

    def labels_of(self, run: Run) -> list[Row]:
        """Return the current labels of a run, without deleted labels."""
        labels = self.labels.get(run.workspace_id, {})
        return [labels[label_id] for label_id in run.label_ids if label_id in labels]

    # --- reference data -------------------------------------------------------------------

    def add_entity(self, kind: str, holder: int | None = None, **fields: object) -> None:
        """Add a row of reference data, with the API's names.

        Args:
            kind: The API's name of the list: `pipelines`, `computeEnvs`, `members` and the like.
            holder: Workspace id, or organization id for members and teams; by default the owner's
                personal workspace.
            **fields: The row.
        """
        with self.lock:
            rows = self.entities.setdefault(kind, {})
            rows.setdefault(self.find_key(holder), []).append(dict(fields))

    def list_entities(self, kind: str, holder: int) -> list[Row]:
        """Return the rows of a kind in a workspace or organization."""
        return self.entities.get(kind, {}).get(holder, [])

    def clear_entities(self, kind: str, holder: int | None = None) -> None:
        """Remove all rows of a kind from a workspace or organization."""
        with self.lock:
            self.entities.get(kind, {}).pop(self.find_key(holder), None)

    def find_compute_env(self, run: Run) -> Row | None:
        """Return the compute environment of a run: the one in its workspace with its platform."""
        found = self.list_entities("computeEnvs", run.workspace_id)
        return next((env for env in found if env.get("platform") == run.platform_id), None)

    # --- runs -----------------------------------------------------------------------------

    def add_run(self, run: Run) -> None:
        """Insert a run into the listing of its workspace."""
        with self.lock:
            listed = self._listed.setdefault(run.workspace_id, [])
            bisect.insort(listed, (run.submit_s, len(self._runs), run))
            self._runs[run.id] = run
            if run.launch_id is not None:
                self._launched.setdefault(run.launch_id, []).append(run)

    def find_run(self, run_id: str) -> Run:
        """Return the run with an id, even if it is deleted."""
        if run_id not in self._runs:
            msg = f"No run has the id {run_id}."
            raise KeyError(msg)
        return self._runs[run_id]

    def run_ids(self) -> frozenset[str]:
        """Return the ids of all runs, including deleted and not yet submitted runs."""
        return frozenset(self._runs)

    def shows(self, run: Run) -> bool:
        """Return whether the API shows the run now: submitted, and not deleted."""
        return run.id not in self.deleted and run.submit_s <= self.clock.now().timestamp()

    def iter_runs(self, key: int, before_s: float = float("inf")) -> Iterator[Run]:
        """Iterate over the shown runs of a workspace, newest first, from `before_s` (inclusive)."""
        listed = self._listed.get(key, [])
        latest_s = min(before_s, self.clock.now().timestamp())
        end = bisect.bisect_right(listed, latest_s, key=lambda entry: entry[0])
        for _, _, run in reversed(listed[:end]):
            if run.id not in self.deleted:
                yield run

    def find_launched(self, key: int, launch_id: str) -> Run | None:
        """Return a run of a workspace that was started by a launch, None if there is none."""
        found = self._launched.get(launch_id, ())
        return next((run for run in found if run.workspace_id == key and self.shows(run)), None)

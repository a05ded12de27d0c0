"""Launches: what runs were launched from, above all their compute environment.

A launch does not change: each is fetched once, beside the first visit of a run that names it. A
launch that is refused or fails keeps no run out. The run is loaded without it, and the next
reconciliation requests the launch again.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tower_etl.errors import NotFoundError
from tower_etl.extract.failures import capture_failure, is_access_denied
from tower_etl.http import RateLimiterClosedError
from tower_etl.schema import TABLES
from tower_etl.sync import FINAL_STATUSES, AuditLogCursor
from tower_etl.timestamps import parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    import pyarrow as pa

    from tower_etl.api import Item, TowerClient
    from tower_etl.errors import ApiError
    from tower_etl.extract.batch import FetchedRun
    from tower_etl.extract.destination_state import DestinationState

_LAUNCHES, _DATASETS = TABLES["launches"], TABLES["launch_datasets"]
_FAILURES_IN_A_ROW = 3  # of different launches; each costs all attempts of a call
_ID = re.compile(r"[\w-]{1,64}", re.ASCII)  # what is stored may be a digest, or have a secret out

RequestT = tuple[int | None, str]


def is_launch_id(value: object) -> bool:
    """Return whether a field holds an id that can be requested, and is safe in addresses."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


class LaunchLoader:
    """Fetches the launches of runs, each at most once a sync. Safe to be shared by threads.

    Attributes:
        refusals: Why the server refused a table the first time, by table.
        failure: Why the first launch that failed did, None if none failed.
        failures: Launches that failed, or were not requested after several failures in a row.
        unavailable: Launches of open runs that were refused or failed; the next visits of these
            runs do not request them.
    """

    def __init__(
        self,
        client: TowerClient,
        wanted: frozenset[str],
        stored: Iterable[str] = (),
        unavailable: Iterable[str] = (),
    ) -> None:
        """Start with the launches that need no call.

        Args:
            client: Asks the platform.
            wanted: Names of tables.
            stored: Launches that the destination has.
            unavailable: Launches that are not to be requested in this sync.
        """
        self.denied: dict[str, ApiError] = {}
        self.failure: ApiError | None = None
        self.failures = 0
        self.unavailable: set[str] = set()
        self._client = client
        self._wanted = wanted
        self._absent = set(unavailable)
        self._claimed = {*stored, *self._absent}
        self._in_a_row = 0
        self._lock = threading.Lock()

    def attach(self, fetched: FetchedRun, workspace_id: int | None) -> FetchedRun:
        """Return a run with the rows of its launch, if that is new; runs by hand have none.

        Raises:
            RateLimiterClosedError: The sync was stopped.
        """
        launch_id = fetched.answers.record.get("launchId")
        if not isinstance(launch_id, str) or not launch_id:
            return fetched
        rows = self.fetch(workspace_id, launch_id)
        is_open = fetched.loaded.status not in FINAL_STATUSES
        if is_open and launch_id in self._absent and is_launch_id(launch_id):
            self.unavailable.add(launch_id)
        return replace(fetched, launch=rows)

    def fetch(self, workspace_id: int | None, launch_id: str) -> dict[str, pa.Table]:
        """Return the rows of a launch by table; none where it was requested before or is refused.

        Raises:
            RateLimiterClosedError: The sync was stopped.
        """
        if not self._claim(launch_id):
            return {}
        found = capture_failure(lambda: self._describe(workspace_id, launch_id))
        if not isinstance(found, Mapping):
            self._note(_LAUNCHES.name, launch_id, found)
            return {}
        self._in_a_row = 0
        return self._build(workspace_id, launch_id, found)

    def _describe(self, workspace_id: int | None, launch_id: str) -> Mapping[str, Any]:
        if is_launch_id(launch_id):
            return self._client.get_launch(workspace_id, launch_id)
        msg = "GET /launch/{launch_id}: the server gave out an id that cannot be asked for."
        raise NotFoundError(msg)

    def _build(
        self, workspace_id: int | None, launch_id: str, found: Mapping[str, Any]
    ) -> dict[str, pa.Table]:
        home = found.get("workspaceId") or workspace_id
        record, tables, count = {**found, "id": launch_id, "workspaceId": home}, {}, None
        if _DATASETS.name in self._wanted:
            listed = capture_failure(
                lambda: self._client.list_launch_datasets(workspace_id, launch_id)
            )
            if isinstance(listed, list):
                tables[_DATASETS.name] = rows = _DATASETS.build(listed, launch_id=launch_id)
                count = rows.num_rows
            else:
                self._note(_DATASETS.name, launch_id, listed)
        return {_LAUNCHES.name: _LAUNCHES.build([record], dataset_count=count), **tables}

    def _claim(self, launch_id: str) -> bool:
        """Whether to request a launch now, which is true once."""
        with self._lock:
            is_new = launch_id not in self._claimed
            self._claimed.add(launch_id)
            if is_new and self._in_a_row >= _FAILURES_IN_A_ROW:
                self.failures += 1
                self._absent.add(launch_id)
                return False
            return is_new

    def _note(self, table: str, launch_id: str, error: ApiError | RateLimiterClosedError) -> None:
        if isinstance(error, RateLimiterClosedError):
            raise error
        with self._lock:
            self._absent.add(launch_id)
            if is_access_denied(error):
                self.denied.setdefault(table, error)
                self._in_a_row = 0
                return
            self.failure = self.failure or error
            self.failures += 1
            self._in_a_row += 1


def plan_backlog(
    store: DestinationState,
    wanted: frozenset[str],
    workspace_ids: set[int | None],
    after: str | None,
    *,
    at_once: int,
) -> tuple[list[RequestT], str | None]:
    """Choose the launches that runs name and no row describes.

    Args:
        store: What the destination holds.
        wanted: Names of tables.
        workspace_ids: Workspaces whose launches are due.
        after: Where the last choice stopped, None for the beginning.
        at_once: How many launches to choose at most.

    Returns:
        The launches with their workspace, in the order of their ids, so that launches that are
        refused do not keep others from being requested; and where to go on, None where the last
        one was chosen.
    """
    columns = ("workspace_id", "launch_id", "missing_since")
    named = {
        row["launch_id"]: row["workspace_id"]
        for row in store.read_table("workflows", columns)
        if row["workspace_id"] in workspace_ids and not row["missing_since"]
        if is_launch_id(row["launch_id"])
    }
    due = sorted(named.keys() - _list_complete(store, wanted))
    left = [launch_id for launch_id in due if launch_id > (after or "")]
    chosen = left[:at_once]
    last = chosen[-1] if len(left) > len(chosen) else None
    return [(named[launch_id], launch_id) for launch_id in chosen], last


def _list_complete(store: DestinationState, wanted: frozenset[str]) -> set[str]:
    """Return the launches that are described, with their datasets where these are wanted."""
    rows = store.read_table(_LAUNCHES.name, ("id", "dataset_count"))
    if _DATASETS.name not in wanted:
        return {row["id"] for row in rows}
    listed = {row["launch_id"] for row in store.read_table(_DATASETS.name, ("launch_id",))}
    counted = {row["id"]: row["dataset_count"] for row in rows if row["dataset_count"] is not None}
    return {launch_id for launch_id, count in counted.items() if not count or launch_id in listed}


_PAGES = 100  # at each sync; a log of years comes in over a few of them
_OVERLAP = timedelta(minutes=5)  # an entry may be written a little after its time


def read_audit_logs(
    client: TowerClient, cursor: AuditLogCursor, now: datetime
) -> tuple[pa.Table, AuditLogCursor]:
    """The next entries, and how far the log is read with them.

    Raises:
        ApiError: A page could not be had; nothing of the walk is used then.
    """
    until, before = cursor.until or now, cursor.reached or cursor.until or now
    after = cursor.since - _OVERLAP if cursor.since else None
    entries: list[Item] = []
    token: str | None = None
    for _ in range(_PAGES):
        page, token = client.list_audit_log_page(after, before, token)
        entries += page
        if not page or token is None:
            return _build(entries), AuditLogCursor(since=until)
    times = [moment for entry in entries if (moment := parse_timestamp(entry.get("timestamp")))]
    return _build(entries), AuditLogCursor(cursor.since, until, min(times, default=before))


def _build(entries: list[Item]) -> pa.Table:
    return TABLES["audit_logs"].build(entries)

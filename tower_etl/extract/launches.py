"""Launches of runs, mainly for their compute environment.

A launch does not change: it is fetched once, with the first fetch of a run that refers to it. If
the launch is denied or fails, the run is loaded without it, and the next reconciliation requests
the launch again.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tower_etl.errors import NotFoundError, SyncStoppedError
from tower_etl.extract.failures import capture_failure, is_access_denied
from tower_etl.schema import TABLES
from tower_etl.sync import FINAL_STATUSES

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

    from tower_etl.api import TowerClient
    from tower_etl.errors import ApiError
    from tower_etl.extract.batch import FetchedRun
    from tower_etl.extract.destination_state import DestinationState
    from tower_etl.extract.failures import Failure

_LAUNCHES, _DATASETS = TABLES["launches"], TABLES["launch_datasets"]
_MAX_CONSECUTIVE_FAILURES = 3  # consecutive launches; each takes all attempts of a call
_ID = re.compile(r"[\w-]{1,64}", re.ASCII)  # a stored id may be a digest, or masked

LaunchRequest = tuple[int | None, str]


def is_launch_id(value: object) -> bool:
    """Return whether a value is a launch id that can be requested, and is safe in a URL path."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


class LaunchLoader:
    """Loader of launches, which fetches each at most once per sync. Safe for use in threads.

    Attributes:
        denied: First denial of the server by table.
        failure: Error of the first launch that failed, None if none failed.
        failures: Number of launches that failed, or were skipped after consecutive failures.
        unavailable: Launches of open runs that were denied or failed; later syncs do not request
            them until the next reconciliation.
    """

    def __init__(
        self,
        client: TowerClient,
        selected: frozenset[str],
        stored: Iterable[str],
        unavailable: Iterable[str],
    ) -> None:
        """Create the loader with the launches that need no call.

        Args:
            client: Client of the platform.
            selected: Names of the selected tables.
            stored: Launches in the destination.
            unavailable: Launches that are not requested in this sync.
        """
        self.denied: dict[str, ApiError] = {}
        self.failure: ApiError | None = None
        self.failures = 0
        self.unavailable: set[str] = set()
        self._client = client
        self._selected = selected
        self._skipped = set(unavailable)
        self._requested = {*stored, *self._skipped}
        self._consecutive_failures = 0
        self._lock = threading.Lock()

    def describe_denial(self, table: str) -> str | None:
        """Return the message on launches or datasets that the server denied, None if it did not."""
        error = self.denied.get(table)
        message = (
            f"The server refuses some {table} ({error}). Their runs are loaded without, and each "
            "reconciliation requests them again."
        )
        return message if error else None

    def describe_failures(self) -> str:
        """Return the message on launches that failed."""
        return (
            f"{self.failures} launches could not be fetched ({self.failure}). Their runs are "
            "loaded without a compute environment, and the next reconciliation requests them again."
        )

    def attach(self, fetched: FetchedRun, workspace_id: int | None) -> FetchedRun:
        """Return a run with the rows of its launch; runs from the command line have no launch.

        Raises:
            SyncStoppedError: The sync was stopped.
        """
        launch_id = fetched.responses.record.get("launchId")
        if not isinstance(launch_id, str) or not launch_id:
            return fetched
        rows = self.fetch(workspace_id, launch_id)
        is_open = fetched.summary.status not in FINAL_STATUSES
        if is_open and launch_id in self._skipped and is_launch_id(launch_id):
            self.unavailable.add(launch_id)
        return replace(fetched, launch=rows)

    def fetch(self, workspace_id: int | None, launch_id: str) -> dict[str, pa.Table]:
        """Return the rows of a launch by table; empty if requested before, or unavailable.

        Raises:
            SyncStoppedError: The sync was stopped.
        """
        if not self._should_request(launch_id):
            return {}
        launch = capture_failure(lambda: self._request(workspace_id, launch_id))
        if not isinstance(launch, Mapping):
            self._record_failure(_LAUNCHES.name, launch_id, launch)
            return {}
        self._consecutive_failures = 0
        return self._build(workspace_id, launch_id, launch)

    def _request(self, workspace_id: int | None, launch_id: str) -> Mapping[str, Any]:
        if is_launch_id(launch_id):
            return self._client.get_launch(workspace_id, launch_id)
        msg = "GET /launch/{launch_id}: the server returned an id that cannot be part of a path."
        raise NotFoundError(msg)

    def _build(
        self, workspace_id: int | None, launch_id: str, launch: Mapping[str, Any]
    ) -> dict[str, pa.Table]:
        record = {**launch, "id": launch_id}
        record["workspaceId"] = launch.get("workspaceId") or workspace_id
        tables, count = {}, None
        if _DATASETS.name in self._selected:
            datasets = capture_failure(
                lambda: self._client.list_launch_datasets(workspace_id, launch_id)
            )
            if isinstance(datasets, list):
                tables[_DATASETS.name] = rows = _DATASETS.build(datasets, launch_id=launch_id)
                count = rows.num_rows
            else:
                self._record_failure(_DATASETS.name, launch_id, datasets)
        return {_LAUNCHES.name: _LAUNCHES.build([record], dataset_count=count), **tables}

    def _should_request(self, launch_id: str) -> bool:
        """Return whether to request a launch, which is true once per launch."""
        with self._lock:
            is_new = launch_id not in self._requested
            self._requested.add(launch_id)
            if is_new and self._consecutive_failures >= _MAX_CONSECUTIVE_FAILURES:
                self.failures += 1
                self._skipped.add(launch_id)
                return False
            return is_new

    def _record_failure(self, table: str, launch_id: str, error: Failure) -> None:
        if isinstance(error, SyncStoppedError):
            raise error
        with self._lock:
            self._skipped.add(launch_id)
            if is_access_denied(error):
                self.denied.setdefault(table, error)
                self._consecutive_failures = 0
                return
            self.failure = self.failure or error
            self.failures += 1
            self._consecutive_failures += 1


def plan_backlog(
    destination_state: DestinationState,
    selected: frozenset[str],
    workspace_ids: set[int | None],
    after: str | None,
    *,
    limit: int,
) -> tuple[list[LaunchRequest], str | None]:
    """Return launches of stored runs that are missing in the destination.

    Args:
        destination_state: State of the destination.
        selected: Names of the selected tables.
        workspace_ids: Workspaces whose launches are due.
        after: Last launch id of the previous call, None for the beginning.
        limit: Maximum number of launches.

    Returns:
        Pairs of workspace and launch id in the order of ids, so that denied launches do not block
        the others; and the id to continue after, None at the end.
    """
    columns = ("workspace_id", "launch_id", "missing_since")
    workspace_of = {
        row["launch_id"]: row["workspace_id"]
        for row in destination_state.read_table("workflows", columns)
        if row["workspace_id"] in workspace_ids and not row["missing_since"]
        if is_launch_id(row["launch_id"])
    }
    due = sorted(workspace_of.keys() - _list_stored(destination_state, selected))
    remaining = [launch_id for launch_id in due if launch_id > (after or "")]
    chosen = remaining[:limit]
    last = chosen[-1] if len(remaining) > len(chosen) else None
    return [(workspace_of[launch_id], launch_id) for launch_id in chosen], last


def _list_stored(destination_state: DestinationState, selected: frozenset[str]) -> set[str]:
    """Return the launches in the destination, with their datasets if these are selected."""
    rows = destination_state.read_table(_LAUNCHES.name, ("id", "dataset_count"))
    if _DATASETS.name not in selected:
        return {row["id"] for row in rows}
    datasets = destination_state.read_table(_DATASETS.name, ("launch_id",))
    listed = {row["launch_id"] for row in datasets}
    counted = {row["id"]: row["dataset_count"] for row in rows if row["dataset_count"] is not None}
    loaded = {launch_id for launch_id, count in counted.items() if not count or launch_id in listed}
    return loaded if _LAUNCHES.name in selected else loaded | listed

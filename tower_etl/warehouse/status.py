"""Status of a destination per workspace, and of the last sync."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from tower_etl.destinations.dlt_pipeline import PIPELINE
from tower_etl.sync import PERSONAL, load_state
from tower_etl.warehouse.filters import RunFilter, apply_filter
from tower_etl.warehouse.reader import open_reader

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime, timedelta

    from tower_etl.destinations.config import DestinationConfig
    from tower_etl.sync import FailedRun, WorkspaceState

T = TypeVar("T")

Query = Callable[[str], list[tuple[Any, ...]]]
"""Function that returns the rows of a SELECT."""

_COUNTED = ("workflows", "tasks")


@dataclass(frozen=True)
class WorkspaceStatus:
    """Status of one workspace in a destination.

    Attributes:
        id: Id of the workspace, None for the personal workspace.
        name: `ORG/NAME`, or `personal`.
        cursor: Submission of the newest run that was loaded (UTC).
        open_runs: Number of runs that have not finished and are refreshed by each sync.
        reconciled_at: Start of the last reconciliation (UTC).
        last_sync_at: End of the last sync that read its listing and tried to fetch each of its new
            runs (UTC); those that failed are pending.
        row_counts: Number of runs and tasks by table.
        pending: Runs whose last fetch failed, by id; later syncs retry them.
        incomplete_runs: Number of runs without a part that the server did not have.
        invisible_since: Start of the first sync that no longer saw the workspace (UTC), None while
            it is visible.
    """

    id: int | None
    name: str
    cursor: datetime | None
    open_runs: int
    reconciled_at: datetime | None
    last_sync_at: datetime | None
    row_counts: Mapping[str, int]
    pending: Mapping[str, FailedRun] = field(default_factory=dict)
    incomplete_runs: int = 0
    invisible_since: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the element of `workspaces` in `status --json`."""
        times = {
            name: time.isoformat().replace("+00:00", "Z") if time else None
            for name, time in (
                ("cursor", self.cursor),
                ("reconciled_at", self.reconciled_at),
                ("last_sync_at", self.last_sync_at),
                ("invisible_since", self.invisible_since),
            )
        }
        return {
            "id": self.id,
            "name": self.name,
            **times,
            "open_runs": self.open_runs,
            "rows": dict(self.row_counts),
            "pending": [run.as_json(run_id) for run_id, run in self.pending.items()],
            "incomplete_runs": self.incomplete_runs,
        }


@dataclass(frozen=True)
class LastSync:
    """Sync that committed last.

    Attributes:
        finished_at: End of the sync (UTC).
        seconds: Duration of the sync.
        status: ok, partial or failed.
        calls: Number of requests, retries included.
        retries: Number of requests that repeated a failed one.
        throttled_seconds: Time for which requests waited after responses 429.
    """

    finished_at: datetime
    seconds: float
    status: str
    calls: int
    retries: int
    throttled_seconds: float


def query_destination(
    destination: DestinationConfig,
    reading: Callable[[Query], T],
    views: Sequence[str] = (),
    scope: RunFilter | None = None,
) -> T:
    """Return the result of a function that queries a destination.

    Args:
        destination: File, folder or database.
        reading: Function that queries the tables and views by unqualified names.
        views: Names of the views that the function queries; a file or folder is read with the
            views of this version.
        scope: Filter of runs; PostgreSQL ignores it, because its views are those of its syncs.

    Raises:
        ConfigurationError: The destination does not exist, or no sync has written to it.
    """
    if destination.kind == "postgres":
        from tower_etl.destinations.postgres import open_postgres  # noqa: PLC0415 an extra

        return open_postgres(destination).read_with(reading)
    with open_reader(destination.path) as connection:
        if views:
            apply_filter(connection, scope or RunFilter(), views)
        return reading(lambda sql: connection.execute(sql).fetchall())


def query_last_sync(query: Query) -> LastSync | None:
    """Return the sync that committed last, or None if there is none."""
    rows = query(
        "SELECT finished_at, seconds, status, calls, retries, throttled_seconds FROM sync_runs "
        "ORDER BY finished_at DESC LIMIT 1"
    )
    return LastSync(*rows[0]) if rows else None


def query_status(query: Query) -> list[WorkspaceStatus]:
    """Return the status of all workspaces, by name; `query` accepts unqualified table names."""
    states = _read_states(query)
    last = _read_last_syncs(query)
    counts = {table: _count(query, table) for table in _COUNTED}
    counts["incomplete"] = _count_incomplete(query)
    statuses = [_status(key, state, last, counts) for key, state in states.items()]
    return sorted(statuses, key=lambda workspace: workspace.name)


def stale_workspaces(
    workspaces: Iterable[WorkspaceStatus], max_age: timedelta, now: datetime
) -> list[WorkspaceStatus]:
    """Return the workspaces whose last successful sync is older than a duration."""
    return [
        workspace
        for workspace in workspaces
        if workspace.last_sync_at is None or now - workspace.last_sync_at > max_age
    ]


def _status(
    key: str,
    state: WorkspaceState,
    last: Mapping[str, tuple[str, datetime | None]],
    counts: Mapping[str, Mapping[str, int]],
) -> WorkspaceStatus:
    name, last_sync_at = last.get(key, (state.name or key, None))
    return WorkspaceStatus(
        id=None if key == PERSONAL else int(key),
        name=name,
        cursor=state.cursor,
        open_runs=len(state.open),
        reconciled_at=state.reconciled_at,
        last_sync_at=last_sync_at,
        row_counts={table: counts[table].get(key, 0) for table in _COUNTED},
        pending=state.failed,
        incomplete_runs=counts["incomplete"].get(key, 0),
        invisible_since=state.invisible_since,
    )


def _read_states(query: Query) -> dict[str, WorkspaceState]:
    from dlt.common.versioned_state import (  # noqa: PLC0415 half a second to import
        decompress_state,
    )

    newest = query(
        f"SELECT state FROM _dlt_pipeline_state WHERE pipeline_name = '{PIPELINE}' "  # noqa: S608 a constant
        "ORDER BY version DESC, created_at DESC LIMIT 1"
    )
    state = decompress_state(newest[0][0]) if newest else {}
    workspaces = state.get("sources", {}).get("tower", {}).get("workspaces", {})
    return {key: load_state(stored) for key, stored in workspaces.items()}


def _read_last_syncs(query: Query) -> dict[str, tuple[str, datetime | None]]:
    """Return the latest name and the end of the last successful sync by workspace key.

    A sync is successful if it read the listing and tried to fetch each run; runs that failed are
    pending. Rows of earlier versions only have the status.
    """
    last_syncs: dict[str, tuple[str, datetime | None]] = {}
    rows = query("SELECT CAST(workspaces AS VARCHAR), finished_at FROM sync_runs ORDER BY 2 DESC")
    for text, finished_at in rows:
        for workspace in json.loads(text):
            if workspace["id"] is None and workspace["name"] != PERSONAL:
                continue  # a selector without a matching workspace
            key = PERSONAL if workspace["id"] is None else str(workspace["id"])
            name, time = last_syncs.get(key, (workspace["name"], None))
            is_fresh = workspace.get("completed", workspace["status"] == "ok")
            last_syncs[key] = (name, time or (finished_at if is_fresh else None))
    return last_syncs


def _count_incomplete(query: Query) -> dict[str, int]:
    """Count runs that lack a part; destinations of earlier versions do not have the column."""
    counts = query(
        "SELECT count(*) FROM information_schema.columns "
        "WHERE table_name = 'workflows' AND column_name = 'missing_parts'"
    )
    return _count(query, "workflows", "missing_parts IS NOT NULL") if counts[0][0] else {}


def _count(query: Query, table: str, where: str = "true") -> dict[str, int]:
    rows = query(
        f"SELECT workspace_id, count(*) FROM {table} WHERE {where} GROUP BY 1"  # noqa: S608 constants
    )
    return {PERSONAL if key is None else str(key): count for key, count in rows}

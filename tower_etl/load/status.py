"""What a target holds, workspace by workspace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tower_etl.load.pipeline import PIPELINE
from tower_etl.load.reader import open_reader
from tower_etl.sync import load_state

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    import duckdb

    from tower_etl.sync import WorkspaceState

_COUNTED = ("workflows", "tasks")


@dataclass(frozen=True)
class WorkspaceStatus:
    """One workspace of a target.

    Attributes:
        id: None for the personal workspace.
        name: `ORG/NAME`, or `personal`.
        cursor: Submission of the newest run that landed (UTC).
        open_runs: Runs that are visited until they are final.
        reconciled_at: When everything was last compared (UTC).
        last_sync_at: When a sync last brought it up to date (UTC).
        rows: Runs and tasks, by table.
    """

    id: int | None
    name: str
    cursor: datetime | None
    open_runs: int
    reconciled_at: datetime | None
    last_sync_at: datetime | None
    rows: Mapping[str, int]

    def as_json(self) -> dict[str, Any]:
        """The element of `status --json`."""
        times = {
            name: moment.isoformat().replace("+00:00", "Z") if moment else None
            for name, moment in (
                ("cursor", self.cursor),
                ("reconciled_at", self.reconciled_at),
                ("last_sync_at", self.last_sync_at),
            )
        }
        return {
            "id": self.id,
            "name": self.name,
            **times,
            "open_runs": self.open_runs,
            "rows": dict(self.rows),
        }


def read_status(path: str | Path) -> list[WorkspaceStatus]:
    """The workspaces of a target, by name.

    Raises:
        UsageError: The file does not exist, or no sync has written to it.
    """
    with open_reader(path) as connection:
        states = _read_states(connection)
        last = _read_last_syncs(connection)
        counts = {table: _count(connection, table) for table in _COUNTED}
    found = [_status(key, state, last, counts) for key, state in states.items()]
    return sorted(found, key=lambda space: space.name)


def _status(
    key: str,
    state: WorkspaceState,
    last: Mapping[str, tuple[str, datetime]],
    counts: Mapping[str, Mapping[str, int]],
) -> WorkspaceStatus:
    name, last_sync_at = last.get(key, (key, None))
    return WorkspaceStatus(
        id=None if key == "personal" else int(key),
        name=name,
        cursor=state.cursor,
        open_runs=len(state.open),
        reconciled_at=state.reconciled_at,
        last_sync_at=last_sync_at,
        rows={table: by_workspace.get(key, 0) for table, by_workspace in counts.items()},
    )


def _read_states(connection: duckdb.DuckDBPyConnection) -> dict[str, WorkspaceState]:
    from dlt.common.versioned_state import (  # noqa: PLC0415 half a second to import
        decompress_state,
    )

    newest = connection.execute(
        "SELECT state FROM _dlt_pipeline_state WHERE pipeline_name = ? ORDER BY version DESC, "
        "created_at DESC LIMIT 1",
        [PIPELINE],
    ).fetchone()
    state = decompress_state(newest[0]) if newest else {}
    spaces = state.get("sources", {}).get("tower", {}).get("workspaces", {})
    return {key: load_state(stored) for key, stored in spaces.items()}


def _read_last_syncs(
    connection: duckdb.DuckDBPyConnection,
) -> dict[str, tuple[str, datetime]]:
    rows = connection.execute(
        """
        SELECT coalesce(space ->> 'id', 'personal'), max_by(space ->> 'name', finished_at),
               max(finished_at) FILTER (space ->> 'status' = 'ok')
        FROM (SELECT unnest(workspaces::JSON[]) AS space, finished_at FROM sync_runs)
        GROUP BY 1
        """
    ).fetchall()
    return {key: (name, moment) for key, name, moment in rows}


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, int]:
    rows = connection.execute(
        f"SELECT coalesce(workspace_id::VARCHAR, 'personal'), count(*) FROM {table} GROUP BY 1"  # noqa: S608 ours
    ).fetchall()
    return dict(rows)

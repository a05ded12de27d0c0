"""The diary of the syncs: `sync_runs`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tower_etl.tables.column import (
    BOOLEAN,
    INTEGER,
    NUMBER,
    TEXT,
    TIMESTAMP,
    local_column,
    workspace_id,
)
from tower_etl.tables.table import TableSpec

if TYPE_CHECKING:
    import pyarrow as pa

SYNC_RUNS = TableSpec(
    name="sync_runs",
    key=("id",),
    columns=(
        local_column("id", TEXT, "Identifier of the sync.", key=True),
        workspace_id("Always null: a sync visits many workspaces."),
        local_column("started_at", TIMESTAMP, "When the sync started.", "UTC"),
        local_column("finished_at", TIMESTAMP, "When the sync ended.", "UTC"),
        local_column("seconds", NUMBER, "How long the sync took.", "s"),
        local_column(
            "status", TEXT, "How it ended: ok, partial (some workspaces failed) or failed."
        ),
        local_column("endpoint", TEXT, "Host of the API."),
        local_column("server_version", TEXT, "Version of the platform."),
        local_column("api_version", TEXT, "Version of the platform's API."),
        local_column("connector_version", TEXT, "Version of tower-etl."),
        local_column("calls", INTEGER, "Calls made, retried ones included.", "calls"),
        local_column("retries", INTEGER, "Calls made again after a failure.", "calls"),
        local_column("throttled_seconds", NUMBER, "Time spent waiting for the rate limit.", "s"),
        local_column("runs_listed", INTEGER, "Runs seen in listings.", "runs"),
        local_column("runs_fetched", INTEGER, "Runs fetched with their tasks.", "runs"),
        local_column(
            "reconciled", BOOLEAN, "Whether the sync compared all runs with a complete listing."
        ),
        local_column(
            "rows", TEXT, "Rows written, a JSON object: table -> rows.", "rows", is_json=True
        ),
        local_column(
            "workspaces",
            TEXT,
            "Outcome per workspace, a JSON list of objects with id, name, status and error.",
            is_json=True,
        ),
    ),
    description="Syncs into this target.",
    grain="One row per sync.",
    source="tower-etl",
)


def sync_run_rows(**values: object) -> pa.Table:
    """Build the row of one sync.

    Args:
        values: By column name; times are aware datetimes, `rows` and `workspaces` plain objects.

    Raises:
        TypeError: A value is of no column, or `id` is not given.
    """
    return SYNC_RUNS.build([{}], **values)

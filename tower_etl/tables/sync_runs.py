"""The diary of the syncs: `sync_runs`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tower_etl.tables.column import FLAG, INTEGER, MOMENT, NUMBER, TEXT, own, workspace_id
from tower_etl.tables.table import Table

if TYPE_CHECKING:
    import pyarrow as pa

SYNC_RUNS = Table(
    name="sync_runs",
    key=("id",),
    columns=(
        own("id", TEXT, "Identifier of the sync.", key=True),
        workspace_id("Always null: a sync visits many workspaces."),
        own("started_at", MOMENT, "When the sync started.", "UTC"),
        own("finished_at", MOMENT, "When the sync ended.", "UTC"),
        own("seconds", NUMBER, "How long the sync took.", "s"),
        own("status", TEXT, "How it ended: ok, partial (some workspaces failed) or failed."),
        own("endpoint", TEXT, "Host of the API."),
        own("server_version", TEXT, "Version of the platform."),
        own("api_version", TEXT, "Version of the platform's API."),
        own("connector_version", TEXT, "Version of tower-etl."),
        own("calls", INTEGER, "Calls made, retried ones included.", "calls"),
        own("retries", INTEGER, "Calls made again after a failure.", "calls"),
        own("throttled_seconds", NUMBER, "Time spent waiting for the rate limit.", "s"),
        own("runs_listed", INTEGER, "Runs seen in listings.", "runs"),
        own("runs_fetched", INTEGER, "Runs fetched with their tasks.", "runs"),
        own("reconciled", FLAG, "Whether the sync compared all runs with a complete listing."),
        own("rows", TEXT, "Rows written, a JSON object: table -> rows.", "rows", is_json=True),
        own(
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


def sync_run_batch(**values: object) -> pa.Table:
    """Build the row of one sync.

    Args:
        values: By column name; times are aware datetimes, `rows` and `workspaces` plain objects.

    Raises:
        TypeError: A value is of no column, or `id` is not given.
    """
    return SYNC_RUNS.batch([{}], **values)

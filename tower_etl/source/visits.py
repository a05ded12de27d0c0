"""Fetching one run: its description, tasks and metrics, as the rows that land together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tower_etl.api.endpoints import MAX_PAGE
from tower_etl.errors import ForbiddenError, NotFoundError
from tower_etl.source.listing import parse_time
from tower_etl.sync import Landed, Settled, is_disturbed, measure_settled
from tower_etl.tables import build_run

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from tower_etl.api import Item, TowerClient
    from tower_etl.source.preflight import Workspace
    from tower_etl.sync import Visit


@dataclass(frozen=True)
class Parcel:
    """All rows of one run, and what their landing means for the state.

    Attributes:
        tables: Rows by table.
        landed: What moves the state on.
    """

    tables: Mapping[str, pa.Table]
    landed: Landed


def fetch_run(
    client: TowerClient, workspace: Workspace, visit: Visit, wanted: frozenset[str]
) -> Parcel | None:
    """Fetch a run whole, or None if it is not there any more.

    The description comes first: when it says that the run is final, the tasks that follow are all.

    Args:
        client: Asks the platform.
        workspace: Where the run is.
        visit: What is known of it.
        wanted: Tables to pay calls for.

    Raises:
        ApiError: A call failed for good; nothing of the run is used then.
    """
    try:
        described = client.describe_run(workspace.id, visit.run_id)
        pages, settled = _fetch_tasks(client, workspace, visit, wanted)
        wants_metrics = "process_metrics" in wanted
        metrics = client.list_metrics(workspace.id, visit.run_id) if wants_metrics else []
    except (ForbiddenError, NotFoundError):  # deleted since it was listed (API fact 11)
        return None
    run = described.get("workflow") or {}
    tables = build_run(
        described, workspace_id=workspace.id, starred=visit.starred, tasks=pages, metrics=metrics
    )
    submit = parse_time(run.get("submit")) or visit.submit
    landed = Landed(visit, run.get("status"), submit, settled)
    return Parcel({name: rows for name, rows in tables.items() if name in wanted}, landed)


def _fetch_tasks(
    client: TowerClient, workspace: Workspace, visit: Visit, wanted: frozenset[str]
) -> tuple[list[list[Item]], Settled]:
    """Pages of tasks from the settled ones on, and how many are settled now."""
    if "tasks" not in wanted:
        return [], visit.settled
    before = visit.settled
    pages = client.list_task_pages(workspace.id, visit.run_id, before.tasks)
    if pages and is_disturbed(_brief(pages[0]), before):
        before = Settled()
        pages = client.list_task_pages(workspace.id, visit.run_id)
    return pages, measure_settled([_brief(page) for page in pages], before, MAX_PAGE)


def _brief(page: list[Item]) -> list[tuple[int, str | None]]:
    return [(item["task"]["taskId"], item["task"].get("status")) for item in page]

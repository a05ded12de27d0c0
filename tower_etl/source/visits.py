"""Fetching one run: its description, tasks and metrics, as the rows that land together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tower_etl.errors import ForbiddenError, NotFoundError
from tower_etl.source.listing import parse_time, sound_labels
from tower_etl.sync import FINAL_STATUSES, Landed, Settled, is_undisturbed, measure_settled
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

    Args:
        client: Asks the platform.
        workspace: Where the run is.
        visit: What is known of it.
        wanted: Tables to pay calls for.

    Raises:
        ApiError: A call failed for good; nothing of the run is used then.
    """
    try:
        return _fetch_parts(client, workspace, visit, wanted)
    except (ForbiddenError, NotFoundError):
        # They say "no such thing" as well as "not for you" (API fact 11); the listing tells.
        if client.is_listed(workspace.id, visit.run_id):
            raise
        return None


def _fetch_parts(
    client: TowerClient, workspace: Workspace, visit: Visit, wanted: frozenset[str]
) -> Parcel:
    """The description comes first: when it says that the run is final, all tasks that follow are.

    A run that is final now is fetched with all of its tasks: what was settled may have got its
    cost since.
    """
    described = client.describe_run(workspace.id, visit.run_id)
    described = {**described, "labels": sound_labels(described.get("labels"))}
    run = described.get("workflow") or {}
    known = Settled() if run.get("status") in FINAL_STATUSES else visit.settled
    tasks, settled = (
        _fetch_tasks(client, workspace, visit.run_id, known) if "tasks" in wanted else ([], known)
    )
    wants_metrics = "process_metrics" in wanted
    metrics = client.list_metrics(workspace.id, visit.run_id) if wants_metrics else []
    tables = build_run(
        described, workspace_id=workspace.id, starred=visit.starred, tasks=[tasks], metrics=metrics
    )
    submit = parse_time(run.get("submit")) or visit.submit
    landed = Landed(visit, run.get("status"), submit, settled)
    return Parcel({name: rows for name, rows in tables.items() if name in wanted}, landed)


def _fetch_tasks(
    client: TowerClient, workspace: Workspace, run_id: str, known: Settled
) -> tuple[list[Item], Settled]:
    """Tasks that are not known to be settled, and how many are settled now.

    The walk starts with the last settled task. Where that is not in its place, others came or went
    before it, and all are fetched.
    """
    if known.tasks:
        tasks = client.list_tasks(workspace.id, run_id, known.tasks - 1)
        if is_undisturbed(_brief(tasks), known):
            return tasks[1:], measure_settled(_brief(tasks[1:]), known)
    tasks = client.list_tasks(workspace.id, run_id)
    return tasks, measure_settled(_brief(tasks), Settled())


def _brief(tasks: list[Item]) -> list[tuple[object, str | None]]:
    return [(item["task"]["taskId"], item["task"].get("status")) for item in tasks]

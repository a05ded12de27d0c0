"""Everything that the API says of one run, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tower_etl.tables.labels import LABELS, WORKFLOW_LABELS, label_batch, link_batch
from tower_etl.tables.metrics import PROCESS_METRICS, iter_metric_records
from tower_etl.tables.progress import (
    PROCESS_PROGRESS,
    WORKFLOW_PROGRESS,
    split_progress,
)
from tower_etl.tables.shape import list_objects
from tower_etl.tables.tasks import TASKS, iter_task_records
from tower_etl.tables.workflows import WORKFLOWS, workflow_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pyarrow as pa


def build_run(
    described: Mapping[str, Any],
    *,
    workspace_id: int | None,
    starred: bool | None,
    tasks: Iterable[object],
    metrics: object,
) -> dict[str, pa.Table]:
    """Build all tables of one run.

    Args:
        described: Answer of GET /workflow/{workflowId} with `attributes=labels`.
        workspace_id: Workspace of the run, None for the personal one.
        starred: What the listing said of the run, None where it was not asked.
        tasks: The `tasks` of each page of GET /workflow/{workflowId}/tasks; a task on two pages
            counts once, as the later page has it.
        metrics: The `metrics` of GET /workflow/{workflowId}/metrics.

    Returns:
        By table name, rows unique by key: `workflows`, `tasks`, `process_metrics`,
        `workflow_progress`, `process_progress`, `workflow_labels`, `labels`.

    Raises:
        ServerFaultError: The answer holds no run.
    """
    place = {"workspace_id": workspace_id}
    run = WORKFLOWS.batch([workflow_record(described, starred=starred)], **place)
    of_run = {"workflow_id": run["id"][0].as_py(), **place}
    load, processes = split_progress(described.get("progress"))
    labels = list_objects(described.get("labels"))
    return {
        WORKFLOWS.name: run,
        TASKS.name: TASKS.batch(iter_task_records(tasks), **of_run),
        PROCESS_METRICS.name: PROCESS_METRICS.batch(iter_metric_records(metrics), **of_run),
        WORKFLOW_PROGRESS.name: WORKFLOW_PROGRESS.batch(load, **of_run),
        PROCESS_PROGRESS.name: PROCESS_PROGRESS.batch(processes, **of_run),
        WORKFLOW_LABELS.name: link_batch(labels, **of_run),
        LABELS.name: label_batch(labels, **place),
    }

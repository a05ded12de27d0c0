"""Transformation of the API's responses about runs to tables."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tower_etl.schema import REMOVED, TABLES
from tower_etl.schema.convert import as_objects, to_text
from tower_etl.schema.directory import user_rows
from tower_etl.schema.runs import workflow_record
from tower_etl.schema.tasks import iter_metric_records, iter_task_records, split_progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from tower_etl.schema.table import Group


@dataclass(frozen=True)
class RunResponses:
    """Responses of the API about one run.

    Attributes:
        detail: Response of GET /workflow/{workflowId} with `attributes=labels`.
        workspace_id: Id of the run's workspace, None for the personal one.
        starred: `starred` in the listing of runs, None if the run was not listed.
        tasks: `tasks` of each page of GET /workflow/{workflowId}/tasks; for a task on two pages,
            the later page is used.
        metrics: `metrics` of GET /workflow/{workflowId}/metrics.
        missing_parts: Parts that the server does not have for the run.
    """

    detail: Mapping[str, Any]
    workspace_id: int | None
    starred: bool | None
    tasks: Sequence[Any] = ()
    metrics: Any = ()
    missing_parts: Sequence[str] = ()

    @cached_property
    def constant_columns(self) -> dict[str, object]:
        """Columns with the same value in each row of the run; `ServerError` as for `record`."""
        return {"workflow_id": to_text(self.record["id"]), "workspace_id": self.workspace_id}

    @cached_property
    def record(self) -> dict[str, Any]:
        """Record for `workflows`; raises `ServerError` if the detail contains no run."""
        return workflow_record(self.detail, starred=self.starred)

    @cached_property
    def progress(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Records for `workflow_progress` and for `process_progress`."""
        return split_progress(self.detail.get("progress"))

    @cached_property
    def labels(self) -> list[dict[str, Any]]:
        """Records for `labels`."""
        return as_objects(self.detail.get("labels"))


def build_run_tables(runs: Sequence[RunResponses]) -> dict[str, pa.Table]:
    """Build the tables of several runs together, which is much faster than one by one.

    Returns:
        Rows by table name, unique by key: `workflows`, `tasks`, `process_metrics`,
        `workflow_progress`, `process_progress`, `workflow_labels`, `labels`, `users`.

    Raises:
        ServerError: A detail contains no run.
    """
    groups: dict[str, list[Group]] = {
        "workflows": [
            (
                [run.record],
                {"workspace_id": run.workspace_id, "missing_parts": [*run.missing_parts] or None},
            )
            for run in runs
        ],
        "tasks": [(iter_task_records(run.tasks), run.constant_columns) for run in runs],
        "process_metrics": [
            (iter_metric_records(run.metrics), run.constant_columns) for run in runs
        ],
        "workflow_progress": [(run.progress[0], run.constant_columns) for run in runs],
        "process_progress": [(run.progress[1], run.constant_columns) for run in runs],
        "workflow_labels": [(run.labels, run.constant_columns | {REMOVED: False}) for run in runs],
        "labels": [(run.labels, {"workspace_id": run.workspace_id}) for run in runs],
    }
    tables = {name: TABLES[name].build_grouped(parts) for name, parts in groups.items()}
    owners = tables["workflows"].select(["owner_id", "user_name"])
    return {**tables, "users": user_rows(owners.to_pylist())}

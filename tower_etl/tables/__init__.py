"""One spec per table, and the way from API records to Arrow batches."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from tower_etl.tables.column import Column
from tower_etl.tables.labels import (
    LABELS,
    WORKFLOW_LABELS,
    label_batch,
    link_batch,
    unlink_batch,
)
from tower_etl.tables.metrics import METRIC_UNITS, PROCESS_METRICS
from tower_etl.tables.places import (
    ORGANIZATIONS,
    WORKSPACES,
    organization_batch,
    workspace_batch,
)
from tower_etl.tables.progress import PROCESS_PROGRESS, WORKFLOW_PROGRESS
from tower_etl.tables.run import RunAnswers, build_run, build_runs
from tower_etl.tables.sync_runs import SYNC_RUNS, sync_run_batch
from tower_etl.tables.table import Table, keep_last
from tower_etl.tables.tasks import TASKS, task_batch
from tower_etl.tables.treatment import Treatment
from tower_etl.tables.workflows import WORKFLOWS, workflow_record

if TYPE_CHECKING:
    from collections.abc import Mapping

TABLES: Mapping[str, Table] = MappingProxyType(
    {
        table.name: table
        for table in (
            WORKFLOWS,
            TASKS,
            PROCESS_METRICS,
            WORKFLOW_PROGRESS,
            PROCESS_PROGRESS,
            WORKFLOW_LABELS,
            LABELS,
            ORGANIZATIONS,
            WORKSPACES,
            SYNC_RUNS,
        )
    }
)
"""Every table, by name."""

__all__ = [
    "METRIC_UNITS",
    "TABLES",
    "Column",
    "RunAnswers",
    "Table",
    "Treatment",
    "build_run",
    "build_runs",
    "keep_last",
    "label_batch",
    "link_batch",
    "organization_batch",
    "sync_run_batch",
    "task_batch",
    "unlink_batch",
    "workflow_record",
    "workspace_batch",
]

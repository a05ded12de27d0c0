"""One spec per table, and the way from API records to Arrow batches."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from tower_etl.tables.audit import AUDIT_LOGS
from tower_etl.tables.column import Column
from tower_etl.tables.compute import (
    COMPUTE_ENV_DETAILS,
    COMPUTE_ENVS,
    CREDENTIALS,
    PIPELINE_SECRETS,
)
from tower_etl.tables.data import DATA_LINKS, DATASET_VERSIONS, DATASETS
from tower_etl.tables.history import history_of, list_tracked
from tower_etl.tables.labels import (
    LABELS,
    WORKFLOW_LABELS,
    label_batch,
    link_batch,
    unlink_batch,
)
from tower_etl.tables.launches import LAUNCH_DATASETS, LAUNCHES
from tower_etl.tables.metrics import METRIC_UNITS, PROCESS_METRICS
from tower_etl.tables.people import (
    COLLABORATORS,
    MEMBERS,
    PARTICIPANTS,
    TEAM_MEMBERS,
    TEAMS,
    USERS,
    user_batch,
)
from tower_etl.tables.pipelines import ACTIONS, PIPELINE_VERSIONS, PIPELINES
from tower_etl.tables.places import (
    ORGANIZATION_QUOTAS,
    ORGANIZATIONS,
    WORKSPACES,
    organization_batch,
    workspace_batch,
)
from tower_etl.tables.progress import PROCESS_PROGRESS, WORKFLOW_PROGRESS
from tower_etl.tables.run import RunAnswers, build_run, build_runs
from tower_etl.tables.service import SERVICE_INFO, service_batch
from tower_etl.tables.studios import STUDIOS
from tower_etl.tables.sync_runs import SYNC_RUNS, sync_run_batch
from tower_etl.tables.table import Table, keep_last
from tower_etl.tables.tasks import TASKS, task_batch
from tower_etl.tables.timestamps import parse_timestamp
from tower_etl.tables.treatment import Treatment
from tower_etl.tables.workflows import WORKFLOWS, workflow_record

if TYPE_CHECKING:
    from collections.abc import Mapping

_VERSIONED = (
    WORKSPACES,
    PIPELINES,
    COMPUTE_ENVS,
    MEMBERS,
    COLLABORATORS,
    TEAMS,
    TEAM_MEMBERS,
    PARTICIPANTS,
)

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
            ORGANIZATION_QUOTAS,
            WORKSPACES,
            PIPELINES,
            PIPELINE_VERSIONS,
            COMPUTE_ENVS,
            ACTIONS,
            LAUNCHES,
            LAUNCH_DATASETS,
            DATASETS,
            DATASET_VERSIONS,
            DATA_LINKS,
            STUDIOS,
            CREDENTIALS,
            PIPELINE_SECRETS,
            MEMBERS,
            COLLABORATORS,
            TEAMS,
            TEAM_MEMBERS,
            PARTICIPANTS,
            USERS,
            SERVICE_INFO,
            AUDIT_LOGS,
            *map(history_of, _VERSIONED),
            SYNC_RUNS,
        )
    }
)
"""Every table, by name."""

HISTORIES: Mapping[str, Table] = MappingProxyType(
    {table.name: TABLES[f"{table.name}_history"] for table in _VERSIONED}
)
"""The table of versions of each entity that has one, by the name of the entity's table."""

ON_DEMAND = frozenset({LAUNCH_DATASETS.name, AUDIT_LOGS.name})
"""Tables that are synced only where they are requested by name or pattern."""

__all__ = [
    "COMPUTE_ENV_DETAILS",
    "HISTORIES",
    "METRIC_UNITS",
    "ON_DEMAND",
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
    "list_tracked",
    "organization_batch",
    "parse_timestamp",
    "service_batch",
    "sync_run_batch",
    "task_batch",
    "unlink_batch",
    "user_batch",
    "workflow_record",
    "workspace_batch",
]

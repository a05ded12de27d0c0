"""One spec per table, and the way from API records to Arrow batches."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from tower_etl.tables.audit import AUDIT_LOGS
from tower_etl.tables.column import ColumnSpec
from tower_etl.tables.compute import (
    COMPUTE_ENV_DETAILS,
    COMPUTE_ENVS,
    CREDENTIALS,
    PIPELINE_SECRETS,
)
from tower_etl.tables.data import DATA_LINKS, DATASET_VERSIONS, DATASETS
from tower_etl.tables.history import history_table, tracked_columns
from tower_etl.tables.labels import (
    LABELS,
    WORKFLOW_LABELS,
    label_link_tombstones,
    label_links,
    label_rows,
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
    user_rows,
)
from tower_etl.tables.pipelines import ACTIONS, PIPELINE_VERSIONS, PIPELINES
from tower_etl.tables.places import (
    ORGANIZATION_QUOTAS,
    ORGANIZATIONS,
    WORKSPACES,
    organization_rows,
    workspace_rows,
)
from tower_etl.tables.progress import PROCESS_PROGRESS, WORKFLOW_PROGRESS
from tower_etl.tables.run import RunResponses, build_run, build_run_tables
from tower_etl.tables.service import SERVICE_INFO, service_rows
from tower_etl.tables.studios import STUDIOS
from tower_etl.tables.sync_runs import SYNC_RUNS, sync_run_rows
from tower_etl.tables.table import TableSpec, deduplicate
from tower_etl.tables.tasks import TASKS, task_rows
from tower_etl.tables.timestamps import parse_timestamp
from tower_etl.tables.treatment import ColumnPolicy
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

TABLES: Mapping[str, TableSpec] = MappingProxyType(
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
            *map(history_table, _VERSIONED),
            SYNC_RUNS,
        )
    }
)
"""Every table, by name."""

HISTORY_TABLES: Mapping[str, TableSpec] = MappingProxyType(
    {table.name: TABLES[f"{table.name}_history"] for table in _VERSIONED}
)
"""The table of versions of each entity that has one, by the name of the entity's table."""

ON_DEMAND = frozenset({LAUNCH_DATASETS.name, AUDIT_LOGS.name})
"""Tables that are synced only where they are requested by name or pattern."""

__all__ = [
    "COMPUTE_ENV_DETAILS",
    "HISTORY_TABLES",
    "METRIC_UNITS",
    "ON_DEMAND",
    "TABLES",
    "ColumnPolicy",
    "ColumnSpec",
    "RunResponses",
    "TableSpec",
    "build_run",
    "build_run_tables",
    "deduplicate",
    "label_link_tombstones",
    "label_links",
    "label_rows",
    "organization_rows",
    "parse_timestamp",
    "service_rows",
    "sync_run_rows",
    "task_rows",
    "tracked_columns",
    "user_rows",
    "workflow_record",
    "workspace_rows",
]

"""Specifications of the tables, and the conversion of API records to their Arrow columns."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from tower_etl.schema.bills import BILL_LINES
from tower_etl.schema.compute import (
    COMPUTE_ENV_DETAILS,
    COMPUTE_ENVS,
    CREDENTIALS,
    PIPELINE_SECRETS,
    STUDIOS,
)
from tower_etl.schema.directory import (
    COLLABORATORS,
    MEMBERS,
    ORGANIZATION_QUOTAS,
    ORGANIZATIONS,
    PARTICIPANTS,
    TEAM_MEMBERS,
    TEAMS,
    USERS,
    WORKSPACES,
    workspace_rows,
)
from tower_etl.schema.history import history_table, tracked_columns
from tower_etl.schema.launches import LAUNCH_DATASETS, LAUNCHES
from tower_etl.schema.operations import (
    AUDIT_LOGS,
    SERVICE_INFO,
    SYNC_RUNS,
    service_rows,
    sync_run_rows,
)
from tower_etl.schema.pipelines import (
    ACTIONS,
    DATA_LINKS,
    DATASET_VERSIONS,
    DATASETS,
    PIPELINE_VERSIONS,
    PIPELINES,
)
from tower_etl.schema.progress import PROCESS_PROGRESS, WORKFLOW_PROGRESS
from tower_etl.schema.runs import (
    LABELS,
    REMOVED,
    WORKFLOW_LABELS,
    WORKFLOWS,
    label_link_tombstones,
    label_links,
    label_rows,
)
from tower_etl.schema.table import TableSpec, deduplicate
from tower_etl.schema.tasks import PROCESS_METRICS, TASKS, task_rows
from tower_etl.schema.types import ColumnSpec

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
"""All tables by name."""

LOCAL_TABLES: Mapping[str, TableSpec] = MappingProxyType({BILL_LINES.name: BILL_LINES})
"""Tables that come from files and not from the platform: no sync fills them."""

STORED_TABLES: Mapping[str, TableSpec] = MappingProxyType({**TABLES, **LOCAL_TABLES})
"""Every table that a target may hold, by name."""

HISTORY_TABLES: Mapping[str, TableSpec] = MappingProxyType(
    {table.name: TABLES[f"{table.name}_history"] for table in _VERSIONED}
)
"""History tables by the name of the table whose versions they contain."""

ON_DEMAND = frozenset({LAUNCH_DATASETS.name, AUDIT_LOGS.name})
"""Tables that are synced only if they are selected by name or pattern."""

__all__ = [
    "BILL_LINES",
    "COMPUTE_ENV_DETAILS",
    "HISTORY_TABLES",
    "LOCAL_TABLES",
    "ON_DEMAND",
    "REMOVED",
    "STORED_TABLES",
    "TABLES",
    "ColumnSpec",
    "TableSpec",
    "deduplicate",
    "label_link_tombstones",
    "label_links",
    "label_rows",
    "service_rows",
    "sync_run_rows",
    "task_rows",
    "tracked_columns",
    "workspace_rows",
]

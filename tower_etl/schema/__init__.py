"""Specifications of the tables, and the conversion of API records to their Arrow columns."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from tower_etl.schema import compute, directory, operations, pipelines, runs, tasks
from tower_etl.schema.compute import COMPUTE_ENV_DETAILS
from tower_etl.schema.directory import workspace_rows
from tower_etl.schema.operations import BILL_LINES, service_rows
from tower_etl.schema.runs import REMOVED, label_link_tombstones, label_links
from tower_etl.schema.table import TableSpec, deduplicate, history_table, tracked_columns
from tower_etl.schema.tasks import task_rows
from tower_etl.schema.types import ColumnSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

_VERSIONED = (
    directory.WORKSPACES,
    pipelines.PIPELINES,
    compute.COMPUTE_ENVS,
    directory.MEMBERS,
    directory.COLLABORATORS,
    directory.TEAMS,
    directory.TEAM_MEMBERS,
    directory.PARTICIPANTS,
)
_TABLES = (
    runs.WORKFLOWS,
    tasks.TASKS,
    tasks.PROCESS_METRICS,
    tasks.WORKFLOW_PROGRESS,
    tasks.PROCESS_PROGRESS,
    runs.WORKFLOW_LABELS,
    runs.LABELS,
    directory.ORGANIZATIONS,
    directory.ORGANIZATION_QUOTAS,
    directory.WORKSPACES,
    pipelines.PIPELINES,
    pipelines.PIPELINE_VERSIONS,
    compute.COMPUTE_ENVS,
    pipelines.ACTIONS,
    pipelines.LAUNCHES,
    pipelines.LAUNCH_DATASETS,
    pipelines.DATASETS,
    pipelines.DATASET_VERSIONS,
    pipelines.DATA_LINKS,
    compute.STUDIOS,
    compute.CREDENTIALS,
    compute.PIPELINE_SECRETS,
    directory.MEMBERS,
    directory.COLLABORATORS,
    directory.TEAMS,
    directory.TEAM_MEMBERS,
    directory.PARTICIPANTS,
    directory.USERS,
    operations.SERVICE_INFO,
    operations.AUDIT_LOGS,
    *map(history_table, _VERSIONED),
    operations.SYNC_RUNS,
)

TABLES: Mapping[str, TableSpec] = MappingProxyType({table.name: table for table in _TABLES})
"""All tables by name."""

LOCAL_TABLES: Mapping[str, TableSpec] = MappingProxyType({BILL_LINES.name: BILL_LINES})
"""Tables that come from files and not from the platform: no sync fills them."""

STORED_TABLES: Mapping[str, TableSpec] = MappingProxyType({**TABLES, **LOCAL_TABLES})
"""Every table that a target may hold, by name."""

HISTORY_TABLES: Mapping[str, TableSpec] = MappingProxyType(
    {table.name: TABLES[f"{table.name}_history"] for table in _VERSIONED}
)
"""History tables by the name of the table whose versions they contain."""

ON_DEMAND = frozenset({pipelines.LAUNCH_DATASETS.name, operations.AUDIT_LOGS.name})
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
    "service_rows",
    "task_rows",
    "tracked_columns",
    "workspace_rows",
]

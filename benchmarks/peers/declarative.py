"""The run history with dlt's declarative `rest_api` source, as in dlt's documentation.

Usage: declarative.py FILE [--tuned]. Endpoint, token and workspace are those of
`TOWER_API_ENDPOINT`, `TOWER_ACCESS_TOKEN` and `TOWER_WORKSPACE_ID`. Settings are dlt's defaults;
`--tuned` adds the advice of dlt's page on performance: requests in parallel, and Parquet instead of
INSERT statements.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dlt
from dlt.sources.rest_api import rest_api_source

if TYPE_CHECKING:
    from dlt.extract.source import DltSource

_PAGE = 100
_LAG_S = 24 * 3600  # runs change for a while after they were submitted
_SINCE = "2000-01-01T00:00:00Z"


def _page(total_path: str) -> dict[str, Any]:
    return {
        "type": "offset",
        "limit": _PAGE,
        "offset_param": "offset",
        "limit_param": "max",
        "total_path": total_path,
    }


def _list_runs() -> dict[str, Any]:
    return {
        "name": "workflows",
        "primary_key": "id",
        "endpoint": {
            "path": "workflow",
            "params": {
                "search": "after:{incremental.start_value}",
                "includeTotalSize": "true",
            },
            "data_selector": "workflows[*].workflow",
            "incremental": {"cursor_path": "submit", "initial_value": _SINCE, "lag": _LAG_S},
            "paginator": _page("totalSize"),
        },
    }


def _list_tasks() -> dict[str, Any]:
    return {
        "name": "tasks",
        "primary_key": ["_workflows_id", "taskId"],
        "include_from_parent": ["id"],
        "endpoint": {
            "path": "workflow/{resources.workflows.id}/tasks",
            "data_selector": "tasks[*].task",
            "paginator": _page("total"),
        },
    }


def _list_metrics() -> dict[str, Any]:
    return {
        "name": "metrics",
        "primary_key": ["_workflows_id", "process"],
        "include_from_parent": ["id"],
        "endpoint": {
            "path": "workflow/{resources.workflows.id}/metrics",
            "data_selector": "metrics",
            "paginator": "single_page",
        },
    }


def _describe_runs() -> dict[str, Any]:
    return {
        "name": "descriptions",
        "primary_key": "_workflows_id",
        "include_from_parent": ["id"],
        "endpoint": {
            "path": "workflow/{resources.workflows.id}",
            "params": {"attributes": "labels"},
            "data_selector": "$",
            "paginator": "single_page",
        },
    }


def make_source(*, parallelized: bool) -> DltSource:
    """Return the declarative source."""
    config: Any = {
        "client": {
            "base_url": os.environ["TOWER_API_ENDPOINT"],
            "auth": {"type": "bearer", "token": os.environ["TOWER_ACCESS_TOKEN"]},
        },
        "resource_defaults": {
            "write_disposition": "merge",
            "parallelized": parallelized,
            "endpoint": {"params": {"workspaceId": os.environ["TOWER_WORKSPACE_ID"]}},
        },
        "resources": [_list_runs(), _list_tasks(), _list_metrics(), _describe_runs()],
    }
    return rest_api_source(config, name="tower")


def main() -> None:
    """Load new and changed runs into the file."""
    path, tuned = Path(sys.argv[1]).resolve(), "--tuned" in sys.argv
    pipeline = dlt.pipeline(
        "tower_declarative",
        pipelines_dir=str(path.with_suffix(".dlt")),
        destination=dlt.destinations.duckdb(str(path)),
        dataset_name="tower",
    )
    options: Any = {"loader_file_format": "parquet"} if tuned else {}
    pipeline.run(make_source(parallelized=tuned), **options)


if __name__ == "__main__":
    main()

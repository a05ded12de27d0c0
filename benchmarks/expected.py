"""The expected rows of the tables, derived from the simulated world, as a DuckDB file."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tower_etl.simulator import World

    Rows = dict[str, list[dict[str, Any]]]

_VIEWS = Path(__file__).parent / "views" / "expected.sql"
_RUNS_AT_ONCE = 500
_METRICS = {"time": "time", "mem": "mem", "cpuUsage": "cpu_usage"}

_TEXT, _NUMBER, _COUNT = pa.string(), pa.float64(), pa.int64()
_TASK_COUNTS = {"succeeded": _COUNT, "failed": _COUNT, "running": _COUNT}
_SCHEMAS = {
    "raw_workflows": {
        **dict.fromkeys(("id", "status", "runName", "complete", "lastUpdated"), _TEXT),
        **dict.fromkeys(("duration", "exitStatus"), _COUNT),
    },
    "raw_tasks": {
        **dict.fromkeys(("workflowId", "status", "name", "complete", "lastUpdated"), _TEXT),
        **dict.fromkeys(("taskId", "realtime", "peakRss", "exitStatus"), _COUNT),
        "cost": _NUMBER,
    },
    "raw_metrics": {
        **dict.fromkeys(("workflowId", "process", "metric"), _TEXT),
        **dict.fromkeys(("mean", "q2", "max"), _NUMBER),
    },
    "raw_progress": {"workflowId": _TEXT, **_TASK_COUNTS, "cost": _NUMBER},
    "raw_processes": {"workflowId": _TEXT, "process": _TEXT, **_TASK_COUNTS},
    "raw_labels": {"workflowId": _TEXT, "id": _COUNT},
}


def write_expected(world: World, run_ids: Iterable[str], path: Path) -> None:
    """Write the current rows of runs.

    Args:
        world: World that the simulator serves.
        run_ids: Runs to write; deleted runs have their last state.
        path: DuckDB file to create.
    """
    left = iter(run_ids)
    with duckdb.connect(str(path)) as connection:
        for name, fields in _SCHEMAS.items():
            _insert(connection, name, fields, [])
        while chunk := list(islice(left, _RUNS_AT_ONCE)):
            for name, rows in _collect(world, chunk).items():
                _insert(connection, name, _SCHEMAS[name], rows)
        connection.execute(_VIEWS.read_text(encoding="utf-8"))


def _collect(world: World, run_ids: list[str]) -> Rows:
    rows: Rows = {name: [] for name in _SCHEMAS}
    for run_id in run_ids:
        described, of_run = world.describe(run_id), {"workflowId": run_id}
        progress = described["progress"]
        rows["raw_workflows"].append(described["workflow"])
        rows["raw_tasks"] += [of_run | task for task in world.tasks(run_id)]
        rows["raw_metrics"] += [of_run | metric for metric in _iter_metrics(world, run_id)]
        rows["raw_progress"].append(of_run | progress["workflowProgress"])
        rows["raw_processes"] += [of_run | process for process in progress["processesProgress"]]
        rows["raw_labels"] += [of_run | label for label in described["labels"]]
    return rows


def _iter_metrics(world: World, run_id: str) -> Iterator[dict[str, Any]]:
    for row in world.snapshot(run_id).tasks.metrics:
        for quantity, metric in _METRICS.items():
            if row[quantity] is not None:
                yield {"process": row["process"], "metric": metric, **row[quantity]}


def _insert(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    fields: dict[str, pa.DataType],
    rows: list[dict[str, Any]],
) -> None:
    batch = pa.Table.from_pylist(rows, pa.schema(fields))
    connection.register("batch", batch)
    connection.execute(f"CREATE TABLE IF NOT EXISTS {name} AS FROM batch LIMIT 0")
    connection.execute(f"INSERT INTO {name} FROM batch")
    connection.unregister("batch")

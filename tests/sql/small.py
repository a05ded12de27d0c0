"""A small history that a test writes by hand, in tables with the real schemas."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from tower_etl.schema import STORED_TABLES
from tower_etl.views.definitions import create_views, iter_views, select_views

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tower_etl.views.definitions import View

Row = dict[str, Any]
GIB, HOUR_MS = 2**30, 3_600_000

_RUN: Row = {
    "status": "SUCCEEDED",
    "userName": "ada",
    "projectName": "acme/align",
    "revision": "1.0",
    "orgName": "acme",
    "workspaceName": "lab",
    "workspaceId": 7,
    "submit": "2026-03-01T12:00:00Z",
    "start": "2026-03-01T12:05:00Z",
    "complete": "2026-03-01T14:00:00Z",
    "duration": 2 * HOUR_MS,
}
_TASK: Row = {
    "process": "ALIGN",
    "name": "ALIGN (one)",
    "status": "COMPLETED",
    "attempt": 1,
    "exit": "0",
    "submit": "2026-03-01T12:10:00Z",
    "start": "2026-03-01T12:20:00Z",
    "complete": "2026-03-01T13:20:00Z",
    "realtime": HOUR_MS,
    "cost": 1.0,
    "cpus": 2,
    "pcpu": 100.0,
    "memory": 8 * GIB,
    "peakRss": 2 * GIB,
    "executor": "awsbatch",
    "queue": "work",
    "machineType": "m6id.large",
    "cloudZone": "eu-west-1a",
    "priceModel": "standard",
}


class SmallHistory:
    """Rows by table, built from API records; omitted fields are those of a plain run or task."""

    def __init__(self) -> None:
        self._batches: dict[str, list[pa.Table]] = defaultdict(list)
        self._tasks = 0

    def add_run(self, run_id: str, **fields: Any) -> None:
        """Add a run; `fields` have the API's names."""
        self._add("workflows", [_RUN | {"id": run_id} | fields])

    def add_task(self, run_id: str, **fields: Any) -> None:
        """Add a task to a run; `fields` have the API's names.

        Without other times, the task has no staging: it ends when its command ends.
        """
        self._tasks += 1
        task = _TASK | {"taskId": self._tasks} | _end(**fields) | fields
        self._add("tasks", [task], workflow_id=run_id, workspace_id=7)

    def add_label(self, run_id: str, label_id: int) -> None:
        """Link a label to a run."""
        link: Row = {"workflow_id": run_id, "workspace_id": 7, "_removed": False}
        self._add("workflow_labels", [{"id": label_id}], **link)

    def name_label(self, label_id: int, name: str, value: str | None = None) -> None:
        """Add a label to the reference data."""
        self._add("labels", [{"id": label_id, "name": name, "value": value}], workspace_id=7)

    def add_launch(self, launch_id: str, **env: Any) -> None:
        """Add a launch; `env` has the API's fields of its compute environment."""
        self._add("launches", [{"id": launch_id, "workspaceId": 7, "computeEnv": env or None}])

    def add_compute_env(self, env_id: str, **fields: Any) -> None:
        """Add a compute environment to the reference data; `fields` have the API's names."""
        self._add("compute_envs", [{"id": env_id, "workspaceId": 7} | fields])

    def add_peak(self, run_id: str, *, cpus: int, tasks: int) -> None:
        """Add the progress of a run with its peaks."""
        self.add_progress(run_id, peakCpus=cpus, peakTasks=tasks)

    def add_progress(self, run_id: str, **fields: Any) -> None:
        """Add the progress of a run; `fields` have the API's names."""
        record = {"workflowProgress": fields}
        self._add("workflow_progress", [record], workflow_id=run_id, workspace_id=7)

    def add_bill_line(self, **values: Any) -> None:
        """Add a bill line; `values` are columns."""
        plain: Row = {
            "provider": "aws",
            "billing_account": "1",
            "billing_period": "2026-03",
            "line_number": len(self._batches["bill_lines"]),
            "usage_start": datetime(2026, 3, 1, 12, tzinfo=UTC),
            "usage_end": datetime(2026, 3, 1, 13, tzinfo=UTC),
            "is_split": False,
            "currency": "USD",
            "used_cost": 1.0,
            "unused_cost": 0.0,
        }
        line = plain | values
        line["cost"] = line["used_cost"] + line["unused_cost"]
        self._batches["bill_lines"].append(STORED_TABLES["bill_lines"].build([{}], **line))

    def add_sync(self, **values: Any) -> None:
        """Add a sync run; `values` are columns."""
        begun = datetime(2026, 3, 2, 6, tzinfo=UTC)
        plain = {"id": "sync", "started_at": begun, "finished_at": begun, "seconds": 2.5}
        plain |= {"status": "ok", "endpoint": "api.example.org", "calls": 3, "runs_fetched": 1}
        self._batches["sync_runs"].append(STORED_TABLES["sync_runs"].build([{}], **plain | values))

    def _add(self, table: str, records: list[Row], **constants: Any) -> None:
        self._batches[table].append(STORED_TABLES[table].build(records, **constants))

    @property
    def tables(self) -> Mapping[str, pa.Table]:
        """Return every table, including empty ones."""
        return {
            name: pa.concat_tables([table.arrow_schema.empty_table(), *self._batches[name]])
            for name, table in STORED_TABLES.items()
        }

    def open(self, *asked: str, stored: bool = False) -> duckdb.DuckDBPyConnection:
        """Open an in-memory database with the tables and the requested views (all by default).

        With `stored`, the rows of each view become a table: a query is then cheap, because DuckDB
        does not bind the views below each view again.
        """
        connection = duckdb.connect()
        connection.execute("SET TimeZone = 'Pacific/Auckland'")  # views must not depend on it
        for name, rows in self.tables.items():
            connection.register("rows", rows)
            connection.execute(f'CREATE TABLE "{name}" AS FROM rows')
            connection.unregister("rows")
        if stored:
            for view in _views(asked):
                connection.execute(f'CREATE TABLE "{view.name}" AS\n{view.sql}')
        else:
            create_views(connection, _views(asked), temporary=True)
        return connection

    def ask(self, view: str) -> list[Row]:
        """Return the rows of a view, in the order of the view."""
        with self.open(view, stored=True) as connection:
            asked = connection.execute(f'FROM "{view}"')
            names = [column[0] for column in asked.description or ()]
            return [dict(zip(names, row, strict=True)) for row in asked.fetchall()]

    def check(self, name: str) -> list[tuple[Any, ...]]:
        """Return the rows of a check; a check that holds has none."""
        check = next(view for view in iter_views("checks") if view.name == name)
        with self.open(*check.sources, stored=True) as connection:
            return connection.execute(check.sql).fetchall()


def _end(start: str | None = _TASK["start"], realtime: int | None = HOUR_MS, **_: object) -> Row:
    """Return the end of a task whose command runs from the task's start on."""
    if start is None or realtime is None:
        return {}
    ended = datetime.fromisoformat(start) + timedelta(milliseconds=realtime)
    return {"complete": ended.isoformat().replace("+00:00", "Z")}


def _views(asked: Sequence[str]) -> list[View]:
    """Return the named views and all views that they read; creating every view takes a second."""
    return select_views(iter_views(), asked) if asked else list(iter_views())

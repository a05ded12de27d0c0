"""Tables of real runs hold exactly the values of the API."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from tests.run_tables import build_run
from tower_etl.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

pytestmark = pytest.mark.shared

WORKSPACE = 4_242
LABELS = [
    {"id": 7, "name": "team", "value": "genomics", "resource": True, "isDefault": False},
    {"id": 8, "name": "urgent", "value": None, "resource": False, "isDefault": False},
]


def build(run: Mapping[str, Any]) -> dict[str, pa.Table]:
    """Build the tables of a real run, with its tasks on two pages."""
    described = {
        "workflow": run["workflow"],
        "progress": run["progress"],
        "labels": LABELS,
        "workspaceId": WORKSPACE,
        "platform": {"id": "aws-batch", "name": "Amazon Batch"},
    }
    return build_run(
        described,
        workspace_id=WORKSPACE,
        starred=True,
        tasks=[run["tasks"][:100], run["tasks"][100:]],
        metrics=run["metrics"],
    )


def expect(table: str, name: str, value: Any) -> object:
    """Return the expected column value of a JSON value."""
    column = next(c for c in TABLES[table].columns if c.name == name)
    if value is None or column.is_json:
        return value
    if column.unit == "UTC":
        return datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    return str(value) if name == "exit" else value


def read(table: str, row: Mapping[str, Any], name: str) -> object:
    """Return the value of a column, with JSON parsed."""
    column = next(c for c in TABLES[table].columns if c.name == name)
    return orjson.loads(row[name]) if column.is_json and row[name] is not None else row[name]


def flatten(record: Mapping[str, Any], whole: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return the values of an API record by the expected column name."""
    found: dict[str, Any] = {}
    for key, value in record.items():
        name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", key).lower()
        if isinstance(value, dict) and key not in whole:
            found |= {f"{name}__{inner}": item for inner, item in flatten(value).items()}
        elif value is not None:
            found[name] = value
    return found


def compare(table: str, record: Mapping[str, Any], row: Mapping[str, Any]) -> None:
    """Check that a row holds every value of a record."""
    expected = {name: expect(table, name, value) for name, value in record.items()}
    assert expected == {name: read(table, row, name) for name in expected}
    assert expected


def test_a_run_row_has_every_value_of_the_api_record(run: dict[str, Any]) -> None:
    """These are scalars, times, nested objects and JSON."""
    (row,) = build(run)["workflows"].to_pylist()
    compare("workflows", flatten(run["workflow"], frozenset({"params"})), row)
    compare("workflows", {"starred": True, "platform__id": "aws-batch"}, row)
    assert row["workspace_id"] == WORKSPACE
    assert None is row["missing_since"]


def test_task_rows_have_every_value_of_the_api_records(run: dict[str, Any]) -> None:
    """Every task of every page has one row, with the id of the run."""
    tasks = [element["task"] for element in run["tasks"]]
    rows = {row["task_id"]: row for row in build(run)["tasks"].to_pylist()}
    assert {task["taskId"] for task in tasks} == rows.keys()
    assert len(tasks) == len(rows)
    for task in tasks:
        compare("tasks", flatten(task), rows[task["taskId"]])
    owners = {(row["workflow_id"], row["workspace_id"]) for row in rows.values()}
    assert {(run["workflow"]["id"], WORKSPACE)} == owners


def test_metrics_have_one_row_per_process_and_metric_that_is_not_null(run: dict[str, Any]) -> None:
    names = {"cpuUsage": "cpu_usage", "memUsage": "mem_usage", "timeUsage": "time_usage"}
    rows = {(r["process"], r["metric"]): r for r in build(run)["process_metrics"].to_pylist()}
    figures = {
        (entry["process"], names.get(field, field)): (entry["id"], value)
        for entry in run["metrics"]
        for field, value in entry.items()
        if field not in ("id", "process") and value is not None
    }
    assert figures.keys() == rows.keys()
    for key, (metric_id, value) in figures.items():
        compare("process_metrics", flatten(value) | {"metric_id": metric_id}, rows[key])


def test_progress_rows_have_every_value_of_the_api_record(run: dict[str, Any]) -> None:
    """The run has one row, and so does each process."""
    tables = build(run)
    progress = run["progress"]
    (row,) = tables["workflow_progress"].to_pylist()
    load = flatten(progress["workflowProgress"])
    total = {} if progress["totalProcesses"] is None else {"total": progress["totalProcesses"]}
    compare("workflow_progress", load, row)
    assert total.get("total") == row["total_processes"]
    rows = {r["process"]: r for r in tables["process_progress"].to_pylist()}
    processes = progress["processesProgress"]
    assert {entry["process"] for entry in processes} == rows.keys()
    for entry in processes:
        compare("process_progress", flatten(entry), rows[entry["process"]])


def test_labels_become_label_rows_and_label_links(run: dict[str, Any]) -> None:
    """A label link has ids only; a label row has name, value and flags."""
    tables = build(run)
    run_id = run["workflow"]["id"]
    link = {"workflow_id": run_id, "workspace_id": WORKSPACE, "_removed": False}
    expected = [link | {"label_id": 7}, link | {"label_id": 8}]
    assert expected == tables["workflow_labels"].to_pylist()
    assert tables["labels"]["name"].to_pylist() == ["team", "urgent"]
    assert tables["labels"]["resource"].to_pylist() == [True, False]


def test_real_runs_have_no_undocumented_fields(run: dict[str, Any]) -> None:
    tables = build(run)
    leftovers = {
        name: table["undocumented"].drop_null().to_pylist()
        for name, table in tables.items()
        if "undocumented" in table.column_names
    }
    assert {key: [] for key in leftovers} == leftovers


def test_every_table_has_exactly_its_specified_schema(run: dict[str, Any]) -> None:
    """Types, order and nullability do not depend on the data."""
    for name, table in build(run).items():
        table.validate(full=True)
        assert TABLES[name].arrow_schema == table.schema


@pytest.mark.parametrize(
    ("run", "cost", "cached"),
    [("10Sj9ejvKktHWg", 21.2607, 0), ("15dvxY1LnZYrYe", 6.1615, 4), ("wELtvsveirfd9", 11.5759, 0)],
    indirect=["run"],
)
def test_the_costs_of_real_runs_are_those_published(
    run: dict[str, Any], cost: float, cached: int
) -> None:
    """Tasks with status CACHED were paid for by an earlier run."""
    tables = build(run)
    status = tables["tasks"]["status"].to_pylist()
    assert [pytest.approx(cost, abs=1e-4)] == tables["workflow_progress"]["cost"].to_pylist()
    assert cached == status.count("CACHED")

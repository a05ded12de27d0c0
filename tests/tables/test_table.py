"""Conversion of API records to rows: keys, local columns, and fields without a column."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.run_tables import build_run
from tower_etl.errors import ServerError
from tower_etl.schema import TABLES
from tower_etl.schema.runs import workflow_record

if TYPE_CHECKING:
    from tower_etl.schema import ColumnSpec

# JSON has no infinities.
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
API_TABLES = [
    name
    for name, table in TABLES.items()
    if "undocumented" in table.arrow_schema.names and not name.endswith("_history")
]
NARROW_TABLES = ["credentials", "pipeline_secrets", "users"]


def fill_keys(table: str) -> dict[str, Any]:
    """Return values for the local key columns of a table."""
    own = [c for c in TABLES[table].columns if not c.nullable and not c.path]
    return {c.name: "r" if c.type == pa.string() else 1 for c in own}


def build(table: str, *records: object, **constants: object) -> list[dict[str, Any]]:
    """Build rows of a table, and check their schema."""
    batch = TABLES[table].build(records, **(fill_keys(table) | constants))
    batch.validate(full=True)
    assert TABLES[table].arrow_schema == batch.schema
    rows: list[dict[str, Any]] = batch.to_pylist()
    return rows


def nest(values: dict[tuple[str, ...], Any]) -> dict[str, Any]:
    """Return a nested record from values by path."""
    record: dict[str, Any] = {}
    for path, value in values.items():
        inner = record
        for key in path[:-1]:
            inner = inner.setdefault(key, {})
        inner[path[-1]] = value
    return record


def holds(column: ColumnSpec, cell: object, value: Any) -> bool:
    """Return whether a cell is equivalent to an API value."""
    if column.is_json or (column.type == pa.string() and not isinstance(value, str)):
        return bool(json.loads(str(cell)) == value)
    if column.type == pa.timestamp("us", "UTC"):
        return isinstance(cell, datetime) and str(value)[:4].isdigit()
    if column.type == pa.bool_():
        return cell is value or str(cell).lower() == value
    if isinstance(value, bool):
        return False
    if column.type == pa.int64():
        return bool(cell == int(value))  # exact, also beyond the precision of floats
    return bool(cell == (value if column.type == pa.string() else float(value)))


@st.composite
def flipped_records(draw: st.DrawFn, table: str) -> dict[tuple[str, ...], Any]:
    """Draw a record whose fields hold values of any type."""
    paths = sorted({column.path for column in TABLES[table].columns if column.path})
    chosen = draw(st.lists(st.sampled_from(paths), unique=True, max_size=8))
    extra = draw(st.lists(st.from_regex(r"new[A-Z][a-z]{1,3}", fullmatch=True), max_size=2))
    keys = [*chosen, *((name,) for name in extra)]
    return {path: draw(JSON) for path in keys}


@pytest.mark.parametrize("table", API_TABLES)
@settings(max_examples=40)
@given(data=st.data())
def test_any_value_is_stored_in_its_column_or_in_undocumented(
    table: str, data: st.DataObject
) -> None:
    """No unexpected type raises an error, and no value is lost."""
    values = data.draw(flipped_records(table))
    (row,) = build(table, nest(values))
    columns = {column.path: column for column in TABLES[table].columns}
    rest = json.loads(row["undocumented"] or "{}")
    for path, value in values.items():
        kept = rest.pop(".".join(path), None)
        if value is not None and kept != value:
            assert holds(columns[path], row[columns[path].name], value)
    assert rest == {}


@pytest.mark.parametrize("table", NARROW_TABLES)
@settings(max_examples=40)
@given(data=st.data())
def test_any_value_makes_a_row_in_tables_that_drop_extra_fields(
    table: str, data: st.DataObject
) -> None:
    """No unexpected type raises an error."""
    values = data.draw(flipped_records(table))
    assert len(build(table, nest(values))) == 1


@given(JSON, JSON, JSON, JSON)
def test_a_run_with_parts_of_any_type_has_unique_keys_that_are_not_null(
    tasks: object, metrics: object, progress: object, labels: object
) -> None:
    """Lists and objects of the run are replaced by values of any type."""
    described = {"workflow": {"id": "r"}, "progress": progress, "labels": labels}
    tables = build_run(described, workspace_id=1, starred=None, tasks=[tasks], metrics=metrics)
    for name, table in tables.items():
        keys = list(zip(*(table[key].to_pylist() for key in TABLES[name].key), strict=True))
        assert len(keys) == len(set(keys))
        assert not any(part is None for key in keys for part in key)
        assert TABLES[name].arrow_schema == table.schema


def test_extra_fields_and_invalid_values_are_kept_by_their_dotted_path() -> None:
    """Extra fields may be at any depth; invalid values include scalars instead of objects."""
    record = {
        "taskId": 1,
        "cpus": "many",
        "brandNew": {"a": 1},
        "resourceAllocation": {"cpuShares": 2.5, "time": "1h", "fresh": [1]},
        "gpuMetrics": "none",
        "nothing": None,
    }
    (row,) = build("tasks", record)
    expected = {
        "cpus": "many",
        "brandNew": {"a": 1},
        "resourceAllocation.cpuShares": 2.5,
        "resourceAllocation.fresh": [1],
        "gpuMetrics": "none",
    }
    assert expected == json.loads(row["undocumented"])
    assert (row["cpus"], row["resource_allocation__time"]) == (None, "1h")


def test_a_row_without_extra_fields_has_null_in_undocumented() -> None:
    """The extra fields of one record do not appear in its neighbours."""
    rows = build("tasks", {"taskId": 1}, {"taskId": 2, "brandNew": 1}, {"taskId": 3})
    assert [row["undocumented"] for row in rows] == [None, '{"brandNew":1}', None]


def test_the_last_record_of_a_key_is_kept() -> None:
    """A task that is on two pages has one row, from the later page."""
    statuses = [(1, "RUNNING"), (2, "RUNNING"), (1, "COMPLETED"), (3, "NEW")]
    rows = build("tasks", *({"taskId": key, "status": status} for key, status in statuses))
    expected = [(2, "RUNNING"), (1, "COMPLETED"), (3, "NEW")]
    assert expected == [(row["task_id"], row["status"]) for row in rows]


def test_the_last_record_is_kept_if_the_key_has_local_columns_only() -> None:
    """A run has one row in `workflow_progress`."""
    rows = build("workflow_progress", {"totalProcesses": 1}, {"totalProcesses": 2})
    assert [row["total_processes"] for row in rows] == [2]


def test_an_invalid_or_missing_key_gets_a_surrogate_key() -> None:
    """Different records get different keys, and the same record gets the same key each time."""
    records = [{"taskId": "one"}, {"taskId": "two"}, {"taskId": "one"}, {"name": "x"}, {}]
    rows = build("tasks", *records)
    keys = [row["task_id"] for row in rows]
    assert len(set(keys)) == 4
    assert all(key < 0 for key in keys)
    assert keys == [row["task_id"] for row in build("tasks", *records)]
    assert rows[0]["undocumented"] == '{"taskId":"two"}'
    assert [row["process"] for row in build("process_progress", {"running": 1})] == [""]


def test_a_surrogate_key_depends_on_the_invalid_key_only() -> None:
    """A task keeps its surrogate key when its status changes."""
    rows = build("tasks", {"taskId": "one", "status": "NEW"}, {"taskId": "one", "status": "FAILED"})
    assert [row["status"] for row in rows] == ["FAILED"]


def test_constants_take_precedence_over_values_of_the_api() -> None:
    """A different value of the API is kept in `undocumented`."""
    (row,) = build("workflows", {"id": "r", "workspaceId": 8}, workspace_id=9)
    assert (row["workspace_id"], row["undocumented"]) == (9, '{"workspaceId":8}')
    (row,) = build("workflows", {"id": "r", "workspaceId": 9}, workspace_id=9)
    assert (row["workspace_id"], row["undocumented"]) == (9, None)
    (row,) = build("workflows", {"id": "r", "workspaceId": 8})
    assert row["workspace_id"] == 8


def test_constants_fill_local_columns_in_every_row() -> None:
    moment = datetime(2025, 1, 2, tzinfo=UTC)
    rows = build("workflows", {"id": "a"}, {"id": "b"}, missing_since=moment)
    assert [moment, moment] == [row["missing_since"] for row in rows]


def test_a_constant_without_a_column_is_refused() -> None:
    """Such a constant is a programming error."""
    with pytest.raises(TypeError, match="no_such_column"):
        TABLES["labels"].build([], no_such_column=1)


def test_a_missing_local_key_is_refused() -> None:
    with pytest.raises(TypeError, match="workflow_id"):
        TABLES["tasks"].build([])


@pytest.mark.parametrize("name", TABLES)
def test_no_records_give_an_empty_table_with_the_full_schema(name: str) -> None:
    batch = TABLES[name].build([], **fill_keys(name))
    assert (0, TABLES[name].arrow_schema) == (batch.num_rows, batch.schema)


def test_a_record_that_is_not_an_object_is_kept_in_undocumented() -> None:
    """A null record is skipped."""
    rows = build("labels", "urgent", None, {"id": 1})
    assert [row["undocumented"] for row in rows] == ['{"":"urgent"}', None]


def test_fields_of_a_run_and_of_its_response_do_not_overwrite_each_other() -> None:
    """The valid, documented field fills the column; the other value is kept by its dotted path."""
    described = {"workflow": {"id": "r", "cost": "high", "duration": 5}, "cost": 1.5, "duration": 6}
    (row,) = build("workflows", workflow_record(described, starred=False))
    assert (row["cost"], row["duration"], row["starred"]) == (1.5, 5, False)
    expected = {"workflow.cost": "high", "response.duration": 6}
    assert expected == json.loads(row["undocumented"])


def test_extra_fields_beside_a_task_are_kept() -> None:
    """Elements of a page may get new fields in later versions."""
    tables = build_run(
        {"workflow": {"id": "r"}},
        workspace_id=None,
        starred=None,
        tasks=[[{"task": {"taskId": 1}, "fresh": 2}]],
        metrics=[],
    )
    assert tables["tasks"]["undocumented"].to_pylist() == ['{"response.fresh":2}']


@pytest.mark.parametrize("described", [{}, {"workflow": None}, {"workflow": {"runName": "x"}}])
def test_a_response_without_a_run_is_a_server_error(described: dict[str, Any]) -> None:
    """It must never become an empty run."""
    with pytest.raises(ServerError, match="contains no run"):
        workflow_record(described, starred=None)

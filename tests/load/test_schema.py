"""Columns and types of the tables in DuckDB, from the first load on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tower_etl.config.settings import PrivacySettings
from tower_etl.schema import TABLES

if TYPE_CHECKING:
    from tests.load.warehouse import Warehouse
    from tower_etl.schema import ColumnSpec
    from tower_etl.simulator import World

KINDS = {
    "string": "VARCHAR",
    "int64": "BIGINT",
    "double": "DOUBLE",
    "bool": "BOOLEAN",
    "timestamp[us, tz=UTC]": "TIMESTAMP WITH TIME ZONE",
}
TYPES = "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = '{}'"


def expect_type(column: ColumnSpec) -> str:
    """Return the DuckDB type that the specification of a column requires."""
    return "JSON" if column.is_json else KINDS[str(column.type)]


def read_types(warehouse: Warehouse) -> dict[str, dict[str, str]]:
    """Return the DuckDB type of each column by table, without dlt's tables and columns."""
    return {
        table: {
            name: kind
            for name, kind in warehouse.select(TYPES.format(table))
            if not name.startswith("_dlt")
        }
        for table in TABLES
    }


@pytest.mark.slow
def test_a_sync_of_an_empty_platform_creates_every_column(warehouse: Warehouse) -> None:
    """Tables that are not selected are included, so that SQL that names a column never fails."""
    warehouse.sync(tables=frozenset({"workflows", "workflow_labels", "labels", "sync_runs"}))
    expected = {
        name: {column.name: expect_type(column) for column in table.columns}
        for name, table in TABLES.items()
    }
    assert read_types(warehouse) == expected


@pytest.mark.slow
def test_a_column_that_is_promoted_later_is_added_to_an_empty_table(warehouse: Warehouse) -> None:
    warehouse.sync()
    warehouse.sync(PrivacySettings(promoted=("compute_envs.brandNew:integer",)))
    assert warehouse.select("SELECT brand_new FROM compute_envs") == []


@pytest.mark.slow
def test_columns_have_the_specified_types(warehouse: Warehouse) -> None:
    """`exit` is text, timestamps have a time zone, and parameters are JSON."""
    warehouse.sync()
    types = read_types(warehouse)
    assert types["tasks"]["exit"] == "VARCHAR"
    assert types["tasks"]["exit_status"] == "BIGINT"
    assert types["workflows"]["params"] == "JSON"
    assert types["workflows"]["submit"] == "TIMESTAMP WITH TIME ZONE"
    assert types["sync_runs"]["workspaces"] == "JSON"
    assert all("workspace_id" in columns for columns in types.values())


@pytest.mark.slow
def test_unexpected_values_do_not_change_columns_or_types(
    warehouse: Warehouse, world: World, lab: int
) -> None:
    """No column is added; values without a column are kept in `undocumented`."""
    warehouse.sync()
    before = read_types(warehouse)
    strange: dict[str, Any] = {"exit": "137", "peakRss": 2.5, "module": {"a": 1}, "novel": [1]}
    run_id = world.submit_run(lab, params={"deep": {"er": [1, None]}}, brandNew="x")
    world.start_run(run_id)
    world.finish_task(run_id, world.add_task(run_id, exitStatus="1"), **strange)
    world.finish_run(run_id)
    warehouse.sync()
    assert read_types(warehouse) == before
    (row,) = warehouse.select(
        "SELECT t.exit, t.exit_status, t.peak_rss, t.module ->> 'a', t.undocumented -> 'novel', "
        "w.undocumented ->> 'brandNew' FROM tasks AS t JOIN workflows AS w ON w.id = t.workflow_id"
    )
    assert row == ("137", 0, None, "1", "[1]", "x")


@pytest.mark.slow
def test_changing_types_and_unknown_statuses_are_loaded(
    warehouse: Warehouse, world: World, lab: int
) -> None:
    """They change from one sync to the next, and within one sync."""
    exits = ["0", 0, "-", "", None, 1.5, True]
    run_id = world.submit_run(lab)
    world.start_run(run_id)
    for index, value in enumerate(exits):
        strange: dict[str, Any] = {"exit": value, "status": f"NEW_{value}", "priceModel": value}
        world.finish_task(run_id, world.add_task(run_id), **strange)
        assert index != 1 or warehouse.sync().result.status == "ok"
    world.finish_run(run_id, status="PONDERING")
    assert warehouse.sync().result.status == "ok"
    found = warehouse.select("SELECT exit, status FROM tasks ORDER BY task_id")
    assert [code for code, _ in found] == ["0", "0", "-", "", None, "1.5", "true"]
    assert [status for _, status in found] == [f"NEW_{value}" for value in exits]
    assert warehouse.select("SELECT status FROM workflows") == [("PONDERING",)]


@pytest.mark.slow
def test_the_sync_run_record_agrees_with_the_report(
    warehouse: Warehouse, world: World, lab: int
) -> None:
    """Each sync adds one row with its calls, its rows, and the result of each workspace."""
    world.submit_run(lab)
    reports = [warehouse.sync(), warehouse.sync()]
    sync_run = warehouse.select(
        "SELECT calls, retries, runs_listed, runs_fetched, status, reconciled, "
        "json_array_length(workspaces), (rows ->> 'workflows')::BIGINT, finished_at >= started_at "
        "FROM sync_runs ORDER BY calls DESC"
    )
    counts = [(report.calls, 0, 1, 1, "ok") for report in reports]
    assert sync_run == [(*counts[0], True, 2, 1, True), (*counts[1], False, 2, 1, True)]

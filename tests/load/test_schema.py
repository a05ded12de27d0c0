"""The tables as DuckDB has them, from the first load on."""

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
    """The type that the contract has for a column."""
    return "JSON" if column.is_json else KINDS[str(column.type)]


def read_types(warehouse: Warehouse) -> dict[str, dict[str, str]]:
    """Type of each column in DuckDB, our tables alone, without dlt's columns."""
    return {
        table: {
            name: kind
            for name, kind in warehouse.select(TYPES.format(table))
            if not name.startswith("_dlt")
        }
        for table in TABLES
    }


@pytest.mark.slow
def test_an_empty_platform_gives_every_column_of_every_table(warehouse: Warehouse) -> None:
    """Null or not, asked for or not: SQL that names a column never fails."""
    warehouse.sync(tables=frozenset({"workflows", "workflow_labels", "labels", "sync_runs"}))
    expected = {
        name: {column.name: expect_type(column) for column in table.columns}
        for name, table in TABLES.items()
    }
    assert read_types(warehouse) == expected


@pytest.mark.slow
def test_a_column_asked_for_later_is_there_without_a_row(warehouse: Warehouse) -> None:
    """A field of a table that nothing was ever written to is promoted."""
    warehouse.sync()
    warehouse.sync(PrivacySettings(promoted=("compute_envs.brandNew:integer",)))
    assert warehouse.select("SELECT brand_new FROM compute_envs") == []


@pytest.mark.slow
def test_types_are_those_of_the_contract(warehouse: Warehouse) -> None:
    """`exit` is text, times know their zone, parameters are JSON."""
    warehouse.sync()
    types = read_types(warehouse)
    assert types["tasks"]["exit"] == "VARCHAR"
    assert types["tasks"]["exit_status"] == "BIGINT"
    assert types["workflows"]["params"] == "JSON"
    assert types["workflows"]["submit"] == "TIMESTAMP WITH TIME ZONE"
    assert types["sync_runs"]["workspaces"] == "JSON"
    assert all("workspace_id" in columns for columns in types.values())


@pytest.mark.slow
def test_rows_change_no_type(warehouse: Warehouse, world: World, lab: int) -> None:
    """Whatever comes, no column is added and none changes its type."""
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
def test_a_field_that_changes_its_type_and_words_that_are_new_stop_nothing(
    warehouse: Warehouse, world: World, lab: int
) -> None:
    """Not from one sync to the next, and not within one."""
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
def test_the_sync_run_agrees_with_the_report(warehouse: Warehouse, world: World, lab: int) -> None:
    """One row per sync: what it cost, what it wrote, how each workspace fared."""
    world.submit_run(lab)
    reports = [warehouse.sync(), warehouse.sync()]
    sync_run = warehouse.select(
        "SELECT calls, retries, runs_listed, runs_fetched, status, reconciled, "
        "json_array_length(workspaces), (rows ->> 'workflows')::BIGINT, finished_at >= started_at "
        "FROM sync_runs ORDER BY calls DESC"
    )
    counts = [(report.calls, 0, 1, 1, "ok") for report in reports]
    assert sync_run == [(*counts[0], True, 2, 1, True), (*counts[1], False, 2, 1, True)]

"""Every dlt destination: runs, a reconciliation, a killed run, and a selection."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import duckdb
import psycopg2
import pymysql
import pytest
from deltalake.exceptions import DeltaError
from sqlalchemy import inspect

from tests.destinations.test_semantics import add_run
from tests.semantics.expected import RUN_TABLES, expect_labels, expect_run, list_shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.dlt_destinations.harness import DltHarness
    from tests.semantics.expected import Rows
    from tower_etl.simulator import World

pytestmark = [
    pytest.mark.filterwarnings("ignore:implicitly coercing SELECT"),  # dlt's SQL
    pytest.mark.filterwarnings("ignore:The 'warn' method is deprecated"),  # dlt tells of a package
]
ABSENT = (duckdb.Error, psycopg2.Error, pymysql.Error, sqlite3.Error, DeltaError, ValueError)
POINTS = (
    "before:dlt.normalize.normalize:Normalize.run:1",
    "before:dlt.load.load:Load.complete_package:1",
)


def expect_tables(world: World, harness: DltHarness, missing: Mapping[str, Rows] = {}) -> None:
    """Check that the tables equal the world, and hold the rows of a run that is gone as well."""
    shown = list_shown(world)
    for table in RUN_TABLES:
        expected = {
            key: row
            for run_id, space in shown.items()
            for key, row in expect_run(world, run_id, space)[table].items()
        }
        gone = dict(missing.get(table, {}))
        found = harness.read(table)
        if table == "workflows":
            found |= {key: found[key] | {"missing_since": None} for key in gone}
        assert expected | gone == found, table
    assert expect_labels(world) == harness.read("labels")


@pytest.mark.slow
def test_runs_keep_the_tables_equal_to_the_platform(
    harness: DltHarness, world: World, lab: int
) -> None:
    """New and finished runs, labels that change or go, runs that vanish."""
    old, gone, relabelled = (add_run(world, lab) for _ in range(3))
    world.finish_run(old)
    harness.run()
    expect_tables(world, harness)

    world.finish_run(relabelled)
    world.finish_run(gone)
    add_run(world, lab)
    harness.run()
    expect_tables(world, harness)

    world.set_labels(relabelled, [world.create_label(lab, "new")])
    world.set_labels(old, [])
    kept = {table: _rows_of(gone, harness, table) for table in RUN_TABLES}
    world.delete_run(gone)
    harness.run(reconcile=True)
    expect_tables(world, harness, missing=kept)
    assert harness.read("workflows")[gone,]["missing_since"]
    assert len(harness.read("sync_runs")) == 3


def _rows_of(run_id: str, harness: DltHarness, table: str) -> Rows:
    column = "id" if table == "workflows" else "workflow_id"
    return {key: row for key, row in harness.read(table).items() if row[column] == run_id}


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_a_killed_run_is_resumed(harness: DltHarness, world: World, lab: int, point: str) -> None:
    """While rows of an earlier run change as well."""
    first = add_run(world, lab)
    harness.run()
    world.finish_run(first)
    add_run(world, lab)
    harness.kill(point)
    world.finish_run(add_run(world, lab))
    harness.run()  # dlt loads what is pending, and nothing else
    harness.run()
    expect_tables(world, harness)


@pytest.mark.slow
def test_a_selection_leaves_the_other_tables_out(
    harness: DltHarness, world: World, lab: int
) -> None:
    """And everything is there after a run without one."""
    run_id = add_run(world, lab)
    world.finish_run(run_id)
    harness.run(tables=("workflows", "process_metrics"))
    assert set(harness.read("workflows")) == {(run_id,)}
    with pytest.raises(ABSENT):
        harness.read("tasks")
    harness.run()
    expect_tables(world, harness)


@pytest.mark.parametrize("name", ["sqlalchemy SQLite", "sqlalchemy MariaDB"])
def test_merges_find_rows_by_an_index(
    name: str, make_harness: Callable[[str], DltHarness], world: World, lab: int
) -> None:
    """Without one a merge looks at every pair of a stored and a staged row."""
    harness = make_harness(name)
    add_run(world, lab)
    harness.run(tables=("workflows",))
    with harness.open_pipeline().sql_client() as client, client.with_staging_dataset():
        found = inspect(client.native_connection)
        (index,) = found.get_indexes("workflows", schema=client.dataset_name)
        assert index["column_names"] == ["id"]

"""Tables of every dlt destination after runs, a reconciliation, a kill and a selection."""

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
from tests.semantics.expected import RUN_TABLES, expect_labels, expect_run, list_visible_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.dlt_destinations.harness import DltHarness
    from tests.semantics.expected import Rows
    from tower_etl.simulator import World

pytestmark = [
    pytest.mark.filterwarnings("ignore:implicitly coercing SELECT"),  # dlt's SQL
    pytest.mark.filterwarnings("ignore:The 'warn' method is deprecated"),  # by a dependency of dlt
]
ABSENT = (duckdb.Error, psycopg2.Error, pymysql.Error, sqlite3.Error, DeltaError, ValueError)
POINTS = (
    "before:dlt.normalize.normalize:Normalize.run:1",
    "before:dlt.load.load:Load.complete_package:1",
)


def expect_tables(world: World, harness: DltHarness, missing: Mapping[str, Rows] = {}) -> None:
    """Check that the tables equal the world, plus the given rows of deleted runs."""
    shown = list_visible_runs(world)
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
def test_tables_match_the_platform_after_each_pipeline_run(
    harness: DltHarness, world: World, lab: int
) -> None:
    """The runs cover new, finished and deleted runs as well as changed and removed labels."""
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
    kept = {table: rows_of(gone, harness, table) for table in RUN_TABLES}
    world.delete_run(gone)
    harness.run(reconcile=True)
    expect_tables(world, harness, missing=kept)
    assert harness.read("workflows")[gone,]["missing_since"]
    assert len(harness.read("sync_runs")) == 3


def rows_of(run_id: str, harness: DltHarness, table: str) -> Rows:
    """Return the rows of a run in a table by key."""
    column = "id" if table == "workflows" else "workflow_id"
    return {key: row for key, row in harness.read(table).items() if row[column] == run_id}


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_a_killed_pipeline_run_is_resumed(
    harness: DltHarness, world: World, lab: int, point: str
) -> None:
    """Rows that were loaded earlier change as well, before and after the kill."""
    first = add_run(world, lab)
    harness.run()
    world.finish_run(first)
    add_run(world, lab)
    harness.kill(point)
    world.finish_run(add_run(world, lab))
    harness.run()  # dlt loads the pending load package only
    harness.run()
    expect_tables(world, harness)


@pytest.mark.slow
def test_a_selection_creates_only_its_tables_and_a_later_run_the_others(
    harness: DltHarness, world: World, lab: int
) -> None:
    run_id = add_run(world, lab)
    world.finish_run(run_id)
    harness.run(tables=("workflows", "process_metrics"))
    assert set(harness.read("workflows")) == {(run_id,)}
    with pytest.raises(ABSENT):
        harness.read("tasks")
    harness.run()
    expect_tables(world, harness)


@pytest.mark.parametrize("name", ["sqlalchemy SQLite", "sqlalchemy MariaDB"])
def test_sqlalchemy_staging_tables_have_an_index_on_the_key(
    name: str, make_harness: Callable[[str], DltHarness], world: World, lab: int
) -> None:
    """Without an index, a merge compares every stored row with every staged row."""
    harness = make_harness(name)
    add_run(world, lab)
    harness.run(tables=("workflows",))
    with harness.open_pipeline().sql_client() as client, client.with_staging_dataset():
        found = inspect(client.native_connection)
        (index,) = found.get_indexes("workflows", schema=client.dataset_name)
        assert index["column_names"] == ["id"]

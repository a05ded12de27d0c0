"""Reference data: a reconciliation writes changed rows, and skips unchanged ones."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from tests.load.warehouse import Warehouse
from tower_etl.clock import Clock
from tower_etl.config.settings import PrivacySettings
from tower_etl.extract.reference import ENTITIES
from tower_etl.schema import HISTORY_TABLES
from tower_etl.simulator import NO_LIMIT, SimClock, Simulator, build_world, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tower_etl.destinations.duckdb_files import DuckDBPaths
    from tower_etl.simulator import World

NAMES = {entity.table for entity in ENTITIES} | {table.name for table in HISTORY_TABLES.values()}


@pytest.fixture
def full_world() -> World:
    """Build a world with two runs and elements of every reference entity."""
    clock = SimClock.frozen_at(datetime.now(UTC))
    return build_world(3, clock=clock, runs=2, open_runs=0, mean_tasks=2)


@pytest.fixture
def full(
    target: DuckDBPaths, full_world: World, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Warehouse]:
    """Serve that world; return a target to sync it to."""
    monkeypatch.setenv("NO_PROXY", "*")
    with serve(Simulator(full_world, limit=NO_LIMIT)) as endpoint:
        yield Warehouse(target, endpoint, Clock(now=full_world.clock.now))


def written(report: Any) -> dict[str, int]:
    """Return the number of reference rows that a sync wrote, by table."""
    return {name: count for name, count in report.rows.items() if name in NAMES}


def read(warehouse: Warehouse, table: str) -> list[tuple[Any, ...]]:
    """Return the rows of a table in a stable order."""
    return warehouse.select(f"SELECT * FROM {table} ORDER BY ALL")  # noqa: S608 names of tables


def test_unchanged_reference_rows_are_not_written(full: Warehouse, full_world: World) -> None:
    """The number of calls stays the same, and changed rows are written."""
    first = full.sync(reconcile=True)
    full_world.clock.advance(3600)
    second = full.sync(reconcile=True)
    assert written(first).keys() >= {entity.table for entity in ENTITIES}
    assert written(second) == {}

    for kind in ("actions", "computeEnvs"):
        items = next(items for items in full_world.entities[kind].values() if items)
        items[0]["name"] = "renamed"
    full_world.clock.advance(3600)
    third = full.sync(reconcile=True)
    assert written(third) == {"actions": 1, "compute_envs": 1, "compute_envs_history": 2}
    assert full.select("SELECT count(*) FROM actions WHERE name = 'renamed'") == [(1,)]
    assert third.calls == second.calls


@pytest.mark.slow
def test_json_columns_are_compared_with_their_types(full: Warehouse, full_world: World) -> None:
    """Unlike in Python, a boolean does not equal a number; 2 and 2.0 are equal."""
    item = next(items for items in full_world.entities["computeEnvs"].values() if items)[0]
    item["config"] = {"spot": 1, "list": [0, 2]}
    full.sync(reconcile=True)
    item["config"] = {"list": [0, 2.0], "spot": 1}
    full_world.clock.advance(3600)
    assert written(full.sync(reconcile=True)) == {}
    item["config"] = {"spot": True, "list": [False, 2]}
    full_world.clock.advance(3600)
    found = written(full.sync(reconcile=True))
    assert found == {"compute_envs": 1, "compute_envs_history": 2}


@pytest.mark.slow
def test_rows_that_the_destination_lost_are_written_again(full: Warehouse) -> None:
    """Rows that a user changed or duplicated are also repaired."""
    full.sync(reconcile=True)
    tables = ("labels", "pipelines", "data_links")
    before = {name: read(full, name) for name in tables}
    with duckdb.connect(str(full.target.path)) as connection:
        connection.execute("USE tower.tower")
        connection.execute("DELETE FROM labels")
        connection.execute("UPDATE pipelines SET name = 'other'")
        connection.execute("INSERT INTO data_links SELECT * FROM data_links LIMIT 1")
    report = full.sync(reconcile=True)
    assert written(report).keys() == {*tables}
    assert report.rows["data_links"] == 1
    for name in tables:
        assert read(full, name) == before[name]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("privacy", "names"),
    [
        (PrivacySettings(hashed=("members.email",), salt="pepper"), {"members"}),
        (PrivacySettings(excluded=("pipelines.name",)), {"pipelines"}),
        (PrivacySettings(promoted=("datasets.extra:integer",)), {"datasets"}),
    ],
)
def test_changed_privacy_settings_apply_to_unchanged_rows(
    full: Warehouse, privacy: PrivacySettings, names: set[str]
) -> None:
    """Only their tables are written. A second sync with the same settings writes nothing."""
    full.sync(reconcile=True)
    found = written(full.sync(privacy, reconcile=True))
    assert {name for name in found if not name.endswith("_history")} == names
    assert written(full.sync(privacy, reconcile=True)) == {}

"""Iceberg tables: read without a catalog, moved by nobody else, cleaned."""

from __future__ import annotations

import os
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from pyiceberg.catalog import load_catalog
from pyiceberg.utils.config import Config

from tests.destinations.test_semantics import add_run
from tower_etl.config.resolver import SettingSources
from tower_etl.destinations.lake.iceberg import IcebergLake
from tower_etl.destinations.lake.iceberg_location import HINT, ObjectStoreLocation, s3_properties
from tower_etl.destinations.lake.mirror import open_mirror
from tower_etl.destinations.object_store import open_bucket
from tower_etl.errors import TowerEtlError
from tower_etl.warehouse.reader import open_reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.destinations.harness import DestinationHarness
    from tower_etl.simulator import World

FEW = frozenset({"workflows", "tasks", "workflow_labels"})


@pytest.fixture
def folder(bucket: str) -> ObjectStoreLocation:
    """An empty folder in a bucket."""
    return ObjectStoreLocation(open_bucket(bucket), s3_properties(SettingSources().environ))


@pytest.fixture
def harness(make_harness: Callable[[str], DestinationHarness]) -> DestinationHarness:
    """An empty lake in a bucket."""
    return make_harness("iceberg-s3")


# --- read ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_a_hint_leads_to_is_what_duckdb_reads(
    harness: DestinationHarness, world: World, lab: int
) -> None:
    """PyIceberg without a catalog, and `tower-etl query`; an empty table has its columns."""
    runs = {add_run(world, lab), add_run(world, lab)}
    world.set_labels(min(runs), [])
    world.set_labels(max(runs), [])
    harness.sync(tables=FEW)
    with open_reader(harness.place.path) as connection:
        for table, key in (("workflows", "id"), ("tasks", "workflow_id")):
            rows = connection.execute(f"SELECT {key}, date_created FROM {table}")  # noqa: S608 ours
            read = harness.read(table).values()
            assert {(row[key], row["date_created"]) for row in read} == set(rows.fetchall())
        links = connection.execute("SELECT workflow_id, label_id FROM workflow_labels")
        assert links.fetchall() == []
    assert runs == {key[0] for key in harness.read("workflows")}


@contextmanager
def configure_catalog(uri: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let PyIceberg's configuration name a catalog."""
    with monkeypatch.context() as patch:
        for name, value in {"type": "sql", "uri": uri, **s3_properties(os.environ)}.items():
            setting = name.upper().replace(".", "__")
            patch.setenv(f"PYICEBERG_CATALOG__TOWER__{setting}", value)
        patch.setattr("pyiceberg.catalog._ENV_CONFIG", Config())  # as a new process reads it
        yield


def sync_a_month(harness: DestinationHarness, world: World, lab: int) -> str:
    """Let a month pass, with one run in it."""
    world.clock.advance(timedelta(days=31).total_seconds())
    run_id = add_run(world, lab)
    world.finish_run(run_id)
    harness.sync(tables=FEW)
    return run_id


def count_runs(harness: DestinationHarness) -> int:
    """As `tower-etl query` does."""
    with open_reader(harness.place.path) as connection:
        return len(connection.execute("SELECT id FROM workflows").fetchall())


@pytest.mark.slow
def test_a_catalog_of_ones_own_takes_over_what_the_bucket_holds(
    harness: DestinationHarness,
    world: World,
    lab: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And gives it back: tables that it does not know, or knows as they once were."""
    uri = f"sqlite:///{tmp_path}/shared.db"
    runs = [sync_a_month(harness, world, lab)]
    for _ in range(2):
        with configure_catalog(uri, monkeypatch):
            assert count_runs(harness) == len(runs)
            runs.append(sync_a_month(harness, world, lab))
            found = load_catalog("tower").load_table("tower.tasks").scan().to_arrow()
            assert set(found["workflow_id"].to_pylist()) == set(runs)
            assert count_runs(harness) == len(runs)
        runs.append(sync_a_month(harness, world, lab))
        assert {(run_id,) for run_id in runs} == harness.read("workflows").keys()


# --- written ------------------------------------------------------------------------------------


def test_a_hint_that_another_sync_moved_is_not_moved_back(folder: ObjectStoreLocation) -> None:
    """Neither where there was none when it was read."""
    first, second = (f"{folder.url}/tasks/metadata/{n}.metadata.json" for n in ("one", "two"))
    assert folder.read_hint("tasks") is None
    folder.update_version_hint("tasks", first, None)
    seen = folder.read_hint("tasks")
    folder.update_version_hint("tasks", second, seen)
    for stale in (seen, None):
        with pytest.raises(TowerEtlError, match="Another sync wrote tasks"):
            folder.update_version_hint("tasks", first, stale)
    found = folder.read_hint("tasks")
    assert found is not None
    assert found.metadata == second


def test_metadata_that_a_catalog_puts_elsewhere_has_no_hint(folder: ObjectStoreLocation) -> None:
    """It would lead nowhere."""
    folder.update_version_hint("tasks", "s3://other/tasks/metadata/one.metadata.json", None)
    assert folder.bucket.read(f"tasks/{HINT}") is None


# --- reached ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, {"s3.region": "us-east-1"}),
        ({"AWS_DEFAULT_REGION": "eu-west-1"}, {"s3.region": "eu-west-1"}),
        (
            {"AWS_REGION": "eu-north-1", "AWS_ENDPOINT_URL": "https://store.example:9000"},
            {"s3.region": "eu-north-1", "s3.endpoint": "https://store.example:9000"},
        ),
    ],
)
def test_the_store_is_that_of_the_environment(
    environ: dict[str, str], expected: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys are not passed on: the libraries find them, and the project never writes them."""
    monkeypatch.setenv("NO_PROXY", "*")
    assert expected == s3_properties(environ | {"AWS_SECRET_ACCESS_KEY": "hush"})


def test_the_proxy_of_the_environment_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a store that is to be reached without one is."""
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "store.example")
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert s3_properties({})["s3.proxy-uri"] == "http://proxy.example:3128"
    inside = {"AWS_ENDPOINT_URL": "https://store.example"}
    assert "s3.proxy-uri" not in s3_properties(inside)


# --- cleaned ------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["iceberg", "iceberg-s3"])
def test_what_nobody_has_read_for_a_week_goes(
    kind: str, make_harness: Callable[[str], DestinationHarness], world: World, lab: int
) -> None:
    """Older snapshots, their files and what a killed sync left; not what was new until lately."""
    harness = make_harness(kind)
    first = add_run(world, lab)
    harness.sync(tables=FEW)
    world.finish_run(first)
    harness.sync(tables=FEW)
    mirror = open_mirror(harness.place)
    lake = mirror.lake
    assert isinstance(lake, IcebergLake)
    before = len(list(lake.folder.iter_files("workflows")))
    now = datetime.now(UTC)
    with mirror.lock(harness.clock):
        assert "workflows: 0 old files deleted" in lake.maintain(now + timedelta(days=6))
        assert before == len(list(lake.folder.iter_files("workflows")))
        lake.maintain(now + timedelta(days=8))
    kept = [file for file, _ in lake.folder.iter_files("workflows")]
    assert len([file for file in kept if file.endswith(".parquet")]) == 1
    assert len(kept) < before
    assert {(first,)} == harness.read("workflows").keys()
    add_run(world, lab)
    harness.sync(tables=FEW)
    assert len(harness.read("tasks")) == 2

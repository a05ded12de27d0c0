"""Iceberg tables: reads without a catalog, version hints, S3 properties, and maintenance."""

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
from tower_etl.destinations.lake.iceberg_tables import HINT, locate_tables, s3_properties
from tower_etl.destinations.lake.mirror import open_mirror
from tower_etl.destinations.object_store import open_bucket
from tower_etl.errors import TowerEtlError
from tower_etl.warehouse.reader import open_reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.destinations.harness import DestinationHarness
    from tower_etl.destinations.lake.iceberg_tables import IcebergLocation
    from tower_etl.simulator import World

FEW = frozenset({"workflows", "tasks", "workflow_labels"})


@pytest.fixture
def folder(bucket: str) -> IcebergLocation:
    """Return an empty folder in a bucket."""
    return locate_tables(open_bucket(bucket), SettingSources().environ)


@pytest.fixture
def harness(make_harness: Callable[[str], DestinationHarness]) -> DestinationHarness:
    """Return an empty Iceberg lake in a bucket."""
    return make_harness("iceberg-s3")


# --- reads --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_tables_read_by_version_hint_equal_those_read_by_duckdb(
    harness: DestinationHarness, world: World, lab: int
) -> None:
    """PyIceberg reads without a catalog. An empty table has its columns."""
    runs = {add_run(world, lab), add_run(world, lab)}
    world.set_labels(min(runs), [])
    world.set_labels(max(runs), [])
    harness.sync(tables=FEW)
    with open_reader(harness.place.path) as connection:
        for table, key in (("workflows", "id"), ("tasks", "workflow_id")):
            rows = connection.execute(f"SELECT {key}, date_created FROM {table}")  # noqa: S608 trusted names
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
    """Advance the clock by a month, add a finished run and sync."""
    world.clock.advance(timedelta(days=31).total_seconds())
    run_id = add_run(world, lab)
    world.finish_run(run_id)
    harness.sync(tables=FEW)
    return run_id


def count_runs(harness: DestinationHarness) -> int:
    """Count the runs that `tower-etl query` reads."""
    with open_reader(harness.place.path) as connection:
        return len(connection.execute("SELECT id FROM workflows").fetchall())


@pytest.mark.slow
def test_a_configured_catalog_takes_over_the_lake_and_gives_it_back(
    harness: DestinationHarness,
    world: World,
    lab: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At first the catalog does not know the tables, and later it knows an outdated state."""
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


# --- version hints ------------------------------------------------------------------------------


def test_a_version_hint_written_by_another_sync_is_not_overwritten(
    folder: IcebergLocation,
) -> None:
    """This includes a hint that did not exist when it was read."""
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


def test_metadata_outside_the_bucket_gets_no_version_hint(folder: IcebergLocation) -> None:
    folder.update_version_hint("tasks", "s3://other/tasks/metadata/one.metadata.json", None)
    assert folder.files.read(f"tasks/{HINT}") is None


# --- S3 properties ------------------------------------------------------------------------------


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
def test_s3_properties_have_region_and_endpoint_but_no_keys(
    environ: dict[str, str], expected: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The libraries read the keys from the environment, so the project never writes keys."""
    monkeypatch.setenv("NO_PROXY", "*")
    assert expected == s3_properties(environ | {"AWS_SECRET_ACCESS_KEY": "hush"})


def test_s3_properties_honour_proxy_and_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "store.example")
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert s3_properties({})["s3.proxy-uri"] == "http://proxy.example:3128"
    inside = {"AWS_ENDPOINT_URL": "https://store.example"}
    assert "s3.proxy-uri" not in s3_properties(inside)


# --- maintenance --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["iceberg", "iceberg-s3"])
def test_maintain_deletes_files_of_old_snapshots_after_a_week(
    kind: str, make_harness: Callable[[str], DestinationHarness], world: World, lab: int
) -> None:
    """The newest snapshot is kept, and the next sync works."""
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

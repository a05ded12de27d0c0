"""Publishing a lake compares only changed months, with the same result as comparing all."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.destinations.test_semantics import add_run, expect_runs, expect_tables
from tower_etl.cli import main
from tower_etl.destinations.base import open_destination
from tower_etl.destinations.lake import mirror
from tower_etl.destinations.lake.mirror import LakeDestination, connect, scan_staging
from tower_etl.destinations.lake.partitions import scan_partitions

if TYPE_CHECKING:
    from collections.abc import Callable

    import duckdb

    from tests.destinations.harness import DestinationHarness
    from tower_etl.destinations.lake.manifest import Manifest
    from tower_etl.destinations.lake.partitions import PartitionScheme, PartitionStats
    from tower_etl.simulator import World
    from tower_etl.simulator.runs import Snapshot


@pytest.fixture(params=["parquet", "delta"])
def lake(
    request: pytest.FixtureRequest, make_harness: Callable[[str], DestinationHarness]
) -> DestinationHarness:
    """Return an empty lake and a platform with one workspace."""
    return make_harness(request.param)


def list_fingerprints(manifest: Manifest) -> dict[str, dict[str, str]]:
    return {
        name: {month: part.fingerprint for month, part in table.partitions.items()}
        for name, table in manifest.tables.items()
    }


def expect_whole(harness: DestinationHarness) -> None:
    """Assert that the manifest equals that of a scan of all rows of the staging database."""
    destination = open_destination(harness.place)
    assert isinstance(destination, LakeDestination)
    published = destination.lake.read_manifest()
    assert published is not None
    with connect(destination.paths.staging) as connection:
        _, whole = scan_staging(connection, published.kind, published.snapshot)
    assert list_fingerprints(published) == list_fingerprints(whole)


def move_submission(world: World, run_id: str, submit: str) -> None:
    """Let the server return another submission time of a run."""
    run = world.find_run(run_id)
    at = run.at

    def show(now_s: int) -> Snapshot:
        snapshot = at(now_s)
        return replace(snapshot, fields=snapshot.fields | {"submit": submit})

    run.at = show


@pytest.fixture
def scanned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list to which each scan of a whole table appends the name of the table."""
    names: list[str] = []

    def scan(
        connection: duckdb.DuckDBPyConnection, scheme: PartitionScheme
    ) -> dict[str, PartitionStats]:
        names.append(scheme.source.split('"')[1])
        return scan_partitions(connection, scheme)

    monkeypatch.setattr(mirror, "scan_partitions", scan)
    return names


@pytest.mark.slow
def test_publishing_reads_only_the_months_that_a_sync_changed(
    lake: DestinationHarness, world: World, lab: int, scanned: list[str]
) -> None:
    for month in (1, 2):
        add_run(world, lab, f"2026-0{month}-10T00:00:00Z")
    lake.sync()
    assert "tasks" in scanned
    for change in range(4):
        scanned.clear()
        run_id = add_run(world, lab)
        if change % 2:
            world.set_labels(run_id, [])
            world.finish_run(run_id)
        lake.sync(reconcile=change == 3)
        assert "tasks" not in scanned
        expect_whole(lake)
        expect_runs(world, lake)


@pytest.mark.slow
def test_all_months_are_compared_once_a_day(
    lake: DestinationHarness, world: World, lab: int, scanned: list[str]
) -> None:
    add_run(world, lab)
    lake.sync()
    scanned.clear()
    world.clock.advance(timedelta(hours=25))
    lake.sync()
    assert "tasks" in scanned
    expect_whole(lake)


@pytest.mark.slow
def test_rows_of_a_run_move_when_its_submission_moves_to_another_month(
    lake: DestinationHarness, world: World, lab: int, scanned: list[str]
) -> None:
    run_id = add_run(world, lab, "2026-01-10T00:00:00Z")
    lake.sync()
    scanned.clear()
    move_submission(world, run_id, "2026-02-10T00:00:00Z")
    lake.sync(reconcile=True)
    expect_whole(lake)
    expect_tables(world, lake)


@pytest.mark.slow
def test_all_months_are_compared_after_the_staging_database_is_lost(
    lake: DestinationHarness, world: World, lab: int
) -> None:
    add_run(world, lab)
    lake.sync()
    lake.forget()
    add_run(world, lab)
    lake.sync()
    expect_whole(lake)
    expect_tables(world, lake)


@pytest.mark.slow
def test_maintain_verify_finds_changes_of_other_programs(
    make_harness: Callable[[str], DestinationHarness],
    world: World,
    lab: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lake = make_harness("parquet")
    world.finish_run(add_run(world, lab))
    lake.sync()
    destination = open_destination(lake.place)
    assert isinstance(destination, LakeDestination)
    with connect(destination.paths.staging) as connection:
        connection.execute("UPDATE tower.tasks SET name = 'changed'")
    lake.sync()
    assert "changed" not in {row["name"] for row in lake.read("tasks").values()}
    monkeypatch.setattr(
        sys, "argv", ["tower-etl", "maintain", "--verify", "--destination", "parquet"]
    )
    monkeypatch.setenv("TOWER_ETL_DESTINATION", "parquet")
    monkeypatch.setenv("TOWER_ETL_PATH", lake.place.path)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert {row["name"] for row in lake.read("tasks").values()} == {"changed"}

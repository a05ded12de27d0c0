"""Sync semantics at every destination, read by independent programs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from tests.destinations.harness import KINDS, DestinationHarness, HarnessDestination
from tests.processes.command import KILLED
from tests.semantics.expected import RUN_TABLES, expect_labels, expect_run, list_visible_runs
from tests.semantics.platform import SwappableApp
from tests.semantics.test_histories import HISTORIES, run_histories
from tower_etl.clock import Clock
from tower_etl.destinations.base import open_destination
from tower_etl.destinations.lake.manifest import ManifestStore
from tower_etl.destinations.local_folder import LocalFolder
from tower_etl.errors import DestinationLockedError
from tower_etl.schema import TABLES
from tower_etl.simulator import DEMO_TOKEN, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.semantics.in_memory import InMemoryDestination
    from tower_etl.destinations.config import DestinationConfig
    from tower_etl.simulator import Simulator, World

# DuckDB is tested elsewhere; a lake in a bucket has the same staging copy as one in a folder.
OTHERS = [kind for kind in KINDS if kind not in {"duckdb", "delta-s3", "iceberg-s3"}]
# `iceberg-s3` has the lease of `delta-s3` and the columns of `iceberg`.
DISTINCT = [kind for kind in KINDS if kind != "iceberg-s3"]
POINTS = [
    *((kind, "before:dlt.load.load:Load.complete_package:1") for kind in OTHERS),
    ("parquet", "after:tower_etl.destinations.lake.parquet:fsync_tree:1"),
    ("parquet", "after:tower_etl.destinations.lake.parquet:ParquetLake._activate:1"),
    ("delta", "after:tower_etl.destinations.lake.delta:DeltaLake._replace_all:9"),
    ("delta-s3", "after:tower_etl.destinations.lake.delta:DeltaLake._replace_all:9"),
    ("iceberg", "after:tower_etl.destinations.lake.iceberg:IcebergLake._write_table:9"),
    (
        "iceberg-s3",
        "before:tower_etl.destinations.lake.iceberg_tables:IcebergLocation.update_version_hint:9",
    ),
    ("postgres", "after:dlt.load.load:Load.complete_package:1"),
]


def expect_tables(world: World, harness: DestinationHarness) -> None:
    """Assert that the tables of runs and the labels equal the world."""
    expect_runs(world, harness)
    assert expect_labels(world) == harness.read("labels")


def expect_runs(world: World, harness: DestinationHarness) -> None:
    """Assert that the tables of runs equal the world."""
    shown = list_visible_runs(world)
    for table in RUN_TABLES:
        expected = {
            key: row
            for run_id, space in shown.items()
            for key, row in expect_run(world, run_id, space)[table].items()
        }
        assert expected == harness.read(table)


def add_run(world: World, lab: int, submit: str | None = None) -> str:
    """Add a running run with a task and a label."""
    run_id = world.submit_run(lab, submit=submit) if submit else world.submit_run(lab)
    world.start_run(run_id)
    world.add_task(run_id)
    label = world.create_label(lab, f"of-{run_id}")
    world.set_labels(run_id, [label])
    return run_id


def kill_sync(harness: DestinationHarness, point: str) -> None:
    """Run a sync in a process that kills itself at a point of its code."""
    command = [sys.executable, str(KILLED), point, "sync", "--endpoint", harness.endpoint]
    environ = os.environ | {
        "TOWER_ACCESS_TOKEN": DEMO_TOKEN,
        "XDG_STATE_HOME": str(harness.place.state.parents[1]),
    }
    killed = subprocess.run(
        [
            *command,
            "--destination",
            harness.place.kind,
            "--path",
            harness.place.path,
            "--rate",
            "none",
        ],
        env=environ,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert (killed.returncode, killed.stderr) == (-signal.SIGKILL, b"")


# --- exact tables ---------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("kind", OTHERS)
def test_tables_equal_the_world_after_random_histories(
    kind: str, make_place: Callable[[str], DestinationConfig]
) -> None:
    """The histories have faults, and syncs are killed between batches."""
    board = SwappableApp()
    with serve(cast("Simulator", board)) as url:
        clocks: list[Clock] = []

        def make() -> InMemoryDestination:
            place = make_place(kind)
            fresh = replace(place, path=f"{place.path}-{len(clocks)}")
            clocks.append(Clock())
            chosen = place if kind == "postgres" else fresh
            return cast(
                "InMemoryDestination",
                HarnessDestination(DestinationHarness(chosen, url, clocks[-1])),
            )

        count = max(1, HISTORIES // 200)
        run_histories(count, 8, url=url, board=board, make_warehouse=staticmethod(make))


@pytest.mark.slow
def test_new_changed_and_deleted_runs_are_loaded_with_all_tables(
    harness: DestinationHarness, world: World, lab: int
) -> None:
    """The runs are of two months.

    One open run ends, one run loses its label, and one is deleted.
    """
    harness = replace(harness, tables=frozenset(TABLES))
    old, open_one = add_run(world, lab, "2026-01-20T00:00:00Z"), add_run(world, lab)
    world.finish_run(old)
    harness.sync()
    expect_tables(world, harness)

    world.finish_run(open_one)
    world.set_labels(old, [])
    gone = add_run(world, lab)
    harness.sync(reconcile=True)
    expect_tables(world, harness)

    world.delete_run(gone)
    assert {"sync_runs": 1, "workflows": 1}.items() <= harness.sync(reconcile=True).rows.items()
    missing = {key[0] for key, row in harness.read("workflows").items() if row["missing_since"]}
    assert {gone} == missing
    assert len(harness.read("sync_runs")) == 3


# --- interrupted syncs, lost state, concurrent syncs ----------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "point"), POINTS)
def test_the_sync_after_a_killed_one_makes_the_tables_exact(
    kind: str, point: str, make_harness: Callable[[str], DestinationHarness], world: World, lab: int
) -> None:
    """The sync is killed while it loads or publishes."""
    harness = make_harness(kind)
    for submit in ("2026-01-20T00:00:00Z", "2026-02-20T00:00:00Z"):
        world.finish_run(add_run(world, lab, submit))
    kill_sync(harness, point)
    add_run(world, lab)
    harness.sync()
    expect_tables(world, harness)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["iceberg"])  # test_buckets.py has the other lakes
def test_tables_of_a_killed_sync_are_rewritten_without_its_local_state(
    kind: str, make_harness: Callable[[str], DestinationHarness], world: World, lab: int
) -> None:
    """One written run is deleted before the next sync, and the state is ahead of its rows."""
    harness = make_harness(kind)
    world.finish_run(add_run(world, lab, "2026-01-20T00:00:00Z"))
    harness.sync()
    kept, gone = (add_run(world, lab, f"2026-0{month}-25T00:00:00Z") for month in (1, 2))
    for run_id in (kept, gone):
        world.finish_run(run_id)
    manifest = ManifestStore(LocalFolder(Path(harness.place.path)), kind).read()
    assert manifest is not None
    last = len(manifest.tables)
    kill_sync(
        harness, f"before:tower_etl.destinations.lake.iceberg:IcebergLake._write_table:{last}"
    )
    assert {kept, gone} <= {key[0] for key in harness.read("tasks")}
    assert len(harness.read("workflows")) == 1
    harness.forget()
    world.delete_run(gone)
    add_run(world, lab)
    harness.sync()
    expect_runs(world, harness)


@pytest.mark.slow
def test_state_is_restored_from_the_destination_without_local_files(
    harness: DestinationHarness, world: World, simulator: Simulator, lab: int
) -> None:
    """Only the new run is fetched."""
    world.finish_run(add_run(world, lab, "2026-01-20T00:00:00Z"))
    harness.sync()
    harness.forget()
    fresh = add_run(world, lab)
    simulator.log.clear()
    harness.sync()
    assert {f"/api/workflow/{fresh}"} == {
        call.path
        for call in simulator.calls
        if call.path.count("/") == 3 and "workflow/" in call.path
    }
    expect_tables(world, harness)


@pytest.mark.slow
@pytest.mark.parametrize("kind", DISTINCT)
def test_a_second_sync_is_refused_before_its_first_call(
    harness: DestinationHarness, simulator: Simulator
) -> None:
    """The error names the process that holds the destination."""
    harness.sync()
    simulator.log.clear()
    with (
        open_destination(harness.place).lock(harness.clock),
        pytest.raises(DestinationLockedError, match=f"{os.getpid()} on "),
    ):
        harness.sync()
    assert simulator.calls == []


# --- new columns ----------------------------------------------------------------------------------


@contextmanager
def older_version(table: str, *unknown: str) -> Iterator[None]:
    """Remove some columns from a table specification, as in an older version."""
    spec = TABLES[table]
    whole = spec.columns

    def set_columns(columns: object) -> None:
        object.__setattr__(spec, "columns", columns)
        for name in ("arrow_schema", "_mapping"):
            spec.__dict__.pop(name, None)

    set_columns(tuple(c for c in whole if c.name not in unknown))
    yield
    set_columns(whole)


@pytest.mark.slow
@pytest.mark.parametrize("kind", DISTINCT)
def test_a_column_added_by_a_newer_version_exists_for_all_rows(
    harness: DestinationHarness, world: World, lab: int
) -> None:
    """No file or month lacks the column; rows of earlier syncs have null."""
    old = add_run(world, lab, "2026-01-20T00:00:00Z")
    world.finish_run(old)
    with older_version("workflows", "script_file"):
        harness.sync()
    new = add_run(world, lab)
    harness.sync()
    assert {(old,), (new,)} == set(harness.read("workflows"))
    expected = expect_run(world, new, lab)["workflows"]
    assert expected[new,] == harness.read("workflows")[new,]

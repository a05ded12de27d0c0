"""Delta tables: a long history is written in several commits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from deltalake import DeltaTable

from tests.destinations.test_semantics import add_run, expect_tables, kill_sync
from tower_etl.destinations.lake.manifest import ManifestStore
from tower_etl.destinations.local_folder import LocalFolder
from tower_etl.warehouse.reader import open_reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.destinations.harness import DestinationHarness
    from tower_etl.simulator import World

SUBMITTED = [f"2025-{month:02}-10T00:00:00Z" for month in range(6, 13)]  # seven months


@pytest.fixture
def harness(make_harness: Callable[[str], DestinationHarness]) -> DestinationHarness:
    """Return an empty Delta lake."""
    return make_harness("delta")


@pytest.mark.slow
def test_a_sync_completes_a_long_history_after_a_kill_between_commits(
    harness: DestinationHarness, world: World, lab: int
) -> None:
    """Each commit writes three months of a table."""
    for submit in SUBMITTED:
        world.finish_run(add_run(world, lab, submit))
    kill_sync(harness, "after:tower_etl.destinations.lake.delta:DeltaLake._replace_months:1")
    begun = [DeltaTable(str(log.parent)) for log in Path(harness.place.path).glob("*/_delta_log")]
    assert max(len(table.partitions()) for table in begun) == 6
    harness.sync()
    expect_tables(world, harness)
    with open_reader(harness.place.path) as noted:
        count = noted.execute("SELECT count(*), count(DISTINCT workflow_id) FROM tasks")
        assert [(len(SUBMITTED), len(SUBMITTED))] == count.fetchall()


@pytest.mark.slow
def test_a_sync_repairs_the_tables_of_an_interrupted_maintenance(
    harness: DestinationHarness, world: World, lab: int
) -> None:
    """Tables without months are then newer than the manifest, although no package changed them."""
    world.finish_run(add_run(world, lab))
    harness.sync()
    ManifestStore(LocalFolder(Path(harness.place.path)), "delta").mark_in_progress()
    for table in ("labels", "tasks"):
        newer = DeltaTable(f"{harness.place.path}/{table}")
        newer.alter.set_table_properties({"delta.appendOnly": "false"})
    harness.sync()
    expect_tables(world, harness)

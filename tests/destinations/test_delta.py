"""A folder of Delta tables: how a long history gets into it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from deltalake import DeltaTable

from tests.destinations.test_semantics import add_run, expect_tables, kill_sync
from tower_etl.warehouse.reader import open_reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.destinations.harness import DestinationHarness
    from tower_etl.simulator import World

SUBMITTED = [f"2025-{month:02}-10T00:00:00Z" for month in range(6, 13)]  # seven months


@pytest.fixture
def harness(make_harness: Callable[[str], DestinationHarness]) -> DestinationHarness:
    """An empty folder."""
    return make_harness("delta")


@pytest.mark.slow
def test_a_long_history_is_written_in_parts(
    harness: DestinationHarness, world: World, lab: int
) -> None:
    """Three months a commit; the next sync makes whole what one leaves that is killed between."""
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

"""Unchanged reference rows are recognized in the form in which each database stores them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.load.test_unchanged_rows import written
from tower_etl.extract.reference import ENTITIES
from tower_etl.schema import HISTORY_TABLES
from tower_etl.simulator import NO_LIMIT, Simulator, build_world, serve

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.destinations.harness import DestinationHarness

NAMES = frozenset(entity.table for entity in ENTITIES) | {t.name for t in HISTORY_TABLES.values()}


@pytest.mark.parametrize("kind", ["postgres", "parquet"])
def test_unchanged_reference_rows_are_not_written_again(
    make_harness: Callable[[str], DestinationHarness], kind: str
) -> None:
    """JSON and times are compared by value, because a database may store another form of them."""
    harness = make_harness(kind)
    world = build_world(3, runs=2, open_runs=0, mean_tasks=2)
    with serve(Simulator(world, limit=NO_LIMIT)) as harness.endpoint:
        first = harness.sync(tables=NAMES, reconcile=True)
        second = harness.sync(tables=NAMES, reconcile=True)
    assert written(first).keys() >= {entity.table for entity in ENTITIES}
    assert written(second) == {}

"""Histories that the tests of the views query."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.load.warehouse import Warehouse
from tests.sql.small import SmallHistory
from tower_etl.clock import Clock
from tower_etl.destinations.duckdb_files import resolve_duckdb_paths
from tower_etl.simulator import (
    NO_LIMIT,
    SimClock,
    Simulator,
    build_world,
    serve,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def small() -> SmallHistory:
    """Return a history without rows."""
    return SmallHistory()


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sync a seeded world into a DuckDB file, which tests only read."""
    clock = SimClock()
    world = build_world(11, clock=clock, runs=60, days=10, mean_tasks=25)
    target = resolve_duckdb_paths(tmp_path_factory.mktemp("seeded") / "tower.duckdb")
    with serve(Simulator(world, limit=NO_LIMIT)) as endpoint:
        report = Warehouse(target, endpoint, Clock(now=clock.now)).sync()
    assert report.result.status == "ok"
    return target.path

"""A target in an empty folder, and a platform to sync from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.load.warehouse import Warehouse
from tower_etl.clock import Clock
from tower_etl.destinations.duckdb_paths import resolve_duckdb_paths

if TYPE_CHECKING:
    from pathlib import Path

    from tower_etl.destinations.duckdb_paths import DuckDBPaths
    from tower_etl.simulator import World


@pytest.fixture
def target(tmp_path: Path) -> DuckDBPaths:
    """A target that does not exist yet."""
    return resolve_duckdb_paths(tmp_path / "tower.duckdb")


@pytest.fixture
def lab(world: World) -> int:
    """The workspace `acme/lab`."""
    return world.add_workspace(world.add_organization("acme"), "lab")


@pytest.fixture
def warehouse(
    target: DuckDBPaths, endpoint: str, world: World, lab: int, monkeypatch: pytest.MonkeyPatch
) -> Warehouse:
    """A target beside a platform with one workspace and no run."""
    monkeypatch.setenv("NO_PROXY", "*")  # a proxy of the developer's is not what is tested
    return Warehouse(target, endpoint, Clock(now=world.clock.now))

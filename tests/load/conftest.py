"""Provide a target that does not exist yet, and a platform to sync from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.load.warehouse import Warehouse
from tower_etl.clock import Clock
from tower_etl.destinations.duckdb_files import resolve_duckdb_paths

if TYPE_CHECKING:
    from pathlib import Path

    from tower_etl.destinations.duckdb_files import DuckDBPaths
    from tower_etl.simulator import World


@pytest.fixture
def target(tmp_path: Path) -> DuckDBPaths:
    """Return the paths of a target that does not exist yet."""
    return resolve_duckdb_paths(tmp_path / "tower.duckdb")


@pytest.fixture
def lab(world: World) -> int:
    """Add the workspace `acme/lab`; return its id."""
    return world.add_workspace(world.add_organization("acme"), "lab")


@pytest.fixture
def warehouse(
    target: DuckDBPaths, endpoint: str, world: World, lab: int, monkeypatch: pytest.MonkeyPatch
) -> Warehouse:
    """Return a target with a platform that has one workspace and no run."""
    monkeypatch.setenv("NO_PROXY", "*")  # ignore a proxy of the developer's machine
    return Warehouse(target, endpoint, Clock(now=world.clock.now))

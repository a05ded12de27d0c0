"""Serve simulated platforms, and provide commands that sync them in separate processes."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.processes.command import NOW, Command
from tower_etl.simulator import (
    SimClock,
    Simulator,
    build_world,
    serve,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Platform = tuple[str, Simulator]


@contextmanager
def serve_world() -> Iterator[Platform]:
    """Serve a seeded world with a stopped clock and no rate limit: 45 runs, 4 of them open."""
    world = build_world(
        7, clock=SimClock.frozen_at(NOW), runs=45, open_runs=4, days=20, mean_tasks=40
    )
    simulator = Simulator(world, limit=None)
    with serve(simulator) as url:
        yield url, simulator


@pytest.fixture(scope="session")
def still_platform() -> Iterator[Platform]:
    """Serve a platform that no test changes."""
    with serve_world() as platform:
        yield platform


@pytest.fixture
def platform() -> Iterator[Platform]:
    """Serve a platform for one test, which may slow it down or advance its clock."""
    with serve_world() as platform:
        yield platform


@pytest.fixture(scope="session")
def whole(still_platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file that one undisturbed sync of the platform writes."""
    folder = tmp_path_factory.mktemp("whole")
    code, _, err = Command(still_platform[0], folder).run("whole.duckdb")
    assert (code, err) == (0, "")
    return folder / "whole.duckdb"


@pytest.fixture
def still(still_platform: Platform, tmp_path: Path) -> Command:
    """Return a command that syncs the platform that no test changes."""
    return Command(still_platform[0], tmp_path)


@pytest.fixture
def command(platform: Platform, tmp_path: Path) -> Command:
    """Return a command that syncs the platform of this test."""
    return Command(platform[0], tmp_path)

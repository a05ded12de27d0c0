"""A simulated platform, and syncs of it by processes of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.processes.command import Command
from tower_etl.sim import SimClock, Simulator, build_world, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

from datetime import UTC, datetime

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def platform() -> Iterator[tuple[str, Simulator]]:
    """A seeded world that stands still, without a limit: 90 runs, 4 of them open."""
    world = build_world(
        7, clock=SimClock.frozen_at(NOW), runs=90, open_runs=4, days=20, mean_tasks=40
    )
    simulator = Simulator(world, limit=None)
    with serve(simulator) as url:
        yield url, simulator


@pytest.fixture
def command(platform: tuple[str, Simulator], tmp_path: Path) -> Command:
    """`tower-etl sync` of that platform, with packages of a few runs."""
    return Command(platform[0], tmp_path)

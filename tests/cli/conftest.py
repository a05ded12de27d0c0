"""Fixtures: a console, a simulated platform in the present, and a synced target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.console import make_console
from tests.cli.here import settle
from tower_etl.simulator import (
    SimClock,
    Simulator,
    World,
    build_world,
    serve,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.console import Console
    from tests.cli.here import Run


@pytest.fixture
def console(tmp_path: Path) -> Console:
    """Return a console with an empty folder."""
    return make_console(tmp_path)


@pytest.fixture
def world() -> World:
    """Return an empty world in the present, because commands use the system clock."""
    return World(SimClock())


@pytest.fixture
def lab(world: World) -> int:
    """Return the id of the workspace `acme/lab`."""
    return world.add_workspace(world.add_organization("acme"), "lab")


@pytest.fixture
def annex(world: World, lab: int) -> int:
    """Return the id of the workspace `acme/annex`, in the organization of `acme/lab`."""
    return world.add_workspace(world.workspaces[lab].org_id or 0, "annex")


@pytest.fixture(scope="session")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Console:
    """Return a console next to a `runs.duckdb` of a generated world; tests only read it."""
    console = make_console(tmp_path_factory.mktemp("synced"))
    world = build_world(3, runs=25, days=5, mean_tasks=20)
    with serve(Simulator(world, limit=None)) as endpoint:
        ended = console.run("sync", "--endpoint", endpoint, "--rate", "none", "--json")
    assert ended.code == 0, ended.err
    return console


@pytest.fixture
def run_here(monkeypatch: pytest.MonkeyPatch) -> Callable[[Console], Run]:
    """Return a function whose result runs the commands of a console in the test process."""
    return lambda console: settle(console, monkeypatch)

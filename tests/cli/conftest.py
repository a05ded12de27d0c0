"""A console, a platform in the present, and a target that is ready to be asked."""

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
    """Somebody at a terminal, in an empty folder."""
    return make_console(tmp_path)


@pytest.fixture
def world() -> World:
    """A world with nothing in it, in the present: the commands know no other time."""
    return World.empty(SimClock())


@pytest.fixture
def lab(world: World) -> int:
    """The workspace `acme/lab`."""
    return world.add_workspace(world.add_organization("acme"), "lab")


@pytest.fixture
def annex(world: World, lab: int) -> int:
    """The workspace `acme/annex`, beside `acme/lab`."""
    return world.add_workspace(world.workspaces[lab].org_id or 0, "annex")


@pytest.fixture(scope="session")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Console:
    """A console beside a `runs.duckdb` of a seeded world; only to be read."""
    console = make_console(tmp_path_factory.mktemp("synced"))
    world = build_world(3, runs=25, days=5, mean_tasks=20)
    with serve(Simulator(world, limit=None)) as endpoint:
        ended = console.run("sync", "--endpoint", endpoint, "--rate", "none", "--json")
    assert ended.code == 0, ended.err
    return console


@pytest.fixture
def run_here(monkeypatch: pytest.MonkeyPatch) -> Callable[[Console], Run]:
    """Run commands in this process as somebody at a console would: `run_here(console)`."""
    return lambda console: settle(console, monkeypatch)

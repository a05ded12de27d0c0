"""Provide one HTTP server for all simulated platforms of a test process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.semantics.platform import SimulatedPlatform, SwappableApp, make_world
from tests.semantics.quirky import START
from tower_etl.simulator import (
    Quirks,
    ServerProfile,
    SimClock,
    serve,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.semantics.quirky import Serve
    from tower_etl.simulator import Simulator


@pytest.fixture(scope="session")
def swappable_app() -> Iterator[tuple[str, SwappableApp]]:
    """Serve an application whose simulator tests replace; return its address with it."""
    board = SwappableApp()
    with serve(cast("Simulator", board)) as url:
        yield url, board


@pytest.fixture
def serve_quirky(swappable_app: tuple[str, SwappableApp]) -> Serve:
    """Return a function that serves a platform with quirks."""

    def start(version: str = "26.2.0", **quirks: Any) -> SimulatedPlatform:
        """Serve a new world from a server of a version, with quirks."""
        world = make_world(SimClock.frozen_at(START))
        profile = ServerProfile(version, quirks=Quirks(**quirks))
        return SimulatedPlatform.start(*swappable_app, world, profile)

    return start

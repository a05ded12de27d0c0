"""A server for all histories of a test process."""

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
    """The address of the server, and what decides which world answers there."""
    board = SwappableApp()
    with serve(cast("Simulator", board)) as url:
        yield url, board


@pytest.fixture
def serve_quirky(swappable_app: tuple[str, SwappableApp]) -> Serve:
    """Start a platform with quirks."""

    def start(version: str = "26.2.0", **quirks: Any) -> SimulatedPlatform:
        world = make_world(SimClock.frozen_at(START))
        profile = ServerProfile(version, quirks=Quirks(**quirks))
        return SimulatedPlatform.start(*swappable_app, world, profile)

    return start

"""A server for all histories of a test process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.semantics.platform import Platform, Switchboard, make_world
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
def switchboard() -> Iterator[tuple[str, Switchboard]]:
    """The address of the server, and what decides which world answers there."""
    board = Switchboard()
    with serve(cast("Simulator", board)) as url:
        yield url, board


@pytest.fixture
def serve_quirky(switchboard: tuple[str, Switchboard]) -> Serve:
    """Start a platform with quirks."""

    def start(version: str = "26.2.0", **quirks: Any) -> Platform:
        world = make_world(SimClock.frozen_at(START))
        profile = ServerProfile(version, quirks=Quirks(**quirks))
        return Platform.start(*switchboard, world, profile)

    return start

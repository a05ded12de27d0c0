"""A server for all histories of a test process."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from tests.semantics.platform import Switchboard
from tower_etl.sim import serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tower_etl.sim import Simulator


@pytest.fixture(scope="session")
def switchboard() -> Iterator[tuple[str, Switchboard]]:
    """The address of the server, and what decides which world answers there."""
    board = Switchboard()
    with serve(cast("Simulator", board)) as url:
        yield url, board

"""Client of the simulated platform, and a workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tower_etl.api import TowerClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from tower_etl.http import JsonHttpClient
    from tower_etl.simulator import World


@pytest.fixture
def client(endpoint: str, connect: Callable[..., JsonHttpClient]) -> TowerClient:
    """Return a client of the simulated platform."""
    return TowerClient(connect(endpoint))


@pytest.fixture
def lab(world: World) -> int:
    """Add a workspace of an organization, and return its id."""
    return world.add_workspace(world.add_organization("acme"), "lab")

"""What the tests of the client share: a client, and a workspace to ask for."""

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
    """A client of the simulated platform."""
    return TowerClient(connect(endpoint))


@pytest.fixture
def lab(world: World) -> int:
    """A workspace of an organisation."""
    return world.add_workspace(world.add_organization("acme"), "lab")

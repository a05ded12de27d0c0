"""A console, and a platform full of secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.console import make_console
from tests.privacy.secret_injector import SecretInjector
from tests.privacy.secret_samples import SECRETS
from tower_etl.simulator import Simulator, build_world, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.console import Console

TOKEN = SECRETS["platform token"][1]


@pytest.fixture
def console(tmp_path: Path) -> Console:
    """Somebody at a terminal, in an empty folder."""
    return make_console(tmp_path)


@pytest.fixture(scope="session")
def simulator() -> Simulator:
    """A few runs, behind a token that is among the secrets."""
    world = build_world(5, runs=6, days=3, open_runs=1, mean_tasks=8)
    return Simulator(world, tokens=(TOKEN,), limit=None)


@pytest.fixture(scope="session")
def planter(simulator: Simulator) -> SecretInjector:
    """That platform with secrets in every text."""
    return SecretInjector(simulator)


@pytest.fixture(scope="session")
def endpoint(planter: SecretInjector) -> Iterator[str]:
    """Where it answers."""
    with serve(planter.app) as url:
        yield url


@pytest.fixture(scope="session")
def plain(simulator: Simulator) -> Iterator[str]:
    """Where it answers without secrets."""
    with serve(simulator) as url:
        yield url

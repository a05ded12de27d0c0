"""Fixtures: a console, and a platform whose texts contain secrets."""

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
    """Return a console with an empty folder."""
    return make_console(tmp_path)


@pytest.fixture(scope="session")
def simulator() -> Simulator:
    """Return a platform with a few runs, whose token is one of the secrets."""
    world = build_world(5, runs=6, days=3, open_runs=1, mean_tasks=8)
    return Simulator(world, tokens=(TOKEN,), limit=None)


@pytest.fixture(scope="session")
def secret_platform(simulator: Simulator) -> SecretInjector:
    """Return that platform with a secret in every text."""
    return SecretInjector(simulator)


@pytest.fixture(scope="session")
def endpoint(secret_platform: SecretInjector) -> Iterator[str]:
    """Serve the platform with secrets and yield its address."""
    with serve(secret_platform.app) as url:
        yield url


@pytest.fixture(scope="session")
def plain(simulator: Simulator) -> Iterator[str]:
    """Serve the platform without secrets and yield its address."""
    with serve(simulator) as url:
        yield url

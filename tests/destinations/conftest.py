"""Fixtures: each destination, empty, with a simulated platform that has one workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg2
import pytest

from tests.destinations.harness import KINDS, DestinationHarness
from tests.destinations.store import start_store
from tests.sql.postgres import start_postgres
from tower_etl.clock import Clock
from tower_etl.destinations.config import DestinationConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.destinations.store import Store
    from tower_etl.simulator import World


@pytest.fixture(scope="session")
def database() -> Iterator[str]:
    """Yield the address of a PostgreSQL server; skip the test if PostgreSQL is not installed."""
    with start_postgres() as server:
        yield f"postgresql://tower@/postgres?host={server.folder}"


@pytest.fixture(scope="session")
def store() -> Iterator[Store]:
    """Start an S3 server on loopback."""
    with start_store() as found:
        yield found


@pytest.fixture
def bucket(store: Store, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the address of an empty folder in a bucket; its keys are in the environment."""
    for name, value in store.environ.items():
        monkeypatch.setenv(name, value)
    return store.make_folder()


@pytest.fixture
def make_place(
    tmp_path: Path, request: pytest.FixtureRequest
) -> Callable[[str], DestinationConfig]:
    """Return a function that returns the configuration of an empty destination of a kind."""

    def make(kind: str) -> DestinationConfig:
        state = (
            tmp_path / "tower-etl" / "targets"
        )  # where a process with this XDG_STATE_HOME keeps its state
        if kind.endswith("-s3"):
            return DestinationConfig(kind[:-3], request.getfixturevalue("bucket"), state)
        if kind != "postgres":
            name = "history.duckdb" if kind == "duckdb" else f"history-{kind}"
            return DestinationConfig(kind, str(tmp_path / name), state)
        address = request.getfixturevalue("database")
        empty_database(address)
        return DestinationConfig(kind, address, state)

    return make


def empty_database(address: str) -> None:
    """Drop the schemas of an earlier test."""
    connection = psycopg2.connect(address)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SET client_min_messages = error")
        cursor.execute("DROP SCHEMA IF EXISTS tower CASCADE")
    connection.close()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Return each kind of destination in turn."""
    return str(request.param)


@pytest.fixture
def lab(world: World) -> int:
    """Add the workspace `acme/lab`."""
    return world.add_workspace(world.add_organization("acme"), "lab")


@pytest.fixture
def make_harness(
    make_place: Callable[[str], DestinationConfig],
    endpoint: str,
    world: World,
    lab: int,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[str], DestinationHarness]:
    """Return a function that returns an empty destination of a kind.

    The platform has one workspace and no run.
    """
    monkeypatch.setenv("NO_PROXY", "*")  # a developer's proxy must not intercept requests
    return lambda kind: DestinationHarness(make_place(kind), endpoint, Clock(now=world.clock.now))


@pytest.fixture
def harness(kind: str, make_harness: Callable[[str], DestinationHarness]) -> DestinationHarness:
    """Return each destination in turn."""
    return make_harness(kind)

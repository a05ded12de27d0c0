"""Every destination, each empty, beside a platform with one workspace."""

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
    """The address of a PostgreSQL; skips where none is installed."""
    with start_postgres() as server:
        yield f"postgresql://tower@/postgres?host={server.folder}"


@pytest.fixture(scope="session")
def store() -> Iterator[Store]:
    """An S3 on loopback."""
    with start_store() as found:
        yield found


@pytest.fixture
def bucket(store: Store, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an empty folder in a bucket, which the environment has the keys of."""
    for name, value in store.environ.items():
        monkeypatch.setenv(name, value)
    return store.make_folder()


@pytest.fixture
def make_place(
    tmp_path: Path, request: pytest.FixtureRequest
) -> Callable[[str], DestinationConfig]:
    """An empty place of a kind."""

    def make(kind: str) -> DestinationConfig:
        state = tmp_path / "tower-etl" / "targets"  # where a process with this home has it
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
    """Drop what a test before left."""
    connection = psycopg2.connect(address)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SET client_min_messages = error")
        cursor.execute("DROP SCHEMA IF EXISTS tower, tower_staging CASCADE")
    connection.close()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of destination."""
    return str(request.param)


@pytest.fixture
def lab(world: World) -> int:
    """The workspace `acme/lab`."""
    return world.add_workspace(world.add_organization("acme"), "lab")


@pytest.fixture
def make_harness(
    make_place: Callable[[str], DestinationConfig],
    endpoint: str,
    world: World,
    lab: int,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[str], DestinationHarness]:
    """An empty destination of a kind, beside a platform with a workspace and no run."""
    monkeypatch.setenv("NO_PROXY", "*")  # a proxy of the developer's is not what is tested
    return lambda kind: DestinationHarness(make_place(kind), endpoint, Clock(now=world.clock.now))


@pytest.fixture
def harness(kind: str, make_harness: Callable[[str], DestinationHarness]) -> DestinationHarness:
    """Each destination."""
    return make_harness(kind)

"""Fixtures for every dlt destination that can run locally and a platform with one workspace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import psycopg2
import pymysql
import pytest

from tests.dlt_destinations.harness import DltHarness
from tests.dlt_destinations.kinds import KINDS, REFUSED, Place
from tests.dlt_destinations.mariadb import HOST, start_mariadb
from tests.sql.postgres import start_postgres
from tower_etl.simulator import SimClock, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep dlt's files in the test's folder, and disable its telemetry and log."""
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    monkeypatch.setenv("RUNTIME__LOG_LEVEL", "CRITICAL")
    monkeypatch.setenv("NO_PROXY", "*")  # the developer's proxy must not affect the tests


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Start a PostgreSQL server and yield the folder of its socket; skip if not installed."""
    with start_postgres() as server:
        yield str(server.folder)


@pytest.fixture(scope="session")
def mariadb() -> Iterator[str]:
    """Start a MariaDB server and yield its port; skip if not installed."""
    with start_mariadb() as port:
        yield str(port)


@pytest.fixture
def world() -> World:
    """Return an empty world with the current date.

    The source abandons open runs that are older than a month, so a fixed date would not do.
    """
    return World(SimClock())


@pytest.fixture
def lab(world: World) -> int:
    """Return the id of the workspace `acme/lab`."""
    return world.add_workspace(world.add_organization("acme"), "lab")


@pytest.fixture
def make_harness(
    tmp_path: Path,
    endpoint: str,
    lab: int,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[str], DltHarness]:
    """Return a function that creates an empty destination of a kind."""

    def make(name: str) -> DltHarness:
        place = Place(tmp_path)
        if name == "postgres":
            place = Place(tmp_path, request.getfixturevalue("postgres"))
            _empty_postgres(place)
        elif name.endswith("MariaDB"):
            place = Place(tmp_path, request.getfixturevalue("mariadb"))
            _empty_mariadb(place)
        elif name == "ducklake":
            _install_ducklake(tmp_path, monkeypatch)
        return DltHarness((KINDS | REFUSED)[name], place, endpoint)

    return make


@pytest.fixture(params=KINDS)
def harness(
    request: pytest.FixtureRequest, make_harness: Callable[[str], DltHarness]
) -> DltHarness:
    """Return a harness for each destination in turn."""
    return make_harness(request.param)


def _empty_postgres(place: Place) -> None:
    connection = psycopg2.connect(f"postgresql://tower@/postgres?host={place.server}")
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SET client_min_messages = error")
        cursor.execute("DROP SCHEMA IF EXISTS tower, tower_staging CASCADE")
    connection.close()


def _empty_mariadb(place: Place) -> None:
    connection = pymysql.connect(host=HOST, port=int(place.server), user="root")
    with connection.cursor() as cursor:
        cursor.execute("SHOW DATABASES")
        for name in {"tower", "tower_staging"} & {row[0] for row in cursor.fetchall()}:
            cursor.execute(f"DROP DATABASE {name}")
        cursor.execute("CREATE DATABASE IF NOT EXISTS test")
    connection.close()


def _install_ducklake(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Link the extension into DuckDB's extension folder; skip if not installed."""
    reason = "no extension for this DuckDB: make ducklake"
    package = pytest.importorskip("duckdb_extension_ducklake", reason=reason)
    version = f"v{duckdb.__version__}"
    (file,) = Path(package.__file__).parent.glob(f"extensions/{version}/*.duckdb_extension")
    with duckdb.connect() as connection:
        (platform,) = connection.execute("PRAGMA platform").fetchone() or ("",)
    folder = home / ".duckdb" / "extensions" / version / platform
    folder.mkdir(parents=True)
    (folder / file.name).symlink_to(file)
    monkeypatch.setenv("HOME", str(home))

"""DuckDB files: every supported version can open them, and errors name the cause."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

import duckdb
import pytest

from tower_etl.destinations.base import open_destination
from tower_etl.destinations.config import DestinationConfig
from tower_etl.errors import ConfigurationError
from tower_etl.warehouse.reader import open_reader

if TYPE_CHECKING:
    from pathlib import Path

    from tests.load.warehouse import Warehouse
    from tower_etl.simulator import World

OLDEST = 64  # the storage version that DuckDB 0.10 to 1.5 write by default, and read
VERSION_AT = 12


def read_version(path: Path) -> int:
    """Return the storage version in the header of a file."""
    (version,) = struct.unpack_from("<Q", path.read_bytes(), VERSION_AT)
    return int(version)


def set_version(path: Path, version: int) -> None:
    """Write another storage version into the header, with a valid checksum."""
    content = bytearray(path.read_bytes())
    struct.pack_into("<Q", content, VERSION_AT, version)
    path.write_bytes(content)
    with pytest.raises(duckdb.Error) as failure:
        duckdb.connect(str(path), read_only=True)
    if computed := re.search(r"computed checksum (\d+)", str(failure.value)):
        struct.pack_into("<Q", content, 0, int(computed[1]))
        path.write_bytes(content)


def make_file(path: Path, storage_version: str = "v1.0.0") -> Path:
    """Create a DuckDB file with a table of a user; return its path."""
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{path}' AS made (STORAGE_VERSION '{storage_version}')")
        connection.execute("CREATE TABLE made.mine AS SELECT 42 AS a")
    return path


@pytest.mark.slow
def test_a_sync_writes_the_oldest_supported_storage_version(
    warehouse: Warehouse, world: World, lab: int
) -> None:
    """This holds for the first file and for the file that replaces it."""
    for _ in range(2):
        world.submit_run(lab)
        warehouse.sync()
        assert read_version(warehouse.target.path) == OLDEST


@pytest.mark.slow
@pytest.mark.parametrize("version", ["v1.0.0", "latest"])
def test_an_existing_file_keeps_its_storage_version(
    warehouse: Warehouse, world: World, lab: int, version: str
) -> None:
    """The tables of its user are kept as well."""
    before = read_version(make_file(warehouse.target.path, version))
    world.submit_run(lab)
    warehouse.sync()
    assert read_version(warehouse.target.path) == before
    assert warehouse.select("SELECT a FROM tower.main.mine") == [(42,)]


def test_the_staging_copy_of_a_lake_has_the_oldest_storage_version(
    tmp_path: Path, warehouse: Warehouse, world: World, lab: int
) -> None:
    """This holds when it is created and when it is prepared again."""
    folder = tmp_path / "history"
    working = tmp_path / "history.sync"
    for _ in range(2):
        world.submit_run(lab)
        place = open_destination(DestinationConfig("parquet", str(folder), tmp_path))
        with place.lock(warehouse.clock):
            place.prepare()
            with place.package_context():
                assert read_version(working / "draft.duckdb") == OLDEST


def test_a_file_of_a_newer_duckdb_is_not_reported_as_damaged(warehouse: Warehouse) -> None:
    """The message names both versions and the command to upgrade. No file is changed."""
    path = make_file(warehouse.target.path)
    set_version(path, 12345)
    said = r"created by a newer DuckDB \(v\d.*storage version 12345.*pip install --upgrade duckdb"
    for open_file in (warehouse.sync, lambda: open_reader(path)):
        with pytest.raises(ConfigurationError, match=said):
            open_file()
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_file_of_a_very_old_duckdb_is_not_reported_as_damaged(warehouse: Warehouse) -> None:
    """The message proposes an export by the DuckDB version that wrote the file."""
    set_version(make_file(warehouse.target.path), 39)
    with pytest.raises(
        ConfigurationError, match=r"storage version 39 of an old DuckDB.*EXPORT DATABASE"
    ):
        warehouse.sync()


def test_a_damaged_block_is_reported_as_damage(warehouse: Warehouse) -> None:
    """DuckDB's message contains `block`, which must not be taken for `lock`."""
    path = make_file(warehouse.target.path)
    content = bytearray(path.read_bytes())
    content[4096 + 500 : 4096 + 900] = b"x" * 400
    content[8192 + 500 : 8192 + 900] = b"x" * 400
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="is damaged"):
        warehouse.sync()


@pytest.mark.slow
@pytest.mark.parametrize("damage", [b"no database" * 1000, b""])
def test_a_staging_copy_that_cannot_be_opened_is_made_again(
    warehouse: Warehouse, world: World, lab: int, damage: bytes
) -> None:
    """The published file is copied again, and runs that it lacks are fetched again."""
    world.submit_run(lab)
    warehouse.sync()
    run_id = world.submit_run(lab)
    destination = open_destination(
        DestinationConfig("duckdb", str(warehouse.target.path), warehouse.target.path)
    )
    destination.prepare()
    warehouse.target.staging.write_bytes(damage)
    assert warehouse.sync().result.status == "ok"
    assert run_id in warehouse.list_runs()

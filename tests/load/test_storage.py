"""Files of DuckDB: any supported version opens what a sync makes, and refusals name their cause."""

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

OLDEST = 64  # the storage version that DuckDB 0.10 to 1.5 make by default, and read
VERSION_AT = 12


def read_version(path: Path) -> int:
    """The storage version in the header of a file."""
    (version,) = struct.unpack_from("<Q", path.read_bytes(), VERSION_AT)
    return int(version)


def set_version(path: Path, version: int) -> None:
    """Write another storage version into the header."""
    content = bytearray(path.read_bytes())
    struct.pack_into("<Q", content, VERSION_AT, version)
    path.write_bytes(content)
    with pytest.raises(duckdb.Error) as failure:
        duckdb.connect(str(path), read_only=True)
    if computed := re.search(r"computed checksum (\d+)", str(failure.value)):
        struct.pack_into("<Q", content, 0, int(computed[1]))
        path.write_bytes(content)


def make_file(path: Path, storage_version: str = "v1.0.0") -> Path:
    """A file of some user."""
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{path}' AS made (STORAGE_VERSION '{storage_version}')")
        connection.execute("CREATE TABLE made.mine AS SELECT 42 AS a")
    return path


@pytest.mark.slow
def test_every_supported_duckdb_reads_what_a_sync_makes(
    warehouse: Warehouse, world: World, lab: int
) -> None:
    """The first file, and the one that takes its place."""
    for _ in range(2):
        world.submit_run(lab)
        warehouse.sync()
        assert read_version(warehouse.target.path) == OLDEST


@pytest.mark.slow
@pytest.mark.parametrize("version", ["v1.0.0", "latest"])
def test_a_file_that_is_there_keeps_its_version(
    warehouse: Warehouse, world: World, lab: int, version: str
) -> None:
    """With all that its user put into it."""
    before = read_version(make_file(warehouse.target.path, version))
    world.submit_run(lab)
    warehouse.sync()
    assert read_version(warehouse.target.path) == before
    assert warehouse.select("SELECT a FROM tower.main.mine") == [(42,)]


def test_a_working_copy_has_the_version_too(
    tmp_path: Path, warehouse: Warehouse, world: World, lab: int
) -> None:
    """Made by a first sync, and made again out of the lake."""
    folder = tmp_path / "history"
    working = tmp_path / "history.sync"
    for _ in range(2):
        world.submit_run(lab)
        place = open_destination(DestinationConfig("parquet", str(folder), tmp_path))
        with place.lock(warehouse.clock):
            place.prepare()
            with place.package_context():
                assert read_version(working / "draft.duckdb") == OLDEST


def test_a_file_of_a_newer_duckdb_is_not_called_damaged(warehouse: Warehouse) -> None:
    """The message names both versions, and what to upgrade; nothing is touched."""
    path = make_file(warehouse.target.path)
    set_version(path, 12345)
    said = r"created by a newer DuckDB \(v\d.*storage version 12345.*pip install --upgrade duckdb"
    for open_file in (warehouse.sync, lambda: open_reader(path)):
        with pytest.raises(ConfigurationError, match=said):
            open_file()
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_file_of_a_very_old_duckdb_is_not_called_damaged(warehouse: Warehouse) -> None:
    """It can be exported by the DuckDB that made it."""
    set_version(make_file(warehouse.target.path), 39)
    with pytest.raises(
        ConfigurationError, match=r"storage version 39 of an old DuckDB.*EXPORT DATABASE"
    ):
        warehouse.sync()


def test_damage_in_a_block_is_damage(warehouse: Warehouse) -> None:
    """DuckDB's message says `block`, which is no lock of another program."""
    path = make_file(warehouse.target.path)
    content = bytearray(path.read_bytes())
    content[4096 + 500 : 4096 + 900] = b"x" * 400
    content[8192 + 500 : 8192 + 900] = b"x" * 400
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="is damaged"):
        warehouse.sync()


@pytest.mark.slow
@pytest.mark.parametrize("damage", [b"no database" * 1000, b""])
def test_a_draft_that_cannot_be_opened_is_taken_again(
    warehouse: Warehouse, world: World, lab: int, damage: bytes
) -> None:
    """It is a copy: what is in it is fetched again."""
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

"""A staging copy is resumed or discarded, and the published file is replaced atomically."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import duckdb
import pytest

from tower_etl.destinations.duckdb_files import resolve_duckdb_paths
from tower_etl.destinations.staging_file import StagingFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.load.warehouse import Warehouse
    from tower_etl.destinations.duckdb_files import DuckDBPaths
    from tower_etl.simulator import Simulator, World


class KilledError(BaseException):
    """Simulate the end of the process; a BaseException, which no code catches."""


@pytest.fixture
def place(tmp_path: Path) -> DuckDBPaths:
    """Return a target whose working folder exists, without a file."""
    target = resolve_duckdb_paths(tmp_path / "tower.duckdb")
    target.work_dir.mkdir()
    return target


@pytest.fixture
def kill(monkeypatch: pytest.MonkeyPatch) -> Callable[[Warehouse], None]:
    """Return a function that runs a sync and kills it after its last commit, before publishing."""

    def run(warehouse: Warehouse) -> None:
        def die(_publisher: StagingFile, _views: str) -> None:
            raise KilledError

        with monkeypatch.context() as patch:
            patch.setattr(StagingFile, "publish", die)
            with pytest.raises(KilledError):
                warehouse.sync()

    return run


# --- files without DuckDB -----------------------------------------------------------------------


def test_the_first_staging_copy_is_created_by_its_first_writer(place: DuckDBPaths) -> None:
    """Without a published file, there is nothing to copy."""
    StagingFile(place).prepare()
    assert not place.staging.exists()
    place.staging.write_bytes(b"first")
    StagingFile(place).publish()
    assert (place.path.read_bytes(), place.staging.exists()) == (b"first", False)


def test_a_staging_copy_includes_the_write_ahead_log(place: DuckDBPaths) -> None:
    """The log may hold changes of a program that are not merged into the file yet."""
    place.path.write_bytes(b"file")
    place.path.with_name("tower.duckdb.wal").write_bytes(b"log")
    StagingFile(place).prepare()
    assert place.staging.read_bytes() == b"file"
    assert place.staging.with_name("draft.duckdb.wal").read_bytes() == b"log"


def test_publishing_removes_the_log_of_the_replaced_file(place: DuckDBPaths) -> None:
    """DuckDB would replay the log into the new file, to which it does not belong."""
    log = place.path.with_name("tower.duckdb.wal")
    place.path.write_bytes(b"file")
    log.write_bytes(b"log")
    StagingFile(place).prepare()
    StagingFile(place).publish()
    assert not log.exists()


def test_the_staging_copy_of_a_killed_sync_is_resumed(place: DuckDBPaths) -> None:
    """The published file is still the file that was copied."""
    place.path.write_bytes(b"file")
    StagingFile(place).prepare()
    place.staging.write_bytes(b"draft")
    StagingFile(place).prepare()
    assert place.staging.read_bytes() == b"draft"


@pytest.mark.parametrize("note", [None, b"", b"[]", b"null", b'{"other": 1}', b"\xff"])
def test_a_staging_copy_without_a_valid_record_is_discarded(
    place: DuckDBPaths, note: bytes | None
) -> None:
    """Its write-ahead log and dlt's working folder are discarded as well."""
    place.path.write_bytes(b"file")
    StagingFile(place).prepare()
    place.staging.write_bytes(b"draft")
    place.staging.with_name("draft.duckdb.wal").write_bytes(b"log")
    (place.pipelines / "tower").mkdir(parents=True)
    written = place.work_dir / "draft.json"
    written.unlink() if note is None else written.write_bytes(note)
    StagingFile(place).prepare()
    assert place.staging.read_bytes() == b"file"
    assert not place.staging.with_name("draft.duckdb.wal").exists()
    assert not place.pipelines.exists()


def test_the_staging_record_has_the_keys_of_earlier_releases(place: DuckDBPaths) -> None:
    """An upgraded tower-etl can resume an interrupted sync."""
    place.path.write_bytes(b"file")
    StagingFile(place).prepare()
    written = json.loads((place.work_dir / "draft.json").read_text(encoding="utf-8"))
    assert list(written) == ["taken_from", "published", "views"]


def test_a_staging_copy_is_discarded_when_the_file_was_replaced(place: DuckDBPaths) -> None:
    """The replacement may be a copy from elsewhere; the sync starts from it."""
    place.path.write_bytes(b"file")
    StagingFile(place).prepare()
    place.staging.write_bytes(b"draft")
    other = place.path.with_name("other")
    other.write_bytes(b"other")
    other.replace(place.path)
    StagingFile(place).prepare()
    assert place.staging.read_bytes() == b"other"


def test_the_dlt_folder_is_kept_only_for_the_file_published_last(place: DuckDBPaths) -> None:
    """It is deleted when another file has replaced that file."""
    working = place.pipelines / "tower"
    for content, is_kept in ((b"one", False), (None, True), (b"two", False)):
        if content:
            place.path.write_bytes(content)
        working.mkdir(parents=True, exist_ok=True)
        StagingFile(place).prepare()
        assert working.exists() is is_kept
        StagingFile(place).publish()


def test_publishing_keeps_the_mode_of_the_file(place: DuckDBPaths) -> None:
    """Otherwise a private file would become readable by others."""
    place.path.write_bytes(b"file")
    place.path.chmod(0o640)
    StagingFile(place).prepare()
    StagingFile(place).publish()
    assert place.path.stat().st_mode & 0o777 == 0o640


# --- with syncs ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_runs_that_a_killed_sync_committed_are_not_fetched_again(
    warehouse: Warehouse,
    world: World,
    simulator: Simulator,
    lab: int,
    kill: Callable[[Warehouse], None],
) -> None:
    """The next sync publishes the staging copy, which holds each run once."""
    first = world.submit_run(lab)
    world.finish_run(first)
    warehouse.sync()
    second = world.submit_run(lab)
    world.finish_run(second)
    kill(warehouse)
    assert warehouse.list_runs() == {first}
    simulator.log.clear()
    warehouse.sync()
    assert warehouse.select("SELECT id FROM workflows ORDER BY submit, id") == [
        (run_id,) for run_id in sorted((first, second))
    ]
    assert [call.path for call in simulator.calls if "/workflow/" in call.path] == []


@pytest.mark.slow
def test_a_killed_first_sync_is_resumed(
    warehouse: Warehouse, world: World, lab: int, kill: Callable[[Warehouse], None]
) -> None:
    """The file does not exist until a first sync publishes it."""
    run_id = world.submit_run(lab)
    kill(warehouse)
    assert not warehouse.target.path.exists()
    warehouse.sync()
    assert warehouse.list_runs() == {run_id}


@pytest.mark.slow
def test_a_sync_continues_from_a_restored_backup(
    warehouse: Warehouse, world: World, lab: int, kill: Callable[[Warehouse], None]
) -> None:
    """Staging copy and dlt's folder are ahead of the backup, so their runs are fetched again."""
    first = world.submit_run(lab)
    warehouse.sync()
    backup = warehouse.target.path.read_bytes()
    second = world.submit_run(lab)
    warehouse.sync()
    third = world.submit_run(lab)
    kill(warehouse)
    warehouse.target.path.write_bytes(backup)
    warehouse.sync()
    assert warehouse.list_runs() == {first, second, third}


@pytest.mark.slow
def test_a_sync_without_the_working_folder_fetches_no_run_again(
    warehouse: Warehouse, world: World, simulator: Simulator, lab: int
) -> None:
    """The cursor is restored from the published file."""
    world.finish_run(world.submit_run(lab))
    warehouse.sync()
    for path in sorted(warehouse.target.work_dir.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    warehouse.target.work_dir.rmdir()
    simulator.log.clear()
    assert warehouse.sync().rows == {"sync_runs": 1}
    assert [call.path for call in simulator.calls if "/workflow/" in call.path] == []


@pytest.mark.slow
def test_tables_that_a_user_adds_to_the_file_are_kept(
    warehouse: Warehouse, world: World, lab: int
) -> None:
    """The table is only in the write-ahead log that the user's program left."""
    warehouse.sync()
    path = warehouse.target.path
    with duckdb.connect(str(path)) as connection:
        connection.execute("PRAGMA disable_checkpoint_on_shutdown")
        connection.execute("CREATE TABLE tower.main.mine AS SELECT 42 AS a")
    assert path.with_name("tower.duckdb.wal").exists()
    run_id = world.submit_run(lab)
    warehouse.sync()
    assert sorted(entry.name for entry in path.parent.iterdir()) == [
        "tower.duckdb",
        "tower.duckdb.sync",
    ]
    assert warehouse.select("SELECT a FROM tower.main.mine") == [(42,)]
    assert warehouse.list_runs() == {run_id}


@pytest.mark.slow
def test_a_published_file_is_complete_without_a_log(
    warehouse: Warehouse, world: World, lab: int
) -> None:
    """It can be copied at any time. No staging copy, log or load package is left."""
    world.submit_run(lab)
    warehouse.sync()
    left = {path.name for path in warehouse.target.work_dir.rglob("*") if path.is_file()}
    assert {name for name in left if name.startswith("draft.duckdb") or "parquet" in name} == set()
    assert [path.name for path in warehouse.target.path.parent.glob("*.wal")] == []

"""The staging copy and the published file: what is resumed, discarded and kept."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import duckdb
import pytest

from tower_etl.destinations.duckdb_paths import resolve_duckdb_paths
from tower_etl.destinations.staging_file import StagingFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.load.warehouse import Warehouse
    from tower_etl.destinations.duckdb_paths import DuckDBPaths
    from tower_etl.simulator import Simulator, World


class KilledError(BaseException):
    """Stands for the end of the process: nothing catches it."""


@pytest.fixture
def place(tmp_path: Path) -> DuckDBPaths:
    """A target whose folder is there, without a file."""
    target = resolve_duckdb_paths(tmp_path / "tower.duckdb")
    target.work_dir.mkdir()
    return target


@pytest.fixture
def kill(monkeypatch: pytest.MonkeyPatch) -> Callable[[Warehouse], None]:
    """Run a sync that dies when everything is committed to the draft, before it is published."""

    def run(warehouse: Warehouse) -> None:
        def die(_publisher: StagingFile, _views: str) -> None:
            raise KilledError

        with monkeypatch.context() as patch:
            patch.setattr(StagingFile, "publish", die)
            with pytest.raises(KilledError):
                warehouse.sync()

    return run


# --- bytes alone --------------------------------------------------------------------------------


def test_a_first_draft_is_made_by_whoever_writes_it(place: DuckDBPaths) -> None:
    """Without a published file there is nothing to copy."""
    StagingFile(place).prepare()
    assert not place.staging.exists()
    place.staging.write_bytes(b"first")
    StagingFile(place).publish()
    assert (place.path.read_bytes(), place.staging.exists()) == (b"first", False)


def test_a_draft_starts_as_a_copy_with_its_log(place: DuckDBPaths) -> None:
    """What a program wrote to the file and had not yet merged into it is not lost."""
    place.path.write_bytes(b"file")
    place.path.with_name("tower.duckdb.wal").write_bytes(b"log")
    StagingFile(place).prepare()
    assert place.staging.read_bytes() == b"file"
    assert place.staging.with_name("draft.duckdb.wal").read_bytes() == b"log"


def test_publishing_removes_the_log_of_the_file_it_replaces(place: DuckDBPaths) -> None:
    """DuckDB would play it into the new file, which it does not belong to."""
    log = place.path.with_name("tower.duckdb.wal")
    place.path.write_bytes(b"file")
    log.write_bytes(b"log")
    StagingFile(place).prepare()
    StagingFile(place).publish()
    assert not log.exists()


def test_a_draft_of_a_killed_sync_is_gone_on_with(place: DuckDBPaths) -> None:
    """As long as the file that it was taken from is the one that is there."""
    place.path.write_bytes(b"file")
    StagingFile(place).prepare()
    place.staging.write_bytes(b"draft")
    StagingFile(place).prepare()
    assert place.staging.read_bytes() == b"draft"


@pytest.mark.parametrize("note", [None, b"", b"[]", b"null", b'{"other": 1}', b"\xff"])
def test_a_draft_is_discarded_where_nothing_tells_what_it_is_of(
    place: DuckDBPaths, note: bytes | None
) -> None:
    """A note that is gone or cannot be read vouches for nothing, dlt's folder included."""
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


def test_the_record_of_a_draft_has_the_keys_of_earlier_versions(place: DuckDBPaths) -> None:
    """An upgrade resumes an interrupted sync."""
    place.path.write_bytes(b"file")
    StagingFile(place).prepare()
    written = json.loads((place.work_dir / "draft.json").read_text(encoding="utf-8"))
    assert list(written) == ["taken_from", "published", "views"]


def test_a_draft_is_discarded_when_the_file_was_replaced(place: DuckDBPaths) -> None:
    """By a copy from elsewhere, for one: what stands there now is what counts."""
    place.path.write_bytes(b"file")
    StagingFile(place).prepare()
    place.staging.write_bytes(b"draft")
    other = place.path.with_name("other")
    other.write_bytes(b"other")
    other.replace(place.path)
    StagingFile(place).prepare()
    assert place.staging.read_bytes() == b"other"


def test_dlts_folder_is_kept_while_it_speaks_of_the_file(place: DuckDBPaths) -> None:
    """It is wiped when the file is another than the one published last."""
    working = place.pipelines / "tower"
    for content, is_kept in ((b"one", False), (None, True), (b"two", False)):
        if content:
            place.path.write_bytes(content)
        working.mkdir(parents=True, exist_ok=True)
        StagingFile(place).prepare()
        assert working.exists() is is_kept
        StagingFile(place).publish()


def test_the_mode_of_the_file_is_kept(place: DuckDBPaths) -> None:
    """A file that its group may not read stays so."""
    place.path.write_bytes(b"file")
    place.path.chmod(0o640)
    StagingFile(place).prepare()
    StagingFile(place).publish()
    assert place.path.stat().st_mode & 0o777 == 0o640


# --- with syncs ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_a_killed_sync_committed_is_not_fetched_again(
    warehouse: Warehouse,
    world: World,
    simulator: Simulator,
    lab: int,
    kill: Callable[[Warehouse], None],
) -> None:
    """The next sync publishes its draft: no run costs a second visit, none is there twice."""
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
def test_a_killed_first_sync_is_gone_on_with(
    warehouse: Warehouse, world: World, lab: int, kill: Callable[[Warehouse], None]
) -> None:
    """There is no file until the first one is whole."""
    run_id = world.submit_run(lab)
    kill(warehouse)
    assert not warehouse.target.path.exists()
    warehouse.sync()
    assert warehouse.list_runs() == {run_id}


@pytest.mark.slow
def test_a_file_put_back_from_a_backup_is_gone_on_from(
    warehouse: Warehouse, world: World, lab: int, kill: Callable[[Warehouse], None]
) -> None:
    """Draft and dlt's folder are ahead of it: what they hold is fetched again."""
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
def test_the_folder_beside_the_file_may_be_lost(
    warehouse: Warehouse, world: World, simulator: Simulator, lab: int
) -> None:
    """The cursor comes back out of the file: nothing is fetched twice."""
    world.finish_run(world.submit_run(lab))
    warehouse.sync()
    for path in sorted(warehouse.target.work_dir.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    warehouse.target.work_dir.rmdir()
    simulator.log.clear()
    assert warehouse.sync().rows == {"sync_runs": 1}
    assert [call.path for call in simulator.calls if "/workflow/" in call.path] == []


@pytest.mark.slow
def test_what_a_user_adds_to_the_file_stays(warehouse: Warehouse, world: World, lab: int) -> None:
    """Tables of one's own, also where the program that made them left a log behind."""
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
def test_the_file_is_whole_without_a_log(warehouse: Warehouse, world: World, lab: int) -> None:
    """It may be copied while it stands there; no draft, no log and no package stays behind."""
    world.submit_run(lab)
    warehouse.sync()
    left = {path.name for path in warehouse.target.work_dir.rglob("*") if path.is_file()}
    assert {name for name in left if name.startswith("draft.duckdb") or "parquet" in name} == set()
    assert [path.name for path in warehouse.target.path.parent.glob("*.wal")] == []

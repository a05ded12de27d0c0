"""Lakes in a bucket: several machines, concurrent readers, and the command line."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import obstore
import pytest
from deltalake import DeltaTable

from tests.cli.console import make_console
from tests.destinations.test_semantics import add_run, expect_runs, expect_tables, kill_sync
from tower_etl.destinations.base import open_destination
from tower_etl.destinations.lake.manifest import Manifest, ManifestStore
from tower_etl.destinations.locks import (
    LEASE,
    NAME,
    SKEW,
    ObjectStoreLease,
)
from tower_etl.destinations.object_store import open_bucket
from tower_etl.errors import ConfigurationError, DestinationLockedError, TowerEtlError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.console import Console
    from tests.conftest import FakeClock
    from tests.destinations.harness import DestinationHarness
    from tests.destinations.store import Store
    from tower_etl.simulator import World

SECOND = 1.0


@pytest.fixture
def harness(make_harness: Callable[[str], DestinationHarness]) -> DestinationHarness:
    """Return an empty Delta lake in a bucket."""
    return make_harness("delta-s3")


@pytest.fixture
def make_lease(bucket: str, tmp_path: Path) -> Callable[[str], ObjectStoreLease]:
    """Return a function that returns the lease of the folder, as a named machine holds it."""

    def make(machine: str) -> ObjectStoreLease:
        folder = tmp_path / machine
        folder.mkdir(exist_ok=True)
        return ObjectStoreLease(open_bucket(bucket), folder)

    return make


@pytest.fixture
def console(tmp_path: Path, store: Store) -> Console:
    """Return a console whose environment has the keys of the bucket."""
    return replace(make_console(tmp_path), variables=store.environ)


def move(harness: DestinationHarness, machine: str) -> DestinationHarness:
    """Return the same lake, as seen from another machine."""
    return replace(harness, place=replace(harness.place, state=harness.place.state / machine))


# --- the lease ----------------------------------------------------------------------------------


def test_a_lease_blocks_other_machines_until_it_expires_plus_clock_skew(
    make_lease: Callable[[str], ObjectStoreLease], fake_clock: FakeClock
) -> None:
    """After that, the first machine can no longer commit."""
    one, other = make_lease("one"), make_lease("other")
    one.acquire(fake_clock.clock)
    fake_clock.clock.sleep((LEASE + SKEW).total_seconds())
    message = f"process {os.getpid()} on .* after 3 minutes"
    with pytest.raises(DestinationLockedError, match=message):
        other.acquire(fake_clock.clock)
    fake_clock.clock.sleep(SECOND)
    other.acquire(fake_clock.clock)
    other.check()
    with pytest.raises(TowerEtlError, match="Lost the lock"):
        one.check()


def test_a_renewed_lease_does_not_expire(
    make_lease: Callable[[str], ObjectStoreLease], fake_clock: FakeClock
) -> None:
    one, other = make_lease("one"), make_lease("other")
    one.acquire(fake_clock.clock)
    for _ in range(4):
        fake_clock.clock.sleep(LEASE.total_seconds())
        assert one.renew()
    with pytest.raises(DestinationLockedError):
        other.acquire(fake_clock.clock)


def test_a_held_lease_is_renewed_by_a_thread_and_released_at_the_end(
    make_lease: Callable[[str], ObjectStoreLease],
    fake_clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tower_etl.destinations.locks.RENEW_SECONDS", 0.01)
    one = make_lease("one")
    with one.hold(fake_clock.clock):
        first = one.bucket.read(NAME)
        fake_clock.clock.sleep(SECOND)
        while one.bucket.read(NAME) == first:
            pass
    assert one.bucket.read(NAME) is None
    with make_lease("other").hold(fake_clock.clock):
        pass


def test_the_lease_of_a_killed_sync_is_taken_over_on_the_same_machine(
    make_lease: Callable[[str], ObjectStoreLease], fake_clock: FakeClock
) -> None:
    """The holder of the lock on the local staging folder knows that the earlier sync is dead."""
    make_lease("one").acquire(fake_clock.clock)
    again = make_lease("one")
    again.acquire(fake_clock.clock)
    again.check()


def test_an_unreadable_lease_counts_as_held(
    make_lease: Callable[[str], ObjectStoreLease], fake_clock: FakeClock
) -> None:
    one = make_lease("one")
    assert one.bucket.put_if_match(NAME, "[]", None)
    with pytest.raises(DestinationLockedError, match="has just started"):
        one.acquire(fake_clock.clock)


def test_a_manifest_replaces_only_the_version_that_was_read(bucket: str) -> None:
    """This conditional write protects the lake even if the lease fails."""
    notes = ManifestStore(open_bucket(bucket), "delta")
    second, third = Manifest("delta", "second"), Manifest("delta", "third")
    notes.write(Manifest("delta", "first"), None)
    first = notes.read()
    notes.write(second, first)
    for seen in (first, None):
        with pytest.raises(TowerEtlError, match="Another sync wrote"):
            notes.write(third, seen)
    assert notes.read() == second


# --- two machines -------------------------------------------------------------------------------


@pytest.mark.slow
def test_another_machine_is_locked_out_and_later_continues_from_the_state(
    harness: DestinationHarness, world: World, lab: int
) -> None:
    """The error names the process that holds the lake."""
    run_id = add_run(world, lab)
    harness.sync()
    other = move(harness, "other")
    expected = f"{harness.place.path}: process {os.getpid()} on"
    with (
        open_destination(harness.place).lock(harness.clock),
        pytest.raises(DestinationLockedError, match=expected),
    ):
        other.sync()
    world.finish_run(run_id)
    add_run(world, lab)
    other.sync()
    expect_tables(world, other)
    assert len(other.read("sync_runs")) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "point"),
    [
        ("delta", "before:tower_etl.destinations.lake.delta:DeltaLake._write_table"),
        ("iceberg", "before:tower_etl.destinations.lake.iceberg:IcebergLake._write_table"),
    ],
)
def test_tables_that_a_killed_machine_wrote_are_rewritten_by_another(
    kind: str, point: str, make_harness: Callable[[str], DestinationHarness], world: World, lab: int
) -> None:
    """One written run is deleted before the next sync, and the state is ahead of its rows."""
    harness = make_harness(f"{kind}-s3")
    world.finish_run(add_run(world, lab, "2026-01-20T00:00:00Z"))
    harness.sync()
    kept, gone = (add_run(world, lab, f"2026-0{month}-25T00:00:00Z") for month in (1, 2))
    for run_id in (kept, gone):
        world.finish_run(run_id)
    manifest = ManifestStore(open_bucket(harness.place.path), kind).read()
    assert manifest is not None
    kill_sync(harness, f"{point}:{len(manifest.tables)}")
    assert {kept, gone} <= {key[0] for key in harness.read("tasks")}
    assert len(harness.read("workflows")) == 1
    world.delete_run(gone)
    open_bucket(harness.place.path).remove(NAME)  # as if the lease had expired
    add_run(world, lab)
    other = move(harness, "other")
    other.sync()
    expect_runs(world, other)


@pytest.mark.slow
def test_a_sync_that_lost_its_lease_commits_nothing(
    harness: DestinationHarness, world: World, lab: int
) -> None:
    """Another machine may be writing."""
    harness.sync()
    add_run(world, lab)
    place = open_destination(harness.place)
    with place.lock(harness.clock):
        place.prepare()
        open_bucket(harness.place.path).remove(NAME)
        with pytest.raises(TowerEtlError, match="Lost the lock"):
            place.publish(harness.clock.now())
    assert harness.read("workflows") == {}


# --- readers and the command line ---------------------------------------------------------------


@pytest.mark.slow
def test_a_delta_reader_never_sees_a_run_without_its_tasks(
    harness: DestinationHarness, world: World, lab: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tables are counted at each check of the lease, that is between commits."""
    add_run(world, lab)
    harness.sync()
    add_run(world, lab)
    seen: list[tuple[int, int]] = []
    check = ObjectStoreLease.check

    def look(lease: ObjectStoreLease) -> None:
        check(lease)
        counts = [
            DeltaTable(f"{harness.place.path}/{name}").to_pyarrow_dataset().count_rows()
            for name in ("workflows", "tasks")
        ]
        seen.append((counts[0], counts[1]))

    monkeypatch.setattr(ObjectStoreLease, "check", look)
    harness.sync()
    assert {(1, 1), (1, 2), (2, 2)} == set(seen)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["delta", "iceberg"])
def test_commands_work_with_a_lake_in_a_bucket_and_store_no_keys(
    kind: str,
    make_harness: Callable[[str], DestinationHarness],
    console: Console,
    world: World,
    tmp_path: Path,
) -> None:
    harness = make_harness(f"{kind}-s3")
    add_run(world, next(iter(world.workspaces)))
    place = ("--destination", kind, "--path", harness.place.path)
    sync = ("sync", "--endpoint", harness.endpoint, "--tables", "workflows,tasks", "--json", *place)
    ended = console.run(*sync)
    assert (ended.code, ended.json["status"]) == (0, "ok")
    assert "acme/lab" in console.run("status", *place).out
    cost = ("query", "cost_by_pipeline", "--format", "csv")
    assert console.run(*cost, *place[2:]).out.count("\n") == 2
    assert "acme/lab" in console.run("status", *place[2:]).out
    assert "tasks: 0 old files deleted" in console.run("maintain", *place).out
    assert "acme/lab" in console.run("status", *place).out
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in files if b"secret-of-the-tests" in path.read_bytes()] == []
    assert list_holders(harness.place.path, b"-of-the-tests") == []


def list_holders(url: str, text: bytes) -> list[str]:
    """Return the names of the objects below an address that contain a text."""
    bucket = open_bucket(url)
    objects = {name: obstore.get(bucket.store, name) for name, _ in bucket.iter_objects("")}
    assert "_tower_etl.json" in objects
    return [name for name, found in objects.items() if text in bytes(found.bytes())]


def test_a_missing_bucket_exits_with_2_and_names_the_environment(
    harness: DestinationHarness, console: Console
) -> None:
    place = ("--destination", "delta", "--path", "s3://no-such-bucket/tower")
    ended = console.run("sync", "--endpoint", harness.endpoint, *place)
    assert ended.code == 2
    assert "s3://no-such-bucket/tower cannot be reached" in ended.err
    assert "AWS_ENDPOINT_URL" in ended.err


def test_a_bucket_folder_with_other_files_is_refused_and_unchanged(
    harness: DestinationHarness,
) -> None:
    bucket = open_bucket(harness.place.path)
    bucket.put_if_match("thesis.txt", "all of it", None)
    with pytest.raises(ConfigurationError, match="contains other files"):
        harness.sync()
    assert bucket.list_names() == ["thesis.txt"]

"""Errors of the operating system are reported with the path, and no data is lost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.processes.command import NOW, Command
from tower_etl.simulator import (
    SimClock,
    Simulator,
    build_world,
    serve,
)
from tower_etl.warehouse.reader import open_reader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KINDS = pytest.mark.parametrize("kind", ["duckdb", "parquet", "delta", "iceberg"])
DISTINCT = pytest.mark.parametrize(
    "kind", ["duckdb", "iceberg"]
)  # Iceberg represents the lakes, because it has a catalog
COMPARED = ("workflows", "tasks", "labels", "workflow_labels")
NOBODY = 65_533  # no entry in /etc/passwd
# Keep the right to read, but not to write: only root may be able to read Python and the checkout.
CAPABILITY = "+dac_read_search"
AS_NOBODY = (
    *("setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"),
    *("--inh-caps", CAPABILITY, "--ambient-caps", CAPABILITY),
)
IS_ROOT = os.geteuid() == 0
HAS_MOUNT = IS_ROOT and shutil.which("mount") is not None
KILLED = "before:dlt.load.load:Load.run:1"

needs_root = pytest.mark.skipif(not IS_ROOT, reason="only root can take another user id")
needs_mount = pytest.mark.skipif(not HAS_MOUNT, reason="only root can mount a file system")


@pytest.fixture(scope="module")
def tiny() -> Iterator[tuple[str, Simulator]]:
    """Serve a platform with a few runs and a stopped clock."""
    clock = SimClock.frozen_at(NOW)
    world = build_world(7, clock=clock, runs=6, open_runs=1, days=20, mean_tasks=8)
    simulator = Simulator(world, limit=None)
    with serve(simulator) as url:
        yield url, simulator


@pytest.fixture(scope="module")
def expected(tiny: tuple[str, Simulator], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return the rows that an undisturbed sync loads."""
    folder = tmp_path_factory.mktemp("undisturbed")
    command = make_command(tiny[0], folder)
    assert command.run(*place_of("duckdb"))[0] == 0
    return read_rows(folder, "duckdb")


@pytest.fixture
def command(tiny: tuple[str, Simulator], tmp_path: Path) -> Command:
    """Return a command that syncs into a folder of this test."""
    (tmp_path / "work").mkdir()
    return make_command(tiny[0], tmp_path / "work")


def make_command(url: str, folder: Path) -> Command:
    """Return a command that syncs few tables into a folder, with a rate limit store in memory."""
    environ = {"TOWER_ETL_TABLES": ",".join(COMPARED), "TOWER_ETL_BUDGET": "process"}
    return Command(url, folder, environ)


def place_of(kind: str) -> tuple[str, ...]:
    """Return the path for a kind of destination, with the flag that selects the kind."""
    return ("runs.duckdb" if kind == "duckdb" else "runs", "--destination", kind)


def read_rows(folder: Path, kind: str) -> list[str]:
    """Return all rows of the compared tables, as sorted text."""
    rows = []
    with open_reader(folder / place_of(kind)[0]) as connection:
        for table in COMPARED:
            found = connection.execute(f"SELECT * FROM {table} LIMIT 0").description or ()  # noqa: S608 names of tables
            columns = ", ".join(f'"{name}"' for name, *_ in found if name != "month")
            rows += [
                f"{table}: {row}"
                for row in connection.execute(f"SELECT {columns} FROM {table}").fetchall()  # noqa: S608 names of tables
            ]
    return sorted(rows)


def expect_error(command: Command, kind: str, code: int, *said: str) -> None:
    """Run a sync, and assert its exit code and a message without a traceback."""
    ended, _, err = command.run(*place_of(kind))
    assert (ended, [text for text in said if text not in err]) == (code, []), err
    assert "Traceback" not in err
    assert "fault of tower-etl" not in err


def expect_exact(command: Command, kind: str, expected: list[str]) -> None:
    """Run a sync, and assert that it succeeds and that the target holds the expected rows."""
    code, _, err = command.run(*place_of(kind))
    assert (code, err) == (0, "")
    assert read_rows(command.folder, kind) == expected


@contextmanager
def refused(command: Command) -> Iterator[Command]:
    """Yield a command of a user who may not write to the files of the folder."""
    if IS_ROOT:
        yield replace(command, prefix=AS_NOBODY)
        return
    paths = [command.folder, *command.folder.rglob("*")]
    modes = {path: path.stat().st_mode for path in paths if not path.is_symlink()}
    for path, mode in modes.items():
        path.chmod(mode & 0o555)
    try:
        yield command
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[None]:
    """Mount a temporary file system in a folder."""
    mount(folder, "-t", "tmpfs", "-o", f"size={size}", "tmpfs")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def mount(folder: Path, *options: str) -> None:
    """Mount a file system, or remount it with other options."""
    subprocess.run(["mount", *options, folder], check=True)


# --- another user -------------------------------------------------------------------------------


@pytest.mark.slow
@DISTINCT
def test_a_target_of_another_user_is_refused_before_the_first_call(
    kind: str, command: Command, tiny: tuple[str, Simulator], expected: list[str]
) -> None:
    """Its owner can still sync it afterwards, even after a kill."""
    assert command.run(*place_of(kind), point=KILLED)[0] == -signal.SIGKILL
    before = len(tiny[1].calls)
    with refused(command) as other:
        expect_error(other, kind, 2, "Permission denied", str(command.folder), "chmod")
    assert len(tiny[1].calls) == before
    expect_exact(command, kind, expected)


@pytest.mark.slow
@pytest.mark.parametrize("part", ["lock", "draft.duckdb", "dlt"])
def test_an_unwritable_part_of_the_working_folder_is_named(
    part: str, command: Command, expected: list[str]
) -> None:
    """The folder is shared, but one file or folder in it belongs to another user."""
    assert command.run(*place_of("duckdb"), point=KILLED)[0] == -signal.SIGKILL
    working = command.folder / "runs.duckdb.sync"
    (working / part).touch()
    for path in (command.folder, working, *working.rglob("*")):
        is_part = path == working / part or working / part in path.parents
        path.chmod((0o555 if path.is_dir() else 0o444) if is_part else 0o777)
    other = replace(command, prefix=AS_NOBODY) if IS_ROOT else command
    expect_error(other, "duckdb", 2, "Permission denied", str(working / part))
    for path in (working / part, *(working / part).rglob("*")):
        path.chmod(0o777)
    expect_exact(command, "duckdb", expected)


@pytest.mark.slow
@KINDS
@needs_root
def test_another_user_can_run_query_and_status(kind: str, command: Command) -> None:
    """Commands that read do not need permission to write."""
    assert command.run(*place_of(kind))[0] == 0
    name = place_of(kind)[0]
    for reading in (("query", "SELECT count(*) FROM tasks"), ("status",)):
        flags = ("--destination", kind) if reading == ("status",) else ()
        done = replace(command, prefix=AS_NOBODY).call(*reading, "--path", name, *flags)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
@DISTINCT
@needs_root
def test_a_user_without_a_name_and_home_directory_can_sync(
    kind: str, command: Command, tmp_path: Path, expected: list[str]
) -> None:
    """Containers may use such a user id. The rate limit store is then in the temporary folder."""
    shutil.chown(command.folder, NOBODY, NOBODY)
    temporary = tmp_path / "temporary"
    temporary.mkdir(mode=0o777)
    temporary.chmod(0o1777)
    environ = {"TOWER_ETL_TABLES": ",".join(COMPARED), "TMPDIR": str(temporary)}
    nobody = replace(command, prefix=(*AS_NOBODY, "env", "-u", "HOME"), environ=environ)
    expect_exact(nobody, kind, expected)
    private = temporary / f"tower-etl-{NOBODY}"
    assert (private.stat().st_uid, private.stat().st_mode & 0o777) == (NOBODY, 0o700)


@pytest.mark.slow
@needs_root
def test_a_temporary_folder_that_another_user_created_is_refused(
    command: Command, tmp_path: Path
) -> None:
    """The other user could read and change its files."""
    shutil.chown(command.folder, NOBODY, NOBODY)
    tmp_path.chmod(0o1777)  # otherwise Python looks for another folder
    (tmp_path / f"tower-etl-{NOBODY}").mkdir(mode=0o777)
    environ = {"TMPDIR": str(tmp_path)}
    nobody = replace(command, prefix=(*AS_NOBODY, "env", "-u", "HOME"), environ=environ)
    code, _, err = nobody.run(*place_of("duckdb"))
    assert code == 2
    assert "XDG_STATE_HOME" in err


# --- disks --------------------------------------------------------------------------------------


@pytest.mark.slow
@KINDS
@needs_mount
def test_a_full_disk_is_reported_and_the_next_sync_resumes(
    kind: str, command: Command, expected: list[str]
) -> None:
    """The disk is full at the first sync, and again after a kill; then space is freed."""
    with mounted(command.folder, "600k"):
        expect_error(command, kind, 5, "No space left on device", str(command.folder))
        mount(command.folder, "-o", "remount,size=100m")
        assert command.run(*place_of(kind), point=KILLED)[0] == -signal.SIGKILL
        ballast = command.folder / "ballast"
        free = shutil.disk_usage(command.folder).free
        ballast.write_bytes(bytes(free - 200_000))
        expect_error(command, kind, 5, "No space left on device", str(command.folder))
        ballast.unlink()
        expect_exact(command, kind, expected)


@pytest.mark.slow
@DISTINCT
def test_a_file_size_limit_is_reported(kind: str, command: Command, expected: list[str]) -> None:
    """A disk quota has the same effect, and any write may exceed it."""
    limited = replace(command, prefix=("prlimit", "--fsize=200000"))
    expect_error(limited, kind, 5, "File too large", str(command.folder), "ulimit -f")
    expect_exact(command, kind, expected)


@pytest.mark.slow
@DISTINCT
@needs_mount
def test_a_read_only_file_system_is_refused_before_the_first_call(
    kind: str, command: Command, tiny: tuple[str, Simulator], expected: list[str]
) -> None:
    """The target can be read, and written to after the file system is writable again."""
    with mounted(command.folder, "100m"):
        assert command.run(*place_of(kind))[0] == 0
        mount(command.folder, "-o", "remount,ro")
        before = len(tiny[1].calls)
        expect_error(command, kind, 2, "Read-only file system", str(command.folder))
        assert len(tiny[1].calls) == before
        assert read_rows(command.folder, kind) == expected
        mount(command.folder, "-o", "remount,rw")
        expect_exact(command, kind, expected)


@pytest.mark.slow
def test_a_limit_on_open_files_is_reported(command: Command, expected: list[str]) -> None:
    """Shells set such a limit."""
    limited = replace(command, prefix=("prlimit", "--nofile=12"))
    expect_error(limited, "duckdb", 5, "Too many open files", "ulimit -n")
    expect_exact(command, "duckdb", expected)

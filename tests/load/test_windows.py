"""Rules of Windows, simulated: no POSIX calls, and no replacement of a file that is open."""

from __future__ import annotations

import ast
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import tower_etl
from tower_etl.destinations import staging_file
from tower_etl.errors import DestinationLockedError, FileAccessError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.load.warehouse import Warehouse
    from tower_etl.simulator import World

POSIX = {"fcntl", "grp", "pty", "pwd", "resource", "termios", "tty"}
CALLS = ("geteuid", "getuid", "statvfs", "copy_file_range", "fchmod", "chown")


class HeldOpenError(PermissionError):
    """Simulate the error of Windows for an open file, with its Windows error number."""

    def __init__(self, winerror: int, path: Path) -> None:
        super().__init__(13, "The process cannot access the file", str(path))
        self.winerror = winerror


def iter_imports(path: Path) -> Iterator[str]:
    """Yield the top-level modules that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def test_no_module_imports_a_posix_only_module() -> None:
    root = Path(tower_etl.__file__).parent
    found = {
        (path.name, name)
        for path in root.rglob("*.py")
        for name in iter_imports(path)
        if name in POSIX
    }
    assert found == set()


@pytest.mark.slow
def test_a_sync_makes_no_call_that_windows_lacks(
    warehouse: Warehouse, world: World, lab: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in CALLS:
        monkeypatch.delattr(os, name, raising=False)
    run_id = world.submit_run(lab)
    for _ in range(2):  # the second sync copies the file
        assert warehouse.sync().result.status == "ok"
    assert warehouse.list_runs() == {run_id}


def refuse_replacing(path: Path, monkeypatch: pytest.MonkeyPatch, winerror: int) -> None:
    """Let the replacement of a file fail, as on Windows while a program has it open."""
    replace = Path.replace

    def replace_unless_open(self: Path, target: Path) -> Path:
        if target == path:
            raise HeldOpenError(winerror, target)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", replace_unless_open)
    monkeypatch.setattr(staging_file, "_WAIT_SECONDS", 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("winerror", [5, 32])
def test_a_file_held_open_by_a_reader_is_published_by_the_next_sync(
    warehouse: Warehouse, world: World, lab: int, monkeypatch: pytest.MonkeyPatch, winerror: int
) -> None:
    first = world.submit_run(lab)
    warehouse.sync()
    second = world.submit_run(lab)
    with monkeypatch.context() as patch:
        refuse_replacing(warehouse.target.path, patch, winerror)
        with pytest.raises(DestinationLockedError, match="open in another program"):
            warehouse.sync()
    assert warehouse.list_runs() == {first}
    calls = warehouse.sync().calls
    assert warehouse.list_runs() == {first, second}
    assert calls < 40


@pytest.mark.slow
def test_another_permission_error_is_not_taken_for_an_open_file(
    warehouse: Warehouse, world: World, lab: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.submit_run(lab)
    refuse_replacing(warehouse.target.path, monkeypatch, 0)
    with pytest.raises(FileAccessError):
        warehouse.sync()

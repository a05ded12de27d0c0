"""The lock of a target, which the operating system grants to one process at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tower_etl.destinations.locks import file_lock
from tower_etl.errors import DestinationLockedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOLDER = """
import pathlib, sys
from datetime import UTC, datetime
from tower_etl.destinations.locks import file_lock
with file_lock(pathlib.Path(sys.argv[1]), "it", datetime(2026, 3, 1, tzinfo=UTC)):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def hold_elsewhere(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Start another process that holds the lock until its standard input is closed."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield holder
        holder.kill()


def test_the_error_of_a_locked_target_names_the_holder_of_the_lock(tmp_path: Path) -> None:
    """The message names process, host and start time, and says that nothing was changed."""
    with hold_elsewhere(tmp_path / "x") as holder:
        expected = f"into it: process {holder.pid} on .*, since 2026-03-01T00:00:00.* nothing"
        with (
            pytest.raises(DestinationLockedError, match=expected),
            file_lock(tmp_path / "x", "it", NOW),
        ):
            pytest.fail("there were two holders")


def test_the_lock_ends_with_the_process_that_holds_it(tmp_path: Path) -> None:
    """The files that a killed sync leaves do not block other syncs."""
    with hold_elsewhere(tmp_path / "x") as holder:
        holder.kill()
        holder.wait()
        with file_lock(tmp_path / "x", "it", NOW):
            named = (tmp_path / "x" / "holder.json").read_text()
    assert f'"pid": {os.getpid()},' in named


def test_the_lock_is_released_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), file_lock(tmp_path, "it", NOW):
        _ = 1 / 0
    with file_lock(tmp_path, "it", NOW):
        pass


@pytest.mark.parametrize("content", [None, "", "[]", "{}", "half a {"])
def test_a_lock_is_respected_although_its_holder_is_unreadable(
    tmp_path: Path, content: str | None
) -> None:
    """The holder may be about to write its name."""
    with hold_elsewhere(tmp_path):
        named = tmp_path / "holder.json"
        named.unlink() if content is None else named.write_text(content)
        with (
            pytest.raises(DestinationLockedError, match="a process that has just started"),
            file_lock(tmp_path, "it", NOW),
        ):
            pytest.fail("there were two holders")

"""Programs that have the file open neither stop a sync nor see a partial one."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.load.warehouse import Warehouse
    from tower_etl.simulator import Call, Simulator, World

READER = """
import sys, duckdb
path, read_only = sys.argv[1], sys.argv[2] == "read"
connection = duckdb.connect(path, read_only=read_only)
for _ in sys.stdin:
    print(*connection.execute("SELECT count(*) FROM tower.tower.workflows").fetchone(), flush=True)
"""


class Reader:
    """Control another process that has the file open and counts the runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def count(self) -> int:
        """Return the number of runs that the process sees."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("again\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@contextmanager
def open_elsewhere(warehouse: Warehouse, mode: str = "read") -> Iterator[Reader]:
    """Open the published file in another process."""
    with subprocess.Popen(
        [sys.executable, "-c", READER, str(warehouse.target.path), mode],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Reader(process)
        process.kill()


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["read", "write"])
def test_an_open_connection_keeps_the_state_that_it_opened(
    warehouse: Warehouse, world: World, lab: int, mode: str
) -> None:
    """A program that opens the file afterwards sees the new state."""
    world.submit_run(lab)
    warehouse.sync()
    with open_elsewhere(warehouse, mode) as early:
        assert early.count() == 1
        world.submit_run(lab)
        assert warehouse.sync().result.status == "ok"
        assert early.count() == 1
        with open_elsewhere(warehouse) as late:
            assert late.count() == 2


@pytest.mark.slow
def test_a_reader_during_a_sync_sees_the_previous_state(
    warehouse: Warehouse, world: World, simulator: Simulator, lab: int
) -> None:
    world.submit_run(lab)
    warehouse.sync()
    world.submit_run(lab)
    seen: list[int] = []

    def look(_number: int, call: Call) -> None:
        if "/workflow/" in call.path:
            with open_elsewhere(warehouse) as reader:
                seen.append(reader.count())

    simulator.before_call = look
    warehouse.sync()
    assert set(seen) == {1}
    assert len(warehouse.list_runs()) == 2

"""The long history that is measured is one: no key comes twice, and every check holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.history import enlarge
from benchmarks.scale import time_parts
from benchmarks.stores import FileStore, lay_copy
from tests.load.warehouse import sync_seeded
from tests.sql.test_dialects import CHECKS
from tower_etl.clock import SYSTEM_CLOCK
from tower_etl.destinations.config import DestinationConfig
from tower_etl.destinations.lake.mirror import open_mirror
from tower_etl.schema import TABLES
from tower_etl.warehouse.reader import open_reader

if TYPE_CHECKING:
    from pathlib import Path

COUNT = "SELECT count(*), count(DISTINCT workflow_id) FROM tasks"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A small history in a file."""
    synced = sync_seeded(tmp_path, 3, runs=12, days=5, mean_tasks=8)
    return synced.rename(tmp_path / "history.duckdb")


@pytest.mark.slow
def test_a_history_is_made_long(file: Path) -> None:
    """Ten times its tasks, in runs of their own."""
    with open_reader(file) as connection:
        ((tasks, runs),) = connection.sql(COUNT).fetchall()
    assert 10 * tasks == enlarge(file, 10 * tasks)
    with open_reader(file) as connection:
        assert connection.sql(COUNT).fetchall() == [(10 * tasks, 10 * runs)]
        for name in ("workflows", "tasks", "process_metrics", "workflow_labels"):
            key = ", ".join(TABLES[name].key)
            twice = f"SELECT {key} FROM {name} GROUP BY ALL HAVING count(*) > 1"  # noqa: S608 ours
            assert connection.sql(twice).fetchall() == []
        assert [check.name for check in CHECKS if connection.sql(check.sql).fetchall()] == []


@pytest.mark.slow
def test_a_lake_takes_the_long_history(file: Path, tmp_path: Path) -> None:
    """The parts of a sync are timed, and the folder has the tasks of the file."""
    tasks = enlarge(file, 500)
    assert min(time_parts(file)) > 0
    store = FileStore("parquet", tmp_path / "history-parquet", {})
    lay_copy(file, store)
    open_mirror(DestinationConfig("parquet", str(store.path), tmp_path)).publish(SYSTEM_CLOCK.now())
    with open_reader(store.path) as connection:
        assert connection.execute("SELECT count(*) FROM tasks").fetchone() == (tasks,)
    assert store.weigh() > 0

"""The enlarged history of the benchmarks is valid: unique keys, and every check holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.history import enlarge
from benchmarks.scale import time_parts
from benchmarks.stores import FileStore, copy_to_staging
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
    """Return a DuckDB file with a small history."""
    synced = sync_seeded(tmp_path, 3, runs=12, days=5, mean_tasks=8)
    return synced.rename(tmp_path / "history.duckdb")


@pytest.mark.slow
def test_an_enlarged_history_has_unique_keys_and_passes_all_checks(file: Path) -> None:
    """It has ten times the tasks, in ten times the runs."""
    with open_reader(file) as connection:
        ((tasks, runs),) = connection.sql(COUNT).fetchall()
    assert 10 * tasks == enlarge(file, 10 * tasks)
    with open_reader(file) as connection:
        assert connection.sql(COUNT).fetchall() == [(10 * tasks, 10 * runs)]
        for name in ("workflows", "tasks", "process_metrics", "workflow_labels"):
            key = ", ".join(TABLES[name].key)
            twice = f"SELECT {key} FROM {name} GROUP BY ALL HAVING count(*) > 1"  # noqa: S608 names of the schema
            assert connection.sql(twice).fetchall() == []
        assert [check.name for check in CHECKS if connection.sql(check.sql).fetchall()] == []


@pytest.mark.slow
def test_an_enlarged_history_is_timed_and_mirrored_to_a_lake(file: Path, tmp_path: Path) -> None:
    tasks = enlarge(file, 500)
    assert min(time_parts(file)) > 0
    store = FileStore("parquet", tmp_path / "history-parquet", {})
    copy_to_staging(file, store)
    open_mirror(DestinationConfig("parquet", str(store.path), tmp_path)).publish(SYSTEM_CLOCK.now())
    with open_reader(store.path) as connection:
        assert connection.execute("SELECT count(*) FROM tasks").fetchone() == (tasks,)
    assert store.weigh() > 0

"""Garbage collection, and the shared connection to the staging copy, during a sync."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import duckdb
import pytest
from dlt.common.storages.live_schema_storage import LiveSchemaStorage

from tower_etl.destinations.duckdb import open_pipeline, shared_connection
from tower_etl.errors import TowerEtlError
from tower_etl.gc_tuning import reduced_gc

if TYPE_CHECKING:
    import dlt
    from dlt.common.schema import Schema

    from tower_etl.destinations.duckdb_files import DuckDBPaths


def test_gc_thresholds_are_raised_during_a_sync_and_restored() -> None:
    """They are also restored after an error."""
    before = gc.get_threshold()
    with pytest.raises(ZeroDivisionError), reduced_gc():
        _ = 1 / 0
    with reduced_gc():
        assert gc.get_threshold()[0] > before[0]
    assert before == gc.get_threshold()


def test_the_write_ahead_log_is_merged_when_the_shared_connection_ends(target: DuckDBPaths) -> None:
    """Another connection that closes earlier does not merge it."""
    target.work_dir.mkdir()
    log = target.staging.with_name(target.staging.name + ".wal")
    with shared_connection(target):
        with duckdb.connect(str(target.staging)) as connection:
            connection.execute("CREATE TABLE t AS SELECT 1")
        assert log.exists()
    assert not log.exists()


def test_a_staging_copy_that_cannot_be_opened_is_a_tower_etl_error(target: DuckDBPaths) -> None:
    target.work_dir.mkdir()
    target.staging.write_bytes(b"no database" * 1000)
    with pytest.raises(TowerEtlError, match="could not be loaded"), shared_connection(target):
        pass


def _load_row(pipeline: dlt.Pipeline, table: str) -> None:
    pipeline.run([{"id": 1}], table_name=table)


def test_a_schema_file_is_read_again_only_after_it_changed(
    target: DuckDBPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = list[str]()
    load_schema = LiveSchemaStorage.load_schema

    def counted(storage: LiveSchemaStorage, name: str) -> Schema:
        reads.append(name)
        return load_schema(storage, name)

    target.work_dir.mkdir()
    pipeline = open_pipeline(target)
    _load_row(pipeline, "first")
    assert "first" in pipeline.default_schema.tables
    monkeypatch.setattr(LiveSchemaStorage, "load_schema", counted)
    assert pipeline.default_schema is pipeline.default_schema
    assert reads == []
    other = open_pipeline(target)
    _load_row(other, "second")
    assert "second" in pipeline.default_schema.tables
    assert reads


def test_a_modified_schema_is_returned_before_it_is_stored(target: DuckDBPaths) -> None:
    target.work_dir.mkdir()
    pipeline = open_pipeline(target)
    _load_row(pipeline, "first")
    pipeline.default_schema.update_table({"name": "added", "columns": {}})
    assert "added" in pipeline.default_schema.tables
    assert "added" not in open_pipeline(target).default_schema.tables

"""A whole sync into a DuckDB file, from recorded responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dlt
import duckdb
import pytest

from tests.cassettes import scenarios
from tower_etl.config.settings import HttpSettings
from tower_etl.destinations.dlt_pipeline import dlt_defaults
from tower_etl.source import tower_source

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def synced(
    play: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], list[tuple[Any, ...]]]:
    """Sync the small account into a DuckDB file; return a function that queries it."""
    one_by_one = HttpSettings(calls_per_second=None, workers=1)  # a fixed order of calls
    monkeypatch.delenv("TOWER_WORKSPACE_ID", raising=False)
    monkeypatch.setenv("NO_PROXY", "*")
    path = str(tmp_path / "replayed.duckdb")  # not `tower`, the name of the schema
    with dlt_defaults():
        pipeline = dlt.pipeline(
            "replayed",
            pipelines_dir=str(tmp_path / "pipelines"),
            destination=dlt.destinations.duckdb(path),
            dataset_name="tower",
        )
        endpoint = play(scenarios.serve_small_account)
        # Lists of all other entities would make the cassette too long to review.
        tables = (
            *("workflow*", "tasks", "process_*", "labels", "organizations", "workspaces"),
            "sync_runs",
        )
        source = tower_source(
            endpoint=endpoint, access_token=scenarios.TOKEN, http_settings=one_by_one, tables=tables
        )
        pipeline.run(source, loader_file_format="parquet")

    def query(sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(path, read_only=True) as connection:
            return connection.execute(sql).fetchall()

    return query


def test_a_sync_fills_the_tables(synced: Callable[[str], list[tuple[Any, ...]]]) -> None:
    """Every run of every workspace is loaded once, with its tasks, labels and workspace."""
    runs = [
        (scenarios.FINAL, scenarios.RESEARCH, "SUCCEEDED", True),
        (scenarios.OPEN, scenarios.RESEARCH, "RUNNING", False),
        (scenarios.PERSONAL, None, "SUBMITTED", False),
        (scenarios.FAILED, scenarios.LAB, "FAILED", False),
    ]
    assert runs == synced(
        "SELECT id, workspace_id, status, starred FROM tower.workflows ORDER BY id"
    )
    tasks = [
        (scenarios.FINAL, 3, 0.00243),
        (scenarios.OPEN, 3, 0.00021),
        (scenarios.FAILED, 1, 0.00016),
    ]
    per_run = "SELECT workflow_id, count(*), round(sum(cost), 8) FROM tower.tasks GROUP BY 1"
    assert tasks == synced(f"{per_run} ORDER BY 1")
    links = [(scenarios.FINAL, "team"), (scenarios.FINAL, "urgent"), (scenarios.OPEN, "team")]
    assert links == synced(
        "SELECT workflow_id, name FROM tower.workflow_labels JOIN tower.labels ON id = label_id"
        " ORDER BY 1, 2"
    )
    places = [("acme", "clinic"), ("acme", "research"), ("beta", "lab")]
    assert places == synced("SELECT org_name, name FROM tower.workspaces ORDER BY 1, 2")
    assert synced("SELECT name FROM tower.organizations ORDER BY 1") == [("acme",), ("beta",)]
    assert synced("SELECT status, runs_listed, runs_fetched FROM tower.sync_runs") == [("ok", 4, 4)]

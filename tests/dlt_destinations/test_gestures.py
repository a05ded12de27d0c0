"""After any user operation on a dlt pipeline, the tables equal those of a first full load."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed
from dlt.pipeline.helpers import pipeline_drop

from tests.destinations.test_semantics import add_run
from tests.dlt_destinations.gestures import Gestures, try_sequence
from tests.dlt_destinations.test_matrix import expect_tables
from tower_etl import run_in_packages, tower_source
from tower_etl.config.settings import HttpSettings
from tower_etl.errors import ConfigurationError
from tower_etl.simulator import DEMO_TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.dlt_destinations.harness import DltHarness
    from tower_etl.simulator import Simulator, World

SEQUENCES = int(os.environ.get("TOWER_ETL_GESTURES", "3"))
KILLED = "before:dlt.pipeline.pipeline:Pipeline.load:4"


@pytest.fixture
def harness(make_harness: Callable[[str], DltHarness]) -> DltHarness:
    """Return a harness for a DuckDB file; other modules test the other destinations."""
    return make_harness("duckdb")


@pytest.fixture
def runs(world: World, lab: int) -> list[str]:
    """Add six runs, five of them final."""
    made = []
    for _ in range(6):
        made.append(add_run(world, lab))
        world.clock.advance(1)
    for run_id in made[1:]:
        world.finish_run(run_id)
    return made


def make_source(harness: DltHarness, **arguments: Any) -> Any:
    """Return the source as a user would create it."""
    return tower_source(
        endpoint=harness.endpoint,
        access_token=DEMO_TOKEN,
        http_settings=HttpSettings(None),
        **arguments,
    )


def count_calls(simulator: Simulator, run: Callable[[], object], path: str = "") -> int:
    """Return the number of API calls that a function makes to paths with the given text."""
    before = len(simulator.calls)
    run()
    return sum(path in call.path for call in simulator.calls[before:])


@pytest.mark.slow
@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize("first", ["workflows", "tasks", "labels", "process_progress", "launches"])
def test_tables_are_complete_after_a_first_run_with_a_single_table(
    harness: DltHarness, world: World, first: str
) -> None:
    """A child table of `workflows` may be loaded without it."""
    harness.open_pipeline().run(make_source(harness).with_resources(first))
    assert harness.read(first) or first == "launches"
    with pytest.raises(duckdb.Error):
        harness.read("workflow_progress")
    harness.open_pipeline().run(make_source(harness))
    expect_tables(world, harness)


@pytest.mark.slow
def test_launch_datasets_can_be_loaded_before_launches(
    harness: DltHarness, world: World, lab: int, simulator: Simulator
) -> None:
    """Select `launch_datasets` alone, with `tasks` and with `workflows`.

    A run without new launches requests no datasets.
    """
    add_launched_run(world, lab, "first")
    pipeline = harness.open_pipeline()
    pipeline.run(make_source(harness).with_resources("workflows"))
    pipeline.run(make_source(harness).with_resources("launch_datasets"))
    assert list_launches(harness) == {"first"}
    add_launched_run(world, lab, "second")
    pipeline.run(make_source(harness).with_resources("tasks", "launch_datasets"))
    assert list_launches(harness) == {"first", "second"}
    idle = make_source(harness).with_resources("workflows", "launch_datasets")
    pipeline.run(idle)
    assert count_calls(simulator, lambda: pipeline.run(idle), "/datasets") == 0
    pipeline.run(make_source(harness, tables=["*", "!audit_logs"]))
    assert {row["id"] for row in harness.read("launches").values()} == {"first", "second"}
    assert list_launches(harness) == {"first", "second"}


def add_launched_run(world: World, space: int, launch_id: str) -> None:
    """Add a final run whose launch names a dataset."""
    if not world.entities.get("launchDatasets"):
        world.add_entity("launchDatasets", space, datasetId="d", id="v", version=1, fileName="x")
    world.finish_run(world.submit_run(space, launchId=launch_id))
    world.clock.advance(1)


def list_launches(harness: DltHarness) -> set[str]:
    """Return the ids of the launches with stored datasets."""
    return {row["launch_id"] for row in harness.read("launch_datasets").values()}


@pytest.mark.slow
def test_a_run_makes_only_the_calls_that_its_selected_tables_need(
    harness: DltHarness, runs: list[str], simulator: Simulator
) -> None:
    """`labels` needs no calls for runs, and `tasks` needs no calls for metrics."""
    pipeline = harness.open_pipeline()
    labels = make_source(harness).with_resources("labels")
    assert count_calls(simulator, lambda: pipeline.run(labels), "/workflow") == 0
    tasks = make_source(harness).with_resources("tasks")
    assert count_calls(simulator, lambda: pipeline.run(tasks), "/metrics") == 0
    metrics = make_source(harness).with_resources("process_metrics", "tasks")
    fetched = count_calls(simulator, lambda: pipeline.run(metrics), "/metrics")
    again = count_calls(simulator, lambda: pipeline.run(metrics), "/metrics")
    assert (fetched, again) == (len(runs), 1)  # only the open run is fetched again


@pytest.mark.slow
@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize("refresh", ["drop_sources", "drop_resources", "drop_data"])
def test_tables_are_complete_after_a_refresh_of_some_or_all_tables(
    harness: DltHarness, world: World, refresh: Any
) -> None:
    """`drop_sources` drops all tables of the source even if only some are selected."""
    pipeline = harness.open_pipeline()
    pipeline.run(make_source(harness))
    pipeline.run(make_source(harness).with_resources("tasks", "users"), refresh=refresh)
    pipeline.run(make_source(harness))
    expect_tables(world, harness)
    pipeline.run(make_source(harness), refresh=refresh)
    expect_tables(world, harness)


@pytest.mark.slow
@pytest.mark.usefixtures("runs")
def test_tables_are_complete_after_a_replace_of_some_or_all_tables(
    harness: DltHarness, world: World
) -> None:
    """In a load of several packages, the first package replaces and the later ones add rows."""
    pipeline = harness.open_pipeline()
    pipeline.run(make_source(harness))
    some = make_source(harness).with_resources("tasks", "labels", "workflow_labels")
    pipeline.run(some, write_disposition="replace")
    expect_tables(world, harness)
    pipeline.run(make_source(harness), write_disposition="replace")
    expect_tables(world, harness)
    loads = run_in_packages(pipeline, make_source(harness), max_rows=3, write_disposition="replace")
    assert len(loads) > 1
    expect_tables(world, harness)


@pytest.mark.slow
@pytest.mark.usefixtures("runs")
def test_a_replace_disposition_may_name_a_strategy(harness: DltHarness, world: World) -> None:
    pipeline = harness.open_pipeline()
    pipeline.run(make_source(harness))
    labels = make_source(harness).with_resources("workflow_labels", "labels")
    strategy: Any = {"disposition": "replace", "strategy": "truncate-and-insert"}
    pipeline.run(labels, write_disposition=strategy)
    expect_tables(world, harness)


@pytest.mark.slow
@pytest.mark.usefixtures("runs")
def test_append_keeps_each_version_of_a_row(harness: DltHarness, world: World, lab: int) -> None:
    """Each pipeline run loads the open run again, and the load id tells the newest version."""
    pipeline = harness.open_pipeline()
    selected = make_source(harness).with_resources("workflows")
    pipeline.run(selected, write_disposition="append")
    run_id = add_run(world, lab)
    for _ in range(2):
        pipeline.run(selected, write_disposition="append")
    with pipeline.sql_client() as client:
        found = client.execute_sql("SELECT count(*) FROM workflows WHERE id = %s", run_id)
    assert found == [(2,)]


@pytest.mark.slow
@pytest.mark.usefixtures("runs")
def test_tables_dropped_by_dlt_pipeline_drop_are_refilled(
    harness: DltHarness, world: World
) -> None:
    """The command drops some resources, all resources, or only the state of a resource."""
    pipeline = harness.open_pipeline()
    pipeline.run(make_source(harness))
    for options in ({"resources": ("tasks", "labels", "launches")}, {"drop_all": True}):
        pipeline_drop(pipeline, **options)
        pipeline.run(make_source(harness))
        expect_tables(world, harness)
    pipeline_drop(pipeline, resources=("tasks",), state_only=True)
    pipeline.run(make_source(harness))
    expect_tables(world, harness)


@pytest.mark.slow
@pytest.mark.usefixtures("runs")
def test_tables_dropped_in_the_database_are_refilled(harness: DltHarness, world: World) -> None:
    """A drop by SQL is unknown to dlt."""
    pipeline = harness.open_pipeline()
    pipeline.run(make_source(harness))
    with pipeline.sql_client() as client:
        for table in ("tasks", "labels", "workflow_progress"):
            client.execute_sql(f"DROP TABLE {table}")
    pipeline.run(make_source(harness))
    expect_tables(world, harness)


@pytest.mark.slow
def test_a_dropped_reference_table_is_refilled_for_every_workspace(
    harness: DltHarness, world: World, lab: int
) -> None:
    """The first run after the drop refills the table for one workspace only."""
    organization = next(iter(world.organizations))
    second_workspace = world.add_workspace(organization, "clinic")
    for space in (lab, second_workspace):
        world.create_label(space, "of-the-space")
    pipeline = harness.open_pipeline()
    pipeline.run(make_source(harness))
    pipeline_drop(pipeline, resources=("labels",))
    pipeline.run(make_source(harness, workspaces=[lab]))
    pipeline.run(make_source(harness))
    expect_tables(world, harness)


@pytest.mark.slow
@pytest.mark.usefixtures("runs")
def test_a_run_limit_is_respected_and_the_next_pipeline_run_continues(
    harness: DltHarness, world: World
) -> None:
    """The limit counts whole runs, and the oldest runs are loaded first."""
    pipeline = harness.open_pipeline()
    pipeline.run(make_source(harness).add_limit(2))
    assert len(harness.read("workflows")) == 2
    pipeline.run(make_source(harness).add_limit(2))
    assert len(harness.read("workflows")) == 4
    pipeline.run(make_source(harness))
    expect_tables(world, harness)


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize("limit", [{"max_items": -1}, {"max_time": -1}, {"max_time": 0}, {}])
def test_a_negative_or_missing_limit_means_no_limit(
    harness: DltHarness, limit: dict[str, Any]
) -> None:
    """As in dlt. Such a limit, or a time of 0, also removes a limit that was set before."""
    source = make_source(harness, yield_rows=True)
    source.add_limit(**limit)
    assert len(list(source.workflows)) == 6
    source.add_limit(2).add_limit(**limit)
    assert len(list(source.workflows)) == 6


@pytest.mark.usefixtures("runs")
def test_filters_and_maps_require_yield_rows(harness: DltHarness) -> None:
    """Filters on Arrow tables are refused with the advice to set `yield_rows`."""
    with pytest.raises(ConfigurationError, match="yield_rows=True"):
        make_source(harness).workflows.add_filter(lambda row: row["status"] == "RUNNING")
    source = make_source(harness, yield_rows=True).with_resources("workflows", "tasks")
    source.workflows.add_filter(lambda row: row["status"] == "RUNNING")
    source.workflows.add_map(lambda row: row | {"weekday": 3, "run_name": row["run_name"].upper()})
    pipeline = harness.open_pipeline()
    pipeline.run(source)
    with pipeline.sql_client() as client:
        found = client.execute_sql(
            "SELECT status, weekday, run_name = upper(run_name) FROM workflows"
        )
    assert found == [("RUNNING", 3, True)]


@pytest.mark.slow
@pytest.mark.usefixtures("runs")
def test_rows_and_arrow_tables_load_into_the_same_columns(
    harness: DltHarness, world: World
) -> None:
    """`drop_data` empties the tables but keeps the columns of the first run."""
    harness.open_pipeline().run(make_source(harness, yield_rows=True))
    expect_tables(world, harness)
    harness.open_pipeline().run(make_source(harness), refresh="drop_data")
    expect_tables(world, harness)


@pytest.mark.usefixtures("runs")
def test_a_resource_can_be_iterated_without_a_pipeline(harness: DltHarness) -> None:
    tables = list(make_source(harness).workflows)
    assert sum(table.num_rows for table in tables) == 6
    assert all(isinstance(table, pa.Table) for table in tables)
    assert len({row["id"] for row in make_source(harness, yield_rows=True).workflows}) == 6


@pytest.mark.slow
def test_a_killed_backfill_does_not_fetch_runs_of_loaded_packages_again(
    harness: DltHarness, world: World, runs: list[str], simulator: Simulator
) -> None:
    harness.kill(KILLED, packages=1)
    pipeline = harness.open_pipeline()
    left = count_calls(
        simulator, lambda: run_in_packages(pipeline, make_source(harness)), "/metrics"
    )
    assert 0 < left < len(runs)
    expect_tables(world, harness)


@pytest.mark.slow
@pytest.mark.usefixtures("runs")
def test_a_killed_run_can_be_resumed_with_another_table_selection(
    harness: DltHarness, world: World
) -> None:
    """The pending load package is loaded first."""
    harness.kill("before:dlt.load.load:Load.complete_package:1", tables=("workflows", "labels"))
    run_in_packages(harness.open_pipeline(), make_source(harness))
    expect_tables(world, harness)


@pytest.mark.slow
def test_a_refused_run_leaves_no_pending_data_and_the_next_run_succeeds(
    harness: DltHarness, world: World, lab: int
) -> None:
    world.finish_run(add_run(world, lab))
    pipeline = harness.open_pipeline()
    with pytest.raises(PipelineStepFailed, match="scd2"):
        pipeline.run(
            make_source(harness), write_disposition={"disposition": "merge", "strategy": "scd2"}
        )
    assert not pipeline.has_pending_data
    pipeline.run(make_source(harness))
    expect_tables(world, harness)


@pytest.mark.slow(minutes=1)
@pytest.mark.filterwarnings("ignore:The 'warn' method:DeprecationWarning")  # of dlt
@pytest.mark.parametrize("seed", range(SEQUENCES))
def test_tables_match_the_platform_after_random_user_operations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """`make gestures` runs many more sequences."""
    monkeypatch.setenv("RESTORE_FROM_DESTINATION", "true")  # the sequence changes it
    try_sequence(tmp_path, seed, 6)


def test_the_operation_log_starts_with_the_seed(
    tmp_path: Path, endpoint: str, world: World
) -> None:
    """The seed in the message of a failure makes the sequence repeatable."""
    told = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        gestures = Gestures(tmp_path / name, endpoint, world, 7)
        for _ in range(5):
            gestures.change_world()
        told.append(gestures.done)
    assert told[0][:1] == told[1][:1] == ["seed 7"]

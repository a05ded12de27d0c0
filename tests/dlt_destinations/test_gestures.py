"""What users of dlt do with a source: the tables end as after a first load of everything."""

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
    """A DuckDB file: the destinations have tests of their own."""
    return make_harness("duckdb")


@pytest.fixture
def runs(world: World, lab: int) -> list[str]:
    """Six runs, five of them final."""
    made = []
    for _ in range(6):
        made.append(add_run(world, lab))
        world.clock.advance(1)
    for run_id in made[1:]:
        world.finish_run(run_id)
    return made


def make_source(harness: DltHarness, **arguments: Any) -> Any:
    """Return the source of a user."""
    return tower_source(
        endpoint=harness.endpoint,
        access_token=DEMO_TOKEN,
        http_settings=HttpSettings(None),
        **arguments,
    )


def count_calls(simulator: Simulator, run: Callable[[], object], path: str = "") -> int:
    """Return how many calls something makes."""
    before = len(simulator.calls)
    run()
    return sum(path in call.path for call in simulator.calls[before:])


@pytest.mark.slow
@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize("first", ["workflows", "tasks", "labels", "process_progress", "launches"])
def test_one_table_first_and_everything_later(
    harness: DltHarness, world: World, first: str
) -> None:
    """A child of runs may come without them."""
    harness.open_pipeline().run(make_source(harness).with_resources(first))
    assert harness.read(first) or first == "launches"
    with pytest.raises(duckdb.Error):
        harness.read("workflow_progress")
    harness.open_pipeline().run(make_source(harness))
    expect_tables(world, harness)


@pytest.mark.slow
def test_datasets_of_launches_may_be_selected_alone(
    harness: DltHarness, world: World, lab: int, simulator: Simulator
) -> None:
    """With the tables of runs, or without; `launches` may come later."""
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
    """Add a final run of a launch that names a dataset."""
    if not world.entities.get("launchDatasets"):
        world.add_entity("launchDatasets", space, datasetId="d", id="v", version=1, fileName="x")
    world.finish_run(world.submit_run(space, launchId=launch_id))
    world.clock.advance(1)


def list_launches(harness: DltHarness) -> set[str]:
    """Return the launches with stored datasets."""
    return {row["launch_id"] for row in harness.read("launch_datasets").values()}


@pytest.mark.slow
def test_a_selected_table_costs_the_calls_of_its_own(
    harness: DltHarness, runs: list[str], simulator: Simulator
) -> None:
    """Reference data needs no run; tasks of final runs need no description."""
    pipeline = harness.open_pipeline()
    labels = make_source(harness).with_resources("labels")
    assert count_calls(simulator, lambda: pipeline.run(labels), "/workflow") == 0
    tasks = make_source(harness).with_resources("tasks")
    assert count_calls(simulator, lambda: pipeline.run(tasks), "/metrics") == 0
    metrics = make_source(harness).with_resources("process_metrics", "tasks")
    fetched = count_calls(simulator, lambda: pipeline.run(metrics), "/metrics")
    again = count_calls(simulator, lambda: pipeline.run(metrics), "/metrics")
    assert (fetched, again) == (len(runs), 1)  # one run is open


@pytest.mark.slow
@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize("refresh", ["drop_sources", "drop_resources", "drop_data"])
def test_a_refresh_of_some_tables_and_of_all(
    harness: DltHarness, world: World, refresh: Any
) -> None:
    """In each mode of dlt, `drop_sources` of some included, which drops all."""
    pipeline = harness.open_pipeline()
    pipeline.run(make_source(harness))
    pipeline.run(make_source(harness).with_resources("tasks", "users"), refresh=refresh)
    pipeline.run(make_source(harness))
    expect_tables(world, harness)
    pipeline.run(make_source(harness), refresh=refresh)
    expect_tables(world, harness)


@pytest.mark.slow
@pytest.mark.usefixtures("runs")
def test_replace_of_some_tables_and_of_all(harness: DltHarness, world: World) -> None:
    """Also in packages, of which the first replaces and the others add."""
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
def test_replace_may_name_its_strategy(harness: DltHarness, world: World) -> None:
    """As dlt takes it, too."""
    pipeline = harness.open_pipeline()
    pipeline.run(make_source(harness))
    labels = make_source(harness).with_resources("workflow_labels", "labels")
    strategy: Any = {"disposition": "replace", "strategy": "truncate-and-insert"}
    pipeline.run(labels, write_disposition=strategy)
    expect_tables(world, harness)


@pytest.mark.slow
@pytest.mark.usefixtures("runs")
def test_append_keeps_each_version_of_a_row(harness: DltHarness, world: World, lab: int) -> None:
    """The newest version is told by the package that it came with."""
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
def test_tables_that_dlt_dropped_are_filled_again(harness: DltHarness, world: World) -> None:
    """By `dlt pipeline drop`, of some resources or of all, and of their state alone."""
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
def test_tables_that_were_dropped_in_the_database_are_filled_again(
    harness: DltHarness, world: World
) -> None:
    """Of which dlt knows nothing."""
    pipeline = harness.open_pipeline()
    pipeline.run(make_source(harness))
    with pipeline.sql_client() as client:
        for table in ("tasks", "labels", "workflow_progress"):
            client.execute_sql(f"DROP TABLE {table}")
    pipeline.run(make_source(harness))
    expect_tables(world, harness)


@pytest.mark.slow
def test_reference_data_is_filled_in_each_workspace(
    harness: DltHarness, world: World, lab: int
) -> None:
    """Also after a run for one workspace alone filled the dropped table there."""
    organization = next(iter(world.organizations))
    clinic = world.add_workspace(organization, "clinic")
    for space in (lab, clinic):
        world.create_label(space, "of-the-space")
    pipeline = harness.open_pipeline()
    pipeline.run(make_source(harness))
    pipeline_drop(pipeline, resources=("labels",))
    pipeline.run(make_source(harness, workspaces=[lab]))
    pipeline.run(make_source(harness))
    expect_tables(world, harness)


@pytest.mark.slow
@pytest.mark.usefixtures("runs")
def test_a_limit_bounds_the_runs_and_the_next_run_goes_on(
    harness: DltHarness, world: World
) -> None:
    """Whole runs, the oldest first."""
    pipeline = harness.open_pipeline()
    pipeline.run(make_source(harness).add_limit(2))
    assert len(harness.read("workflows")) == 2
    pipeline.run(make_source(harness).add_limit(2))
    assert len(harness.read("workflows")) == 4
    pipeline.run(make_source(harness))
    expect_tables(world, harness)


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize("limit", [{"max_items": -1}, {"max_time": -1}, {"max_time": 0}, {}])
def test_a_negative_limit_is_none(harness: DltHarness, limit: dict[str, Any]) -> None:
    """As in dlt; and it takes a limit back that was set before."""
    source = make_source(harness, yield_rows=True)
    source.add_limit(**limit)
    assert len(list(source.workflows)) == 6
    source.add_limit(2).add_limit(**limit)
    assert len(list(source.workflows)) == 6


@pytest.mark.usefixtures("runs")
def test_filters_and_maps_work_on_rows(harness: DltHarness) -> None:
    """Which the source yields on demand; Arrow tables are refused with that advice."""
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
def test_rows_and_arrow_tables_may_take_turns(harness: DltHarness, world: World) -> None:
    """They end in the same columns."""
    harness.open_pipeline().run(make_source(harness, yield_rows=True))
    expect_tables(world, harness)
    harness.open_pipeline().run(make_source(harness), refresh="drop_data")
    expect_tables(world, harness)


@pytest.mark.usefixtures("runs")
def test_a_look_needs_no_pipeline(harness: DltHarness) -> None:
    """Arrow tables, or rows."""
    tables = list(make_source(harness).workflows)
    assert sum(table.num_rows for table in tables) == 6
    assert all(isinstance(table, pa.Table) for table in tables)
    assert len({row["id"] for row in make_source(harness, yield_rows=True).workflows}) == 6


@pytest.mark.slow
def test_a_killed_backfill_goes_on_where_it_was(
    harness: DltHarness, world: World, runs: list[str], simulator: Simulator
) -> None:
    """What is loaded in packages is not fetched again."""
    harness.kill(KILLED, packages=1)
    pipeline = harness.open_pipeline()
    left = count_calls(
        simulator, lambda: run_in_packages(pipeline, make_source(harness)), "/metrics"
    )
    assert 0 < left < len(runs)
    expect_tables(world, harness)


@pytest.mark.slow
@pytest.mark.usefixtures("runs")
def test_a_killed_run_is_resumed_with_another_selection(harness: DltHarness, world: World) -> None:
    """The pending package is loaded first."""
    harness.kill("before:dlt.load.load:Load.complete_package:1", tables=("workflows", "labels"))
    run_in_packages(harness.open_pipeline(), make_source(harness))
    expect_tables(world, harness)


@pytest.mark.slow
def test_a_refused_run_leaves_nothing_behind(harness: DltHarness, world: World, lab: int) -> None:
    """The next one is as if it had not been."""
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
@pytest.mark.parametrize("seed", range(SEQUENCES))
def test_tables_equal_the_platform_after_any_sequence_of_gestures(
    tmp_path: Path, seed: int
) -> None:
    """Random ones; `make gestures` tries many more."""
    try_sequence(tmp_path, seed, 6)


def test_gestures_name_what_they_did(tmp_path: Path, endpoint: str, world: World) -> None:
    """A failure must be repeatable: the same seed does the same."""
    told = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        gestures = Gestures(tmp_path / name, endpoint, world, 7)
        for _ in range(5):
            gestures.change_world()
        told.append(gestures.done)
    assert told[0][:1] == told[1][:1] == ["seed 7"]

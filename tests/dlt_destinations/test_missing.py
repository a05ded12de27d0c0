"""Tables that were removed from the destination without dlt are refilled."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.destinations.test_semantics import add_run
from tests.dlt_destinations.test_gestures import count_calls, make_source
from tests.dlt_destinations.test_matrix import expect_tables, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.dlt_destinations.harness import DltHarness
    from tower_etl.simulator import Simulator, World

pytestmark = pytest.mark.filterwarnings("ignore:implicitly coercing SELECT")  # dlt's SQL
RUNS = ("workflows", "tasks", "process_metrics", "workflow_progress", "process_progress")
SELECTED = (*RUNS, "workflow_labels", "labels", "users", "sync_runs")
LAKES = ["filesystem Delta", "filesystem Iceberg"]
NAMES = ["duckdb", *LAKES]


@pytest.fixture
def runs(world: World, lab: int) -> list[str]:
    """Add three runs, two of them final, one of these with a label."""
    made = []
    for _ in range(3):
        made.append(add_run(world, lab))
        world.clock.advance(1)
    for run_id in made[1:]:
        world.finish_run(run_id)
    world.set_labels(made[1], [world.create_label(lab, "urgent")])
    return made


def lose(harness: DltHarness) -> None:
    """Remove the dataset from the destination."""
    (harness.place.folder / "history.duckdb").unlink(missing_ok=True)
    shutil.rmtree(harness.place.folder / "history", ignore_errors=True)


@pytest.mark.slow
@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize("name", NAMES)
def test_a_lost_dataset_is_refilled_by_separate_pipeline_steps(
    make_harness: Callable[[str], DltHarness], world: World, name: str
) -> None:
    """`pipeline.extract` does not look at the destination, unlike `pipeline.run`."""
    harness = make_harness(name)
    harness.run(tables=SELECTED)
    lose(harness)
    pipeline = harness.open_pipeline()
    pipeline.extract(make_source(harness, tables=SELECTED), **harness.kind.options)
    pipeline.normalize()
    pipeline.load()
    expect_tables(world, harness)


@pytest.mark.slow
@pytest.mark.usefixtures("runs")
def test_a_lost_dataset_is_refilled_if_dlt_does_not_restore_the_state(
    make_harness: Callable[[str], DltHarness], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables that the first run after the loss does not select are refilled by a later run."""
    monkeypatch.setenv("RESTORE_FROM_DESTINATION", "false")
    harness = make_harness("duckdb")
    harness.run(tables=SELECTED)
    lose(harness)
    harness.run(tables=["tasks"])
    harness.run(tables=SELECTED)
    expect_tables(world, harness)


@pytest.mark.slow
@pytest.mark.parametrize("name", LAKES)
def test_a_table_removed_from_a_lake_folder_is_refilled(
    make_harness: Callable[[str], DltHarness],
    world: World,
    runs: list[str],
    simulator: Simulator,
    name: str,
) -> None:
    """A table without rows does not count as removed, so it causes no calls."""
    harness = make_harness(name)
    harness.run(tables=SELECTED)
    again = count_calls(simulator, lambda: harness.run(tables=SELECTED), "/metrics")
    assert again == 1  # one run is open
    for table in ("tasks", "workflow_labels"):
        shutil.rmtree(harness.place.folder / "history" / "tower" / table)
    harness.run(tables=SELECTED)
    expect_tables(world, harness)
    assert len(runs) == len(harness.read("workflows"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["filesystem Parquet", "filesystem JSON lines"])
def test_a_table_removed_from_append_only_files_is_refilled(
    make_harness: Callable[[str], DltHarness], simulator: Simulator, runs: list[str], name: str
) -> None:
    """A table without rows may have no file and does not count as removed."""
    harness = make_harness(name)
    options = {"write_disposition": "append"}
    tables = (*SELECTED, "teams")
    harness.run(tables=tables, options=options)
    count_again = count_calls(simulator, lambda: harness.run(tables=tables, options=options))
    assert count_again < 10
    shutil.rmtree(harness.place.folder / "history" / "tower" / "tasks")
    harness.run(tables=tables, options=options)
    rows = list(harness.kind.read(harness.place, "tasks"))
    assert {row["workflow_id"] for row in rows} == set(runs)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["duckdb", *LAKES, "sqlalchemy SQLite"])
@pytest.mark.parametrize("by_steps", [False, True], ids=["run", "steps"])
def test_a_lost_working_folder_that_dlt_does_not_restore_changes_no_table(  # noqa: PLR0913 fixtures
    make_harness: Callable[[str], DltHarness],
    world: World,
    runs: list[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    *,
    by_steps: bool,
) -> None:
    """The destination is read by the schema that it stores: no version of an item is new.

    Separate steps are not restored either; the tables that they do not select stay known.
    """
    monkeypatch.setenv("RESTORE_FROM_DESTINATION", "false")
    (organization,) = world.organizations
    world.add_entity("members", organization, memberId=1, userName="ada", role="owner")
    harness = make_harness(name)
    tables = [*SELECTED, "members", "members_history"]
    harness.run(tables=tables)
    before = harness.read("members_history")
    shutil.rmtree(harness.place.folder / "pipelines")
    gone, *_ = runs
    kept = {table: rows_of(gone, harness, table) for table in (*RUNS, "workflow_labels")}
    world.delete_run(gone)
    if by_steps:
        pipeline = harness.open_pipeline()
        pipeline.extract(make_source(harness, tables=["tasks"]), **harness.kind.options)
        pipeline.normalize()
        pipeline.load()
    harness.run(tables=tables)
    assert harness.read("members_history") == before
    assert len(before) == 1
    expect_tables(world, harness, missing=kept)
    assert harness.read("workflows")[gone,]["missing_since"]

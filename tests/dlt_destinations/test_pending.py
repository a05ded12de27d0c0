"""Several extractions before a load: the destination lacks the rows of the first ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.destinations.test_semantics import add_run
from tests.dlt_destinations.test_gestures import make_source
from tests.dlt_destinations.test_matrix import expect_tables
from tests.dlt_destinations.test_refusals import refuse_after
from tower_etl.schema import HISTORY_TABLES, TABLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.dlt_destinations.depot import Depot
    from tower_etl.simulator import World

VERSIONED = tuple(HISTORY_TABLES)
RUNS = ("workflows", "tasks", "process_metrics", "workflow_progress", "process_progress")
SELECTED = (
    *(*RUNS, "workflow_labels", "labels", "users", "organizations", "sync_runs"),
    *(*VERSIONED, *(table.name for table in HISTORY_TABLES.values())),
)


@pytest.fixture
def clinic(world: World, lab: int) -> int:
    """A second workspace of the organisation, a run and a pipeline in each, and a member."""
    organization = next(iter(world.organizations))
    clinic = world.add_workspace(organization, "clinic")
    world.add_entity("members", organization, memberId=1, userName="ada", role="owner")
    for number, space in enumerate((lab, clinic)):
        add_run(world, space)
        world.add_entity("pipelines", space, pipelineId=number, workspaceId=space, name="rnaseq")
        world.clock.advance(1)
    return clinic


@pytest.fixture
def depot(make_depot: Callable[[str], Depot]) -> Depot:
    """An empty DuckDB file."""
    return make_depot("duckdb")


def expect_one_version_each(depot: Depot) -> None:
    """Check that each row has one version, which is open: nothing has changed."""
    assert depot.read("members")
    assert depot.read("pipelines")
    for name in VERSIONED:
        versions = depot.read(f"{name}_history").values()
        key = TABLES[name].key
        found = sorted(str([row[column] for column in key]) for row in versions)
        current = sorted(str([row[column] for column in key]) for row in depot.read(name).values())
        assert found == current, name
        assert all(row["valid_to"] is None for row in versions), name


@pytest.mark.slow
def test_two_sources_in_one_run_write_each_version_once(
    depot: Depot, world: World, lab: int, clinic: int
) -> None:
    """The workspaces of one organisation share its members and teams."""
    sources = [make_source(depot, tables=SELECTED, workspaces=[space]) for space in (lab, clinic)]
    depot.open_pipeline().run(sources)
    for reconcile in (False, True):
        depot.open_pipeline().run(make_source(depot, tables=SELECTED, reconcile=reconcile))
        expect_tables(world, depot)
        expect_one_version_each(depot)


@pytest.mark.slow
@pytest.mark.parametrize("is_normalized", [False, True])
def test_two_extractions_before_a_load_write_each_version_once(
    depot: Depot, world: World, clinic: int, *, is_normalized: bool
) -> None:
    """Whether dlt has normalised the first or not."""
    pipeline = depot.open_pipeline()
    pipeline.extract(make_source(depot, tables=SELECTED))
    if is_normalized:
        pipeline.normalize()
    add_run(world, clinic)
    pipeline.extract(make_source(depot, tables=SELECTED, reconcile=True))
    pipeline.normalize()
    pipeline.load()
    for reconcile in (False, True):
        pipeline.run(make_source(depot, tables=SELECTED, reconcile=reconcile))
        expect_tables(world, depot)
        expect_one_version_each(depot)


@pytest.mark.slow
@pytest.mark.usefixtures("clinic")
def test_a_history_table_alone_waits_for_the_load(depot: Depot) -> None:
    """Without its table."""
    pipeline = depot.open_pipeline()
    for _ in range(2):
        pipeline.extract(make_source(depot, tables=["pipelines_history"]))
    pipeline.normalize()
    pipeline.load()
    pipeline.run(make_source(depot, tables=["pipelines", "pipelines_history"]))
    assert len(depot.read("pipelines_history")) == len(depot.read("pipelines")) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [("duckdb", {"write_disposition": "replace"}), ("filesystem Delta", {"table_format": "delta"})],
)
@pytest.mark.usefixtures("clinic")
def test_a_second_source_for_unmerged_tables_is_refused(
    make_depot: Callable[[str], Depot], world: World, name: str, options: dict[str, Any]
) -> None:
    """Rows that both yield, such as users, would be there twice; other tables may follow."""
    depot = make_depot(name)
    both = [make_source(depot, workspaces=[space], tables=RUNS) for space in ("*/lab", "*/clinic")]
    said = refuse_after(lambda: depot.open_pipeline().run(both, **options))
    assert "already contains rows of" in said
    some = [make_source(depot, tables=[name]) for name in ("tasks", "labels")]
    depot.open_pipeline().run(some, **options)
    depot.open_pipeline().run(make_source(depot, tables=SELECTED), **depot.kind.options)
    expect_tables(world, depot)


@pytest.mark.slow
def test_an_item_that_changed_back_before_the_load_is_written_again(
    depot: Depot, world: World, clinic: int
) -> None:
    """It equals the stored row, but a row of its earlier change is pending."""
    pipeline = depot.open_pipeline()
    pipeline.run(make_source(depot, tables=["pipelines"]))
    (item,) = world.entities["pipelines"][clinic]
    for name in ("renamed", "rnaseq"):
        item["name"] = name
        pipeline.extract(make_source(depot, tables=["pipelines"], reconcile=True))
    pipeline.normalize()
    pipeline.load()
    assert {row["name"] for row in depot.read("pipelines").values()} == {"rnaseq"}

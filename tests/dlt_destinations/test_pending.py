"""Several extractions before a load: the destination lacks the rows of the earlier ones."""

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

    from tests.dlt_destinations.harness import DltHarness
    from tower_etl.simulator import World

VERSIONED = tuple(HISTORY_TABLES)
RUNS = ("workflows", "tasks", "process_metrics", "workflow_progress", "process_progress")
SELECTED = (
    *(*RUNS, "workflow_labels", "labels", "users", "organizations", "sync_runs"),
    *(*VERSIONED, *(table.name for table in HISTORY_TABLES.values())),
)


@pytest.fixture
def second_workspace(world: World, lab: int) -> int:
    """Add a second workspace to the organization, a run and a pipeline in each, and a member."""
    organization = next(iter(world.organizations))
    second_workspace = world.add_workspace(organization, "clinic")
    world.add_entity("members", organization, memberId=1, userName="ada", role="owner")
    for number, space in enumerate((lab, second_workspace)):
        add_run(world, space)
        world.add_entity("pipelines", space, pipelineId=number, workspaceId=space, name="rnaseq")
        world.clock.advance(1)
    return second_workspace


@pytest.fixture
def harness(make_harness: Callable[[str], DltHarness]) -> DltHarness:
    """Return a harness for an empty DuckDB file."""
    return make_harness("duckdb")


def expect_one_version_each(harness: DltHarness) -> None:
    """Check that each row has exactly one version, which is current."""
    assert harness.read("members")
    assert harness.read("pipelines")
    for name in VERSIONED:
        versions = harness.read(f"{name}_history").values()
        key = TABLES[name].key
        found = sorted(str([row[column] for column in key]) for row in versions)
        current = sorted(
            str([row[column] for column in key]) for row in harness.read(name).values()
        )
        assert found == current, name
        assert all(row["valid_to"] is None for row in versions), name


@pytest.mark.slow
def test_two_sources_in_one_run_write_each_history_version_once(
    harness: DltHarness, world: World, lab: int, second_workspace: int
) -> None:
    """Workspaces of one organization share its members and teams."""
    sources = [
        make_source(harness, tables=SELECTED, workspaces=[space])
        for space in (lab, second_workspace)
    ]
    harness.open_pipeline().run(sources)
    for reconcile in (False, True):
        harness.open_pipeline().run(make_source(harness, tables=SELECTED, reconcile=reconcile))
        expect_tables(world, harness)
        expect_one_version_each(harness)


@pytest.mark.slow
@pytest.mark.parametrize("is_normalized", [False, True])
def test_two_extractions_before_a_load_write_each_history_version_once(
    harness: DltHarness, world: World, second_workspace: int, *, is_normalized: bool
) -> None:
    """The second extraction starts before or after dlt has normalized the first."""
    pipeline = harness.open_pipeline()
    pipeline.extract(make_source(harness, tables=SELECTED))
    if is_normalized:
        pipeline.normalize()
    add_run(world, second_workspace)
    pipeline.extract(make_source(harness, tables=SELECTED, reconcile=True))
    pipeline.normalize()
    pipeline.load()
    for reconcile in (False, True):
        pipeline.run(make_source(harness, tables=SELECTED, reconcile=reconcile))
        expect_tables(world, harness)
        expect_one_version_each(harness)


@pytest.mark.slow
@pytest.mark.usefixtures("second_workspace")
def test_a_history_table_extracted_twice_before_a_load_has_no_duplicates(
    harness: DltHarness,
) -> None:
    """The history table is selected without the table whose versions it holds."""
    pipeline = harness.open_pipeline()
    for _ in range(2):
        pipeline.extract(make_source(harness, tables=["pipelines_history"]))
    pipeline.normalize()
    pipeline.load()
    pipeline.run(make_source(harness, tables=["pipelines", "pipelines_history"]))
    assert len(harness.read("pipelines_history")) == len(harness.read("pipelines")) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [("duckdb", {"write_disposition": "replace"}), ("filesystem Delta", {"table_format": "delta"})],
)
@pytest.mark.usefixtures("second_workspace")
def test_a_second_source_for_replaced_or_upserted_tables_is_refused(
    make_harness: Callable[[str], DltHarness], world: World, name: str, options: dict[str, Any]
) -> None:
    """Rows that both sources yield, such as users, would be duplicated.

    Sources that share no table are accepted.
    """
    harness = make_harness(name)
    both = [
        make_source(harness, workspaces=[space], tables=RUNS) for space in ("*/lab", "*/clinic")
    ]
    said = refuse_after(lambda: harness.open_pipeline().run(both, **options))
    assert "already contains rows of" in said
    some = [make_source(harness, tables=[name]) for name in ("tasks", "labels")]
    harness.open_pipeline().run(some, **options)
    harness.open_pipeline().run(make_source(harness, tables=SELECTED), **harness.kind.options)
    expect_tables(world, harness)


@pytest.mark.slow
def test_an_item_deleted_before_the_load_is_marked_by_the_next_run(
    harness: DltHarness, world: World, second_workspace: int
) -> None:
    """The second extraction no longer lists the item, and the destination does not hold it yet."""
    pipeline, tables = harness.open_pipeline(), (*SELECTED, "credentials")
    pipeline.run(make_source(harness, tables=tables))
    world.add_entity("credentials", second_workspace, id="new", name="new", provider="aws")
    pipeline.extract(make_source(harness, tables=tables, reconcile=True))
    world.clear_entities("credentials", second_workspace)
    pipeline.extract(make_source(harness, tables=tables, reconcile=True))
    pipeline.normalize()
    pipeline.load()
    pipeline.run(make_source(harness, tables=tables))
    assert all(row["missing_since"] for row in harness.read("credentials").values())
    assert harness.read("credentials")


@pytest.mark.slow
def test_an_item_changed_back_before_the_load_is_written_again(
    harness: DltHarness, world: World, second_workspace: int
) -> None:
    """The item equals its stored row, but a row with the intermediate value is pending."""
    pipeline = harness.open_pipeline()
    pipeline.run(make_source(harness, tables=["pipelines"]))
    (item,) = world.entities["pipelines"][second_workspace]
    for name in ("renamed", "rnaseq"):
        item["name"] = name
        pipeline.extract(make_source(harness, tables=["pipelines"], reconcile=True))
    pipeline.normalize()
    pipeline.load()
    assert {row["name"] for row in harness.read("pipelines").values()} == {"rnaseq"}

"""A load in several packages ends with the same tables as a load in one, also after a refresh."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dlt
import pytest

from tests.destinations.test_semantics import add_run
from tests.dlt_destinations.test_gestures import make_source
from tests.dlt_destinations.test_matrix import expect_tables
from tower_etl import run_in_packages
from tower_etl.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.dlt_destinations.harness import DltHarness
    from tower_etl.simulator import World

NAMES = ("workflows", "tasks", "process_metrics", "workflow_progress", "process_progress")
RUNS = (*NAMES, "workflow_labels", "labels", "sync_runs")


@pytest.fixture
def harness(make_harness: Callable[[str], DltHarness], world: World, lab: int) -> DltHarness:
    """Return a harness for a DuckDB file that holds three runs."""
    harness = make_harness("duckdb")
    for _ in range(3):
        add_run(world, lab)
        world.clock.advance(1)
    harness.run()
    return harness


@pytest.mark.slow
@pytest.mark.parametrize("disposition", ["replace", {"disposition": "replace"}])
def test_tables_with_hint_replace_are_replaced_by_the_first_package_only(
    harness: DltHarness, world: World, disposition: Any
) -> None:
    """The hints of the user's source do not change."""
    source = make_source(harness, tables=RUNS)
    for name in ("workflows", "tasks", "workflow_labels"):
        source.resources[name].apply_hints(write_disposition=disposition)
    loads = run_in_packages(harness.open_pipeline(), source, max_rows=1)
    assert len(loads) > 2
    expect_tables(world, harness)
    assert source.tasks.write_disposition == disposition


@pytest.mark.slow
def test_one_pipeline_keeps_several_datasets_complete(
    harness: DltHarness, world: World, lab: int
) -> None:
    """A change that was loaded into one dataset is still loaded into the others."""

    def count(name: str) -> int:
        with harness.open_pipeline().sql_client() as client:
            rows = client.execute_sql(f"SELECT count(*) FROM {name}.tasks")  # noqa: S608 - constant
        return int((rows or [])[0][0])

    for run in world.runs(lab):
        world.finish_run(run["id"])
    pipeline = harness.open_pipeline()
    pipeline.run(make_source(harness))
    run_in_packages(pipeline, make_source(harness), dataset_name="other")
    assert count("other") == count("tower") > 0
    add_run(world, lab)
    run_in_packages(harness.open_pipeline(), make_source(harness), dataset_name="other")
    assert count("other") > count("tower")
    harness.open_pipeline().run(make_source(harness))
    expect_tables(world, harness)
    for _ in range(2):  # dlt applies `dataset_name` only after the extraction
        harness.open_pipeline().run(make_source(harness), dataset_name="third")
    assert count("third") == count("other") == count("tower")


@pytest.mark.slow
def test_a_refresh_set_on_the_pipeline_applies_to_the_first_package_only(
    harness: DltHarness, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refresh is set by `dlt.pipeline(refresh=...)` or, as here, by dlt's configuration."""
    monkeypatch.setenv("REFRESH", "drop_data")
    pipeline = harness.open_pipeline()
    assert pipeline.refresh == "drop_data"
    loads = run_in_packages(pipeline, make_source(harness, tables=RUNS), max_rows=1)
    assert len(loads) > 2
    expect_tables(world, harness)
    assert pipeline.refresh == "drop_data"


@dlt.source
def make_other_source() -> Any:
    """Return a source of another project."""
    return dlt.resource([{"id": 1}], name="budgets")


@pytest.mark.parametrize(
    "make",
    [
        lambda source: [source, source],
        lambda source: source.tasks,
        lambda source: source.with_resources(),
        lambda _source: make_other_source(),
        lambda _source: [{"id": 1}],
        lambda _source: None,
    ],
)
def test_run_in_packages_refuses_data_other_than_one_tower_etl_source(
    make_harness: Callable[[str], DltHarness], make: Callable[[Any], Any]
) -> None:
    """Other data would be loaded in part only, or without end."""
    harness = make_harness("duckdb")
    with pytest.raises(ConfigurationError, match="loads one source"):
        run_in_packages(harness.open_pipeline(), make(make_source(harness)))


def test_a_source_without_a_selected_table_is_refused(
    make_harness: Callable[[str], DltHarness],
) -> None:
    """The argument `tables` may exclude every table."""
    harness = make_harness("duckdb")
    with pytest.raises(ConfigurationError, match="at least one selected table"):
        run_in_packages(harness.open_pipeline(), make_source(harness, tables=["!*"]))


@pytest.mark.parametrize(
    "limits", [{"max_rows": 0}, {"max_seconds": 0}, {"max_rows": -1}, {"max_seconds": float("nan")}]
)
def test_package_limits_that_are_not_positive_are_refused(
    make_harness: Callable[[str], DltHarness], limits: dict[str, Any]
) -> None:
    """A load in empty packages would never end."""
    harness = make_harness("duckdb")
    with pytest.raises(ConfigurationError, match="would hold nothing"):
        run_in_packages(harness.open_pipeline(), make_source(harness), **limits)

"""Unsupported arguments and destinations are refused before the first call, with an alternative."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pymysql
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed

from tests.destinations.test_semantics import add_run
from tests.dlt_destinations.mariadb import HOST
from tests.dlt_destinations.test_gestures import make_source
from tests.dlt_destinations.test_matrix import expect_tables
from tower_etl import tower_source
from tower_etl.config.settings import HttpSettings
from tower_etl.errors import ConfigurationError
from tower_etl.simulator import DEMO_TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.dlt_destinations.harness import DltHarness
    from tower_etl.simulator import Simulator, World

pytestmark = pytest.mark.filterwarnings("ignore:implicitly coercing SELECT")  # dlt's SQL
FILES = ["filesystem Parquet", "filesystem JSON lines"]
SHARED = ["duckdb", "postgres", "sqlalchemy SQLite", "filesystem Delta"]


def refuse(simulator: Simulator, run: Callable[[], object]) -> str:
    """Run a function that must be refused before the first call; return the message."""
    simulator.log.clear()
    said = refuse_after(run)
    assert simulator.calls == []
    return said


def refuse_after(run: Callable[[], object]) -> str:
    """Run a function that must be refused, possibly after calls; return the message."""
    with pytest.raises(PipelineStepFailed) as caught:
        run()
    cause: BaseException | None = caught.value
    while cause and not isinstance(cause, ConfigurationError):
        cause = cause.__cause__
    return str(cause)


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_plain_file_formats_are_refused_unless_rows_are_appended(
    name: str,
    make_harness: Callable[[str], DltHarness],
    simulator: Simulator,
    world: World,
    lab: int,
) -> None:
    """The refused run leaves nothing pending: the same pipeline then runs with `append`."""
    harness = make_harness(name)
    first = add_run(world, lab)
    said = refuse(simulator, harness.run)
    assert "table_format='delta' or 'iceberg'" in said
    assert "write_disposition='append'" in said
    harness.run(options={"write_disposition": "append"})
    world.finish_run(first)
    harness.run(options={"write_disposition": "append"})
    rows = harness.kind.read(harness.place, "workflows")
    assert [row["status"] for row in rows] == ["RUNNING", "SUCCEEDED"]


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["upsert", "scd2", "insert-only"])
def test_inexact_merge_strategies_are_refused(
    strategy: str,
    make_harness: Callable[[str], DltHarness],
    simulator: Simulator,
    world: World,
    lab: int,
) -> None:
    """With scd2, a load package would remain that fails in every later run."""
    harness = make_harness("duckdb")
    add_run(world, lab)
    asked: Any = {"write_disposition": {"disposition": "merge", "strategy": strategy}}
    assert repr(strategy) in refuse(simulator, lambda: harness.run(options=asked))
    harness.run()
    expect_tables(world, harness)


@pytest.mark.parametrize(
    ("gesture", "told"),
    [
        (lambda pipeline, source: pipeline.run(source, table_name="jobs"), "of another name"),
        (lambda pipeline, source: pipeline.run(source.tasks, table_name="jobs"), "of another name"),
        (lambda pipeline, source: pipeline.run(source.tasks.with_name("jobs")), "of another name"),
        (
            lambda pipeline, source: pipeline.run(hint(source, table_name="jobs")),
            "tasks cannot be loaded into a table of another name",
        ),
        (
            lambda pipeline, source: pipeline.run(hint(source, table_name=lambda row: row["id"])),
            "tasks cannot be loaded into a table of another name",
        ),
        (lambda pipeline, source: pipeline.run(source, primary_key="id"), "primary_key='id'"),
        (lambda pipeline, source: pipeline.run(hint(source, merge_key="id")), "merge_key='id'"),
    ],
)
def test_hints_that_change_a_table_name_or_key_are_refused(
    make_harness: Callable[[str], DltHarness],
    simulator: Simulator,
    gesture: Callable[[Any, Any], None],
    told: str,
) -> None:
    """With such hints, the next sync would not find the stored rows or would lose some."""
    pipeline = make_harness("duckdb").open_pipeline()
    source = make_source(make_harness("duckdb"), tables=["tasks", "labels"])
    assert told in refuse(simulator, lambda: gesture(pipeline, source))


def hint(source: Any, **hints: Any) -> Any:
    """Return the source with hints applied to the table `tasks`."""
    source.tasks.apply_hints(**hints)
    return source


def test_hints_that_equal_the_table_name_and_key_are_accepted(
    make_harness: Callable[[str], DltHarness], world: World, lab: int
) -> None:
    """A key of one column may be a string instead of a list."""
    harness = make_harness("duckdb")
    run_id = add_run(world, lab)
    source = make_source(harness, tables=["workflows"])
    source.workflows.apply_hints(table_name="workflows", primary_key="id")
    harness.open_pipeline().run(source)
    assert set(harness.read("workflows")) == {(run_id,)}


@pytest.mark.slow
@pytest.mark.parametrize("name", SHARED)
def test_a_second_pipeline_into_the_same_dataset_is_refused(
    name: str,
    make_harness: Callable[[str], DltHarness],
    simulator: Simulator,
    world: World,
    lab: int,
) -> None:
    """The message names the first pipeline, which continues to work."""
    harness = make_harness(name)
    add_run(world, lab)
    harness.run()
    said = refuse(simulator, lambda: harness.run(name="other"))
    assert "pipeline_name='history', or another dataset_name" in said
    add_run(world, lab)
    harness.run()
    expect_tables(world, harness)


def test_a_pipeline_of_another_source_may_share_the_dataset(
    make_harness: Callable[[str], DltHarness], world: World, lab: int
) -> None:
    """Its table may even have the name of one of the source's tables, such as `users`."""
    harness = make_harness("duckdb")
    harness.open_pipeline("invoices").run([{"id": 1}], table_name="users")
    run_id = add_run(world, lab)
    harness.run(tables=("workflows",))
    assert set(harness.read("workflows")) == {(run_id,)}


def test_mariadb_text_columns_limited_to_64_kb_are_refused(
    make_harness: Callable[[str], DltHarness], simulator: Simulator, lab: int
) -> None:
    """Another pipeline or an older version may have created them. The message names the fix."""
    harness = make_harness("sqlalchemy MariaDB")
    with pymysql.connect(host=HOST, port=int(harness.place.server), user="root") as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE DATABASE tower")
        cursor.execute("CREATE TABLE tower._dlt_version (`schema` TEXT)")
    said = refuse(simulator, harness.run)
    assert "tower._dlt_version.schema holds 65,535 bytes only" in said
    assert "LONGTEXT" in said


def test_a_second_source_name_in_one_dataset_is_refused(
    make_harness: Callable[[str], DltHarness], world: World, lab: int
) -> None:
    """It would be another dlt schema, which does not know the stored versions."""
    harness = make_harness("duckdb")
    add_run(world, lab)
    harness.run()
    second = tower_source.clone(name="second")(
        endpoint=harness.endpoint, access_token=DEMO_TOKEN, http_settings=HttpSettings(None)
    )
    said = refuse_after(lambda: harness.open_pipeline().run(second))
    assert "tables of the source 'tower', and a source named 'second'" in said
    expect_tables(world, harness)


def test_a_schema_contract_that_discards_tables_is_refused(
    make_harness: Callable[[str], DltHarness], world: World, lab: int
) -> None:
    harness = make_harness("duckdb")
    add_run(world, lab)
    contracts: tuple[Any, ...] = ("discard_row", {"tables": "discard_value"})
    for contract in contracts:
        said = refuse_after(partial(harness.run, options={"schema_contract": contract}))
        assert "expected 'evolve' or 'freeze'" in said
    harness.run()
    expect_tables(world, harness)


@pytest.mark.parametrize("name", FILES)
def test_packages_do_not_replace_tables_that_cannot_be_merged(
    name: str, make_harness: Callable[[str], DltHarness], world: World, lab: int
) -> None:
    """The tables keep the rows of the replacement in one package."""
    harness = make_harness(name)
    add_run(world, lab)
    replacing = {"write_disposition": "replace"}
    harness.run(options=replacing)
    with pytest.raises(ConfigurationError, match="Replace them in one package"):
        harness.run(packages=1, options=replacing)
    assert len(harness.read("workflows")) == 1

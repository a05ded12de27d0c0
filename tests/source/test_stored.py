"""What the destination holds, read through dlt: in part, late, or not there at all."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import dlt
import duckdb
import pyarrow as pa
import pytest

from tower_etl.extract.destination_readers import convert
from tower_etl.extract.destination_state import DltDestinationState
from tower_etl.schema import TABLES, label_links

if TYPE_CHECKING:
    from pathlib import Path

MOMENT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dlt.Pipeline:
    """A pipeline into an empty DuckDB file."""
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    return dlt.pipeline(
        "history",
        destination=dlt.destinations.duckdb(str(tmp_path / "history.duckdb")),
        dataset_name="tower",
        pipelines_dir=str(tmp_path / "pipelines"),
    )


def load(pipeline: dlt.Pipeline, **tables: pa.Table) -> None:
    """Load some tables as the source does."""

    @dlt.source(name="tower")
    def tower() -> Any:
        for name, rows in tables.items():
            yield dlt.resource([rows], name=name)

    pipeline.run(tower(), loader_file_format="parquet")


def make_runs(workspace_id: int | None, *run_ids: str) -> pa.Table:
    """Rows of `workflows`."""
    runs = [{"id": run_id, "submit": "2026-03-01T12:00:00Z"} for run_id in run_ids]
    return TABLES["workflows"].build(runs, workspace_id=workspace_id, starred=True)


def test_without_a_pipeline_nothing_is_stored() -> None:
    """As where a resource is iterated for a look."""
    store = DltDestinationState(None)
    assert store.runs(1) == {}
    assert store.read_table("workflows") == []
    assert store.run_rows(["a"]).schema == TABLES["workflows"].arrow_schema


def test_before_the_first_load_nothing_is_stored(pipeline: dlt.Pipeline, tmp_path: Path) -> None:
    """And nothing is asked: not even the file is made."""
    store = DltDestinationState(pipeline)
    assert store.runs(None) == {}
    assert store.read_table("users", ("id",)) == []
    assert not (tmp_path / "history.duckdb").exists()


def test_runs_are_read_by_workspace(pipeline: dlt.Pipeline) -> None:
    """The personal one has no id; links belong to their runs."""
    links = label_links([{"id": 7}], workflow_id="a", workspace_id=1)
    runs = pa.concat_tables([make_runs(1, "a", "b"), make_runs(None, "c")])
    load(pipeline, workflows=runs, workflow_labels=links)
    store = DltDestinationState(pipeline)
    found = store.runs(1)
    assert set(found) == {"a", "b"}
    assert (found["a"].label_ids, found["b"].label_ids) == (frozenset({7}), frozenset())
    assert (found["a"].submit, found["a"].starred) == (MOMENT, True)
    assert set(store.runs(None)) == {"c"}
    assert store.run_rows(["b", "c"])["id"].to_pylist() == ["b", "c"]


def test_many_runs_are_read_in_several_queries(pipeline: dlt.Pipeline) -> None:
    """More than databases take as parameters."""
    ids = [f"run{number}" for number in range(1_234)]
    load(pipeline, workflows=make_runs(1, *ids))
    assert set(DltDestinationState(pipeline).run_rows(ids)["id"].to_pylist()) == set(ids)


def test_launches_that_have_a_row_are_found(pipeline: dlt.Pipeline) -> None:
    """By the runs that name them."""
    named = [{"id": "a", "launchId": "one"}, {"id": "b", "launchId": "two"}, {"id": "c"}]
    runs = TABLES["workflows"].build(named, workspace_id=1)
    launches = TABLES["launches"].build([{"id": "one"}], workspace_id=1)
    load(pipeline, workflows=runs, launches=launches)
    assert DltDestinationState(pipeline).find_launches(["a", "b", "c"]) == {"one"}


def test_a_table_that_was_dropped_is_empty(pipeline: dlt.Pipeline, tmp_path: Path) -> None:
    """By hand, where dlt does not know of it."""
    load(pipeline, workflows=make_runs(1, "a"), users=TABLES["users"].build([{"id": 5}]))
    with duckdb.connect(str(tmp_path / "history.duckdb")) as connection:
        connection.execute("DROP TABLE tower.users")
    store = DltDestinationState(pipeline)
    assert store.read_table("users") == []
    assert set(store.runs(1)) == {"a"}


def test_a_table_that_the_load_empties_is_empty(pipeline: dlt.Pipeline) -> None:
    """Although it holds its rows until then."""
    load(pipeline, workflows=make_runs(1, "a"))
    store = DltDestinationState(pipeline)
    store.empty({"workflows"})
    assert store.runs(1) == {}


def test_a_column_that_came_later_is_null(pipeline: dlt.Pipeline) -> None:
    """An older version did not write it."""
    load(pipeline, workflows=make_runs(1, "a").drop_columns(["starred", "params"]))
    store = DltDestinationState(pipeline)
    assert store.runs(1)["a"].starred is None
    (row,) = store.run_rows(["a"]).to_pylist()
    assert (row["id"], row["params"]) == ("a", None)


def test_a_promoted_column_is_read_and_kept(pipeline: dlt.Pipeline) -> None:
    """A row is replaced whole."""
    runs = make_runs(1, "a").append_column("params__genome", pa.array(["GRCh38"]))
    load(pipeline, workflows=runs)
    assert DltDestinationState(pipeline).run_rows(["a"])["params__genome"].to_pylist() == ["GRCh38"]


def test_tables_of_another_schema_are_read_by_its_name(pipeline: dlt.Pipeline) -> None:
    """A resource that is run alone has the schema of the pipeline."""
    pipeline.run(dlt.resource([make_runs(1, "a")], name="workflows"), loader_file_format="parquet")
    assert DltDestinationState(pipeline).runs(1) == {}
    assert set(DltDestinationState(pipeline, "history").runs(1)) == {"a"}


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        (pa.timestamp("us", "UTC"), "2026-03-01 12:00:00.000000", MOMENT),
        (pa.timestamp("us", "UTC"), MOMENT.replace(tzinfo=None), MOMENT),
        (pa.timestamp("us", "UTC"), MOMENT, MOMENT),
        (pa.bool_(), 0, False),
        (pa.int64(), Decimal(5), 5),
        (pa.float64(), Decimal("0.5"), 0.5),
        (pa.string(), {"a": [1]}, '{"a":[1]}'),
        (pa.string(), b"text", "text"),
    ],
)
def test_values_of_any_database_are_those_of_the_column(
    kind: pa.DataType, given: object, expected: object
) -> None:
    """SQLite, MySQL, those with decimals for integers, and those with objects for JSON."""
    assert convert([given, None], kind) == [expected, None]

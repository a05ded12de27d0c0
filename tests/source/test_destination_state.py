"""The destination state, read through dlt: complete, partial, outdated or absent."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import dlt
import duckdb
import pyarrow as pa
import pytest

from tower_etl.extract.destination_state import DestinationState, convert
from tower_etl.schema import TABLES, label_links

if TYPE_CHECKING:
    from pathlib import Path

MOMENT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dlt.Pipeline:
    """Return a pipeline into an empty DuckDB file."""
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    return dlt.pipeline(
        "history",
        destination=dlt.destinations.duckdb(str(tmp_path / "history.duckdb")),
        dataset_name="tower",
        pipelines_dir=str(tmp_path / "pipelines"),
    )


def load(pipeline: dlt.Pipeline, **tables: pa.Table) -> None:
    """Load tables as the source does."""

    @dlt.source(name="tower")
    def tower() -> Any:
        for name, rows in tables.items():
            yield dlt.resource([rows], name=name)

    pipeline.run(tower(), loader_file_format="parquet")


def make_runs(workspace_id: int | None, *run_ids: str) -> pa.Table:
    """Return rows of `workflows`."""
    runs = [{"id": run_id, "submit": "2026-03-01T12:00:00Z"} for run_id in run_ids]
    return TABLES["workflows"].build(runs, workspace_id=workspace_id, starred=True)


def test_the_destination_state_is_empty_without_a_pipeline() -> None:
    """A resource that is iterated directly has no pipeline."""
    store = DestinationState(None)
    assert store.runs(1) == {}
    assert store.read_table("workflows") == []
    assert store.run_rows(["a"]).schema == TABLES["workflows"].arrow_schema


def test_the_destination_state_is_empty_before_the_first_load(pipeline: dlt.Pipeline) -> None:
    store = DestinationState(pipeline)
    assert store.schema is None
    assert store.runs(None) == {}
    assert store.read_table("users", ("id",)) == []


def test_the_client_makes_no_query_before_the_first_load(
    pipeline: dlt.Pipeline, tmp_path: Path
) -> None:
    """Destinations are checked before the first query, and the DuckDB file is not created."""
    assert DestinationState(pipeline).client.capabilities.sqlglot_dialect == "duckdb"
    assert not (tmp_path / "history.duckdb").exists()


def test_the_tables_are_read_by_the_stored_schema_without_a_working_folder(
    pipeline: dlt.Pipeline,
) -> None:
    load(pipeline, workflows=make_runs(1, "a"))
    pipeline.drop()
    assert set(DestinationState(pipeline).runs(1)) == {"a"}


def test_runs_are_read_by_workspace(pipeline: dlt.Pipeline) -> None:
    """The personal workspace has no id. Each run has the label ids of its own links."""
    links = label_links([{"id": 7}], workflow_id="a", workspace_id=1)
    runs = pa.concat_tables([make_runs(1, "a", "b"), make_runs(None, "c")])
    load(pipeline, workflows=runs, workflow_labels=links)
    store = DestinationState(pipeline)
    found = store.runs(1)
    assert set(found) == {"a", "b"}
    assert (found["a"].label_ids, found["b"].label_ids) == (frozenset({7}), frozenset())
    assert (found["a"].submit, found["a"].starred) == (MOMENT, True)
    assert set(store.runs(None)) == {"c"}
    assert store.run_rows(["b", "c"])["id"].to_pylist() == ["b", "c"]


def test_many_runs_are_read_in_several_queries(pipeline: dlt.Pipeline) -> None:
    """Databases limit the number of parameters of a query."""
    ids = [f"run{number}" for number in range(1_234)]
    load(pipeline, workflows=make_runs(1, *ids))
    assert set(DestinationState(pipeline).run_rows(ids)["id"].to_pylist()) == set(ids)


def test_stored_launches_are_found_by_the_runs_that_name_them(pipeline: dlt.Pipeline) -> None:
    named = [{"id": "a", "launchId": "one"}, {"id": "b", "launchId": "two"}, {"id": "c"}]
    runs = TABLES["workflows"].build(named, workspace_id=1)
    launches = TABLES["launches"].build([{"id": "one"}], workspace_id=1)
    load(pipeline, workflows=runs, launches=launches)
    assert DestinationState(pipeline).find_launches(["a", "b", "c"]) == {"one"}


def test_a_table_dropped_in_the_database_is_read_as_empty(
    pipeline: dlt.Pipeline, tmp_path: Path
) -> None:
    """The drop is unknown to dlt."""
    load(pipeline, workflows=make_runs(1, "a"), users=TABLES["users"].build([{"id": 5}]))
    with duckdb.connect(str(tmp_path / "history.duckdb")) as connection:
        connection.execute("DROP TABLE tower.users")
    store = DestinationState(pipeline)
    assert store.read_table("users") == []
    assert set(store.runs(1)) == {"a"}


def test_a_table_that_the_load_will_empty_is_read_as_empty(pipeline: dlt.Pipeline) -> None:
    """The table still holds its rows."""
    load(pipeline, workflows=make_runs(1, "a"))
    store = DestinationState(pipeline)
    store.empty({"workflows"})
    assert store.runs(1) == {}


def test_a_column_missing_in_the_destination_is_null(pipeline: dlt.Pipeline) -> None:
    """An older version did not write the column."""
    load(pipeline, workflows=make_runs(1, "a").drop_columns(["starred", "params"]))
    store = DestinationState(pipeline)
    assert store.runs(1)["a"].starred is None
    (row,) = store.run_rows(["a"]).to_pylist()
    assert (row["id"], row["params"]) == ("a", None)


def test_a_promoted_column_is_read_from_the_destination(pipeline: dlt.Pipeline) -> None:
    """An in-place update replaces the whole row and would lose the column."""
    runs = make_runs(1, "a").append_column("params__genome", pa.array(["GRCh38"]))
    load(pipeline, workflows=runs)
    assert DestinationState(pipeline).run_rows(["a"])["params__genome"].to_pylist() == ["GRCh38"]


def test_tables_are_read_through_the_schema_of_the_given_name(pipeline: dlt.Pipeline) -> None:
    """A resource that is run alone has the schema of the pipeline."""
    pipeline.run(dlt.resource([make_runs(1, "a")], name="workflows"), loader_file_format="parquet")
    assert DestinationState(pipeline).runs(1) == {}
    assert set(DestinationState(pipeline, "history").runs(1)) == {"a"}


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
def test_values_of_any_database_are_converted_to_the_column_type(
    kind: pa.DataType, given: object, expected: object
) -> None:
    """Databases differ: SQLite has times as text, and others have decimals or JSON objects."""
    assert convert([given, None], kind) == [expected, None]

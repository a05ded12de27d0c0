"""The views on a real Spark, over synced folders: the same values as on DuckDB."""

from __future__ import annotations

import runpy
import shutil
import sys
from contextlib import redirect_stdout
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from deltalake import DeltaTable, TableFeatures
from pyarrow import parquet

from tests.destinations.harness import DestinationHarness
from tests.sql.test_dialects import (
    VIEWS,
    ask_all,
    list_differing_rows,
    make_odd_history,
    name_of,
)
from tower_etl.clock import Clock
from tower_etl.destinations.config import DestinationConfig
from tower_etl.schema import TABLES
from tower_etl.simulator import (
    NO_LIMIT,
    SimClock,
    Simulator,
    build_world,
    serve,
)
from tower_etl.views.dialects import iter_statements
from tower_etl.warehouse.reader import open_reader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import SparkSession

    from tests.sql.test_dialects import Rows
    from tower_etl.views.definitions import View

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning"),
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),  # by PySpark 4.0
]

Answers = tuple[dict[str, tuple[list[str], "Rows"]], str]

EXAMPLE = Path(__file__).parents[2] / "pipelines" / "on_spark.py"
ELSEWHERE = "Pacific/Auckland"  # half a day from UTC, so that months begin on other days
READ = sorted(frozenset[str]().union(*(view.sources for view in VIEWS)) & TABLES.keys())
# Faster with the same results: no compilation of queries that run once, on few rows.
QUICK = {
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.sql.shuffle.partitions": "2",
}


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """Start a session on two cores; skip the tests if PySpark or Java is not installed."""
    sql = pytest.importorskip(
        "pyspark.sql", reason="PySpark is not installed: pip install 'tower-etl[spark]'"
    )
    if shutil.which("java") is None:
        pytest.skip("Java is not installed: apt-get install openjdk-17-jre-headless")
    plain = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("warehouse")),
    }
    session = sql.SparkSession.builder.master("local[2]").config(map=plain | QUICK).getOrCreate()
    yield session
    session.stop()


@pytest.fixture(scope="module")
def lakes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sync a seeded world into the folders `parquet` and `delta`."""
    root = tmp_path_factory.mktemp("lakes")
    clock = SimClock()
    world = build_world(11, clock=clock, runs=60, days=10, mean_tasks=25)
    with serve(Simulator(world, limit=NO_LIMIT)) as endpoint:
        for kind in ("parquet", "delta"):
            place = DestinationConfig(kind, str(root / kind), root / "state")
            report = DestinationHarness(place, endpoint, Clock(now=clock.now)).sync()
            assert report.result.status == "ok"
    return root


@pytest.fixture(scope="module", params=["parquet", "delta", "odd"])
def answers(
    request: pytest.FixtureRequest, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Answers]:
    """Yield each view's rows on DuckDB and the output of the example.

    The example creates the views on Spark. For the odd history, the time zone of the session is far
    from UTC.
    """
    if request.param == "odd":
        folder, connection = tmp_path_factory.mktemp("odd"), make_odd_history().open()
        for name, rows in make_odd_history().tables.items():
            (folder / name).mkdir()
            parquet.write_table(rows, folder / name / "rows.parquet")
        spark.conf.set("spark.sql.session.timeZone", ELSEWHERE)
    else:
        folder = request.getfixturevalue("lakes") / request.param
        connection = open_reader(folder)
    with connection:
        here = ask_all(connection)
    yield here, run_example(folder)
    spark.conf.set("spark.sql.session.timeZone", "UTC")


def run_example(folder: Path) -> str:
    """Run the example, which uses the open session, and return its output."""
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as printed:
        patch.setattr(sys, "argv", [str(EXAMPLE), str(folder), "cost_by_pipeline"])
        runpy.run_path(str(EXAMPLE), run_name="__main__")
    return printed.getvalue()


def ask(spark: SparkSession, view: str) -> tuple[list[str], Rows]:
    """Return the columns and rows of a view."""
    found = spark.table(view).toArrow()
    return found.column_names, [tuple(row.values()) for row in found.to_pylist()]


def same(expected: object, found: object, slack: float) -> bool:
    """Tell whether Spark returned this value; sums of floats may differ in their last digits."""
    if isinstance(expected, bool) or not isinstance(expected, int | float):
        return found == expected and isinstance(found, datetime) is isinstance(expected, datetime)
    return isinstance(found, int | float) and found == pytest.approx(expected, rel=1e-9, abs=slack)


@pytest.mark.parametrize("view", VIEWS, ids=name_of)
def test_a_view_on_spark_equals_the_view_on_duckdb(
    spark: SparkSession, answers: Answers, view: View
) -> None:
    """Columns, rows, order and values are equal."""
    assert list_differing_rows(view, answers[0][view.name], ask(spark, view.name), same) == []


def test_printed_statements_create_permanent_views_on_spark(
    spark: SparkSession, lakes: Path
) -> None:
    """The statements are those of `tower-etl views --sql spark`; the tables are Parquet folders."""
    catalog = spark.newSession()  # without the temporary views
    for table in READ:
        folder = lakes / "parquet" / table
        catalog.sql(f"CREATE VIEW {table} AS SELECT * FROM parquet.`{folder}`")  # noqa: S608 trusted names
    for statement in iter_statements(VIEWS, "spark"):
        catalog.sql(statement)
    with open_reader(lakes / "parquet") as connection:
        expected = connection.sql("SELECT pipeline, runs FROM cost_by_pipeline").fetchall()
    found = catalog.table("cost_by_pipeline").select("pipeline", "runs").collect()
    assert [tuple(row) for row in found] == expected
    described = catalog.sql("DESCRIBE TABLE EXTENDED cost_by_pipeline").collect()
    said = {row["col_name"]: row["data_type"] for row in described}
    assert said["Comment"].startswith("Cost of the runs of each pipeline. Grain: pipeline")


def test_the_example_prints_the_requested_view(answers: Answers) -> None:
    assert "|pipeline" in answers[1]
    assert "|cost_usd" in answers[1]


def test_the_example_refuses_a_delta_table_with_deletion_vectors(
    spark: SparkSession, tmp_path: Path
) -> None:
    """The files of such a table contain rows that the table no longer has."""
    table = DeltaTable.create(tmp_path, pa.schema([("id", pa.string())]))
    table.alter.add_feature(TableFeatures.DeletionVectors, allow_protocol_versions_increase=True)
    with pytest.raises(NotImplementedError, match=tmp_path.name):
        runpy.run_path(str(EXAMPLE))["read_table"](spark, tmp_path)


def test_the_example_reads_an_empty_delta_table_with_its_columns(
    spark: SparkSession, tmp_path: Path
) -> None:
    DeltaTable.create(tmp_path, pa.schema([("id", pa.string())]))
    empty = runpy.run_path(str(EXAMPLE))["read_table"](spark, tmp_path)
    assert (empty.columns, empty.count()) == (["id"], 0)

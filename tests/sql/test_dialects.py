"""The views in other dialects: same values on a real PostgreSQL, and SQL that Spark can parse.

The views on a real Spark are tested in `test_spark.py`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
import sqlglot

from tests.sql.postgres import read_tables, start_postgres
from tests.sql.small import GIB, SmallHistory
from tower_etl.errors import ConfigurationError
from tower_etl.views.definitions import iter_views
from tower_etl.views.dialects import DIALECTS, iter_statements, translate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.sql.postgres import Postgres
    from tower_etl.views.definitions import View

VIEWS = list(iter_views())
CHECKS = list(iter_views("checks"))
Rows = list[tuple[Any, ...]]
Answer = tuple[list[str], Sequence[Sequence[Any]]]


def name_of(view: View) -> str:
    """Return the id of a view's test."""
    return view.name


def make_odd_history() -> SmallHistory:
    """Build a history with fractions of seconds, ties, nulls, and zeros in denominators."""
    odd = SmallHistory()
    odd.add_run("bare", submit=None, start=None, complete=None, projectName=None, userName=None)
    odd.add_run("late", submit="2026-02-28T23:59:59.999Z", complete="2026-03-01T00:00:00.005Z")
    odd.add_run("failed", status="FAILED", errorMessage="Process `A (x)` died\nat /a/b/c1 (137)")
    odd.name_label(1, "team", "it's")
    odd.add_label("late", 1)
    odd.add_label("late", 2)
    odd.add_task("late", submit="2026-03-01T00:00:00.001Z", start="2026-03-01T00:00:01.507Z")
    odd.add_task("late", realtime=0, cost=0.0, cpus=0, pcpu=0.0, memory=0, peakRss=0, rchar=0)
    odd.add_task("late", cost=None, cpus=None, pcpu=None, realtime=None, process=None, start=None)
    odd.add_task("late", status="CACHED", cost=4.0)
    odd.add_task("failed", status="FAILED", exit="-", errorMessage="in /w/3f/9c1a2b3c, 17 times")
    odd.add_task("failed", status=None, rchar=3 * GIB, wchar=7, readBytes=5, exit=None)
    odd.add_task("failed", priceModel="spot", numSpotInterruptions=2, complete=None)
    add_retries(odd)
    odd.name_label(3, "project", "b")
    odd.add_label("failed", 3)
    odd.add_task("failed", tag="s1", workdir="s3://b/work/3f/" + "9" * 30, queue="q", cost=0.3)
    odd.add_bill_line(run_id="FAILED", task_hash="3f" + "9" * 30, is_split=True, parent_id="i-1")
    odd.add_bill_line(run_id="failed", used_cost=0.1, unused_cost=0.2, is_split=True)
    odd.add_bill_line(run_id="gone", used_cost=1 / 3, usage_start=None)
    odd.add_bill_line(resource_id="i-1", resource_type="Compute Instance", used_cost=9.0)
    odd.add_bill_line(compute_env="Q", used_cost=0.7, machine_type="m5.large")
    odd.add_bill_line(compute_env="nowhere", used_cost=0.7, currency="EUR")
    return odd


def add_retries(odd: SmallHistory) -> None:
    """Add a lost spot machine, a grown request, a task without memory, a GPU, a resumed run."""
    lost: dict[str, Any] = {"status": "FAILED", "priceModel": "spot", "exit": "143"}
    odd.add_run(
        "resumed", sessionId="s", resume=True, revision="2.0", submit="2026-03-02T00:00:00Z"
    )
    odd.add_run("before", sessionId="s", status="CANCELLED", revision="2.0")
    odd.add_task("before", hash="ab/1", cost=0.25)
    odd.add_task("resumed", hash="ab/1", cost=0.25, status="CACHED")
    odd.add_task("resumed", errorAction="RETRY", realtime=10, **lost)
    odd.add_task("resumed", attempt=2, cpus=4, memory=16 * GIB, pcpu=123.4, machineType="x9.big")
    odd.add_task("resumed", attempt=2, name="other", memory=None, machineType="C9Z.metal", cost=0.1)
    gpu = {"name": "T4", "pct": 33.3, "peak": 120.0, "mem": 16384, "peak_mem_used": 77}
    odd.add_task("resumed", machineType="G5.xlarge", gpuMetrics=gpu, queue="TowerForge-ce1-work")
    odd.add_compute_env("ce1", name="spot", platform="aws-batch")
    odd.add_progress("resumed", cost=None)


def ask_all(connection: duckdb.DuckDBPyConnection) -> dict[str, tuple[list[str], Rows]]:
    """Return the columns and rows of each view."""
    relations = {view.name: connection.sql(f'FROM "{view.name}"') for view in VIEWS}
    return {name: (rel.columns, rel.fetchall()) for name, rel in relations.items()}


Answers = tuple[dict[str, tuple[list[str], Rows]], dict[str, list[list[str]]], "list[str]"]


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """Start a PostgreSQL server."""
    with start_postgres() as server:
        yield server


@pytest.fixture(scope="module", params=["odd", "seeded"])
def answers(request: pytest.FixtureRequest, postgres: Postgres) -> Answers:
    """Query every view in DuckDB and PostgreSQL, and every check in PostgreSQL.

    The third element has the names of the checks that returned a row.
    """
    if request.param == "odd":
        connection = make_odd_history().open()
    else:
        connection = duckdb.connect(request.getfixturevalue("seeded"), read_only=True)
        connection.execute("USE tower.tower")
    with connection:
        here, tables = ask_all(connection), read_tables(connection)
    postgres.run("DROP SCHEMA public CASCADE;\nCREATE SCHEMA public;\n")
    postgres.fill(tables)
    script = "".join(f"{statement};\n" for statement in iter_statements(VIEWS, "postgres"))
    postgres.run(f"BEGIN;\n{script}COMMIT;\n")
    postgres.run(script)  # as every sync does
    there = postgres.ask(view.name for view in VIEWS)
    broken = [check.name for check in CHECKS if postgres.run(f"\\t\n{_check(check)};\n").strip()]
    return here, there, broken


def _check(check: View) -> str:
    return translate(check.sql, "postgres")


def same(expected: object, cell: str, slack: float) -> bool:
    """Tell whether PostgreSQL wrote this value; sums of floats may differ in their last digits."""
    if expected is None or isinstance(expected, str):
        return cell == (expected or "")
    if isinstance(expected, bool):
        return cell == ("t" if expected else "f")
    if isinstance(expected, datetime):
        return datetime.fromisoformat(cell) == expected
    if isinstance(expected, date):
        return cell == expected.isoformat()
    assert isinstance(expected, int | float)
    return cell != "" and float(cell) == pytest.approx(expected, rel=1e-9, abs=slack)


def find_tolerance(view: View, column: str) -> float:
    """Return how far a rounded column may be off: a half may be rounded up or down."""
    rounded = re.search(rf",\s*([0-9])\s*\) AS {column}\b", view.sql)
    return 1.01 * 10 ** -int(rounded[1]) if rounded else 1e-9


@pytest.mark.parametrize("view", VIEWS, ids=name_of)
def test_a_view_on_postgresql_equals_the_view_on_duckdb(answers: Answers, view: View) -> None:
    """Columns, rows, order and values are equal."""
    here, there, _ = answers
    header, *cells = there[view.name]
    assert list_differing_rows(view, here[view.name], (header, cells), same) == []


def list_differing_rows(
    view: View, expected: Answer, found: Answer, same: Callable[[Any, Any, float], bool]
) -> list[tuple[str, object, object]]:
    """Return column and values where two results differ according to `same`, within rounding."""
    (columns, rows), (header, others) = expected, found
    assert header == columns
    assert len(others) == len(rows)
    if view.kind == "staging":  # staging views have no defined order
        rows, others = sorted(rows, key=identify), sorted(others, key=identify)
    return [
        (column, value, other)
        for row, there in zip(rows, others, strict=True)
        for column, value, other in zip(columns, row, there, strict=True)
        if not same(value, other, find_tolerance(view, column))
    ]


def identify(row: Sequence[object]) -> list[str]:
    """Return the first columns, which identify a row of a staging view."""
    return [str(value) for value in row[:3]]


def test_checks_return_no_rows_on_postgresql(answers: Answers) -> None:
    assert answers[2] == []


@pytest.mark.parametrize("view", [*VIEWS, *CHECKS], ids=name_of)
def test_translated_views_parse_as_spark_sql(view: View) -> None:
    """No function remains that Spark lacks or that has another meaning there."""
    spoken = translate(view.sql, "spark")
    sqlglot.parse_one(spoken, read="spark")
    for word in ("EPOCH_MS", "TIMESTAMP_MILLIS", "PERCENTILE_APPROX", "PERCENTILE_CONT", "::"):
        assert word not in spoken.upper()
    assert "FROM_UNIXTIME" not in spoken.upper()  # depends on the session's time zone


@pytest.mark.parametrize("dialect", DIALECTS)
def test_statements_create_each_view_with_its_comments(dialect: str) -> None:
    statements = list(iter_statements(VIEWS, dialect))
    columns = sum(len(view.docs.columns) for view in VIEWS)
    said = "Cost, hours and outcome of each run. Grain: "
    if dialect == "spark":  # Spark takes column comments only at creation
        assert len(statements) == 2 * len(VIEWS)
        comment = f"ALTER VIEW run_costs SET TBLPROPERTIES ('comment' = '{said}"
    else:
        assert len(statements) == 2 * len(VIEWS) + columns
        comment = f"COMMENT ON VIEW run_costs IS '{said}"
        of_column = 'COMMENT ON COLUMN run_costs."cost_usd" IS \'Cost without CACHED tasks'
        assert any(statement.startswith(of_column) for statement in statements)
    assert any(statement.startswith(comment) for statement in statements)


def test_an_unknown_dialect_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=", ".join(DIALECTS)):
        translate("SELECT 1", "oracle")

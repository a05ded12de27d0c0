"""Marts by name: run filters, output formats, and errors."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from pyarrow import parquet

from tests.cli.console import TOWER_ETL, make_console
from tower_etl.views.definitions import iter_views

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.console import Console

Row = dict[str, Any]


def ask(console: Console, *args: str) -> list[Row]:
    """Return the rows that `query` prints for these arguments."""
    ended = console.run("query", *args, "--format", "json")
    assert (ended.code, ended.err) == (0, "")
    rows: list[Row] = ended.json
    return rows


@pytest.mark.slow
def test_every_mart_is_listed_with_its_description(console: Console) -> None:
    """`query` alone prints the same list as `--list`; no target is needed."""
    listed = ask(console, "--list")
    assert listed == ask(console)
    assert listed == sorted(
        ({"name": view.name, "answers": view.description} for view in iter_views("marts")),
        key=lambda row: row["name"],
    )


@pytest.mark.slow
def test_a_mart_is_filtered_by_pipeline(synced: Console) -> None:
    """Names match regardless of case; patterns are accepted."""
    rows = ask(synced, "cost_by_pipeline")
    assert len(rows) > 2
    assert ask(synced, "cost_by_pipeline", "--pipeline", rows[1]["pipeline"]) == rows[1:2]
    first, second = (row["pipeline"] for row in rows[:2])
    both = ask(synced, "cost_by_pipeline", "--pipeline", first.upper(), "--pipeline", second)
    assert both == rows[:2]
    assert ask(synced, "cost_by_pipeline", "--pipeline", "*") == rows


@pytest.mark.slow
def test_a_mart_is_filtered_by_workspace(synced: Console) -> None:
    """Names match regardless of case; ids and patterns are accepted."""
    rows = ask(synced, "cost_by_workspace")
    first = rows[0]["workspace"]
    assert ask(synced, "cost_by_workspace", "--workspace", first.upper()) == rows[:1]
    named = [row for row in rows if row["workspace_id"] is not None]
    workspace_id = str(named[0]["workspace_id"])
    assert ask(synced, "cost_by_workspace", "--workspace", workspace_id) == named[:1]
    assert ask(synced, "cost_by_workspace", "--workspace", "*/*") == named


@pytest.mark.slow
def test_a_mart_is_filtered_by_submission_time(synced: Console) -> None:
    """`--since` is inclusive and `--until` is exclusive, so adjacent periods do not overlap."""
    runs = ask(synced, "run_costs")
    middle = runs[len(runs) // 2]["submitted_at"]
    after = ask(synced, "run_costs", "--since", middle)
    before = ask(synced, "run_costs", "--until", middle)
    assert after + before == runs
    assert after[-1]["submitted_at"] == middle
    assert ask(synced, "failure_reasons", "--until", "1999-12-31") == []


@pytest.mark.slow
def test_combined_filters_apply_to_runs_tasks_and_labels(synced: Console) -> None:
    run = ask(synced, "run_costs")[3]
    scope = ("--pipeline", run["pipeline"], "--workspace", run["workspace"])
    left = ask(synced, "run_costs", *scope, "--until", run["submitted_at"])
    tasks = sum(row["tasks"] - row["cached_tasks"] for row in left)
    counted = ask(synced, "cost_by_process", *scope, "--until", run["submitted_at"])
    assert 0 < sum(row["tasks"] for row in counted) == tasks
    shares = ask(synced, "cost_by_label", *scope, "--until", run["submitted_at"])
    cost = sum(row["cost_usd"] or 0 for row in left)
    assert sum(row["share_usd"] or 0 for row in shares) == pytest.approx(cost, abs=1e-4)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("cost_by_user", "--pipeline", "nf-core/nothing"), "No run has the pipeline"),
        (("cost_by_user", "--workspace", "acme/it's"), "No run has the workspace"),
        (("cost_by_user", "--since", "yesterday"), "--since 'yesterday': expected an ISO 8601"),
        (("SELECT 1 AS a", "--since", "2026-01-01"), "WHERE"),
        (("workflows", "--pipeline", "x"), "WHERE"),
        (("cost_by_moon",), "cost_by_month"),
        (("--list", "--format", "parquet"), "not available as Parquet"),
    ],
)
def test_an_unusable_name_filter_or_format_exits_with_2(
    synced: Console, args: tuple[str, ...], said: str
) -> None:
    """The message lists the valid values or names the clause of SQL to use."""
    ended = synced.run("query", *args)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err


@pytest.mark.parametrize("name", ["workflows", "stg_tasks", "labels"])
def test_tables_and_staging_views_are_queried_by_name(synced: Console, name: str) -> None:
    assert ask(synced, name) != []


@pytest.mark.slow
def test_parquet_on_stdout_has_the_rows_with_types(synced: Console, tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    with path.open("wb") as file:
        subprocess.run(
            [TOWER_ETL, "query", "run_costs", "--format", "parquet"],
            cwd=synced.folder,
            env=synced.environ(),
            stdout=file,
            check=True,
        )
    rows = parquet.read_table(path)
    assert [str(field.type) for field in rows.schema][7:10] == [
        "timestamp[us, tz=UTC]",
        "timestamp[us, tz=UTC]",
        "double",
    ]
    expected = [row["cost_usd"] for row in ask(synced, "run_costs")]
    assert rows.column("cost_usd").to_pylist() == expected


def test_markdown_escapes_bars_and_line_breaks(synced: Console) -> None:
    """Numbers are aligned to the right."""
    sql = "SELECT 1234 AS calls, 'a|b' || chr(10) || 'c' AS text, NULL AS nothing"
    assert synced.run("query", sql, "--format", "markdown").out == (
        "| calls | text | nothing |\n| ---: | --- | --- |\n| 1,234 | a\\|b c |  |\n"
    )


def test_a_mart_that_an_older_file_lacks_is_queried(synced: Console, tmp_path: Path) -> None:
    """The view is created for the query only, and the file is not changed."""
    console = make_console(tmp_path)
    copy = console.folder / "old.duckdb"
    copy.write_bytes((synced.folder / "runs.duckdb").read_bytes())
    with duckdb.connect(str(copy)) as connection:
        for view in reversed(list(iter_views())):
            connection.execute(f'DROP VIEW old.tower."{view.name}"')
    held = copy.read_bytes()
    assert ask(console, "cost_by_user", "--path", "old.duckdb") == ask(synced, "cost_by_user")
    assert copy.read_bytes() == held


def test_views_are_printed_in_the_dialect_of_another_engine(console: Console) -> None:
    """No target is needed. An unknown dialect is a usage error."""
    ended = console.run("views", "--sql", "postgres")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.count("CREATE OR REPLACE VIEW ") == len(list(iter_views()))
    assert "EXTRACT(epoch FROM" in ended.out
    assert console.run("views", "--sql", "oracle").code == 2

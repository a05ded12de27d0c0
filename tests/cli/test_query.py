"""`query`, `status` and `views` of a synced target, and the formats of their output."""

from __future__ import annotations

import csv
import io
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import duckdb
import pytest

from tests.cli.console import TOWER_ETL, make_console

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.console import Console

COUNTS = "SELECT status, count(*) AS runs FROM workflows GROUP BY status ORDER BY status"


def test_query_without_arguments_lists_the_marts(console: Console) -> None:
    """No target is needed."""
    ended = console.run("query")
    assert (ended.code, ended.err) == (0, "")
    assert "Cost of the runs of each pipeline" in ended.out
    assert "cost_by_pipeline" in ended.out


def test_csv_and_json_contain_the_same_rows(synced: Console) -> None:
    in_csv = list(csv.DictReader(io.StringIO(synced.run("query", COUNTS, "--format", "csv").out)))
    in_json = synced.run("query", COUNTS, "--format", "json").json
    assert len(in_json) > 1
    assert in_csv == [{"status": row["status"], "runs": str(row["runs"])} for row in in_json]
    assert sum(row["runs"] for row in in_json) == 25


def test_a_table_has_a_header_a_rule_and_formatted_numbers(synced: Console) -> None:
    """Null is an empty cell."""
    lines = synced.run("query", "SELECT 1234 AS calls, NULL AS nothing, 0.5 AS share").out
    header, rule, row = lines.splitlines()
    assert header.split() == ["calls", "nothing", "share"]
    assert set(rule.strip()) == {"─"}
    assert row.split() == ["1,234", "0.5"]


@pytest.mark.slow
def test_json_times_are_utc_in_every_local_time_zone(synced: Console) -> None:
    sql = "SELECT started_at FROM sync_runs"
    here = synced.run("query", sql, "--format", "json", TZ="Pacific/Auckland").json
    moment = datetime.fromisoformat(here[0]["started_at"])
    assert moment.utcoffset() == timedelta()
    assert abs(datetime.now(UTC) - moment) < timedelta(hours=1)


def test_json_has_text_for_types_that_json_lacks(synced: Console) -> None:
    sql = "SELECT 1.50::DECIMAL(9, 2) AS a, DATE '2026-01-31' AS b, INTERVAL 1 DAY AS c, [1] AS d"
    (row,) = synced.run("query", sql, "--format", "json").json
    assert row == {"a": "1.50", "b": "2026-01-31", "c": "1 day, 0:00:00", "d": [1]}


def test_duplicate_column_names_get_a_suffix(synced: Console) -> None:
    """Without it, a JSON object would lose one of the columns of a join."""
    sql = "SELECT w.status, t.status FROM tasks t JOIN workflows w ON w.id = t.workflow_id LIMIT 1"
    (row,) = synced.run("query", sql, "--format", "json").json
    assert list(row) == ["status", "status_1"]


@pytest.mark.parametrize("name", ["cost_by_pipeline", "failure_reasons", "memory_requests"])
def test_marts_of_a_generated_history_are_not_empty(synced: Console, name: str) -> None:
    assert synced.run("query", name, "--format", "json").json != []


def test_sql_with_a_line_break_is_not_taken_for_a_mart_name(synced: Console) -> None:
    assert synced.run("query", "FROM\nsync_runs", "--format", "json").code == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "reader"), [("csv", "head -1"), ("table", "head -1"), ("json", "true")]
)
def test_a_pipe_that_is_closed_early_causes_no_error(
    synced: Console, form: str, reader: str
) -> None:
    """With `pipefail`, bash returns the exit code of the command, not that of `head`."""
    query = (TOWER_ETL, "query", "SELECT * FROM range(20000)", "--format", form)
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f'"$@" | {reader}', "bash", *query],
        cwd=synced.folder,
        env=synced.environ(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_status_counts_match_the_tables(synced: Console) -> None:
    """Runs, tasks, open runs and cursor of each workspace are compared."""
    spaces = synced.run("status", "--json").json["workspaces"]
    sql = """
        SELECT w.workspace_id AS id, count(*) AS runs, max(w.submit) AS cursor,
          count(*) FILTER (w.status IN ('SUBMITTED', 'RUNNING', 'UNKNOWN')) AS open,
          (SELECT count(*) FROM tasks AS t WHERE t.workspace_id IS NOT DISTINCT FROM w.workspace_id)
            AS tasks
        FROM workflows AS w GROUP BY w.workspace_id
    """
    held = {row["id"]: row for row in synced.run("query", sql, "--format", "json").json}
    assert len(held) > 1
    for space in spaces:
        row = held.get(space["id"], {"runs": 0, "tasks": 0, "open": 0, "cursor": None})
        assert space["rows"] == {"workflows": row["runs"], "tasks": row["tasks"]}
        assert space["open_runs"] == row["open"]
        assert read_moment(space["cursor"]) == read_moment(row["cursor"])
        assert read_moment(space["last_sync_at"]) is not None
        assert read_moment(space["reconciled_at"]) is not None


def read_moment(text: str | None) -> datetime | None:
    """Parse a timestamp of a JSON object; null is None."""
    return datetime.fromisoformat(text) if text else None


def test_status_prints_one_line_per_workspace(synced: Console) -> None:
    """The personal workspace is included."""
    lines = synced.run("status").out.splitlines()
    spaces = synced.run("status", "--json").json["workspaces"]
    assert len(lines) == 2 + len(spaces)
    assert any(line.split()[0] == "personal" for line in lines)


@pytest.mark.slow
def test_views_are_restored_without_changing_rows(synced: Console, tmp_path: Path) -> None:
    """`views` replaces views that were changed and creates views that were dropped."""
    console = make_console(tmp_path)
    copy = console.folder / "mine.duckdb"
    copy.write_bytes((synced.folder / "runs.duckdb").read_bytes())
    with duckdb.connect(str(copy)) as connection:
        connection.execute("DROP VIEW mine.tower.cost_by_pipeline")
        connection.execute("CREATE OR REPLACE VIEW mine.tower.failure_reasons AS SELECT 1 AS a")
        before = connection.execute("SELECT count(*) FROM mine.tower.tasks").fetchall()
    ended = console.run("views", "--path", "mine.duckdb")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("mine.duckdb: ")
    with duckdb.connect(str(copy), read_only=True) as connection:
        assert before == connection.execute("SELECT count(*) FROM mine.tower.tasks").fetchall()
    for name in ("cost_by_pipeline", "failure_reasons"):
        asked = ("query", name, "--format", "json")
        assert synced.run(*asked).json == console.run(*asked, "--path", "mine.duckdb").json

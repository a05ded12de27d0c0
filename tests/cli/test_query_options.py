"""Options of `query`: source of the SQL, run filters, and formats for other programs."""

from __future__ import annotations

import csv
import io
import json
import sys
import zipfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

import click
import pytest

from tests.cli.console import make_console
from tests.cli.here import open_stream
from tests.sql.postgres import start_postgres
from tower_etl import text
from tower_etl.cli.options import complete_workspaces
from tower_etl.cli.query import command
from tower_etl.cli.tables import as_json_lines, as_tsv, as_xlsx
from tower_etl.simulator import SimClock, Simulator, World, serve
from tower_etl.text import install_command

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.console import Console, Ended
    from tests.cli.here import Run

SELECT = "SELECT status, count(*) AS runs FROM workflows GROUP BY status ORDER BY status"


@pytest.fixture
def query(synced: Console, run_here: Callable[[Console], Run]) -> Callable[..., Ended]:
    """Return a function that runs `query` with options next to a synced file."""

    def run(*args: str) -> Ended:
        return run_here(synced)("query", *args, out=open_stream("utf-8"))

    return run


def feed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Put text on standard input."""
    stream: TextIO = io.StringIO(text)
    monkeypatch.setattr(sys, "stdin", stream)


def test_sql_is_read_from_a_file_or_from_standard_input(
    query: Callable[..., Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = query(SELECT, "--format", "json").json
    file = tmp_path / "runs.sql"
    file.write_text(f"-- one row per status\n{SELECT};\n", encoding="utf-8")
    assert query("-f", str(file), "--format", "json").json == expected
    for option in (["-"], ["--file", "-"]):
        feed(monkeypatch, f"{SELECT};\n")
        assert query(*option, "--format", "json").json == expected


def test_two_queries_or_no_query_are_refused(
    query: Callable[..., Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed(monkeypatch, " \n")
    for args, words in (
        ([SELECT, "-f", "other.sql"], "Two queries"),
        (["-f", str(tmp_path / "absent.sql")], "absent.sql"),
        (["-"], "No query in standard input"),
    ):
        ended = query(*args)
        assert (ended.code, ended.out) == (2, "")
        assert words in ended.err


def test_limit_applies_to_marts_tables_and_sql(query: Callable[..., Ended]) -> None:
    for name in ("run_costs", "SELECT * FROM tasks ORDER BY task_id", "workflows"):
        assert len(query(name, "--limit", "3", "--format", "json").json) == 3
    assert query("run_costs", "--limit", "0", "--format", "json").json == []


@pytest.mark.slow
def test_runs_are_filtered_by_user_and_status(query: Callable[..., Ended]) -> None:
    users = query("SELECT DISTINCT user_name FROM stg_runs", "--format", "json").json
    user = min(row["user_name"] for row in users)
    mine = query("cost_by_user", "--user", user.upper(), "--format", "json").json
    assert {row["user_name"] for row in mine} == {user}
    failed = query("run_costs", "--status", "failed", "--format", "json").json
    listed = query("SELECT id FROM workflows WHERE status = 'FAILED'", "--format", "json").json
    assert {row["run_id"] for row in failed} == {row["id"] for row in listed}


@pytest.mark.slow
def test_since_and_until_accept_ages(query: Callable[..., Ended]) -> None:
    every = query("run_costs", "--format", "json").json
    assert query("run_costs", "--since", "52w", "--format", "json").json == every
    assert query("run_costs", "--until", "400d", "--format", "json").json == []
    ended = query("run_costs", "--since", "30x")
    assert (ended.code, "an age such as 30d" in ended.err) == (2, True)


def test_a_mistyped_name_gets_a_suggestion(query: Callable[..., Ended]) -> None:
    assert "Did you mean cost_by_pipeline" in query("cost_by_pipelin").err
    assert "Did you mean workflows" in query("workflow").err
    assert "Did you mean FAILED?" in query("run_costs", "--status", "faild").err


def test_the_path_is_read_from_the_environment(
    synced: Console,
    run_here: Callable[[Console], Run],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = run_here(make_console(tmp_path))
    monkeypatch.setenv("TOWER_ETL_PATH", str(synced.folder / "runs.duckdb"))
    ended = run("query", SELECT, "--format", "json", out=open_stream("utf-8"))
    assert (ended.code, sum(row["runs"] for row in ended.json)) == (0, 25)


@pytest.mark.parametrize("command", [["query", "workflows"], ["report"], ["status"]])
def test_no_command_reads_a_destination_that_is_not_configured(
    synced: Console,
    run_here: Callable[[Console], Run],
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
) -> None:
    """The folder has a DuckDB file, but the configured Parquet lake does not exist."""
    run = run_here(synced)
    monkeypatch.setenv("TOWER_ETL_DESTINATION", "parquet")
    ended = run(*command, out=open_stream("utf-8"))
    assert (ended.code, ended.out) == (2, "")
    assert "tower-parquet" in ended.err


def test_the_default_file_of_an_earlier_version_is_read(
    synced: Console, run_here: Callable[[Console], Run], tmp_path: Path
) -> None:
    """Its name was `tower.duckdb`; it is the default if `runs.duckdb` does not exist."""
    console = make_console(tmp_path)
    (console.folder / "tower.duckdb").write_bytes((synced.folder / "runs.duckdb").read_bytes())
    ended = run_here(console)("query", SELECT, "--format", "json", out=open_stream("utf-8"))
    assert (ended.code, sum(row["runs"] for row in ended.json)) == (0, 25)


@pytest.mark.slow
def test_query_reads_postgres_by_name_and_in_sql(
    run_here: Callable[[Console], Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Features that only DuckDB has are refused, and no statement can write."""
    with start_postgres() as server:
        console = make_console(tmp_path)
        run = run_here(console)
        monkeypatch.setenv("TOWER_ETL_DESTINATION", "postgres")
        monkeypatch.setenv("TOWER_ETL_PATH", f"postgresql://tower@/postgres?host={server.folder}")
        world = World(SimClock())
        lab = world.add_workspace(world.add_organization("acme"), "lab")
        for _ in range(3):
            world.submit_run(lab)
        with serve(Simulator(world, limit=None)) as endpoint:
            sync = ("sync", "--endpoint", endpoint, "--rate", "none")
            assert run(*sync, out=open_stream("utf-8")).code == 0

        def ask(*args: str) -> Ended:
            return run("query", *args, "--format", "json", out=open_stream("utf-8"))

        assert len(ask("workflows").json) == 3
        assert {row["workspace"] for row in ask("freshness").json} == {"acme/lab"}
        counted = ask("SELECT count(*) AS runs FROM workflows;", "--limit", "5")
        assert counted.json == [{"runs": 3}]
        for args, says in (
            (("run_costs", "--since", "30d"), "Use a WHERE clause"),
            (("SELECT nothing FROM workflows",), "The query failed"),
            (("DELETE FROM workflows",), "read-only"),
        ):
            refused = ask(*args)
            assert (refused.code, says in refused.err) == (2, True), refused.err
        assert run("report", out=open_stream("utf-8")).code == 2


def test_shell_completion_offers_names_of_views_and_workspaces(
    synced: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(synced.folder)
    context = click.Context(command, info_name="query")
    parameter = command.params[0]
    names = [item.value for item in parameter.shell_complete(context, "workflow")]
    assert {"workflows", "workflow_labels", "workflow_progress"} <= set(names)
    assert [item.value for item in parameter.shell_complete(context, "cost_by_pip")] == [
        "cost_by_pipeline"
    ]
    found = complete_workspaces(context, parameter, "")
    assert found == sorted(found)
    assert "northwind-genomics/research" in found
    monkeypatch.chdir("/")
    assert complete_workspaces(context, parameter, "") == []  # a missing target is not an error


@pytest.mark.parametrize(
    ("dialect", "statement"),
    [
        ("duckdb", 'USE "my schema"'),
        ("postgres", 'SET search_path = "my schema"'),
        ("spark", "USE `my schema`"),
    ],
)
def test_printed_views_start_with_the_given_schema(
    console: Console, run_here: Callable[[Console], Run], dialect: str, statement: str
) -> None:
    """Without `--sql`, `--schema` is a usage error."""
    run = run_here(console)
    shown = run("views", "--sql", dialect, "--schema", "my schema", out=open_stream("utf-8"))
    assert (shown.code, shown.out.splitlines()[0]) == (0, f"{statement};")
    assert run("views", "--schema", "my schema", out=open_stream("utf-8")).code == 2


@pytest.mark.slow
def test_report_data_writes_filtered_marts_and_an_index(
    synced: Console, run_here: Callable[[Console], Run], tmp_path: Path
) -> None:
    """The index describes every column of each file."""
    run, folder = run_here(synced), tmp_path / "data"
    output = str(tmp_path / "report.html")
    for scope in ((), ("--since", "2d")):
        done = run(
            "report", "--output", output, "--data", str(folder), *scope, out=open_stream("utf-8")
        )
        assert done.code == 0, done.err
        runs = json.loads(
            run("query", "run_costs", *scope, "--format", "json", out=open_stream("utf-8")).out
        )
        written = (folder / "run_costs.csv").read_text(encoding="utf-8")
        rows = list(csv.DictReader(io.StringIO(written)))
        assert [row["run_id"] for row in rows] == [row["run_id"] for row in runs]
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        assert {file["file"] for file in index["files"]} == {p.name for p in folder.glob("*.csv")}
        described = next(file for file in index["files"] if file["file"] == "run_costs.csv")
        assert [*described["columns"]] == [*rows[0]]
        assert (index["filter"] is None) == (scope == ())


@pytest.mark.parametrize(
    ("receipt", "expected"),
    [
        ("uv-receipt.toml", "uv tool install --force '/src/tower-etl[xlsx]'"),
        ("pipx_metadata.json", "pipx install --force '/src/tower-etl[xlsx]'"),
        (None, "{python} -m pip install '/src/tower-etl[xlsx]'"),
    ],
)
def test_the_command_for_an_extra_matches_the_installer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, receipt: str | None, expected: str
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(text, "_find_origin", lambda: "/src/tower-etl")
    if receipt:
        (tmp_path / receipt).touch()
    assert install_command("xlsx") == expected.format(python=sys.executable)


@pytest.mark.slow
def test_a_sync_without_changes_imports_no_unneeded_library(console: Console) -> None:
    """Half of its time is imports; pandas and SQLAlchemy were once imported by accident."""
    world = World(SimClock())
    lab = world.add_workspace(world.add_organization("acme"), "lab")
    world.finish_run(world.submit_run(lab))
    with serve(Simulator(world, limit=None)) as endpoint:
        sync = ("sync", "--endpoint", endpoint, "--rate", "none")
        assert console.run(*sync).code == 0
        second = console.run(*sync, PYTHONPROFILEIMPORTTIME="1")
    assert second.code == 0
    imported = {
        line.rsplit("|", 1)[1].strip()
        for line in second.err.splitlines()
        if line.startswith("import time:") and "cumulative" not in line
    }
    assert {"dlt", "duckdb"} <= imported
    unwanted = {"pandas", "sqlalchemy", "matplotlib", "jinja2", "deltalake", "pyiceberg"}
    # Python also lists a failed import, but without submodules.
    assert not {name for name in imported if "." in name and name.split(".")[0] in unwanted}
    assert len(imported) < 1_350


ROWS = [
    ("=1+1", 2**60, datetime(2026, 3, 1, 12, tzinfo=UTC), None, True, "a\tb\nc"),
    ("https://x.y", 1.5, None, "x", False, ""),
]
NAMES = ("text", "number", "time", "nothing", "flag", "words")


def test_a_workbook_contains_values_and_no_formulas() -> None:
    with zipfile.ZipFile(io.BytesIO(as_xlsx(NAMES, ROWS))) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
        strings = book.read("xl/sharedStrings.xml").decode()
    assert "<f>" not in sheet
    assert "hyperlink" not in sheet
    for value in ("=1+1", "https://x.y", str(2**60)):
        assert f">{value}<" in strings
    assert "<v>1.5</v>" in sheet
    assert "<v>46082.5</v>" in sheet  # 2026-03-01 12:00 as a day number of Excel


def test_json_lines_and_tsv_have_one_line_per_row() -> None:
    lines = as_json_lines(NAMES, ROWS).splitlines()
    assert [json.loads(line)["text"] for line in lines] == ["=1+1", "https://x.y"]
    rows = [line.split("\t") for line in as_tsv(NAMES, ROWS).split("\n")]
    assert [len(row) for row in rows] == [6, 6, 6]
    assert rows[1][5] == "a b c"

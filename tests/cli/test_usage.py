"""Help, version, usage errors, and the output of `check`."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

import click
import pytest

from tower_etl.cli import cli
from tower_etl.simulator import Fault

if TYPE_CHECKING:
    from tests.cli.console import Console
    from tower_etl.simulator import Simulator

COMMANDS = ("sync", "check", "status", "query", "report", "views", "simulate", "demo")
HEAVY = {"dlt", "duckdb", "pandas", "pyarrow", "requests", "starlette"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_that_needs_no_token(console: Console, command: str) -> None:
    ended = console.run(command, "--help", TOWER_ACCESS_TOKEN=None)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"Usage: tower-etl {command}")


def test_help_lists_every_command(console: Console) -> None:
    listed = console.run("--help").out.partition("Commands:")[2].splitlines()
    assert set(COMMANDS) <= {line.split()[0] for line in listed if line.strip()}


def test_a_mistyped_command_gets_a_suggestion(console: Console) -> None:
    """A name that resembles no command exits with 2 as well."""
    ended = console.run("snyc")
    assert (ended.code, ended.out) == (2, "")
    assert "No such command 'snyc'. Did you mean sync?" in ended.err
    assert console.run("zzz").code == 2


def test_a_missing_query_file_is_named(console: Console) -> None:
    """The message gives advice for a file that is read: no folder has to be created."""
    ended = console.run("query", "--file", "none.sql")
    assert ended.code == 2
    assert "none.sql of --file does not exist. Check its path." in ended.err


def test_version_is_that_of_the_installed_package(console: Console) -> None:
    assert f"tower-etl, version {version('tower-etl')}\n" == console.run("--version").out


def test_help_imports_no_heavy_library() -> None:
    code = (
        "import sys, click.testing, tower_etl.cli as c;"
        "r = click.testing.CliRunner().invoke(c.cli, ['--help']); assert r.exit_code == 0;"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set() == HEAVY & set(done.stdout.split())


def test_no_command_takes_the_token_as_a_flag() -> None:
    """Every user of the machine could read such a flag in the list of processes."""
    context = click.Context(cli)
    commands = [cli.get_command(context, name) for name in COMMANDS]
    flags = {flag for command in commands if command for p in command.params for flag in p.opts}
    assert "--path" in flags
    secret = {flag for flag in flags if "token" in flag or "secret" in flag}
    assert secret == {"--token-command"}  # a command that prints the token; it is not secret itself


@pytest.mark.parametrize("args", [["snyc"], ["sync", "--token", "x"], ["sync", "--no-such-flag"]])
def test_an_unknown_command_or_flag_exits_with_2(console: Console, args: list[str]) -> None:
    ended = console.run(*args)
    assert (ended.code, ended.out) == (2, "")
    assert "--help" in ended.err


def test_check_reports_endpoint_api_version_and_workspaces(
    console: Console, endpoint: str, lab: int
) -> None:
    """It writes no file."""
    before = console.list_files()
    ended = console.run("check", "--endpoint", endpoint, "--json")
    assert (ended.code, ended.err) == (0, "")
    assert endpoint == ended.json["endpoint"]
    assert ended.json["api_version"] == "1.187.0"
    assert [None, lab] == [space["id"] for space in ended.json["workspaces"]]
    assert before == console.list_files()


def test_check_prints_token_workspaces_and_tables_as_text(
    console: Console, endpoint: str, lab: int
) -> None:
    ended = console.run("check", "--endpoint", endpoint)
    assert ended.code == 0
    assert "Token       accepted" in ended.out
    assert f"  {lab:<18}acme/lab" in ended.out
    assert "\n  credentials         ok\n" in ended.out


@pytest.mark.usefixtures("lab")
def test_check_tests_access_to_selected_tables_only(console: Console, endpoint: str) -> None:
    """A flag or the environment selects tables by name or pattern, as for a sync."""
    flagged = console.run("check", "--endpoint", endpoint, "--json", "--tables", "team*")
    configured = console.run("check", "--endpoint", endpoint, "--json", TOWER_ETL_TABLES="team*")
    for ended in (flagged, configured):
        tables = [access["table"] for access in ended.json["tables"]]
        assert "teams" in tables
        assert "pipelines" not in tables


@pytest.mark.usefixtures("lab")
def test_check_names_the_workspaces_that_deny_a_table(
    console: Console, endpoint: str, simulator: Simulator
) -> None:
    """The token itself is valid, so the exit code is 0."""
    simulator.faults.add("/actions", Fault("status", 403, times=99))
    ended = console.run("check", "--endpoint", endpoint, "--tables", "actions")
    assert ended.code == 0
    denied = "  actions             denied by personal, acme/lab: GET /actions: the server"
    assert denied in ended.out

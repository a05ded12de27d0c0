"""What the command line says of itself, and what it costs to ask."""

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
def test_every_command_explains_itself(console: Console, command: str) -> None:
    """`--help` shows the usage and exits with 0, with no token set."""
    ended = console.run(command, "--help", TOWER_ACCESS_TOKEN=None)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"Usage: tower-etl {command}")


def test_help_names_every_command(console: Console) -> None:
    """The list of commands is complete."""
    listed = console.run("--help").out.partition("Commands:")[2].splitlines()
    assert set(COMMANDS) <= {line.split()[0] for line in listed if line.strip()}


def test_a_mistyped_command_is_named_with_those_that_resemble_it(console: Console) -> None:
    """Bad usage, as of a name that resembles none."""
    ended = console.run("snyc")
    assert (ended.code, ended.out) == (2, "")
    assert "No such command 'snyc'. Did you mean sync?" in ended.err
    assert console.run("zzz").code == 2


def test_a_query_file_that_does_not_exist_is_named(console: Console) -> None:
    """No folder needs to be created for a file that is read."""
    ended = console.run("query", "--file", "none.sql")
    assert ended.code == 2
    assert "none.sql of --file does not exist. Check its path." in ended.err


def test_version_is_that_of_the_distribution(console: Console) -> None:
    """`--version` speaks of the installed package."""
    assert f"tower-etl, version {version('tower-etl')}\n" == console.run("--version").out


def test_help_imports_nothing_heavy() -> None:
    """Neither dlt nor DuckDB nor a data frame is imported to show the help."""
    code = (
        "import sys, click.testing, tower_etl.cli as c;"
        "r = click.testing.CliRunner().invoke(c.cli, ['--help']); assert r.exit_code == 0;"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set() == HEAVY & set(done.stdout.split())


def test_no_command_takes_the_token_as_a_flag() -> None:
    """A flag would stand in the list of processes for everyone to read."""
    context = click.Context(cli)
    commands = [cli.get_command(context, name) for name in COMMANDS]
    flags = {flag for command in commands if command for p in command.params for flag in p.opts}
    assert "--path" in flags
    secret = {flag for flag in flags if "token" in flag or "secret" in flag}
    assert secret == {"--token-command"}  # a command that prints it, which is no secret


@pytest.mark.parametrize("args", [["snyc"], ["sync", "--token", "x"], ["sync", "--no-such-flag"]])
def test_what_it_does_not_know_is_bad_usage(console: Console, args: list[str]) -> None:
    """An unknown command or flag exits with 2 and points to the help."""
    ended = console.run(*args)
    assert (ended.code, ended.out) == (2, "")
    assert "--help" in ended.err


def test_check_describes_platform_token_and_workspaces(
    console: Console, endpoint: str, lab: int
) -> None:
    """`check --json` tells what a sync would reach, and writes nothing."""
    before = console.list_files()
    ended = console.run("check", "--endpoint", endpoint, "--json")
    assert (ended.code, ended.err) == (0, "")
    assert endpoint == ended.json["endpoint"]
    assert ended.json["api_version"] == "1.187.0"
    assert [None, lab] == [space["id"] for space in ended.json["workspaces"]]
    assert before == console.list_files()


def test_check_shows_people_the_same(console: Console, endpoint: str, lab: int) -> None:
    """Without `--json` it is a short text, which names the workspaces."""
    ended = console.run("check", "--endpoint", endpoint)
    assert ended.code == 0
    assert "Token       accepted" in ended.out
    assert f"  {lab:<18}acme/lab" in ended.out
    assert "\n  credentials         ok\n" in ended.out


@pytest.mark.usefixtures("lab")
def test_check_asks_for_the_tables_that_are_wanted(console: Console, endpoint: str) -> None:
    """By flag or by environment, as a sync would; patterns may name them."""
    flagged = console.run("check", "--endpoint", endpoint, "--json", "--tables", "team*")
    configured = console.run("check", "--endpoint", endpoint, "--json", TOWER_ETL_TABLES="team*")
    for ended in (flagged, configured):
        tables = [access["table"] for access in ended.json["tables"]]
        assert "teams" in tables
        assert "pipelines" not in tables


@pytest.mark.usefixtures("lab")
def test_check_names_who_refuses_a_table(
    console: Console, endpoint: str, simulator: Simulator
) -> None:
    """The token is good, so that the exit code is 0."""
    simulator.faults.add("/actions", Fault("status", 403, times=99))
    ended = console.run("check", "--endpoint", endpoint, "--tables", "actions")
    assert ended.code == 0
    denied = "  actions             denied by personal, acme/lab: GET /actions: the server"
    assert denied in ended.out

"""Errors of a command: a message on standard error, and a JSON object with `--json`."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from tests.cli.console import expect_contract
from tests.cli.here import open_stream
from tower_etl.cli.failures import explain_failure
from tower_etl.destinations.locks import file_lock
from tower_etl.errors import ConfigurationError
from tower_etl.pipeline import SyncRunner

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.console import Console, Ended
    from tests.cli.here import Run
    from tower_etl.simulator import World


@pytest.fixture
def run(
    run_here: Callable[[Console], Run],
    console: Console,
    endpoint: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Ended]:
    """Return a function that runs commands in an empty folder with a reachable server."""
    here = run_here(console)
    monkeypatch.setenv("TOWER_API_ENDPOINT", endpoint)
    return lambda *args: here(*args, out=open_stream("utf-8"))


def expect_object(ended: Ended, code: int) -> None:
    """Assert one object of the contract, whose error is also on standard error."""
    assert ended.code == code, ended.err
    expect_contract(ended.json)
    assert (ended.json["status"], "Traceback" in ended.err) == ("failed", False)
    assert f"Error: {ended.json['error']}" in ended.err


USAGE = {
    "a flag that is not known": ["sync", "--json", "--no-such-flag"],
    "a flag without its value": ["sync", "--json", "--path"],
    "a value that is none": ["sync", "--json", "--destination", "excel"],
    "an argument too many": ["sync", "--json", "more"],
    "a command that is not known": ["snyc", "--json"],
    "a command that has no such flag": ["query", "cost_by_user", "--json"],
}


@pytest.mark.parametrize("args", USAGE.values(), ids=USAGE)
def test_a_usage_error_prints_a_json_object(run: Callable[..., Ended], args: list[str]) -> None:
    """The object is also printed if click finds no command, or the command lacks `--json`."""
    expect_object(run(*args), 2)


SETTINGS: dict[str, tuple[list[str], dict[str, str]]] = {
    "no token": ([], {"TOWER_ACCESS_TOKEN": ""}),
    "a token that is none": ([], {"TOWER_ACCESS_TOKEN": "two words"}),
    "a token command that fails": (["--token-command", "false"], {}),
    "no endpoint": (["--endpoint", "nowhere"], {}),
    "plain HTTP": (["--endpoint", "http://192.0.2.1/api"], {}),
    "no table": (["--tables", "nope"], {}),
    "no time": (["--since", "soon"], {}),
    "no rate": (["--rate", "fast"], {}),
    "a variable": ([], {"TOWER_ETL_PACKAGE_ROWS": "many"}),
    "no column": (["--exclude", "tasks.nope"], {}),
    "a folder that is not there": (["--path", "no/such/runs.duckdb"], {}),
    "a workspace that is not there": (["--workspace", "no/such"], {}),
}


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("command", ["sync", "check"])
def test_an_invalid_setting_prints_a_json_object(
    run: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, command: str, name: str
) -> None:
    args, variables = SETTINGS[name]
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    ended = run(command, "--json", *args)
    expect_object(ended, 2)


@pytest.mark.parametrize("args", [[], ["--path", "no/such.duckdb"], ["--max-age", "soon"]])
def test_a_failed_status_prints_a_json_object(run: Callable[..., Ended], args: list[str]) -> None:
    expect_object(run("status", "--json", *args), 2)


@pytest.mark.parametrize("command", ["sync", "check"])
def test_a_refused_token_prints_a_json_object_with_its_calls(
    run: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("TOWER_ACCESS_TOKEN", "refused")
    ended = run(command, "--json")
    expect_object(ended, 3)
    assert ended.json["calls"] == 2


def test_a_locked_target_prints_a_json_object(
    run: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test itself holds the lock, in place of another sync."""
    folder = Path("runs.duckdb.sync").absolute()
    with file_lock(folder, "runs.duckdb", datetime.now(UTC)):
        expect_object(run("sync", "--json"), 6)


SYSTEM = {
    PermissionError(errno.EACCES, "Permission denied", "/x/runs.duckdb"): 2,
    OSError(errno.EROFS, "Read-only file system", "/x/runs.duckdb"): 2,
    OSError(errno.ENAMETOOLONG, "File name too long", b"/x/runs.duckdb"): 2,
    OSError(errno.ENOSPC, "No space left on device", "/x/runs.duckdb"): 5,
    OSError(errno.EDQUOT, "Disk quota exceeded", "/x/runs.duckdb"): 5,
    OSError(errno.EIO, "Input/output error", "/x/runs.duckdb"): 5,
    OSError(errno.EMFILE, "Too many open files"): 5,
    TimeoutError(errno.ETIMEDOUT, "Connection timed out"): 5,
}


@pytest.mark.parametrize(("error", "code"), SYSTEM.items(), ids=map(repr, SYSTEM))
def test_an_operating_system_error_prints_a_json_object(
    run: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, error: OSError, code: int
) -> None:
    """Errors that need another path exit with 2, errors that may be temporary with 5."""

    def fail(_: SyncRunner) -> None:
        raise error

    monkeypatch.setattr(SyncRunner, "run", fail)
    ended = run("sync", "--json")
    expect_object(ended, code)
    assert str(error.strerror) in ended.err
    assert ("/x/runs.duckdb" in ended.err) == (error.filename is not None)


def test_an_internal_error_prints_a_json_object_without_secrets(
    run: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message is one line; TOWER_ETL_DEBUG adds the traceback."""

    def fail(_: SyncRunner) -> None:
        msg = "surprise\nAuthorization: Bearer abcdefghijklmnopqrstuvwxyz"
        raise LookupError(msg)

    monkeypatch.setattr(SyncRunner, "run", fail)
    ended = run("sync", "--json")
    expect_object(ended, 1)
    assert ("LookupError: surprise" in ended.err, ended.err.count("\n")) == (True, 1)
    monkeypatch.setenv("TOWER_ETL_DEBUG", "1")
    debugged = run("sync", "--json")
    assert (debugged.code, debugged.json) == (1, ended.json | {"seconds": debugged.json["seconds"]})
    assert "Traceback" in debugged.err
    assert "abcdefghijklmnopqrstuvwxyz" not in ended.err + debugged.err


@pytest.mark.slow
def test_a_sync_whose_only_workspace_fails_reports_its_error(
    run: Callable[..., Ended], world: World, lab: int
) -> None:
    """The error of the workspace is also the error of the whole sync."""
    world.forbid(lab)
    ended = run("sync", "--json", "--workspace", str(lab))
    assert (ended.code, ended.json["status"]) == (4, "failed")
    assert ended.json["error"] == ended.json["workspaces"][0]["error"]


@pytest.mark.slow
def test_a_successful_sync_has_no_error_key(run: Callable[..., Ended]) -> None:
    ended = run("sync", "--json")
    assert (ended.code, ended.json["status"], "error" in ended.json) == (0, "ok", False)


def test_help_exits_with_0_despite_json(run: Callable[..., Ended]) -> None:
    ended = run("sync", "--json", "--help")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("Usage: ")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("no"), 2),
        (click.UsageError("no"), 2),
        (click.Abort(), 130),
        (KeyboardInterrupt(), 130),
        (RuntimeError("Could not determine home directory."), 2),
        (OSError("no number"), 1),
        (MemoryError(), 5),
    ],
    ids=repr,
)
def test_every_error_has_an_exit_code_and_a_message(error: BaseException, code: int) -> None:
    message, found = explain_failure(error)
    assert (found, bool(message)) == (code, True)


def test_a_path_in_bytes_is_shown_as_text() -> None:
    """Functions of the operating system accept paths as text or bytes."""
    message, _ = explain_failure(PermissionError(errno.EACCES, "no", os.fsencode("/caf\xe9")))
    assert message.startswith("Permission denied: /caf\xe9")

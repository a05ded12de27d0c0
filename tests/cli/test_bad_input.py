"""What cannot work is said in one sentence with the next step, and changes nothing on disk."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import duckdb
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.cli.console import Console, Ended
    from tower_etl.simulator import World


@pytest.fixture
def refuse(console: Console) -> Callable[..., Ended]:
    """Run a command that must end with that code, one sentence, and the folder as it was."""

    def run(code: int, *args: str, **variables: str | None) -> Ended:
        before = console.list_files()
        ended = console.run(*args, **variables)
        assert (code, "") == (ended.code, ended.out), ended.err
        assert ended.err.startswith("Error: ")
        assert ended.err.count("\n") == 1, ended.err
        assert "Traceback" not in ended.err
        assert before == console.list_files()
        return ended

    return run


def make_database(path: Path) -> None:
    """A DuckDB file that no sync has written to."""
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE mine AS SELECT 1 AS a")


@contextmanager
def serve_welcome_page() -> Iterator[str]:
    """An address that answers every call with 200 and a page for people."""

    class Welcome(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = b"<html><body>Welcome</body></html>"
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Welcome) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/api"
        finally:
            server.shutdown()
            thread.join()


def find_closed_port() -> int:
    """A port of loopback on which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


# --- the server and the token -------------------------------------------------------------------


@pytest.mark.parametrize("command", ["sync", "check"])
def test_refused_token(refuse: Callable[..., Ended], endpoint: str, command: str) -> None:
    """A token that the server refuses ends with 3 and is not shown."""
    ended = refuse(3, command, "--endpoint", endpoint, TOWER_ACCESS_TOKEN="wrong-and-secret")
    assert "set TOWER_ACCESS_TOKEN" in ended.err
    assert "wrong-and-secret" not in ended.err


@pytest.mark.parametrize("token", [None, "  "])
def test_absent_token(refuse: Callable[..., Ended], endpoint: str, token: str | None) -> None:
    """No token ends with 2, and says where one comes from."""
    ended = refuse(2, "sync", "--endpoint", endpoint, TOWER_ACCESS_TOKEN=token)
    assert "set TOWER_ACCESS_TOKEN" in ended.err
    assert ".dlt/secrets.toml" in ended.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scheme", "host"), [("http", "127.0.0.1"), ("https", "no-such-host.invalid")]
)
def test_unreachable_server(refuse: Callable[..., Ended], scheme: str, host: str) -> None:
    """Nobody there ends with 5 while a person would still wait for it."""
    started = time.monotonic()
    ended = refuse(5, "sync", "--endpoint", f"{scheme}://{host}:{find_closed_port()}/api")
    assert f"no answer from {host}:" in ended.err
    assert "Check the endpoint" in ended.err
    assert time.monotonic() - started < 20  # 2 s where nothing else runs


@pytest.mark.slow
def test_server_that_is_no_platform(refuse: Callable[..., Ended]) -> None:
    """HTML with 200 is no API: it ends with 5."""
    with serve_welcome_page() as url:
        ended = refuse(5, "sync", "--endpoint", url)
    assert "check the endpoint" in ended.err


def test_endpoint_without_its_path(refuse: Callable[..., Ended], endpoint: str) -> None:
    """The root of a server of one's own is no endpoint: the message says how one looks."""
    ended = refuse(5, "sync", "--endpoint", endpoint.removesuffix("/api"))
    assert "ends in /api" in ended.err


@pytest.mark.parametrize("url", ["cloud.seqera.io", "https://"])
def test_endpoint_that_is_no_address(refuse: Callable[..., Ended], url: str) -> None:
    """An endpoint must be an http or https address."""
    assert "for example https://" in refuse(2, "sync", "--endpoint", url).err


def test_endpoint_of_the_environment_is_checked_too(refuse: Callable[..., Ended]) -> None:
    """Where a setting comes from makes no difference."""
    assert "Invalid API endpoint" in refuse(2, "sync", TOWER_API_ENDPOINT="nonsense").err


# --- what is asked for --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["acme/none", "42"])
def test_unknown_workspace(
    refuse: Callable[..., Ended], endpoint: str, world: World, lab: int, name: str
) -> None:
    """A workspace that the token does not see ends with 2, and the message lists those it sees."""
    ended = refuse(2, "sync", "--endpoint", endpoint, "--workspace", name)
    assert f"acme/lab ({lab})" in ended.err


@pytest.mark.parametrize(
    ("flag", "value", "says"),
    [
        ("--since", "yesterday", "such as 2026-01-31"),
        ("--until", "2026-13-01", "such as 2026-01-31"),
        ("--tables", "tasks,nope", "Unknown table nope. Expected one of workflows, tasks"),
        ("--rate", "fast", "for example 10), or `none`"),
        ("--rate", "0", "for example 10), or `none`"),
    ],
)
def test_flag_that_cannot_be_read(
    refuse: Callable[..., Ended], endpoint: str, flag: str, value: str, says: str
) -> None:
    """The message shows the value and how it should look."""
    ended = refuse(2, "sync", "--endpoint", endpoint, flag, value)
    assert says in ended.err


def test_window_that_no_run_can_be_in(refuse: Callable[..., Ended], endpoint: str) -> None:
    """A start after the end is a slip, not a wish for nothing."""
    window = ("--since", "2026-02-01", "--until", "2026-01-01")
    assert "2026-02-01" in refuse(2, "sync", "--endpoint", endpoint, *window).err


def test_since_in_the_future_is_refused(refuse: Callable[..., Ended], endpoint: str) -> None:
    error = refuse(2, "sync", "--endpoint", endpoint, "--since", "2099-01-01").err
    assert "--since 2099-01-01 00:00:00Z is in the future" in error
    assert "Expected a time before now" in error


# --- where it should go -------------------------------------------------------------------------


def test_folder_that_does_not_exist(refuse: Callable[..., Ended], endpoint: str) -> None:
    """No folder is made."""
    ended = refuse(2, "sync", "--endpoint", endpoint, "--path", "no/such/runs.duckdb")
    assert "Create it, or choose another --path" in ended.err


FOREIGN_COMMANDS = (["sync"], ["query", "SELECT 1"], ["status"], ["views"])


@pytest.mark.parametrize("command", FOREIGN_COMMANDS, ids=" ".join)
def test_file_that_is_no_database(
    refuse: Callable[..., Ended], console: Console, endpoint: str, command: list[str]
) -> None:
    """What stands there is somebody's: it is not touched."""
    (console.folder / "runs.duckdb").write_bytes(b"id,name\n1,precious\n")
    ended = refuse(2, *command, TOWER_API_ENDPOINT=endpoint)
    assert "choose another --path" in ended.err


def test_empty_file(refuse: Callable[..., Ended], console: Console, endpoint: str) -> None:
    """It may be the rest of something: it is not filled."""
    (console.folder / "runs.duckdb").touch()
    assert "choose another --path" in refuse(2, "sync", "--endpoint", endpoint).err


@pytest.mark.parametrize("command", FOREIGN_COMMANDS, ids=" ".join)
def test_database_that_is_damaged(
    refuse: Callable[..., Ended], console: Console, endpoint: str, command: list[str]
) -> None:
    """A file cut off by a full disk or a broken copy is named, and left for its owner to see."""
    path = console.folder / "runs.duckdb"
    make_database(path)
    path.write_bytes(path.read_bytes()[:5000])
    ended = refuse(2, *command, TOWER_API_ENDPOINT=endpoint)
    assert str(path) in ended.err
    assert "is damaged" in ended.err
    assert "choose another --path" in ended.err


def test_folder_in_the_place_of_the_file(
    refuse: Callable[..., Ended], console: Console, endpoint: str
) -> None:
    """A folder cannot be written to as a file."""
    (console.folder / "runs.duckdb").mkdir()
    assert "choose another --path" in refuse(2, "sync", "--endpoint", endpoint).err


# --- asking a target ----------------------------------------------------------------------------

ASKING = (["query", "SELECT 1"], ["query", "cost_by_pipeline"], ["status"], ["views"])


@pytest.mark.parametrize("command", ASKING, ids=" ".join)
def test_asking_before_the_first_sync(refuse: Callable[..., Ended], command: list[str]) -> None:
    """There is no file yet: the message names the command that makes one."""
    assert "Run `tower-etl sync --path" in refuse(2, *command).err


@pytest.mark.parametrize("command", ASKING, ids=" ".join)
def test_asking_a_database_of_something_else(
    refuse: Callable[..., Ended], console: Console, command: list[str]
) -> None:
    """Told from one without runs, though DuckDB calls the file's catalog `tower`."""
    make_database(console.folder / "runs.duckdb")
    assert "contains no tables of tower-etl" in refuse(2, *command).err


@pytest.mark.parametrize("command", ASKING, ids=" ".join)
def test_asking_while_a_program_writes(console: Console, command: list[str]) -> None:
    """DuckDB lets nobody read what another process has open to write: it is said so."""
    with duckdb.connect(str(console.folder / "runs.duckdb")):
        ended = console.run(*command)
    assert (ended.code, ended.out) == (2, "")
    assert "is open in another" in ended.err
    assert "Close it, or choose another --path" in ended.err


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ("no_such_question", "Expected one of bill_by_process"),
        ("SELEKT 1 FROM tasks", "Parser Error"),
        ("SELECT nothing FROM tasks", "Binder Error"),
        ("SELECT * FROM no_such_table", "no_such_table"),
        ("SELECT CAST(status AS INTEGER) FROM workflows", "Conversion Error"),
        ("DROP TABLE tasks", "read-only"),
        ("/* nothing */ -- at all", "expected a SELECT"),
    ],
)
def test_question_that_has_no_answer(synced: Console, question: str, says: str) -> None:
    """Bad SQL is the user's fault, not ours: 2, and DuckDB's own words on one line."""
    ended = synced.run("query", question)
    assert (ended.code, ended.out) == (2, "")
    assert says in ended.err
    assert ended.err.count("\n") == 1


# --- the simulator ------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", [".", "no-such-folder"])
def test_simulating_no_runs(refuse: Callable[..., Ended], folder: str) -> None:
    """A folder without dumped runs is named."""
    assert "--runs: No dumped run" in refuse(2, "simulate", "--runs", folder, "--port", "0").err


def test_simulating_on_a_taken_port(refuse: Callable[..., Ended], endpoint: str) -> None:
    """The message names the port."""
    port = endpoint.removesuffix("/api").rpartition(":")[2]
    assert f"port {port}" in refuse(2, "simulate", "--port", port).err


@pytest.mark.parametrize(
    ("flag", "value"), [("--port", "-1"), ("--port", "99999"), ("--size", "0"), ("--latency", "-1")]
)
def test_simulating_with_a_number_out_of_range(console: Console, flag: str, value: str) -> None:
    """The message says what the range is."""
    ended = console.run("simulate", flag, value)
    assert (ended.code, ended.out) == (2, "")
    assert f"Invalid value for '{flag}'" in ended.err


@pytest.mark.parametrize("command", ["sync", "check"])
def test_plain_http_to_another_machine(refuse: Callable[..., Ended], command: str) -> None:
    """Before anything is sent, and with the way out named."""
    ended = refuse(2, command, "--endpoint", "http://192.0.2.1/api")
    assert "is not encrypted" in ended.err
    assert "--insecure-http" in ended.err


def test_a_token_command_that_fails(refuse: Callable[..., Ended]) -> None:
    """What it printed is not shown."""
    ended = refuse(2, "check", "--token-command", "sh -c 'echo hidden-word; exit 3'")
    assert "ended with 3" in ended.err
    assert "hidden-word" not in ended.err


def test_certificates_that_are_not_there(refuse: Callable[..., Ended]) -> None:
    """Of a flag and of a variable alike."""
    assert "No CA bundle at /x.pem" in refuse(2, "check", "--ca-bundle", "/x.pem").err
    assert "No CA bundle at /y.pem" in refuse(2, "check", SSL_CERT_FILE="/y.pem").err


@pytest.mark.parametrize("command", [["query", "run_costs"], ["report"]])
def test_an_address_of_postgres_is_not_read(
    refuse: Callable[..., Ended], command: list[str]
) -> None:
    """Nor is its password shown."""
    ended = refuse(2, *command, "--path", "postgresql://me:hush@host/db")
    assert "--path contains a password" in ended.err
    assert "hush" not in ended.err

"""Invalid input is refused with a one-line message, and no file is changed."""

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
    """Return a function that asserts exit code, one line of error and unchanged files."""

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
    """Create a DuckDB file that no sync has written to."""
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE mine AS SELECT 1 AS a")


@contextmanager
def serve_welcome_page() -> Iterator[str]:
    """Serve an HTML page with status 200 for every path, and yield the address."""

    class WelcomePage(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = b"<html><body>Welcome</body></html>"
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: object) -> None:
            """Suppress the log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), WelcomePage) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/api"
        finally:
            server.shutdown()
            thread.join()


def find_closed_port() -> int:
    """Return a port of the loopback interface on which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


# --- server and token ---------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["sync", "check"])
def test_a_refused_token_exits_with_3_and_is_not_printed(
    refuse: Callable[..., Ended], endpoint: str, command: str
) -> None:
    ended = refuse(3, command, "--endpoint", endpoint, TOWER_ACCESS_TOKEN="wrong-and-secret")
    assert "set TOWER_ACCESS_TOKEN" in ended.err
    assert "wrong-and-secret" not in ended.err


@pytest.mark.parametrize("token", [None, "  "])
def test_a_missing_token_exits_with_2_and_names_its_sources(
    refuse: Callable[..., Ended], endpoint: str, token: str | None
) -> None:
    ended = refuse(2, "sync", "--endpoint", endpoint, TOWER_ACCESS_TOKEN=token)
    assert "set TOWER_ACCESS_TOKEN" in ended.err
    assert ".dlt/secrets.toml" in ended.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scheme", "host"), [("http", "127.0.0.1"), ("https", "no-such-host.invalid")]
)
def test_an_unreachable_server_exits_with_5_within_20_seconds(
    refuse: Callable[..., Ended], scheme: str, host: str
) -> None:
    started = time.monotonic()
    ended = refuse(5, "sync", "--endpoint", f"{scheme}://{host}:{find_closed_port()}/api")
    assert f"no answer from {host}:" in ended.err
    assert "Check the endpoint" in ended.err
    assert time.monotonic() - started < 20  # about 2 s on an idle machine


@pytest.mark.slow
def test_a_server_that_answers_html_exits_with_5(refuse: Callable[..., Ended]) -> None:
    with serve_welcome_page() as url:
        ended = refuse(5, "sync", "--endpoint", url)
    assert "check the endpoint" in ended.err


def test_an_endpoint_without_its_api_path_exits_with_5(
    refuse: Callable[..., Ended], endpoint: str
) -> None:
    """The message says that an endpoint ends in /api."""
    ended = refuse(5, "sync", "--endpoint", endpoint.removesuffix("/api"))
    assert "ends in /api" in ended.err


@pytest.mark.parametrize("url", ["cloud.seqera.io", "https://"])
def test_an_endpoint_that_is_not_a_url_exits_with_2(refuse: Callable[..., Ended], url: str) -> None:
    assert "for example https://" in refuse(2, "sync", "--endpoint", url).err


def test_an_invalid_endpoint_in_the_environment_exits_with_2(refuse: Callable[..., Ended]) -> None:
    assert "Invalid API endpoint" in refuse(2, "sync", TOWER_API_ENDPOINT="nonsense").err


# --- selection of workspaces, tables and runs ---------------------------------------------------


@pytest.mark.parametrize("name", ["acme/none", "42"])
def test_an_unknown_workspace_exits_with_2_and_lists_visible_ones(
    refuse: Callable[..., Ended], endpoint: str, world: World, lab: int, name: str
) -> None:
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
def test_an_invalid_flag_value_exits_with_2_and_names_valid_ones(
    refuse: Callable[..., Ended], endpoint: str, flag: str, value: str, says: str
) -> None:
    ended = refuse(2, "sync", "--endpoint", endpoint, flag, value)
    assert says in ended.err


def test_since_after_until_exits_with_2(refuse: Callable[..., Ended], endpoint: str) -> None:
    window = ("--since", "2026-02-01", "--until", "2026-01-01")
    assert "2026-02-01" in refuse(2, "sync", "--endpoint", endpoint, *window).err


def test_since_in_the_future_is_refused(refuse: Callable[..., Ended], endpoint: str) -> None:
    error = refuse(2, "sync", "--endpoint", endpoint, "--since", "2099-01-01").err
    assert "--since 2099-01-01 00:00:00Z is in the future" in error
    assert "Expected a time before now" in error


# --- target to write ----------------------------------------------------------------------------


def test_a_missing_target_folder_exits_with_2_and_is_not_created(
    refuse: Callable[..., Ended], endpoint: str
) -> None:
    ended = refuse(2, "sync", "--endpoint", endpoint, "--path", "no/such/runs.duckdb")
    assert "Create it, or choose another --path" in ended.err


FOREIGN_COMMANDS = (["sync"], ["query", "SELECT 1"], ["status"], ["views"])


@pytest.mark.parametrize("command", FOREIGN_COMMANDS, ids=" ".join)
def test_a_file_that_is_not_a_database_is_not_overwritten(
    refuse: Callable[..., Ended], console: Console, endpoint: str, command: list[str]
) -> None:
    (console.folder / "runs.duckdb").write_bytes(b"id,name\n1,precious\n")
    ended = refuse(2, *command, TOWER_API_ENDPOINT=endpoint)
    assert "choose another --path" in ended.err


def test_an_empty_file_is_not_overwritten(
    refuse: Callable[..., Ended], console: Console, endpoint: str
) -> None:
    """Another program may have created the file."""
    (console.folder / "runs.duckdb").touch()
    assert "choose another --path" in refuse(2, "sync", "--endpoint", endpoint).err


@pytest.mark.parametrize("command", FOREIGN_COMMANDS, ids=" ".join)
def test_a_damaged_database_is_named_and_not_changed(
    refuse: Callable[..., Ended], console: Console, endpoint: str, command: list[str]
) -> None:
    """The file is truncated, as after a full disk or an incomplete copy."""
    path = console.folder / "runs.duckdb"
    make_database(path)
    path.write_bytes(path.read_bytes()[:5000])
    ended = refuse(2, *command, TOWER_API_ENDPOINT=endpoint)
    assert str(path) in ended.err
    assert "is damaged" in ended.err
    assert "choose another --path" in ended.err


def test_a_folder_at_the_target_path_exits_with_2(
    refuse: Callable[..., Ended], console: Console, endpoint: str
) -> None:
    (console.folder / "runs.duckdb").mkdir()
    assert "choose another --path" in refuse(2, "sync", "--endpoint", endpoint).err


# --- target to read -----------------------------------------------------------------------------

ASKING = (["query", "SELECT 1"], ["query", "cost_by_pipeline"], ["status"], ["views"])


@pytest.mark.parametrize("command", ASKING, ids=" ".join)
def test_reading_before_the_first_sync_names_the_sync_command(
    refuse: Callable[..., Ended], command: list[str]
) -> None:
    assert "Run `tower-etl sync --path" in refuse(2, *command).err


@pytest.mark.parametrize("command", ASKING, ids=" ".join)
def test_reading_a_database_without_tables_of_a_sync_exits_with_2(
    refuse: Callable[..., Ended], console: Console, command: list[str]
) -> None:
    make_database(console.folder / "runs.duckdb")
    assert "contains no tables of tower-etl" in refuse(2, *command).err


@pytest.mark.parametrize("command", ASKING, ids=" ".join)
def test_reading_a_file_that_is_open_for_writing_exits_with_2(
    console: Console, command: list[str]
) -> None:
    """DuckDB lets no other process read a file while it is open for writing."""
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
def test_an_invalid_query_exits_with_2_and_one_line_of_error(
    synced: Console, question: str, says: str
) -> None:
    """Invalid SQL is an error of the user; the message quotes the one of DuckDB."""
    ended = synced.run("query", question)
    assert (ended.code, ended.out) == (2, "")
    assert says in ended.err
    assert ended.err.count("\n") == 1


# --- the simulator ------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", [".", "no-such-folder"])
def test_simulate_with_a_folder_without_runs_exits_with_2(
    refuse: Callable[..., Ended], folder: str
) -> None:
    assert "--runs: No dumped run" in refuse(2, "simulate", "--runs", folder, "--port", "0").err


def test_simulate_on_a_used_port_exits_with_2_and_names_the_port(
    refuse: Callable[..., Ended], endpoint: str
) -> None:
    port = endpoint.removesuffix("/api").rpartition(":")[2]
    assert f"port {port}" in refuse(2, "simulate", "--port", port).err


@pytest.mark.parametrize(
    ("flag", "value"), [("--port", "-1"), ("--port", "99999"), ("--size", "0"), ("--latency", "-1")]
)
def test_simulate_with_a_number_out_of_range_exits_with_2(
    console: Console, flag: str, value: str
) -> None:
    ended = console.run("simulate", flag, value)
    assert (ended.code, ended.out) == (2, "")
    assert f"Invalid value for '{flag}'" in ended.err


@pytest.mark.parametrize("command", ["sync", "check"])
def test_plain_http_to_a_remote_host_is_refused(refuse: Callable[..., Ended], command: str) -> None:
    """The message names `--insecure-http`. No server can have the address (RFC 5737)."""
    ended = refuse(2, command, "--endpoint", "http://192.0.2.1/api")
    assert "is not encrypted" in ended.err
    assert "--insecure-http" in ended.err


def test_a_failed_token_command_is_reported_without_its_output(
    refuse: Callable[..., Ended],
) -> None:
    ended = refuse(2, "check", "--token-command", "sh -c 'echo hidden-word; exit 3'")
    assert "ended with 3" in ended.err
    assert "hidden-word" not in ended.err


def test_a_missing_ca_bundle_of_flag_or_environment_exits_with_2(
    refuse: Callable[..., Ended],
) -> None:
    assert "No CA bundle at /x.pem" in refuse(2, "check", "--ca-bundle", "/x.pem").err
    assert "No CA bundle at /y.pem" in refuse(2, "check", SSL_CERT_FILE="/y.pem").err


@pytest.mark.parametrize("command", [["query", "run_costs"], ["report"]])
def test_a_path_with_a_password_is_refused_without_showing_it(
    refuse: Callable[..., Ended], command: list[str]
) -> None:
    ended = refuse(2, *command, "--path", "postgresql://me:hush@host/db")
    assert "--path contains a password" in ended.err
    assert "hush" not in ended.err


@pytest.mark.parametrize(
    "command",
    [
        ["report", "--output"],
        ["compare", "--group-by", "revision", "--html"],
        ["status", "--prometheus"],
    ],
)
def test_an_output_file_that_is_a_database_is_refused(synced: Console, command: list[str]) -> None:
    path = synced.folder / "runs.duckdb"
    before = path.read_bytes()
    ended = synced.run(*command, str(path), "--path", str(path))
    assert ended.code == 2
    assert f"is a DuckDB file, which {command[-1]} would replace" in ended.err
    assert path.read_bytes() == before


@pytest.mark.parametrize("command", [["query", "run_costs"], ["report"]])
def test_an_empty_period_is_refused_by_commands_that_read(
    synced: Console, command: list[str]
) -> None:
    ended = synced.run(*command, "--since", "3d", "--until", "5d")
    assert ended.code == 2
    assert "--since 3d is after --until 5d. Swap the two." in ended.err

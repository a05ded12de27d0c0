"""The token is in no file or output, and telemetry is off unless the user enables it."""

from __future__ import annotations

import base64
import signal
import subprocess
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from tests.cli.console import Console, Ended
from tower_etl.simulator import (
    Fault,
    FaultPlan,
    Simulator,
    serve,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tower_etl.simulator import World

pytestmark = pytest.mark.slow

SECRET = "eyJ0aWQiOiAxMjM0NX0uc2VjcmV0LXRva2Vu"
SHAPES = (SECRET.encode(), base64.b64encode(SECRET.encode()).rstrip(b"="))


def find_secret(console: Console, ended: Ended) -> list[str]:
    """Return where the token occurs: output, or files except the user's own settings."""
    places = {name: content or b"" for name, content in console.list_files().items()}
    places |= {"output": ended.out.encode(), "error output": ended.err.encode()}
    return [
        name
        for name, content in places.items()
        if any(shape in content for shape in SHAPES) and not name.endswith("/.dlt/secrets.toml")
    ]


@pytest.mark.parametrize("from_file", [False, True])
def test_the_token_is_in_no_file_and_no_output(
    console: Console, world: World, lab: int, *, from_file: bool
) -> None:
    """The token comes from the environment or dlt's secrets; dlt logs at DEBUG."""
    world.submit_run(lab)
    if from_file:
        (console.folder / ".dlt").mkdir()
        secrets = f'[sources.tower_etl.tower]\naccess_token = "{SECRET}"\n'
        (console.folder / ".dlt" / "secrets.toml").write_text(secrets)
    with serve(Simulator(world, tokens=(SECRET,), limit=None)) as endpoint:
        ended = console.run(
            *("sync", "--endpoint", endpoint),
            TOWER_ACCESS_TOKEN=None if from_file else SECRET,
            RUNTIME__LOG_LEVEL="DEBUG",
            TOWER_ETL_DEBUG="1",
        )
    assert ended.code == 0, ended.err
    assert "|dlt|" in ended.err  # the debug log was written
    assert find_secret(console, ended) == []


def test_a_failed_sync_leaves_no_token_in_files_or_output(
    console: Console, world: World, lab: int
) -> None:
    """A run cannot be fetched; the target and the error message must not contain the token."""
    run_id = world.submit_run(lab)
    faults = FaultPlan()
    faults.add(f"/workflow/{run_id}", Fault("status", status=418, times=1000))
    with serve(Simulator(world, tokens=(SECRET,), limit=None, faults=faults)) as endpoint:
        ended = console.run(
            *("sync", "--endpoint", endpoint),
            TOWER_ACCESS_TOKEN=SECRET,
            RUNTIME__LOG_LEVEL="DEBUG",
            TOWER_ETL_DEBUG="1",
        )
    assert ended.code == 4, ended.err
    assert find_secret(console, ended) == []


def test_a_killed_sync_leaves_no_token_in_files_or_tracebacks(
    console: Console, world: World, lab: int
) -> None:
    """SIGABRT makes faulthandler print the traceback of every thread."""
    run_id = world.submit_run(lab)
    faults = FaultPlan()
    faults.add(f"/workflow/{run_id}", Fault("slow", delay=60.0))
    token = {"TOWER_ACCESS_TOKEN": SECRET, "PYTHONFAULTHANDLER": "1", "TOWER_ETL_DEBUG": "1"}
    patient = Console(console.folder, console.home, token)
    simulator = Simulator(world, tokens=(SECRET,), limit=None, faults=faults)
    with serve(simulator) as endpoint:
        process = patient.start("sync", "--endpoint", endpoint, "--rate", "none")
        while not any(run_id in call.path for call in simulator.calls):
            assert process.poll() is None
        listed = subprocess.run(
            ["ps", "-o", "args=", "-p", str(process.pid)], capture_output=True, check=True
        )
        process.send_signal(signal.SIGABRT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGABRT
    assert "most recent call first" in err
    assert SECRET.encode() not in listed.stdout
    assert find_secret(console, Ended(process.returncode, out, err)) == []


@contextmanager
def listen() -> Iterator[tuple[str, list[str]]]:
    """Serve an address for telemetry; yield it with the list of received texts."""
    told: list[str] = []

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Suppress the log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Listener) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/track", told
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("wanted", [False, True])
def test_telemetry_is_sent_only_if_the_configuration_enables_it(
    console: Console, endpoint: str, lab: int, *, wanted: bool
) -> None:
    """The default of dlt is to send telemetry; tower-etl turns it off."""
    if wanted:
        (console.folder / ".dlt").mkdir()
        (console.folder / ".dlt" / "config.toml").write_text("[runtime]\ndlthub_telemetry = true\n")
    with listen() as (url, told):
        ended = console.run("sync", "--endpoint", endpoint, RUNTIME__DLTHUB_TELEMETRY_ENDPOINT=url)
    assert ended.code == 0, ended.err
    assert bool(told) is wanted

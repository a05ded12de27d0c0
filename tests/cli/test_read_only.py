"""Commands send GET requests only, whichever library sends them."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tower_etl.simulator import Simulator, serve

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.console import Console
    from tower_etl.simulator import World

pytestmark = pytest.mark.slow

# Records method and address of every request that the process sends, then runs the command.
DRIVER = """
import http.client, sys
notes = sys.argv.pop(1)
real = http.client.HTTPConnection.putrequest
def note(self, method, url, *args, **kwargs):
    with open(notes, "a") as file:
        file.write(f"{method} {url}\\n")
    return real(self, method, url, *args, **kwargs)
http.client.HTTPConnection.putrequest = note
import tower_etl.cli, tower_etl.cli.demo
tower_etl.cli.demo._RUNS = 8
tower_etl.cli.main()
"""


def run_and_list_methods(console: Console, *args: str) -> list[str]:
    """Run a command and return the methods of the requests that it sends."""
    notes: Path = console.home / "notes"
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, str(notes), *args],
        cwd=console.folder,
        env=console.environ(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [line.split()[0] for line in notes.read_text().splitlines()]


@pytest.mark.parametrize("command", ["check", "sync --reconcile"])
def test_check_and_sync_send_get_requests_only(
    console: Console, world: World, lab: int, command: str
) -> None:
    """The requests that the process sends are those that the server receives."""
    run_id = world.submit_run(lab)
    world.start_run(run_id)
    world.finish_task(run_id, world.add_task(run_id))
    simulator = Simulator(world, limit=None)
    with serve(simulator) as endpoint:
        sent = run_and_list_methods(
            console, *command.split(), "--endpoint", endpoint, "--rate", "none"
        )

    assert set(sent) == {"GET"}
    assert [call.method for call in simulator.calls] == sent


def test_the_demo_sends_get_requests_only(console: Console) -> None:
    sent = run_and_list_methods(console, "demo")

    assert (set(sent), len(sent) > 20) == ({"GET"}, True)


def test_a_post_request_would_be_recorded(console: Console) -> None:
    """Otherwise the tests above would prove nothing."""
    console.home.joinpath("notes").touch()
    post = "http.client.HTTPConnection('127.0.0.1', 9).putrequest('POST', '/x')"
    code = DRIVER.replace("import tower_etl.cli, tower_etl.cli.demo", f"{post}\nsys.exit(0)")
    subprocess.run(
        [sys.executable, "-c", code, str(console.home / "notes")], timeout=60, check=True
    )

    assert console.home.joinpath("notes").read_text() == "POST /x\n"

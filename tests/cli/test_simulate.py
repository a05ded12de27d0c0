"""`tower-etl simulate` and `tower-etl demo`."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from tower_etl.simulator import ServerProfile, Simulator, serve

if TYPE_CHECKING:
    from tests.cli.console import Console
    from tower_etl.simulator import World


README = Path(__file__).parents[2] / "README.md"


@pytest.mark.slow
def test_the_banner_of_simulate_gives_a_working_token_and_endpoint(console: Console) -> None:
    """When it is stopped, the simulator prints the number of calls that it received."""
    with console.start("simulate", "--port", "0", "--size", "5", "--no-limit") as server:
        assert server.stdout is not None
        banner = "".join(server.stdout.readline() for _ in range(4))
        token = re.search(r"export TOWER_ACCESS_TOKEN=(\S+)", banner)
        endpoint = re.search(r"tower-etl sync --endpoint (\S+)", banner)
        assert token, banner
        assert endpoint, banner
        ended = console.run(
            "sync", "--endpoint", endpoint[1], "--json", TOWER_ACCESS_TOKEN=token[1]
        )
        server.send_signal(signal.SIGINT)
        out, err = server.communicate(timeout=30)
    assert ended.code == 0, ended.err
    assert ended.json["rows"]["workflows"] == 5
    assert (server.returncode, err) == (0, "")
    assert f"{ended.json['calls']} calls, at most " in out


def test_simulate_serves_a_world_of_one_run(console: Console) -> None:
    with console.start("simulate", "--port", "0", "--size", "1") as server:
        assert server.stdout is not None
        assert server.stdout.readline().startswith("Serving a simulated platform at http://")
        server.terminate()
        assert server.wait(30) == 0


@pytest.mark.slow
def test_the_readme_shows_the_output_of_the_demo(console: Console) -> None:
    """Compare the headings, because the figures change with each demo.

    The number of calls leaves room for the installation within the minute that the README promises.
    """
    ended = console.run("demo", TOWER_ACCESS_TOKEN=None)
    assert (ended.code, ended.err) == (0, "")
    cost = re.search(
        r"second sync took (\d+) calls instead of (\d+)\. .* at most (\d+) calls", ended.out
    )
    assert cost, ended.out
    second, first, _ = map(int, cost.groups())
    assert second < first
    assert first + second < 20 * 25, "a minute has room for the installation, too"
    assert list_headings(README.read_text(encoding="utf-8")) == list_headings(ended.out)
    assert "The HTML report is tower-demo-report.html" in ended.out
    page = (console.folder / "tower-demo-report.html").read_text(encoding="utf-8")
    assert page.endswith("</html>")
    with duckdb.connect(str(console.folder / "tower-demo.duckdb"), read_only=True) as connection:
        counted = connection.execute("SELECT count(*) FROM tower.workflows").fetchall()
    assert counted[0][0] > 70


def list_headings(text: str) -> list[str]:
    """Return the questions of the demo with the columns of their results."""
    lines = text.splitlines()
    asked = [n for n, line in enumerate(lines) if "?  (tower-etl query " in line]
    return [re.sub(r"\s+", " ", f"{lines[n]} {lines[n + 1]}") for n in asked]


def test_the_demo_does_not_replace_another_database(console: Console) -> None:
    with duckdb.connect(str(console.folder / "tower-demo.duckdb")) as connection:
        connection.execute("CREATE TABLE mine AS SELECT 1 AS a")
    expect_refusal(console)


@pytest.mark.slow
def test_the_demo_does_not_replace_a_synced_history(console: Console, world: World) -> None:
    """The platform is on loopback, as through a tunnel, so the host does not identify a demo."""
    simulator = Simulator(world, limit=None, profile=ServerProfile(version="25.1.0"))
    with serve(simulator) as endpoint:
        assert console.run("sync", "--endpoint", endpoint, "--path", "tower-demo.duckdb").code == 0
    expect_refusal(console)


def expect_refusal(console: Console) -> None:
    """Assert that the demo exits with 2 and changes no file."""
    before = console.list_files()
    ended = console.run("demo")
    assert (ended.code, ended.out) == (2, "")
    assert "hoose another --path" in ended.err
    assert before == console.list_files()

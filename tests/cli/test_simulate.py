"""`tower-etl simulate` and `tower-etl demo`, as somebody tries them who has no platform."""

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
def test_a_simulated_platform_is_synced_as_its_banner_says(console: Console) -> None:
    """The printed token and command work; ending it tells what traffic there was."""
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


def test_a_small_world_has_as_many_runs_as_asked_for(console: Console) -> None:
    """One run is a world, too."""
    with console.start("simulate", "--port", "0", "--size", "1") as server:
        assert server.stdout is not None
        assert server.stdout.readline().startswith("Serving a simulated platform at http://")
        server.terminate()
        assert server.wait(30) == 0


@pytest.mark.slow
def test_the_demo_shows_what_the_readme_shows(console: Console) -> None:
    """Figures apart. Its calls take less than half a minute; it leaves a file and a report."""
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
    """The questions of the demo, with the columns of their answers."""
    lines = text.splitlines()
    asked = [n for n, line in enumerate(lines) if "?  (tower-etl query " in line]
    return [re.sub(r"\s+", " ", f"{lines[n]} {lines[n + 1]}") for n in asked]


def test_the_demo_does_not_replace_a_file_of_something_else(console: Console) -> None:
    """A database of the user's own is not touched."""
    with duckdb.connect(str(console.folder / "tower-demo.duckdb")) as connection:
        connection.execute("CREATE TABLE mine AS SELECT 1 AS a")
    expect_refusal(console)


@pytest.mark.slow
def test_the_demo_does_not_replace_what_was_synced_from_a_platform(
    console: Console, world: World
) -> None:
    """Not even from one that answers on loopback, as through a tunnel."""
    simulator = Simulator(world, limit=None, profile=ServerProfile(version="25.1.0"))
    with serve(simulator) as endpoint:
        assert console.run("sync", "--endpoint", endpoint, "--path", "tower-demo.duckdb").code == 0
    expect_refusal(console)


def expect_refusal(console: Console) -> None:
    """The demo ends with 2 and leaves everything as it was."""
    before = console.list_files()
    ended = console.run("demo")
    assert (ended.code, ended.out) == (2, "")
    assert "hoose another --path" in ended.err
    assert before == console.list_files()

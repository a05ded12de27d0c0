"""`tower-etl report`: the written file, and invalid arguments."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.cli.console import make_console

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.console import Console


@pytest.fixture
def console(seeded: Path, tmp_path: Path) -> Console:
    """Return a console in a folder with a synced file."""
    console = make_console(tmp_path)
    (console.folder / "runs.duckdb").write_bytes(seeded.read_bytes())
    return console


@pytest.mark.slow
def test_report_writes_one_file_to_the_current_folder(console: Console) -> None:
    before = console.list_files()
    ended = console.run("report", TOWER_ACCESS_TOKEN=None)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("report.html: 60 runs, ")
    page = console.folder / "report.html"
    assert console.list_files() == before | {str(page): page.read_bytes()}


@pytest.mark.slow
def test_report_filters_by_workspace_and_links_to_the_given_address(console: Console) -> None:
    """The name of the workspace is matched without regard to case."""
    ((name,), *_) = console.select("SELECT workspace FROM cost_by_workspace WHERE runs < 60")
    chosen = ("--workspace", name.upper(), "--web", "https://tower.example.org/")
    ended = console.run("report", *chosen, "--output", "part.html")
    assert (ended.code, "60 runs" in ended.out) == (0, False), ended.err
    org, workspace = name.split("/")
    page = (console.folder / "part.html").read_text(encoding="utf-8")
    spaces = set(re.findall(r'href="(https://[^"]*)/watch/\w+"', page))
    assert spaces == {f"https://tower.example.org/orgs/{org}/workspaces/{workspace}"}


@pytest.mark.slow
def test_report_of_a_time_without_runs_succeeds(console: Console) -> None:
    ended = console.run("report", "--until", "2001-01-01")
    assert (ended.code, ended.out.split(",")[0]) == (0, "report.html: 0 runs")
    assert "No runs to show" in (console.folder / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--path", "none.duckdb"), "does not exist"),
        (("--since", "soon"), "--since 'soon'"),
        (("--workspace", "no/such"), "No run has the workspace 'no/such'"),
        (("--output", "no/such/folder.html"), "No such file or directory: no/such/folder.html"),
        (("--output", "."), "Is a directory: ."),
        (("--web", "ftp://x"), "Invalid --web"),
    ],
)
def test_report_with_invalid_arguments_exits_with_2_and_writes_nothing(
    console: Console, args: tuple[str, ...], said: str
) -> None:
    before = console.list_files()
    ended = console.run("report", *args)
    assert (ended.code, said in ended.err) == (2, True), ended.err
    assert console.list_files() == before

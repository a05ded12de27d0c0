"""Commands, SQL queries and flags in the README and the docs work as printed."""

from __future__ import annotations

import re
import shlex
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
import duckdb
import pytest

from tests.cli.console import make_console
from tests.sql.postgres import start_postgres
from tower_etl.cli import cli
from tower_etl.simulator import NO_LIMIT, Simulator, build_world, serve, write_bill
from tower_etl.warehouse.reader import open_reader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.console import Console

ROOT = Path(__file__).parents[2]
GENERATED = {"command-line.md", "data-dictionary.md", "performance-figures.md"}
PAGES = [
    path
    for path in (
        ROOT / "README.md",
        *sorted((ROOT / "docs").glob("*.md")),
        ROOT / "pipelines" / "README.md",
        ROOT / "notebooks" / "README.md",
    )
    if path.name not in GENERATED
]
PRICES = """\
executor,queue,machine_type,workspace,valid_from,cpu_hour,gib_hour,gpu_hour,currency,clock,combine
*,*,,,,0.05,0.005,1.20,USD,ran,sum
"""
# Run by other tests: `simulate` does not end, and `demo` takes a minute.
ELSEWHERE = {"simulate", "demo"}


@dataclass(frozen=True)
class Command:
    """A `tower-etl` command that a page shows.

    Attributes:
        page: Path of the page.
        line: Line number in the page.
        text: The command, without prompt and comment.
    """

    page: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"


def _iter_blocks(page: Path) -> Iterator[tuple[int, str, str]]:
    """Yield line number, language and text of each line in the code blocks of a page."""
    language = None
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if fence := re.match(r"\s*```(\S*)", line):
            language = fence[1] if language is None else None
        elif language is not None:
            yield number, language, line.strip()


def _iter_commands(page: Path) -> Iterator[Command]:
    for number, _, line in _iter_blocks(page):
        if found := re.match(r"(?:\$ )?(tower-etl .*?)(?:\s+#.*)?$", line):
            yield Command(str(page.relative_to(ROOT)), number, found[1])


COMMANDS = [command for page in PAGES for command in _iter_commands(page)]


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """Yield the URL of a PostgreSQL server; skip if PostgreSQL is not installed."""
    with start_postgres() as server:
        yield f"postgresql://tower@/postgres?host={server.folder}"


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """Yield a console with a synced target and the files that the pages refer to."""
    console = make_console(tmp_path_factory.mktemp("reader"))
    world = build_world(1, runs=60, days=12, mean_tasks=20)
    research = next(space for space in world.workspaces.values() if space.name == "research")
    world.organizations[research.org_id or 0]["name"] = "acme"
    folder = console.folder
    (folder / "question.sql").write_text("SELECT status, count(*) FROM workflows GROUP BY 1;\n")
    for name in ("spot.csv", "on-demand.csv"):
        (folder / name).write_text(PRICES)
    (folder / "cur").mkdir()
    (folder / "data").mkdir()
    with serve(Simulator(world, limit=NO_LIMIT)) as endpoint:
        ready = replace(
            console, variables={"TOWER_API_ENDPOINT": endpoint, "TOWER_ETL_RATE": "none"}
        )
        ended = ready.run("sync")
        assert ended.code == 0, ended.err
        write_bill(world, folder / "cur" / "bill.csv.gz")
        ended = ready.run("bill", "load", "--provider", "aws", "cur")
        assert ended.code == 0, ended.err
        shutil.copy(folder / "runs.duckdb", folder / "tower-demo.duckdb")
        runs = ready.select("SELECT id FROM workflows ORDER BY submit")
        rows = [f"{run_id},{'ab'[number % 2]}\n" for number, (run_id,) in enumerate(runs)]
        (folder / "runs.csv").write_text("run_id,group\n" + "".join(rows))
        yield ready


def localize(command: Command, places: dict[str, str]) -> list[str]:
    """Return the arguments of a command, with addresses and paths replaced by local ones."""
    text = re.sub(r"\s+>\s*\S+$", "", command.text)
    for there, here in places.items():
        text = text.replace(there, here)
    return shlex.split(text)[1:]


def test_commands_are_found_in_the_pages() -> None:
    """Otherwise the tests below would pass without running a command."""
    assert {"README.md", "docs/bills.md", "docs/compare.md"} <= {c.page for c in COMMANDS}
    assert len(COMMANDS) > 35


@pytest.mark.slow
@pytest.mark.parametrize("page", dict.fromkeys(command.page for command in COMMANDS))
def test_every_command_of_a_page_exits_with_0_and_prints_output(
    page: str, reader: Console, request: pytest.FixtureRequest
) -> None:
    """The commands of a page run in order, because later ones use the results of earlier ones."""
    places = {
        "s3://my-exports/cur/": "cur",
        "s3://bucket/tower": "lake",
        "/var/lib/node_exporter/": "data/",
        "http://127.0.0.1:8765/api": reader.variables["TOWER_API_ENDPOINT"],
    }
    if page == "docs/destinations.md":
        places["postgresql://tower@host/warehouse"] = request.getfixturevalue("postgres")
    failed = {}
    for command in COMMANDS:
        arguments = localize(command, places)
        if command.page != page or arguments[0] in ELSEWHERE:
            continue
        ended = reader.run(*arguments)
        silent = "--prometheus" in arguments
        if ended.code or (not silent and not ended.out + ended.err):
            failed[str(command)] = (ended.code, ended.err)
    assert failed == {}


@pytest.mark.slow
def test_every_sql_query_of_the_pages_runs(reader: Console) -> None:
    """GRANT statements are left out: DuckDB has no such statement."""
    blocks: dict[tuple[str, int], str] = {}
    for page in PAGES:
        last = -1
        for number, language, line in _iter_blocks(page):
            if language == "sql":
                start = (page.name, last) if number == last + 1 else (page.name, number)
                blocks[page.name, number] = f"{blocks.pop(start, '')}\n{line}".strip()
                last = number
    assert len(blocks) >= 5
    queries = {place: sql for place, sql in blocks.items() if not sql.startswith("GRANT ")}
    history = reader.folder / "runs.duckdb"
    for place, sql in queries.items():
        attaches = sql.startswith("ATTACH ")
        with duckdb.connect() if attaches else open_reader(history) as connection:
            found = connection.execute(sql.replace("'runs.duckdb'", f"'{history}'"))
            assert found.description, place


def _list_flags(words: list[str]) -> set[str]:
    """Return the flags of the command that the words begin with."""
    command: click.Command = cli
    for word in words:
        if not isinstance(command, click.Group):
            break
        found = command.get_command(click.Context(command), word)
        if found is None:
            break
        command = found
    assert command is not cli
    return {flag for option in command.params for flag in (*option.opts, *option.secondary_opts)}


def test_every_flag_in_the_text_of_the_pages_exists() -> None:
    """Outside of code blocks, commands have the form `tower-etl COMMAND --flag`."""
    for page in PAGES:
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for found in re.findall(r"`tower-etl ([^`]+)`", text):
            words = found.split()
            while words and words[0].startswith("--"):  # a global flag, such as --log-level info
                words = words[2:]
            used = {word.partition("=")[0] for word in words if word.startswith("--")}
            assert not words or used <= _list_flags(words) | {"--help"}, (page.name, found)

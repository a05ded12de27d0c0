"""Output streams and files: encodings that lack characters, closed pipes, full disks.

Most of these commands run in the test process, with test streams in place of the standard ones.
"""

from __future__ import annotations

import csv
import io
import os
import resource
import signal
import stat
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import pytest

from tests.cli.console import TOWER_ETL, Ended
from tests.cli.here import open_stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cli.console import Console
    from tests.cli.here import Run
    from tower_etl.simulator import World

# Greek, a letter of Latin-1, an emoji, and control characters of terminals.
TEXT = "\u03a9 \xe9 \U0001f600\x1b[31mred\x1b[0m\x07\x9b\u202e"
SQL = (
    "SELECT '\u03a9 \xe9 \U0001f600' || chr(27) || '[31mred' || chr(27) || '[0m'"
    " || chr(7) || chr(155) || chr(8238) AS name, 1 AS runs"
)
ENCODINGS = ["ascii", "latin-1", "cp1252", "utf-8", "utf-16"]


@pytest.fixture
def run(run_here: Callable[[Console], Run], synced: Console) -> Run:
    """Return a function that runs commands next to a synced file."""
    return run_here(synced)


# --- encodings ----------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("form", ["table", "csv", "markdown", "json"])
def test_rows_are_printed_in_every_encoding(run: Run, encoding: str, form: str) -> None:
    """Characters that the encoding lacks are escaped; JSON escapes all that ASCII lacks."""
    ended = run("query", SQL, "--format", form, out=open_stream(encoding))
    lacks = encoding not in {"utf-8", "utf-16"} or form == "json"
    assert (ended.code, "\u03a9" in ended.out, "\\u03a9" in ended.out) == (0, not lacks, lacks)
    assert "\x1b" not in ended.out or form == "csv"


@pytest.mark.parametrize("form", ["table", "markdown"])
def test_column_names_are_printed_without_control_characters(run: Run, form: str) -> None:
    ended = run("query", 'SELECT 1 AS "a\x1b[2J"', "--format", form, out=open_stream("utf-8"))
    assert (ended.code, "\x1b" in ended.out) == (0, False)


def test_columns_stay_aligned_when_characters_are_escaped(run: Run) -> None:
    """An escape sequence is wider than the character that it replaces."""
    sql = "SELECT * FROM (VALUES ('\u03a9\u03a9', 'x'), ('plain', 'y')) AS pair(a, b)"
    head, _, first, second = run("query", sql, out=open_stream("ascii")).out.splitlines()
    assert head.index("b") == first.index("x") == second.index("y")


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_workspace_names_are_printed_in_every_encoding(
    console: Console,
    run_here: Callable[[Console], Run],
    world: World,
    endpoint: str,
    encoding: str,
) -> None:
    """Users choose these names, so control characters are replaced."""
    world.add_workspace(world.add_organization("\u03a9-org"), "\u0141ab\x1b[2J")
    run = run_here(console)
    server = ("--endpoint", endpoint)
    for args in (("sync", *server), ("check", *server), ("status",), ("report",)):
        ended = run(*args, out=open_stream(encoding))
        assert (ended.code, "\x1b" in ended.out, ended.err) == (0, False, "")
        assert ("\\u03a9-org/\\u0141ab\\ufffd[2J" in ended.out) == (args[0] in {"check", "status"})


@pytest.mark.parametrize("args", [["--help"], ["query", "--help"], ["--version"], ["query"]])
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-16"])
def test_help_is_printed_in_every_encoding(run: Run, args: list[str], encoding: str) -> None:
    """`query` without arguments prints the list of marts."""
    ended = run(*args, out=open_stream(encoding))
    assert (ended.code, ended.err) == (0, "")
    assert "tower-etl" in ended.out or "cost_by_pipeline" in ended.out


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
@pytest.mark.parametrize(
    "args",
    [
        ["query", "\u03a9\x1b[2J"],
        ["query", "SELECT \u03a9 FROM tasks"],
        ["status", "--path", "\u03a9\x1b[2J"],
        ["status", "\u03a9\x1b[2J"],
        ["\u03a9\x1b[2J"],
    ],
    ids=ascii,
)
def test_errors_are_printed_in_every_encoding(run: Run, encoding: str, args: list[str]) -> None:
    """Messages quote the arguments, with control characters replaced."""
    ended = run(*args, out=open_stream("ascii"), err=open_stream(encoding))
    assert (ended.code, ended.out) == (2, "")
    assert ("Error: " in ended.err, "\x1b" in ended.err) == (True, False)
    assert "\\u03a9" in ended.err


NO_TEXT = os.fsdecode(b"\xff\xfe")


@pytest.mark.slow
@pytest.mark.parametrize(
    "args",
    [
        ["query", "cost_by_pipeline", "--workspace", NO_TEXT],
        ["query", "cost_by_pipeline", "--pipeline", NO_TEXT],
        ["report", "--workspace", NO_TEXT],
        ["report", "--output", f"{NO_TEXT}/x"],
        ["query", NO_TEXT],
        ["query", f"SELECT '{NO_TEXT}' AS a"],
        ["status", "--path", NO_TEXT],
        ["status", NO_TEXT],
    ],
    ids=ascii,
)
def test_arguments_that_are_not_valid_text_are_refused(run: Run, args: list[str]) -> None:
    """A script may pass bytes that are invalid in the encoding of the terminal."""
    ended = run(*args, out=open_stream("utf-8"))
    assert (ended.code, ended.out) == (2, "")
    assert "Error: " in ended.err
    assert "Internal" not in ended.err


def test_csv_keeps_every_character(run: Run) -> None:
    """Control sequences, carriage returns and line breaks are kept, as in JSON."""
    sql = f"{SQL} UNION ALL SELECT 'a' || chr(13) || 'b' || chr(10) || ',\"' || chr(0), 2"
    text = run("query", sql, "--format", "csv", out=open_stream("utf-8")).out
    read = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["name"] for row in read] == [TEXT, 'a\rb\n,"\0']


def test_csv_warns_when_characters_are_escaped(run: Run) -> None:
    """A program that reads the CSV cannot tell an escape from text."""
    ended = run("query", SQL, "--format", "csv", out=open_stream("latin-1"))
    assert (ended.code, ended.err.count("\n")) == (0, 1)
    assert "PYTHONIOENCODING=utf-8" in ended.err
    assert run("query", SQL, "--format", "csv", out=open_stream("utf-8")).err == ""


def test_excel_csv_has_a_byte_order_mark_and_no_formulas(run: Run) -> None:
    """It is UTF-8 in every terminal; the mark tells Excel so."""
    sql = (
        "SELECT '=1+1' AS \"@name\", -1 AS n, '-1.5e3' AS number, '\u03a9' AS letter, NULL AS none"
    )
    ended = run("query", sql, "--format", "excel-csv", out=open_stream("latin-1"))
    written = ended.out.encode("latin-1")
    assert (ended.code, written[:3]) == (0, b"\xef\xbb\xbf")
    assert written.decode("utf-8-sig").splitlines() == [
        "'@name,n,number,letter,none",
        "'=1+1,-1,-1.5e3,\u03a9,",
    ]


@pytest.mark.parametrize("value", ["INTERVAL 1 DAY", "union_value(k := 1)"])
def test_a_type_that_parquet_lacks_is_refused_with_advice(run: Run, value: str) -> None:
    ended = run("query", f"SELECT {value} AS a", "--format", "parquet", out=open_stream("utf-8"))
    assert (ended.code, ended.out) == (2, "")
    assert "Cast the columns" in ended.err


# --- streams ------------------------------------------------------------------------------------

PRINTING = (
    ["query", "SELECT 1 AS a"],
    ["query", "SELECT 1 AS a", "--format", "csv"],
    ["query", "SELECT 1 AS a", "--format", "excel-csv"],
    ["query", "SELECT 1 AS a", "--format", "parquet"],
    ["query", "--list"],
    ["status"],
    ["status", "--json"],
    ["status", "--prometheus", "-"],
    ["views", "--sql", "duckdb"],
)
HELPING = (["--help"], ["status", "--help"], ["--version"])


@pytest.mark.parametrize("args", [*PRINTING, *HELPING], ids=" ".join)
def test_a_full_disk_behind_stdout_exits_with_5(run: Run, args: list[str]) -> None:
    with open_full() as full:
        ended = run(*args, out=full)
    assert (ended.code, ended.err.count("\n")) == (5, 1), ended.err
    assert "No space left on device" in ended.err


def open_full() -> TextIO:
    """Open a file to which every write fails, as on a full disk."""
    return Path("/dev/full").open("w", encoding="utf-8")


@pytest.mark.parametrize("args", PRINTING, ids=" ".join)
def test_a_closed_stdout_exits_with_2(run: Run, args: list[str]) -> None:
    """Python sets `sys.stdout` to None if the descriptor is closed."""
    ended = run(*args, out=None)
    assert (ended.code, ended.err.count("\n")) == (2, 1), ended.err
    assert "Bad file descriptor: standard output." in ended.err


@pytest.fixture
def left_pipe() -> Iterator[TextIO]:
    """Yield the writing end of a pipe whose reading end is closed."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        yield pipe


@pytest.mark.parametrize("args", [*PRINTING, *HELPING], ids=" ".join)
def test_a_closed_pipe_exits_with_0(run: Run, left_pipe: TextIO, args: list[str]) -> None:
    """This includes the help, which click prints."""
    ended = run(*args, out=left_pipe)
    assert (ended.code, ended.err) == (0, "")


def test_a_closed_pipe_keeps_the_exit_code_of_max_age(run: Run, left_pipe: TextIO) -> None:
    assert run("status", "--max-age", "1s", out=left_pipe).code == 4


def test_a_full_stderr_does_not_change_the_exit_code(run: Run) -> None:
    with open_full() as full:
        assert run("query", "no_such_question", out=open_stream("utf-8"), err=full).code == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ending", "code"),
    [("> /dev/full", 5), (">&-", 2), ("2> /dev/full", 0), ("2>&- > /dev/full", 5), ("| true", 0)],
)
def test_redirected_streams_give_the_expected_exit_code(
    synced: Console, ending: str, code: int
) -> None:
    """Run a separate process, because the interpreter flushes its streams at exit.

    This must neither print an error nor change the exit code.
    """
    done = run_in_shell(synced, ending, "status")
    assert (done.code, done.err.count("\n")) == (code, int("2>" not in ending and code != 0))


def run_in_shell(console: Console, ending: str, *args: str) -> Ended:
    """Run a command with redirections of bash; a pipeline has the command's exit code."""
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f'"$@" {ending}', "bash", TOWER_ETL, *args],
        cwd=console.folder,
        env=console.environ(),
        capture_output=True,
        text=True,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


@pytest.mark.slow
def test_a_sync_with_closed_streams_loads_all_runs(
    console: Console, world: World, endpoint: str, lab: int
) -> None:
    """No file that the sync opens may get the descriptor of a closed stream."""
    run_id = world.submit_run(lab)
    ended = run_in_shell(console, "<&- >&- 2>&-", "sync", "--endpoint", endpoint)
    assert (ended.code, ended.out, ended.err) == (2, "", "")
    assert {run_id} == console.list_runs()


# --- files that commands write ------------------------------------------------------------------

WRITING = (["report", "--output"], ["status", "--prometheus"])


@pytest.mark.slow
@pytest.mark.parametrize("command", WRITING, ids=" ".join)
@pytest.mark.parametrize("path", ["no/such/file", ".", "runs.duckdb/file", "/proc/nothing/file"])
def test_an_output_file_that_cannot_be_written_exits_with_2(
    run: Run, synced: Console, command: list[str], path: str
) -> None:
    """The message names the path, and no file is left behind."""
    before = synced.list_files()
    ended = run(*command, path, out=open_stream("utf-8"))
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1), ended.err
    assert f": {path}" in ended.err
    assert "choose another path" in ended.err
    assert synced.list_files() == before


@pytest.fixture
def small_files() -> Iterator[None]:
    """Limit the size of files to zero, which acts like a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.slow
@pytest.mark.parametrize("command", WRITING, ids=" ".join)
@pytest.mark.usefixtures("small_files")
def test_an_output_file_on_a_full_disk_exits_with_5(
    run: Run, command: list[str], tmp_path: Path
) -> None:
    """The message names the file, and neither content nor a temporary file is written."""
    (output := tmp_path / "output").touch()
    ended = run(*command, str(output), out=open_stream("utf-8"))
    assert (ended.code, ended.out, ended.err.count("\n")) == (5, "", 1), ended.err
    assert ended.err.startswith(f"Error: File too large: {output}.")
    assert [(path.name, path.stat().st_size) for path in tmp_path.iterdir()] == [("output", 0)]


@pytest.mark.slow
@pytest.mark.parametrize("command", WRITING, ids=" ".join)
def test_a_named_pipe_is_written_to_and_not_replaced(
    run: Run, command: list[str], tmp_path: Path
) -> None:
    """An atomic write would put a regular file in place of the pipe."""
    os.mkfifo(pipe := tmp_path / "pipe")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    ended = run(*command, str(pipe), out=open_stream("utf-8"))
    reader.join(30)
    assert (ended.code, ended.err, len(read[0]) > 100) == (0, "", True)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.slow
def test_writing_a_report_to_a_symlink_replaces_the_linked_file(run: Run, tmp_path: Path) -> None:
    (link := tmp_path / "link.html").symlink_to(tmp_path / "real.html")
    assert run("report", "--output", str(link), out=open_stream("utf-8")).code == 0
    assert link.is_symlink()
    assert (tmp_path / "real.html").read_text(encoding="utf-8").startswith("<!doctype html>")

"""Command `tower-etl query`: named queries and SELECT statements."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from tower_etl.cli import options
from tower_etl.cli.output import (
    can_print,
    open_output,
    print_data,
    print_message,
    print_notice,
    replace_controls,
)
from tower_etl.cli.tables import (
    as_csv,
    as_excel_csv,
    as_json,
    as_json_lines,
    as_markdown,
    as_tsv,
    as_xlsx,
    format_table,
)
from tower_etl.errors import ConfigurationError
from tower_etl.files import explain_os_error
from tower_etl.text import suggest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pyarrow as pa
    from duckdb import DuckDBPyConnection

    from tower_etl.cli.tables import Rows
    from tower_etl.destinations.config import DestinationConfig
    from tower_etl.warehouse.filters import RunFilter

_TEXT: Mapping[str, Callable[[Sequence[str], Rows], str]] = {
    "table": format_table,
    "csv": as_csv,
    "tsv": as_tsv,
    "json": as_json,
    "jsonl": as_json_lines,
    "markdown": as_markdown,
}
_BYTES: Mapping[str, Callable[[Sequence[str], Rows], bytes]] = {
    "excel-csv": as_excel_csv,
    "xlsx": as_xlsx,
}
_HUMAN_READABLE = frozenset({"table", "markdown"})
_BINARY = frozenset({"parquet", "xlsx"})
_ESCAPED = (
    "Note: the encoding of the output lacks some characters; they are escaped as \\uXXXX. Set "
    "PYTHONIOENCODING=utf-8 to print them unchanged."
)


def _complete_names(
    _ctx: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the named queries and tables that start with a text, for the shell."""
    from tower_etl.schema import TABLES  # noqa: PLC0415 imports pyarrow
    from tower_etl.views.definitions import iter_views  # noqa: PLC0415 imports duckdb

    items = {view.name: view.description for view in iter_views("marts")}
    items |= dict.fromkeys(TABLES, "table")
    return [
        CompletionItem(name, help=text)
        for name, text in sorted(items.items())
        if name.startswith(incomplete)
    ]


@click.command("query")
@click.argument("question", metavar="[NAME|SQL|-]", required=False, shell_complete=_complete_names)
@options.destination_option
@options.destination_path_option
@click.option(
    "--list", "listing", is_flag=True, help="List the named queries and what they return."
)
@click.option(
    "-f",
    "--file",
    "file",
    metavar="FILE",
    help="Read the SELECT from a file; - for standard input.",
)
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="Return at most N rows.")
@options.scope_options
@click.option(
    "--pipeline",
    "pipelines",
    metavar="NAME",
    multiple=True,
    help="Only runs of this pipeline; `*` and `?` allowed; may be repeated.",
)
@options.user_option
@options.status_option
@options.prices_option
@options.cost_source_option
@click.option(
    "--format",
    "form",
    type=click.Choice([*_TEXT, *_BYTES, "parquet"]),
    default="table",
    show_default=True,
    help="Output format. In excel-csv and xlsx, text that Excel would run as a formula stays text.",
)
def command(question: str | None, *, listing: bool, form: str, **flags: Any) -> None:  # noqa: ANN401 passed by click by name
    """Run a named query or your own SELECT; without an argument, list the named queries.

    A named query can be filtered by submission time, workspace, pipeline, user and status.
    """
    if form in _BINARY and sys.stdout is not None and sys.stdout.isatty():
        msg = f"The format {form} cannot be shown on a terminal. Redirect it: `> rows.{form}`."
        raise ConfigurationError(msg)
    config = options.destination_config(flags.pop("destination"), flags.pop("path"), exists=True)
    file, limit = flags.pop("file"), flags.pop("limit")
    question = _read_question(question, file)
    if listing or question is None:
        _list_questions(form)
        return
    scope = options.read_scope(**flags)
    _check_question(question, scope)
    if config.kind == "postgres":
        _query_postgres(config, question, scope, limit, form)
        return
    from tower_etl.warehouse.reader import open_reader  # noqa: PLC0415 imports duckdb

    with open_reader(config.path) as connection:
        _print(connection, _limit(_make_select(connection, question, scope), limit), form)


def _read_question(question: str | None, file: str | None) -> str | None:
    """Return the query of the argument, of a file or of standard input."""
    if file is None and question != "-":
        return question and question.strip().rstrip(";")
    if file is not None and question is not None:
        msg = "Two queries are given: expected either an argument or --file."
        raise ConfigurationError(msg)
    source = "standard input" if file in {None, "-"} else str(file)
    try:
        text = _read_stdin() if file in {None, "-"} else Path(str(file)).read_text("utf-8")
    except FileNotFoundError:
        msg = f"The file {source} of --file does not exist. Check its path."
        raise ConfigurationError(msg) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = explain_os_error(error, source) if isinstance(error, OSError) else error
        msg = f"Cannot read the query of {source}: {reason}"
        raise ConfigurationError(msg) from None
    if not text.strip():
        msg = f"No query in {source}: expected a SELECT or the name of a query."
        raise ConfigurationError(msg)
    return text.strip().rstrip(";")


def _read_stdin() -> str:
    return sys.stdin.read() if sys.stdin is not None else ""


def _list_questions(form: str) -> None:
    from tower_etl.views.definitions import iter_views  # noqa: PLC0415 imports duckdb

    listed = sorted((view.name, view.description) for view in iter_views("marts"))
    if form == "parquet":
        msg = "The list of queries is not available as Parquet. Choose another --format."
        raise ConfigurationError(msg)
    _print_rows(("name", "answers"), listed, form)


def _check_question(question: str, scope: RunFilter) -> None:
    """Reject an unknown name, and a filter for a table or SELECT, to which none is applied."""
    from tower_etl.schema import STORED_TABLES  # noqa: PLC0415 imports pyarrow
    from tower_etl.views.definitions import iter_views  # noqa: PLC0415 imports duckdb
    from tower_etl.warehouse.reader import find_view  # noqa: PLC0415 imports duckdb

    name = question.strip()
    if view := find_view(name):
        if scope.billed and "bill_usd" in view.docs.columns:
            msg = f"{name} shows the bill beside the estimate. Remove --cost-source."
            raise ConfigurationError(msg)
        return
    if name not in STORED_TABLES and len(name.split()) < 2:  # noqa: PLR2004 a SELECT has two words or more
        names = sorted(view.name for view in iter_views("marts"))
        hint = suggest(name, [*names, *STORED_TABLES])
        msg = f"Unknown query {question!r}.{hint} Expected one of {', '.join(names)}, or a SELECT."
        raise ConfigurationError(msg)
    if scope:
        msg = (
            "--since, --until, --workspace, --pipeline, --user, --status, --prices and "
            "--cost-source apply only to named queries, for example "
            "`tower-etl query cost_by_pipeline`. Use a WHERE clause "
            "in your SELECT instead."
        )
        raise ConfigurationError(msg)


def _limit(sql: str, limit: int | None) -> str:
    return sql if limit is None else f"FROM (\n{sql}\n) LIMIT {limit}"


def _make_select(connection: DuckDBPyConnection, question: str, scope: RunFilter) -> str:
    from tower_etl.warehouse.reader import find_view, view_query  # noqa: PLC0415 imports duckdb

    if view := find_view(question.strip()):
        return view_query(connection, view, scope)
    return question if len(question.split()) > 1 else f'FROM "{question.strip()}"'


def _query_postgres(
    config: DestinationConfig, question: str, scope: RunFilter, limit: int | None, form: str
) -> None:
    """Run a query in PostgreSQL, whose views are those of the last sync."""
    from tower_etl.destinations.base import open_destination  # noqa: PLC0415 imports dlt

    if scope or form == "parquet":
        msg = (
            "Filters and --format parquet need a DuckDB file or a lake. Use a WHERE clause, for "
            "example: tower-etl query \"SELECT * FROM run_costs WHERE pipeline = '...'\"."
        )
        raise ConfigurationError(msg)
    is_select = len(question.split()) > 1
    sql = question if is_select else f'SELECT * FROM "{question.strip()}"'  # noqa: S608 a known name
    if limit is not None:
        sql = f"SELECT * FROM (\n{sql}\n) AS limited LIMIT {limit}"  # noqa: S608 the user's own query
    database: Any = open_destination(config)
    names, rows = database.select(sql)
    _print_rows(names, rows, form)


def _print(connection: DuckDBPyConnection, sql: str, form: str) -> None:
    from tower_etl.warehouse.reader import query_arrow, run_query  # noqa: PLC0415 imports duckdb

    if form == "parquet":
        _print_parquet(query_arrow(connection, sql))
    else:
        _print_rows(*run_query(connection, sql), form)


def _print_parquet(rows: pa.Table) -> None:
    from pyarrow import ArrowException, parquet  # noqa: PLC0415 slow to import

    try:
        with open_output() as stream:
            parquet.write_table(rows, stream.buffer)
    except ArrowException as error:
        msg = (
            f"These rows cannot be written as Parquet ({error}). Cast the columns to other types "
            "in your SELECT, or choose another --format."
        )
        raise ConfigurationError(msg) from None


def _print_rows(names: Sequence[str], rows: Rows, form: str) -> None:
    if form in _BYTES:
        content = _BYTES[form](names, rows)
        with open_output() as stream:
            stream.buffer.write(content)
        return
    text = _TEXT[form](names, rows)
    if form in _HUMAN_READABLE:
        _page(text)
        return
    if not can_print(text):
        print_notice(_ESCAPED)
    print_data(text + "\n")


def _page(text: str) -> None:
    """Print text, in a pager if it does not fit on the terminal."""
    lines = text.count("\n") + 1
    is_terminal = all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))
    if is_terminal and lines >= shutil.get_terminal_size().lines:
        click.echo_via_pager(replace_controls(text) + "\n")
    else:
        print_message(text)

"""Command `tower-etl query`: named queries and SELECT statements."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from tower_etl.cli import options
from tower_etl.cli.output import (
    can_print,
    open_output,
    print_data,
    print_message,
    print_notice,
)
from tower_etl.cli.tables import (
    as_csv,
    as_excel_csv,
    as_json,
    as_markdown,
    format_table,
)
from tower_etl.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from duckdb import DuckDBPyConnection

    from tower_etl.warehouse.filters import RunFilter

_FORMATTERS = {"table": format_table, "csv": as_csv, "json": as_json, "markdown": as_markdown}
_HUMAN_READABLE = frozenset({"table", "markdown"})
_EXCEL = "excel-csv"
_PARQUET = "parquet"
_ESCAPED = (
    "Note: the encoding of the output lacks some characters; they are escaped as \\uXXXX. Set "
    "PYTHONIOENCODING=utf-8 to print them unchanged."
)


@click.command("query")
@click.argument("question", metavar="[NAME|SQL]", required=False)
@options.path_option
@click.option(
    "--list", "listing", is_flag=True, help="List the named queries and what they return."
)
@options.scope_options
@click.option(
    "--pipeline",
    "pipelines",
    metavar="NAME",
    multiple=True,
    help="Only runs of this pipeline; `*` and `?` allowed; may be repeated.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice([*_FORMATTERS, _EXCEL, _PARQUET]),
    default="table",
    show_default=True,
    help="Output format. excel-csv is CSV for Excel: it starts with a byte-order mark, and text "
    "that Excel would run as a formula is prefixed with an apostrophe.",
)
def command(question: str | None, path: str, form: str, *, listing: bool, **chosen: Any) -> None:  # noqa: ANN401 passed by click by name
    """Run a named query or your own SELECT; without an argument, list the named queries.

    A named query can be filtered by submission time, workspace and pipeline.
    """
    from tower_etl.warehouse.reader import open_reader  # noqa: PLC0415 imports duckdb

    if form == _PARQUET and sys.stdout is not None and sys.stdout.isatty():
        msg = "Parquet cannot be shown on a terminal. Redirect it to a file: `> rows.parquet`."
        raise ConfigurationError(msg)
    if listing or question is None:
        _list_questions(form)
        return
    scope = options.read_scope(**chosen)
    _check_question(question, scope)
    with open_reader(path) as connection:
        _print(connection, _make_select(connection, question, scope), form)


def _list_questions(form: str) -> None:
    from tower_etl.views.definitions import iter_views  # noqa: PLC0415 imports duckdb

    listed = sorted((view.name, view.description) for view in iter_views("marts"))
    if form == _PARQUET:
        msg = "The list of queries is not available as Parquet. Choose another --format."
        raise ConfigurationError(msg)
    _print_rows(("name", "answers"), listed, form)


def _check_question(question: str, scope: RunFilter) -> None:
    """Reject an unknown name, and a filter for a table or SELECT, to which none is applied."""
    from tower_etl.schema import TABLES  # noqa: PLC0415 imports pyarrow
    from tower_etl.views.definitions import iter_views  # noqa: PLC0415 imports duckdb
    from tower_etl.warehouse.reader import find_view  # noqa: PLC0415 imports duckdb

    name = question.strip()
    if find_view(name):
        return
    if name not in TABLES and len(name.split()) < 2:  # noqa: PLR2004 a SELECT has two words or more
        known = ", ".join(sorted(view.name for view in iter_views("marts")))
        msg = f"Unknown query {question!r}: expected one of {known}, or a SELECT."
        raise ConfigurationError(msg)
    if scope:
        msg = (
            "--since, --until, --workspace and --pipeline apply only to named queries, for example "
            "`tower-etl query cost_by_pipeline`. Use a WHERE clause in your SELECT instead."
        )
        raise ConfigurationError(msg)


def _make_select(connection: DuckDBPyConnection, question: str, scope: RunFilter) -> str:
    from tower_etl.warehouse.reader import find_view, view_query  # noqa: PLC0415 imports duckdb

    if view := find_view(question.strip()):
        return view_query(connection, view, scope)
    return question if len(question.split()) > 1 else f'FROM "{question.strip()}"'


def _print(connection: DuckDBPyConnection, sql: str, form: str) -> None:
    from tower_etl.warehouse.reader import query_arrow, run_query  # noqa: PLC0415 imports duckdb

    if form == _PARQUET:
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


def _print_rows(names: Sequence[str], rows: Sequence[Sequence[object]], form: str) -> None:
    if form == _EXCEL:
        text = as_excel_csv(names, rows)
        with open_output() as stream:
            stream.buffer.write(f"{text}\n".encode("utf-8-sig"))
        return
    text = _FORMATTERS[form](names, rows)
    if form in _HUMAN_READABLE:
        print_message(text)
        return
    if not can_print(text):
        print_notice(_ESCAPED)
    print_data(text + "\n")

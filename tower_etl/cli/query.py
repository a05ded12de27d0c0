"""`tower-etl query`."""

from __future__ import annotations

import click

from tower_etl.cli import options
from tower_etl.cli.tabular import as_csv, as_json, as_table
from tower_etl.errors import UsageError

_FORMATS = {"table": as_table, "csv": as_csv, "json": as_json}


@click.command("query")
@click.argument("question", metavar="[NAME|SQL]", required=False)
@options.path_option
@click.option(
    "--format",
    "form",
    type=click.Choice(list(_FORMATS)),
    default="table",
    show_default=True,
    help="How to print the rows.",
)
def command(question: str | None, path: str, form: str) -> None:
    """Run a named question or a SELECT of your own; without either, list the names."""
    from tower_etl.load.reader import find_view, open_reader, run_query  # noqa: PLC0415
    from tower_etl.load.views import iter_views  # noqa: PLC0415 imports duckdb

    if question is None:
        listed = [(view.name, view.description) for view in iter_views("marts")]
        click.echo(_FORMATS[form](("name", "answers"), listed))
        return
    view = find_view(question.strip())
    if view is None and len(question.split()) < 2:  # noqa: PLR2004 a SELECT has two words at least
        known = ", ".join(view.name for view in iter_views("marts"))
        msg = f"No question {question!r}. There are: {known}. Or give a SELECT of your own."
        raise UsageError(msg)
    with open_reader(path) as connection:
        names, rows = run_query(connection, f'FROM "{view.name}"' if view else question)
    click.echo(_FORMATS[form](names, rows))

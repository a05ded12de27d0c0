"""Command `tower-etl views`: the SQL views of a DuckDB file, or for other engines."""

from __future__ import annotations

import click

from tower_etl.cli import options
from tower_etl.cli.output import print_data, print_message


@click.command("views")
@options.path_option
@click.option(
    "--sql",
    "dialect",
    metavar="DIALECT",
    help="Print the views for tables of another engine instead: duckdb, postgres or spark.",
)
def command(path: str, dialect: str | None) -> None:
    """Create or replace the SQL views of a DuckDB file, as every sync does."""
    if dialect:
        _print_statements(dialect)
        return
    from tower_etl.destinations.duckdb_paths import resolve_duckdb_paths  # noqa: PLC0415 imports dlt
    from tower_etl.pipeline import refresh_views  # noqa: PLC0415 imports dlt and duckdb

    print_message(f"{path}: {refresh_views(resolve_duckdb_paths(path))} views")


def _print_statements(dialect: str) -> None:
    from tower_etl.views.definitions import iter_views  # noqa: PLC0415 imports duckdb
    from tower_etl.views.dialects import iter_statements  # noqa: PLC0415 imports sqlglot

    for statement in iter_statements(iter_views(), dialect):
        print_data(f"{statement};\n\n")

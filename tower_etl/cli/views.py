"""Command `tower-etl views`: the SQL views of a DuckDB file, or for other engines."""

from __future__ import annotations

from pathlib import Path

import click

from tower_etl.cli import options
from tower_etl.cli.output import print_data, print_message
from tower_etl.errors import ConfigurationError


@click.command("views")
@options.destination_option
@options.destination_path_option
@click.option(
    "--sql",
    "dialect",
    metavar="DIALECT",
    help="Print the views for tables of another engine instead: duckdb, postgres or spark.",
)
@click.option(
    "--schema",
    metavar="NAME",
    help="Schema of the tables and views in the printed statements [default: none].",
)
@click.option(
    "--dbt",
    "dbt_folder",
    metavar="FOLDER",
    help="Write the views as a dbt package into this folder instead, for the DIALECT of --sql "
    "[default: duckdb].",
)
def command(
    destination: str | None,
    path: str | None,
    dialect: str | None,
    schema: str | None,
    dbt_folder: str | None,
) -> None:
    """Create or replace the SQL views of a DuckDB file, as every sync does."""
    if dbt_folder:
        _write_package(Path(dbt_folder).expanduser(), dialect or "duckdb")
        return
    if dialect:
        _print_statements(dialect, schema)
        return
    if schema:
        msg = "--schema applies to printed statements: expected --sql DIALECT with it."
        raise ConfigurationError(msg)
    path = options.file_or_lake(destination, path, "`views` without --sql", kinds=("duckdb",))
    print_message(f"{path}: {_refresh_views(path)} views")


def _refresh_views(path: str) -> int:
    """Create or replace the views of a DuckDB file with tables, and return their number."""
    from tower_etl.destinations.duckdb import DuckDBDestination  # noqa: PLC0415 imports dlt
    from tower_etl.destinations.duckdb_files import resolve_duckdb_paths  # noqa: PLC0415 imports duckdb
    from tower_etl.views.definitions import iter_views  # noqa: PLC0415 imports duckdb
    from tower_etl.warehouse.reader import open_reader  # noqa: PLC0415 imports duckdb

    destination = DuckDBDestination(resolve_duckdb_paths(path))
    open_reader(destination.paths.path).close()  # fails unless a sync has written to the file
    destination.refresh_views()
    return len(list(iter_views()))


def _write_package(folder: Path, dialect: str) -> None:
    from tower_etl.views.dbt_package import write_dbt_package  # noqa: PLC0415 imports sqlglot

    print_message(f"{folder}: dbt package of {write_dbt_package(folder, dialect)} models")


def _print_statements(dialect: str, schema: str | None) -> None:
    from tower_etl.views.definitions import iter_definitions, iter_views  # noqa: PLC0415 imports duckdb
    from tower_etl.views.dialects import iter_statements, select_schema  # noqa: PLC0415 imports sqlglot

    if schema:
        print_data(f"{select_schema(schema, dialect)};\n\n")
    for definition in iter_definitions(dialect):
        print_data(f"{definition};\n\n")
    for statement in iter_statements(iter_views(), dialect):
        print_data(f"{statement};\n\n")

"""`tower-etl views`."""

from __future__ import annotations

import click

from tower_etl.cli import options


@click.command("views")
@options.path_option
def command(path: str) -> None:
    """Create or replace the SQL views of a target, as every sync does."""
    from tower_etl.load.sync import refresh_views  # noqa: PLC0415 imports dlt and duckdb
    from tower_etl.load.target import find_target  # noqa: PLC0415

    click.echo(f"{path}: {refresh_views(find_target(path))} views")

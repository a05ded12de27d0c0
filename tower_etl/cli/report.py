"""`tower-etl report`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tower_etl.cli import options
from tower_etl.clock import SYSTEM_CLOCK
from tower_etl.configuration import parse_moment

if TYPE_CHECKING:
    from tower_etl.load.scope import Scope


@click.command("report")
@options.path_option
@click.option(
    "--output", default="report.html", show_default=True, help="HTML file to make or replace."
)
@click.option("--since", metavar="ISO", help="Only runs submitted from then on.")
@click.option("--until", metavar="ISO", help="Only runs submitted before.")
@click.option(
    "--workspace",
    "workspaces",
    metavar="ORG/NAME|ID",
    multiple=True,
    help="Only runs of that workspace, `*` and `?` allowed, or `personal`; may be repeated.",
)
@click.option(
    "--web",
    metavar="URL",
    help="Address of the platform's pages, for links [derived from the endpoint of the last sync].",
)
def command(
    path: str, output: str, web: str | None, **chosen: str | tuple[str, ...] | None
) -> None:
    """Write one HTML file: cost, waste and how to save it, failures, and the runs to look at.

    It needs no network and can be mailed and printed.
    """
    from tower_etl.report.file import write_report  # noqa: PLC0415 imports duckdb and jinja2

    scope = _read_scope(**chosen)  # type: ignore[arg-type] # click hands them over by name
    written = write_report(path, output, SYSTEM_CLOCK.now(), scope=scope, web=web)
    click.echo(f"{written.path}: {written.runs:,} runs, {written.size_bytes / 1000:,.0f} kB")


def _read_scope(since: str | None, until: str | None, workspaces: tuple[str, ...]) -> Scope:
    from tower_etl.load.scope import Scope  # noqa: PLC0415 imports duckdb

    return Scope(
        since=parse_moment(since, "--since") if since else None,
        until=parse_moment(until, "--until") if until else None,
        workspaces=workspaces,
    )

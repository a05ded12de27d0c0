"""Command `tower-etl report`: the HTML report."""

from __future__ import annotations

import click

from tower_etl.cli import options
from tower_etl.cli.output import print_message
from tower_etl.clock import SYSTEM_CLOCK


@click.command("report")
@options.path_option
@click.option(
    "--output", default="report.html", show_default=True, help="HTML file to create or replace."
)
@options.scope_options
@click.option(
    "--web",
    metavar="URL",
    help="URL of the platform's web interface, for links [default: derived from the endpoint of "
    "the last sync].",
)
def command(
    path: str, output: str, web: str | None, **chosen: str | tuple[str, ...] | None
) -> None:
    """Write an HTML report on cost, waste with suggested savings, failures and notable runs.

    The file is self-contained: it needs no network, and can be mailed and printed.
    """
    from tower_etl.report.render import write_report  # noqa: PLC0415 imports duckdb and jinja2

    scope = options.read_scope(**chosen)  # type: ignore[arg-type] # passed by click by name
    written = write_report(path, output, SYSTEM_CLOCK.now(), scope=scope, web=web)
    size = f"{written.size_bytes / 1000:,.0f} kB"
    print_message(f"{written.path}: {written.runs:,} runs, {size}")

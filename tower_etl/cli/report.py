"""Command `tower-etl report`: the HTML report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tower_etl.cli import options
from tower_etl.cli.output import check_output_path, print_message
from tower_etl.clock import SYSTEM_CLOCK

if TYPE_CHECKING:
    from tower_etl.warehouse.filters import RunFilter


@click.command("report")
@options.destination_option
@options.destination_path_option
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
@click.option(
    "--by",
    metavar="KEY",
    help="Write the costs by value of a label key instead, with a CSV of runs for each value.",
)
@click.option(
    "--data",
    metavar="FOLDER",
    help="Also write the marts behind the report into this folder: CSV files and index.json.",
)
@options.prices_option
def command(
    destination: str | None,
    path: str | None,
    output: str,
    web: str | None,
    **flags: Any,  # noqa: ANN401 passed by click by name
) -> None:
    """Write an HTML report on cost, waste with suggested savings, failures and notable runs.

    The file is self-contained: it needs no network, and can be mailed and printed.
    """
    from tower_etl.report.render import write_report  # noqa: PLC0415 imports duckdb and jinja2

    check_output_path(output, "--output")
    by, data = flags.pop("by"), flags.pop("data")
    scope = options.read_scope(**flags)
    path = options.file_or_lake(destination, path, "A report")
    if data is not None:
        _write_data(path, Path(data).expanduser(), scope)
    if by is not None:
        _write_invoices(path, output, by, scope)
        return
    written = write_report(path, output, SYSTEM_CLOCK.now(), scope=scope, web=web)
    size = f"{written.size_bytes / 1000:,.0f} kB"
    print_message(f"{written.path}: {written.runs:,} runs, {size}")


def _write_data(path: str, folder: Path, scope: RunFilter) -> None:
    from tower_etl.report.exports import write_data  # noqa: PLC0415 imports duckdb and jinja2

    print_message(f"{folder}: {write_data(path, folder, SYSTEM_CLOCK.now(), scope)} CSV files")


def _write_invoices(path: str, output: str, key: str, scope: RunFilter) -> None:
    from tower_etl.report.exports import write_invoices  # noqa: PLC0415 imports duckdb and jinja2

    page, *files = write_invoices(path, output, key, SYSTEM_CLOCK.now(), scope)
    print_message(f"{page}: cost by {key}, with {len(files)} CSV files beside it")

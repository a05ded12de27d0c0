"""Command `tower-etl bill`: loading of cloud bills, and their attribution to runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tower_etl.billing.columns import parse_mapping
from tower_etl.billing.coverage import COVERAGE_VIEWS, SNIPPET, read_coverage
from tower_etl.cli import options
from tower_etl.cli.output import print_json, print_message, print_notice
from tower_etl.cli.tables import format_table
from tower_etl.clock import SYSTEM_CLOCK
from tower_etl.text import pluralize

if TYPE_CHECKING:
    from tower_etl.billing.coverage import Coverage
    from tower_etl.billing.load import BillReport
    from tower_etl.destinations.config import DestinationConfig


@click.group("bill", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Load cloud bills beside the runs, and check how much of them is attributed."""


@command.command("load")
@click.argument("files", metavar="FILES_OR_FOLDER...", nargs=-1, required=True)
@click.option(
    "--provider",
    type=click.Choice(["aws", "focus"]),
    required=True,
    help="Format: aws is a cost and usage report (legacy or 2.0), focus is FOCUS 1.x of any cloud.",
)
@click.option(
    "--map",
    "pairs",
    metavar="NAME=TAG",
    multiple=True,
    help="Tag that holds run_id [uniqueRunId], task_hash [taskHash] or compute_env [none]; may be "
    "repeated. With compute_env, lines without a run are allocated to the tasks that ran there.",
)
@options.destination_option
@options.destination_path_option
@options.json_option
def load(
    files: tuple[str, ...],
    path: str | None,
    *,
    as_json: bool,
    **flags: Any,  # noqa: ANN401 passed by click by name
) -> None:
    """Load exports of a cloud bill, and replace the billing periods in them.

    Parquet and CSV (gzip or not), local or s3://bucket/folder. Give all files of a period at once.
    """
    from tower_etl.billing.load import BillLoad  # noqa: PLC0415 imports dlt
    from tower_etl.destinations.base import open_destination  # noqa: PLC0415 imports dlt and duckdb

    mapping = parse_mapping(flags["pairs"])
    config = options.destination_config(flags["destination"], path)
    report = BillLoad(
        open_destination(config),
        files,
        flags["provider"],
        SYSTEM_CLOCK,
        mapping,
        on_file=lambda name: print_notice(f"Reading {name}"),
    ).run()
    for warning in report.warnings:
        print_notice(f"Warning: {warning}")
    if as_json:
        print_json(report.as_json())
    else:
        print_message(describe_load(report, config))


def describe_load(report: BillReport, config: DestinationConfig) -> str:
    """Return the summary of a load, and the coverage of all loaded bills."""
    periods = len({(period.provider, period.account, period.month) for period in report.lines})
    counted = f"{report.lines.total():,} lines of {pluralize(report.files, 'file')}"
    head = f"{config.path or config.kind}: {counted} and {pluralize(periods, 'billing period')}"
    return f"{head} in {report.seconds:.1f} s\n{describe_coverage(_read_coverage(config))}"


def _read_coverage(config: DestinationConfig) -> Coverage:
    from tower_etl.warehouse.status import query_destination  # noqa: PLC0415 imports duckdb

    return query_destination(config, read_coverage, COVERAGE_VIEWS)


@command.command("check")
@options.destination_option
@options.destination_path_option
@options.json_option
def check(destination: str | None, path: str | None, *, as_json: bool) -> None:
    """Show which tags are missing, what share of the bills is attributed, and how to set tags."""
    coverage = _read_coverage(options.destination_config(destination, path, exists=True))
    if as_json:
        print_json(coverage.as_json())
    else:
        print_message(describe_coverage(coverage))


def describe_coverage(coverage: Coverage) -> str:
    """Return the coverage as text, with advice on unattributed lines."""
    if not coverage.periods:
        return "No bill is loaded: run `tower-etl bill load --provider aws|focus FILES` first."
    rows = [
        (
            period.period,
            period.provider,
            period.account,
            round(period.cost, 4),
            period.currency,
            round(period.tagged, 4),
            round(period.allocated, 4),
            f"{period.attributed_percent:.1f}%",
        )
        for period in coverage.periods
    ]
    names = ("period", "provider", "account", "cost", "currency", "tagged", "allocated", "share")
    return "\n".join([format_table(names, rows), "", *_describe_gaps(coverage)])


def _describe_gaps(coverage: Coverage) -> list[str]:
    lines = [
        f"Unattributed: {cost:,.4f} {currency} in {count:,} lines: {reason}."
        for reason, currency, count, cost in coverage.reasons
    ]
    lines += [
        f"Loaded twice: {month} is there as aws and as focus; of one account, load one of them."
        for month in coverage.twice
    ]
    lines += [
        f"Missing tag: no line has a value for {name}. Activate the tag in the billing console, or "
        f"name it with `bill load --map {name}=TAG`."
        for name in coverage.missing_tags
    ]
    if coverage.missing_tags or any(reason == "no run tag" for reason, *_ in coverage.reasons):
        lines += ["", "Labels that attribute every task, for nextflow.config:", SNIPPET]
    return lines

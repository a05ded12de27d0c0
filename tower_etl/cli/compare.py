"""Command `tower-etl compare`: comparison of two groups of runs task by task."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from tower_etl.cli import options
from tower_etl.cli.output import check_output_path, print_json, print_message
from tower_etl.cli.tables import format_table
from tower_etl.clock import SYSTEM_CLOCK
from tower_etl.errors import ConfigurationError

if TYPE_CHECKING:
    from tower_etl.report.comparison import Comparison, Group


@click.command("compare")
@click.option(
    "--group-by",
    required=True,
    metavar="revision|fusion|compute_env|label:KEY|FILE",
    help="Criterion of the groups; FILE is a CSV file with the columns run_id and group.",
)
@click.option(
    "--groups",
    metavar="A,B",
    help="The two groups, the baseline first [default: the two with the newest runs].",
)
@click.option(
    "--pipeline",
    "pipelines",
    metavar="NAME",
    multiple=True,
    help="Only runs of this pipeline, `*` and `?` allowed; may be repeated.",
)
@click.option("--html", metavar="FILE", help="Also write an HTML file, which needs no network.")
@click.option("--seed", default=1, show_default=True, help="Seed of the intervals.")
@options.prices_option
@options.destination_option
@options.destination_path_option
@options.json_option
def command(group_by: str, *, as_json: bool, **flags: Any) -> None:  # noqa: ANN401 passed by click by name
    """Compare two groups of runs task by task: waits, staging, run time, cost, bill, failures."""
    from tower_etl.report.comparison import compare_groups  # noqa: PLC0415 imports numpy
    from tower_etl.report.comparison_data import GROUP_VIEWS, read_groups  # noqa: PLC0415 imports numpy
    from tower_etl.warehouse.filters import RunFilter  # noqa: PLC0415 imports duckdb
    from tower_etl.warehouse.status import query_destination  # noqa: PLC0415 imports dlt

    check_output_path(flags["html"], "--html")
    config = options.destination_config(flags["destination"], flags["path"], exists=True)
    prices = options.find_prices(flags["prices"])
    if prices and config.kind == "postgres":
        msg = "--prices needs a file or a folder. For PostgreSQL, set TOWER_ETL_PRICES and sync."
        raise ConfigurationError(msg)
    names = [name.strip() for name in (flags["groups"] or "").split(",") if name.strip()]
    if len(names) not in (0, 2):
        msg = f"Invalid --groups {flags['groups']!r}: expected two names, separated by a comma."
        raise ConfigurationError(msg)
    groups = query_destination(
        config,
        lambda query: read_groups(query, group_by, names, flags["pipelines"]),
        GROUP_VIEWS,
        RunFilter(prices=prices),
    )
    comparison = compare_groups(group_by, *groups, seed=flags["seed"])
    if flags["html"]:
        _write_page(flags["html"], comparison)
    if as_json:
        print_json(describe_as_json(comparison))
    else:
        print_message(describe_comparison(comparison))


def _write_page(output: str, comparison: Comparison) -> None:
    from tower_etl.report.render import render_comparison, write_page  # noqa: PLC0415 imports jinja2

    write_page(output, render_comparison(comparison, SYSTEM_CLOCK.now()))


def describe_as_json(comparison: Comparison) -> dict[str, Any]:
    """Return the object that `--json` prints."""
    return {
        "group_by": comparison.kind,
        "groups": [
            {
                "name": group.name,
                "pipelines": group.pipelines,
                "runs": len(group.runs),
                "failed_runs": group.failed_runs,
                "attempts": len(group.tasks),
                "failed_attempts": group.failed_tasks,
                "retried_attempts": group.retried_tasks,
            }
            for group in (comparison.first, comparison.second)
        ],
        "crosses_pipelines": comparison.crosses_pipelines,
        "matched_tasks": comparison.matched,
        "matched_by": "process" if comparison.by_process else "process and tag",
        "measures": [
            {**asdict(measure), "differs": measure.differs} for measure in comparison.measures
        ],
        "unmatched": [asdict(process) for process in comparison.unmatched],
    }


def _describe_group(group: Group) -> str:
    from tower_etl.report.formats import format_usd  # noqa: PLC0415 imports markupsafe

    return (
        f"{group.name}: {len(group.runs)} runs ({group.failed_runs} failed), "
        f"{len(group.tasks):,} attempts ({group.failed_tasks} failed, {group.retried_tasks} "
        f"retried); a run: {format_usd(group.average('platform_usd'))} by the platform, "
        f"{format_usd(group.average('bill_usd'))} billed"
    )


def describe_comparison(comparison: Comparison) -> str:
    """Return the result of a comparison as text."""
    from tower_etl.report.formats import format_measure  # noqa: PLC0415 imports markupsafe

    first, second = comparison.first, comparison.second
    rows = [
        (
            measure.title,
            measure.tasks,
            format_measure(measure.first, measure.name),
            format_measure(measure.second, measure.name),
            "" if measure.ratio is None else f"{measure.ratio:.2f}",
            "" if measure.low is None else f"{measure.low:.2f} to {measure.high:.2f}",
            measure.verdict,
        )
        for measure in comparison.measures
    ]
    names = ("measure", "tasks", first.name, second.name, "ratio", "95 % interval", "finding")
    lines = [comparison.headline, "", format_table(names, rows), ""]
    if comparison.crosses_pipelines:
        pipelines = f"{', '.join(first.pipelines)} against {', '.join(second.pipelines)}"
        lines.insert(1, f"Warning: these are different pipelines: {pipelines}.")
    lines += [_describe_group(group) for group in (first, second)]
    if comparison.unmatched:
        lines.append(f"Processes of one group only: {len(comparison.unmatched)}")
    return "\n".join(lines)

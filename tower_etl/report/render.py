"""Rendering of the report and of comparisons to self-contained HTML files."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tower_etl.errors import ConfigurationError
from tower_etl.report import charts, formats
from tower_etl.report.actions import list_actions, memory_config_snippet
from tower_etl.report.charts import paint_names
from tower_etl.report.formats import CostMetric
from tower_etl.report.insights import list_insights
from tower_etl.report.ledger import split_cost, split_time
from tower_etl.report.queries import load_report_data
from tower_etl.text import pluralize
from tower_etl.warehouse.filters import apply_filter
from tower_etl.warehouse.reader import open_reader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tower_etl.report.comparison import Comparison
    from tower_etl.report.data import BilledRun, Regression, ReportData, Run, Span
    from tower_etl.warehouse.filters import RunFilter

_SERIES = 5  # pipelines with a separate color
_OUTCOMES = ("succeeded", "failed", "cancelled", "open")
_ROWS = 15  # maximum number of rows in long tables
_LEGACY = {"api.tower.nf": "tower.nf"}
_LOOPBACK = re.compile(r"(localhost|127\.[\d.]+|\[::1\])(:\d+)?", re.IGNORECASE)
_WEB = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?")


def render_page(facts: ReportData, web: str | None, made_at: datetime, scope: RunFilter) -> str:
    """Return the HTML of the report.

    Args:
        facts: Data of the report.
        web: URL of the platform's web interface without a trailing slash, None for no links.
        made_at: Time of the report (UTC).
        scope: Filter of the runs.
    """
    measure = CostMetric.choose(facts)
    money, actions = split_cost(facts.totals, measure), list_actions(facts)
    return render_template(
        "page.html",
        _read_template("script.js"),
        facts=facts,
        totals=facts.totals,
        made_at=made_at,
        scope=scope,
        web=web,
        measure=measure,
        insights=list_insights(facts, money, actions, measure),
        money=money,
        time=split_time(facts.time),
        actions=actions,
        config=memory_config_snippet(facts.advice),
        spend=_chart_spend(facts, measure),
        outcomes=_chart_outcomes(facts),
        notes=_list_notes(facts.span),
        outcome_notes=_list_notes(replace(facts.span, odd_runs=0)),
        names=formats.name_processes(_list_processes(facts)),
        rows=_ROWS,
    )


def _list_processes(facts: ReportData) -> Iterator[str]:
    """Iterate over all process names in the report, which need distinct short names."""
    tables = (facts.processes, facts.staged, facts.memory, facts.idle, facts.regressions)
    yield from (row.process for table in tables for row in table)
    yield from (row.worst_process for row in facts.reasons)


def _list_notes(span: Span) -> list[str]:
    """Return notes on runs that the charts or sums omit."""
    notes = []
    if span.outside_runs:
        runs = pluralize(span.outside_runs, "run was", "runs were")
        notes.append(
            f"{runs} submitted decades before or after these, and omitted from the charts."
        )
    if span.odd_runs:
        runs = pluralize(span.odd_runs, "run has", "runs have")
        notes.append(
            f"{runs} a cost or CPU hours that are infinite, or not a number; sums omit them."
        )
    return notes


def _chart_spend(facts: ReportData, measure: CostMetric) -> charts.StackedBars:
    names = charts.rank_pipelines(facts.slices, _SERIES)
    sums = charts.sum_amounts(facts.slices, names)
    paints = paint_names(names, charts.OTHERS)
    return charts.stack_columns(sums, names, facts.span.step, measure.show, paints=paints)


def _chart_outcomes(facts: ReportData) -> charts.StackedBars:
    counts = charts.count_outcomes(facts.slices)
    return charts.stack_columns(counts, _OUTCOMES, facts.span.step, formats.format_count, least=1)


def _read_template(name: str) -> str:
    source, _, _ = _LOADER.get_source(_ENVIRONMENT, name)
    return source


def _write_policy(style: str, script: str) -> str:
    """Return a content security policy that allows only the inline style and script."""
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def derive_web(host: str | None) -> str | None:
    """Return the URL of the web interface for the host of an API (API fact 12).

    A loopback host has none, because it may have been a tunnel or a simulator.
    """
    if not host or _LOOPBACK.fullmatch(host):
        return None
    return f"https://{_LEGACY.get(host, host.removeprefix('api.'))}"


def check_web(web: str) -> str:
    """Return a URL given by the user without its trailing slash.

    Raises:
        ConfigurationError: The URL is not an http or https URL.
    """
    if not _WEB.fullmatch(web.strip()):
        msg = f"Invalid --web {web!r}: expected a URL such as https://cloud.seqera.io."
        raise ConfigurationError(msg)
    return web.strip().rstrip("/")


def link_run(web: str | None, run: Run | Regression | BilledRun) -> str | None:
    """Return the URL of a run's page, None if its workspace has no name or `web` is unknown."""
    if web is None:
        return None
    if run.workspace == "personal":
        return f"{web}/user/{_part(run.user_name)}/watch/{_part(run.run_id)}"
    org, slash, name = run.workspace.partition("/")
    if not slash:
        return None
    return f"{web}/orgs/{_part(org)}/workspaces/{_part(name)}/watch/{_part(run.run_id)}"


def _part(text: str) -> str:
    return quote(text, safe="")


def _make_environment() -> Environment:
    environment = Environment(
        loader=_LOADER,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        {
            name.removeprefix("format_"): function
            for name, function in vars(formats).items()
            if name.startswith("format_")
        }
    )
    environment.filters.update(
        amount=lambda thing, measure: measure.of(thing),
        breakable=formats.mark_breaks,
        task_hours=lambda row: split_time(row).total,
        short=lambda text, longest=28: formats.cut_middle(text, longest),
        key=formats.make_key,
    )
    environment.globals.update(
        chart_height=charts.HEIGHT,
        share_bars=charts.share_bars,
        width_of=charts.measure_share,
        place_of=charts.place_ratio,
        number=pluralize,
        link_run=link_run,
        split_cost=split_cost,
        split_time=split_time,
    )
    return environment


_LOADER = PackageLoader("tower_etl.report", "templates")
_ENVIRONMENT = _make_environment()


def render_template(name: str, script: str = "", **values: object) -> str:
    """Render a template to the HTML of a self-contained page."""
    style = _read_template("style.css")
    return _ENVIRONMENT.get_template(name).render(
        style=Markup(style),  # noqa: S704 a file of the package
        script=Markup(script),  # noqa: S704 a file of the package
        policy=_write_policy(style, script),
        **values,
    )


@dataclass(frozen=True)
class WrittenReport:
    """Written report.

    Attributes:
        path: HTML file.
        runs: Number of runs in the report.
        size_bytes: Size of the file.
    """

    path: Path
    runs: int
    size_bytes: int


def write_report(
    path: str | Path,
    output: str | Path,
    made_at: datetime,
    *,
    scope: RunFilter,
    web: str | None = None,
) -> WrittenReport:
    """Write the report on the runs of a DuckDB file or lake.

    Args:
        path: DuckDB file or lake.
        output: HTML file; an existing one is replaced atomically.
        made_at: Current time (UTC).
        scope: Filter of runs.
        web: URL of the platform's web interface; None derives it from the endpoint of the last
            sync.

    Raises:
        ConfigurationError: The file does not exist, contains no tables of tower-etl, or has no run
            that matches the filter.
        OSError: The output cannot be written; the error has its path.
    """
    configured = check_web(web) if web else None
    with open_reader(path) as connection:
        apply_filter(connection, scope)
        ends_at = min(scope.until or made_at, made_at)
        facts = load_report_data(connection, ends_at, scope.since)
    derived = derive_web(facts.syncs[0].endpoint) if facts.syncs else None
    page = render_page(facts, configured or derived, made_at, scope)
    return WrittenReport(write_page(output, page), facts.totals.runs, len(page.encode()))


def write_page(output: str | Path, page: str) -> Path:
    """Write a page; an existing file is replaced atomically.

    Raises:
        OSError: The output cannot be written; the error has its path.
    """
    path = Path(os.path.expanduser(output))  # noqa: PTH111 leaves `~nobody` as it is
    try:
        if path.exists() and not path.is_file():  # a pipe or a device is not replaced
            path.write_text(page, encoding="utf-8")
        else:
            _replace(Path(os.path.realpath(path)), page)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    return path


def _replace(target: Path, page: str) -> None:
    staging = target.with_name(f".{target.name}.draft")
    try:
        staging.write_text(page, encoding="utf-8")
        staging.replace(target)
    except OSError:
        with suppress(OSError):
            staging.unlink()
        raise


def render_comparison(comparison: Comparison, made_at: datetime) -> str:
    """Return the HTML of a comparison."""
    return render_template(
        "compare.html",
        comparison=comparison,
        groups=(comparison.first, comparison.second),
        made_at=made_at,
        show=formats.format_measure,
    )

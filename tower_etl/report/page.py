"""The page: facts and charts put into templates, as one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tower_etl.report import charts, formats
from tower_etl.report.findings import list_findings
from tower_etl.report.measures import CPU_HOURS, USD
from tower_etl.report.snippets import write_memory_config
from tower_etl.report.waste import list_leaks

if TYPE_CHECKING:
    from datetime import datetime

    from tower_etl.report.facts import Facts, Span
    from tower_etl.report.links import Platform
    from tower_etl.report.measures import Measure

_SERIES = 5  # pipelines with a colour of their own
_OUTCOMES = ("succeeded", "failed", "cancelled", "open")
_ROWS = 15  # of tables that may be long


@dataclass(frozen=True)
class Cover:
    """What a page says of itself.

    Attributes:
        made_at: When it was made (UTC).
        since: First moment of submission that was asked for.
        until: Moment of submission from which on runs are left out.
        workspaces: Those that were asked for; all if empty.
    """

    made_at: datetime
    since: datetime | None = None
    until: datetime | None = None
    workspaces: tuple[str, ...] = ()


def render_page(facts: Facts, platform: Platform, cover: Cover) -> str:
    """The HTML of the page."""
    measure = USD if facts.priced else CPU_HOURS
    leaks = list_leaks(facts, measure)
    style, script = _read("style.css"), _read("script.js")
    return _ENVIRONMENT.get_template("page.html").render(
        facts=facts,
        totals=facts.totals,
        cover=cover,
        platform=platform,
        measure=measure,
        findings=list_findings(facts, leaks, measure),
        leaks=leaks,
        config=write_memory_config(facts.advice),
        spend=_chart_spend(facts, measure),
        outcomes=_chart_outcomes(facts),
        notes=_list_notes(facts.span),
        outcome_notes=_list_notes(replace(facts.span, odd_runs=0)),
        rows=_ROWS,
        style=Markup(style),  # noqa: S704 our own file
        script=Markup(script),  # noqa: S704 our own file
        policy=_write_policy(style, script),
    )


def _list_notes(span: Span) -> list[str]:
    """What the charts and the sums leave out: times first, then figures."""
    notes = []
    if span.outside_runs:
        runs = formats.name_number(span.outside_runs, "run was", "runs were")
        notes.append(f"{runs} submitted decades before or after these, and left out of the charts.")
    if span.odd_runs:
        runs = formats.name_number(span.odd_runs, "run has", "runs have")
        notes.append(
            f"{runs} a cost or CPU hours that are infinite, or not a number: no sum has them."
        )
    return notes


def _chart_spend(facts: Facts, measure: Measure) -> charts.Columns:
    names = charts.rank_pipelines(facts.slices, _SERIES)
    sums = charts.sum_amounts(facts.slices, names)
    return charts.stack_columns(sums, names, facts.span.step, measure.show)


def _chart_outcomes(facts: Facts) -> charts.Columns:
    counts = charts.count_outcomes(facts.slices)
    return charts.stack_columns(counts, _OUTCOMES, facts.span.step, formats.show_count, least=1)


def _read(name: str) -> str:
    source, _, _ = _LOADER.get_source(_ENVIRONMENT, name)
    return source


def _write_policy(style: str, script: str) -> str:
    """A content security policy: our own style and script, by their hashes, and nothing else."""
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _make_environment() -> Environment:
    environment = Environment(
        loader=_LOADER,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(_list_filters())
    environment.globals.update(
        share_bars=charts.share_bars,
        width_of=charts.measure_share,
        number=formats.name_number,
        name_processes=formats.name_processes,
    )
    return environment


def _list_filters() -> dict[str, Any]:
    return {
        "amount": lambda thing, measure: measure.of(thing),
        "usd": formats.show_usd,
        "count": formats.show_count,
        "share": formats.show_share,
        "gib": formats.show_gib,
        "hours": formats.show_hours,
        "day": formats.show_day,
        "moment": formats.show_moment,
        "clock": formats.show_clock,
        "breakable": formats.mark_breaks,
        "times": formats.show_times,
        "key": formats.make_key,
    }


_LOADER = PackageLoader("tower_etl.report", "templates")
_ENVIRONMENT = _make_environment()

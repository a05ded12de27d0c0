"""Queries of the report: every SELECT on the marts."""

from __future__ import annotations

import math
from dataclasses import fields
from datetime import date, datetime
from typing import TYPE_CHECKING, TypeVar

from tower_etl.report.charts import choose_step, choose_years
from tower_etl.report.data import (
    CostGroup,
    FailureMessage,
    FailureReason,
    Freshness,
    IdleCpus,
    LabelCost,
    MemoryRequest,
    PeriodSummary,
    ProcessCost,
    Regression,
    ReportData,
    Run,
    Span,
    SuccessRate,
    SyncRun,
    Totals,
    WasteTotals,
)
from tower_etl.report.formats import EMPTY
from tower_etl.warehouse.reader import run_query

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tower_etl.warehouse.reader import Connection

Fact = TypeVar("Fact")

MANY, FEW = 25, 10  # rows of a table
_LONGEST_NAME, _LONGEST_MESSAGE = (
    250,
    500,
)  # characters; a name may be repeated in every bar of a chart
_OPEN = "status IN ('SUBMITTED', 'RUNNING', 'UNKNOWN')"
_DRAWN = "isfinite({0}) AND abs({0}) < 1e300"  # so that sums stay finite
_FIGURES = ("hours", "cpu_hours", "cost_usd", "failed_cost_usd", "saved_usd")

# Runs with summable figures: infinite and NaN figures are null, and the run is `odd`.
_CLEANED = ", ".join(f"CASE WHEN {_DRAWN.format(n)} THEN {n} END AS {n}" for n in _FIGURES)
_ODD = " OR ".join(f"NOT ({_DRAWN.format(name)})" for name in ("cpu_hours", "cost_usd"))
_RUNS = f"(SELECT * REPLACE ({_CLEANED}), {_ODD} AS odd FROM run_costs) AS runs"  # noqa: S608 constants
_YEAR = "year(submitted_at AT TIME ZONE 'UTC')"
_INSIDE = f"coalesce({_YEAR} BETWEEN {{first}} AND {{last}}, FALSE)"
_PRESENT = (
    f"SELECT coalesce(max({_YEAR.replace('submitted', 'started')}), year(now())) FROM stg_syncs"  # noqa: S608 a constant
)

_TOTALS = f"""
SELECT count(*), count(*) FILTER (status IN ('SUCCEEDED', 'FAILED', 'CANCELLED')),
  count(*) FILTER (status = 'SUCCEEDED'), count(*) FILTER (status = 'FAILED'),
  count(*) FILTER ({_OPEN}),
  count(*) FILTER (cost_usd IS NULL AND odd IS NOT TRUE AND tasks > cached_tasks
    AND NOT coalesce({_OPEN}, FALSE)),
  count(DISTINCT pipeline), count(DISTINCT user_name), count(DISTINCT workspace),
  coalesce(sum(tasks), 0)::BIGINT, sum(cpu_hours), sum(cost_usd),
  sum(cost_usd) FILTER (status = 'FAILED'), sum(cpu_hours) FILTER (status = 'FAILED'),
  sum(saved_usd), (SELECT sum(saved_cpu_hours) FROM resume_savings),
  coalesce(sum(cached_tasks), 0)::BIGINT, min(submitted_at), max(submitted_at)
FROM {_RUNS}
"""  # noqa: S608 a constant
_SPAN = f"""
SELECT min(submitted_at) FILTER ({_INSIDE}), max(submitted_at) FILTER ({_INSIDE}),
  count(*) FILTER (submitted_at IS NOT NULL AND NOT {_INSIDE}), count(*) FILTER (odd)
FROM {_RUNS}
"""  # noqa: S608 a constant
_SLICES = f"""
SELECT date_trunc('{{step}}', submitted_at AT TIME ZONE 'UTC')::DATE, pipeline,
  count(*) FILTER (status = 'SUCCEEDED'), count(*) FILTER (status = 'FAILED'),
  count(*) FILTER (status = 'CANCELLED'), count(*) FILTER ({_OPEN}), sum({{amount}})
FROM {_RUNS} WHERE {_INSIDE} GROUP BY 1, 2 ORDER BY 1, 2
"""  # noqa: S608 a constant
_RECENT = f"""
SELECT coalesce(sum({{amount}}) FILTER (age < INTERVAL 7 DAY), 0),
  coalesce(sum({{amount}}) FILTER (age >= INTERVAL 7 DAY AND age < INTERVAL 14 DAY), 0)
FROM (SELECT *, max(submitted_at) OVER () - submitted_at AS age FROM {_RUNS} WHERE {_INSIDE})
"""  # noqa: S608 a constant
_WASTE = """
FROM (SELECT coalesce(sum(retried_tasks), 0)::BIGINT, sum(wasted_cpu_hours), sum(wasted_usd)
      FROM retry_waste)
CROSS JOIN (SELECT coalesce(sum(interrupted_tasks), 0)::BIGINT,
              coalesce(sum(lost_tasks), 0)::BIGINT, sum(lost_cpu_hours), sum(lost_usd)
            FROM spot_interruptions)
CROSS JOIN (SELECT count(*), sum(saves_gib_hours), sum(saves_usd)
            FROM memory_requests WHERE recommended_gib < requested_gib)
CROSS JOIN (SELECT sum(idle_cpu_hours), sum(idle_usd) FROM cpu_efficiency)
"""
_REASONS = """
SELECT exit_code, any_value(meaning), count(*), max_by(process, (failed_tasks, process)),
  sum(failed_tasks)::BIGINT AS failed, sum(retried_tasks)::BIGINT, sum(cost_usd)
FROM failure_reasons GROUP BY exit_code ORDER BY failed DESC, exit_code
"""


def load_report_data(connection: Connection) -> ReportData:
    """Return the data of the report for all runs in the views of a connection.

    Args:
        connection: Connection with unqualified names of the marts.
    """
    (totals,) = _query(connection, Totals, _TOTALS)
    amount = "cost_usd" if totals.cost_usd else "cpu_hours"
    years = _choose_years(connection)
    span = _read_span(connection, years)
    by_amount = _order(amount)
    return ReportData(
        totals=totals,
        span=span,
        slices=_query(
            connection, PeriodSummary, _SLICES.format(step=span.step, amount=amount, **years)
        ),
        recent=_read_recent(connection, span, amount, years),
        pipelines=_read_spenders(connection, "pipeline", by_amount),
        users=_read_spenders(connection, "user", by_amount),
        workspaces=_read_spenders(connection, "workspace", by_amount),
        labels=_select(connection, LabelCost, f"cost_by_label {by_amount} LIMIT {MANY}"),
        processes=_select(connection, ProcessCost, f"cost_by_process {by_amount} LIMIT {FEW}"),
        memory=_read_memory(connection, totals),
        idle=_read_idle(connection, totals),
        waste=_query(connection, WasteTotals, _WASTE)[0],
        reasons=_query(connection, FailureReason, _REASONS),
        messages=_read_messages(connection),
        success=_select(connection, SuccessRate, "success_rates"),
        most_expensive=_select(connection, Run, f"{_RUNS} {by_amount}, run_id LIMIT {FEW}"),
        slowest=_read_slowest(connection),
        failed=_read_failed(connection),
        regressions=_read_regressions(connection),
        freshness=_select(connection, Freshness, "freshness"),
        syncs=_select(connection, SyncRun, f"sync_history LIMIT {FEW}"),
    )


def _choose_years(connection: Connection) -> dict[str, int]:
    """Return the first and last year of the charts as parameters of the queries."""
    _, [(present,)] = run_query(connection, _PRESENT)
    _, counts = run_query(connection, f"SELECT {_YEAR}, count(*) FROM run_costs GROUP BY 1")  # noqa: S608 a constant
    runs = {year: count for year, count in counts if year is not None}
    return dict(zip(("first", "last"), choose_years(runs, present), strict=True))


def _read_span(connection: Connection, years: Mapping[str, int]) -> Span:
    _, [(first, last, outside, odd)] = run_query(connection, _SPAN.format(**years))
    return Span(choose_step(first, last), first, last, outside, odd)


def _order(amount: str) -> str:
    """Return an ORDER BY clause: largest first, infinite and NaN last."""
    return f"ORDER BY CASE WHEN {_DRAWN.format(amount)} THEN {amount} END DESC NULLS LAST"


def _select(
    connection: Connection, kind: type[Fact], source: str, **renamed: str
) -> tuple[Fact, ...]:
    """Select the columns of a dataclass from a mart; `renamed` maps attributes to columns."""
    names = (field.name for field in fields(kind))  # type: ignore[arg-type] # a dataclass
    columns = ", ".join(renamed.get(name, name) for name in names)
    return _query(connection, kind, f"SELECT {columns} FROM {source}")  # noqa: S608 constants


def _query(connection: Connection, kind: type[Fact], sql: str) -> tuple[Fact, ...]:
    """Return the rows of a SELECT as dataclasses, without rows that lack a required value."""
    _, rows = run_query(connection, sql)
    types = [str(field.type) for field in fields(kind)]  # type: ignore[arg-type] # a dataclass
    needed = [index for index, name in enumerate(types) if "None" not in name]
    longest = _LONGEST_MESSAGE if kind is FailureMessage else _LONGEST_NAME
    told = (
        [_tame(value, name, longest) for value, name in zip(row, types, strict=True)]
        for row in rows
    )
    return tuple(kind(*row) for row in told if all(row[index] is not None for index in needed))


def _tame(value: object, type_name: str, longest: int) -> object:
    """Return a value that the report can show, or None.

    DuckDB returns timestamps outside of the years 1 to 9999 as text, and infinite ones without a
    time zone.
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if "date" in type_name:
        infinite = isinstance(value, datetime) and value.tzinfo is None
        return None if infinite or not isinstance(value, date) else value
    return _shorten(value, longest) if isinstance(value, str) else value


def _shorten(text: str, longest: int) -> str:
    if not any(letter.isprintable() and not letter.isspace() for letter in text[:longest]):
        return EMPTY
    return text if len(text) <= longest else f"{text[: longest - 1]}\u2026"


def _read_spenders(connection: Connection, grain: str, order: str) -> tuple[CostGroup, ...]:
    name = "user_name" if grain == "user" else grain
    return _select(connection, CostGroup, f"cost_by_{grain} {order}, {name}", name=name)


def _read_recent(
    connection: Connection, span: Span, amount: str, years: Mapping[str, int]
) -> tuple[float, float] | None:
    if not (span.first_at and span.last_at) or (span.last_at - span.first_at).days < 13:  # noqa: PLR2004 two weeks, without the time before the first run
        return None
    _, [(last, before)] = run_query(connection, _RECENT.format(amount=amount, **years))
    return last, before


def _read_memory(connection: Connection, totals: Totals) -> tuple[MemoryRequest, ...]:
    by = "saves_usd" if totals.cost_usd else "saves_gib_hours"
    source = f"memory_requests WHERE {by} > 0 AND recommended_gib < requested_gib"
    return _select(connection, MemoryRequest, f"{source} {_order(by)} LIMIT {FEW}")


def _read_idle(connection: Connection, totals: Totals) -> tuple[IdleCpus, ...]:
    by = "idle_usd" if totals.cost_usd else "idle_cpu_hours"
    source = f"cpu_efficiency WHERE {by} > 0 AND requested_cpus > 1"
    return _select(connection, IdleCpus, f"{source} {_order(by)} LIMIT {FEW}")


def _read_messages(connection: Connection) -> tuple[FailureMessage, ...]:
    return _select(connection, FailureMessage, f"failure_messages WHERE origin = 'run' LIMIT {FEW}")


def _read_slowest(connection: Connection) -> tuple[Run, ...]:
    source = f"{_RUNS} WHERE hours IS NOT NULL ORDER BY hours DESC, run_id"
    return _select(connection, Run, f"{source} LIMIT {FEW}")


def _read_failed(connection: Connection) -> tuple[Run, ...]:
    source = f"{_RUNS} WHERE status = 'FAILED' ORDER BY submitted_at DESC NULLS LAST, run_id"
    return _select(connection, Run, f"{source} LIMIT {FEW}")


def _read_regressions(connection: Connection) -> tuple[Regression, ...]:
    joined = "regressions AS g JOIN run_costs AS r ON r.run_id = g.run_id"
    columns = {
        field.name: f"{'r' if field.name in {'workspace', 'user_name'} else 'g'}.{field.name}"
        for field in fields(Regression)
    }
    order = "ORDER BY g.submitted_at DESC NULLS LAST, g.run_id, g.process"
    return _select(connection, Regression, f"{joined} {order} LIMIT {FEW}", **columns)

"""Queries of the report: runs, their costs by group and period, and their outcomes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tower_etl.report.charts import choose_step, choose_years
from tower_etl.report.data import (
    BilledRun,
    CostGroup,
    Freshness,
    LabelCost,
    PeriodSummary,
    RecentSpend,
    Regression,
    ReleaseChange,
    ReportData,
    Run,
    Span,
    SuccessRate,
    SyncRun,
    Totals,
)
from tower_etl.report.rows import DRAWN, FEW, MANY, order_by, query_rows, select_rows
from tower_etl.report.task_queries import read_tasks
from tower_etl.warehouse.reader import run_query

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from tower_etl.warehouse.reader import Connection

_WEEK = timedelta(days=7)
_OPEN = "status IN ('SUBMITTED', 'RUNNING', 'UNKNOWN')"
_WASTE = ("retried_usd", "lost_usd", "staging_usd", "escalated_usd", "over_requested_usd")

_CURRENCY = f"""
SELECT currency FROM run_costs GROUP BY currency
ORDER BY count(*) FILTER ({DRAWN.format("cost_usd")}) DESC, currency = 'USD' DESC, currency LIMIT 1
"""  # noqa: S608 a constant
_PRICED = f"currency = '{{currency}}' AND {DRAWN.format('cost_usd')}"
_SUMS = ", ".join(f"sum({n}) FILTER ({_PRICED} AND {DRAWN.format(n)}) AS {n}" for n in _WASTE)
# Runs with summable figures, one row each: figures that are infinite or NaN are null, and the run
# is `odd`. Costs in other currencies than the report's are also null.
_RUNS = f"""
CREATE OR REPLACE TEMP TABLE report_runs AS
WITH costs AS (
  SELECT run_id, any_value(run_name) AS run_name, any_value(pipeline) AS pipeline,
    any_value(revision) AS revision, any_value(user_name) AS user_name,
    any_value(workspace) AS workspace, any_value(status) AS status,
    any_value(submitted_at) AS submitted_at,
    any_value(CASE WHEN {DRAWN.format("hours")} THEN hours END) AS hours,
    sum(tasks) AS tasks, sum(cached_tasks) AS cached_tasks, sum(failed_tasks) AS failed_tasks,
    sum(cpu_hours) FILTER ({DRAWN.format("cpu_hours")}) AS cpu_hours,
    sum(cost_usd) FILTER ({_PRICED}) AS cost_usd,
    sum(saved_usd) FILTER (currency = '{{currency}}' AND {DRAWN.format("saved_usd")}) AS saved_usd,
    sum(saved_cpu_hours) FILTER ({DRAWN.format("saved_cpu_hours")}) AS saved_cpu_hours,
    bool_or(NOT ({DRAWN.format("cpu_hours")}) OR NOT ({DRAWN.format("cost_usd")})) AS odd,
    bool_or(currency <> '{{currency}}' AND cost_usd IS NOT NULL) AS other_currency
  FROM run_costs GROUP BY run_id
), waste AS (SELECT run_id, {_SUMS} FROM waste_by_run GROUP BY run_id)
SELECT costs.*, {", ".join(f"waste.{n}" for n in _WASTE)}
FROM costs LEFT JOIN waste ON waste.run_id = costs.run_id
"""  # noqa: S608 a constant
_YEAR = "year(submitted_at AT TIME ZONE 'UTC')"
_INSIDE = f"coalesce({_YEAR} BETWEEN {{first}} AND {{last}}, FALSE)"
_PRESENT = (
    f"SELECT coalesce(max({_YEAR.replace('submitted', 'started')}), year(now())) FROM stg_syncs"  # noqa: S608 a constant
)
_TOTALS = {
    "runs": "count(*)",
    "ended_runs": "count(*) FILTER (status IN ('SUCCEEDED', 'FAILED', 'CANCELLED'))",
    "succeeded_runs": "count(*) FILTER (status = 'SUCCEEDED')",
    "failed_runs": "count(*) FILTER (status = 'FAILED')",
    "open_runs": f"count(*) FILTER ({_OPEN})",
    "unpriced_runs": "count(*) FILTER (cost_usd IS NULL AND odd IS NOT TRUE "
    f"AND other_currency IS NOT TRUE AND tasks > cached_tasks AND NOT coalesce({_OPEN}, FALSE))",
    "other_currency_runs": "count(*) FILTER (other_currency)",
    "pipelines": "count(DISTINCT pipeline)",
    "users": "count(DISTINCT user_name)",
    "workspaces": "count(DISTINCT workspace)",
    "tasks": "coalesce(sum(tasks), 0)::BIGINT",
    "cached_tasks": "coalesce(sum(cached_tasks), 0)::BIGINT",
    "saved_hours": "sum(saved_cpu_hours)",
    "first_at": "min(submitted_at)",
    "last_at": "max(submitted_at)",
} | {name: f"sum({name})" for name in ("cpu_hours", "cost_usd", "saved_usd", *_WASTE)}
_SPAN = f"""
SELECT min(submitted_at) FILTER ({_INSIDE}), max(submitted_at) FILTER ({_INSIDE}),
  count(*) FILTER (submitted_at IS NOT NULL AND NOT {_INSIDE}), count(*) FILTER (odd)
FROM report_runs
"""  # noqa: S608 a constant
_SLICES = f"""
SELECT date_trunc('{{step}}', submitted_at AT TIME ZONE 'UTC')::DATE, pipeline,
  count(*) FILTER (status = 'SUCCEEDED'), count(*) FILTER (status = 'FAILED'),
  count(*) FILTER (status = 'CANCELLED'), count(*) FILTER ({_OPEN}), sum({{amount}})
FROM report_runs WHERE {_INSIDE} GROUP BY 1, 2 ORDER BY 1, 2
"""  # noqa: S608 a constant
# A task belongs to the time in which it ran, not to the submission of its run.
_RECENT = """
SELECT coalesce(sum({amount}) FILTER (started_at >= '{middle}'), 0),
  coalesce(sum({amount}) FILTER (started_at < '{middle}'), 0)
FROM stg_tasks
WHERE NOT cached AND started_at >= '{start}' AND started_at < '{end}' AND {drawn}
"""


def load_report_data(
    connection: Connection, ends_at: datetime, begins_at: datetime | None = None
) -> ReportData:
    """Return the data of the report for all runs in the views of a connection.

    Args:
        connection: Connection with unqualified names of the marts.
        ends_at: End of the report's time (UTC): the present, or `--until` if that is earlier.
        begins_at: Earliest submission of its runs, None for all.
    """
    _, rows = run_query(connection, _CURRENCY)
    currency = str(rows[0][0]).replace("'", "''") if rows else "USD"
    connection.execute(_RUNS.format(currency=currency))
    (totals,) = select_rows(connection, Totals, "report_runs", **_TOTALS)
    amount = "cost_usd" if totals.cost_usd else "cpu_hours"
    years = _choose_years(connection)
    span = _read_span(connection, years)
    slices = _SLICES.format(step=span.step, amount=amount, **years)
    labels = f"cost_by_label WHERE currency = '{currency}' {order_by(amount)} LIMIT {MANY}"
    syncs = select_rows(connection, SyncRun, f"sync_history LIMIT {FEW // 2}")
    return ReportData(
        currency=currency,
        totals=totals,
        span=span,
        slices=query_rows(connection, PeriodSummary, slices),
        recent=_read_recent(connection, amount, totals, syncs, (begins_at, ends_at)),
        pipelines=_read_groups(connection, "pipeline", amount),
        users=_read_groups(connection, "user_name", amount),
        workspaces=_read_groups(connection, "workspace", amount),
        labels=select_rows(connection, LabelCost, labels),
        bills=_read_bills(connection, currency),
        releases=_read_releases(connection, currency),
        regressions=_read_regressions(connection),
        success=select_rows(connection, SuccessRate, "success_rates"),
        most_expensive=_read_runs(connection, f"{order_by(amount)}, run_id"),
        slowest=_read_runs(connection, "WHERE hours IS NOT NULL ORDER BY hours DESC, run_id"),
        failed=_read_runs(
            connection,
            "WHERE status = 'FAILED' ORDER BY submitted_at DESC NULLS LAST, run_id",
        ),
        freshness=select_rows(connection, Freshness, "freshness"),
        syncs=syncs,
        **vars(read_tasks(connection, currency, priced=bool(totals.cost_usd))),
    )


def _choose_years(connection: Connection) -> dict[str, int]:
    """Return the first and last year of the charts as parameters of the queries."""
    _, [(present,)] = run_query(connection, _PRESENT)
    _, counts = run_query(connection, f"SELECT {_YEAR}, count(*) FROM report_runs GROUP BY 1")  # noqa: S608 a constant
    runs = {year: count for year, count in counts if year is not None}
    return dict(zip(("first", "last"), choose_years(runs, present), strict=True))


def _read_span(connection: Connection, years: Mapping[str, int]) -> Span:
    _, [(first, last, outside, odd)] = run_query(connection, _SPAN.format(**years))
    return Span(choose_step(first, last), first, last, outside, odd)


def _read_recent(
    connection: Connection,
    amount: str,
    totals: Totals,
    syncs: Sequence[SyncRun],
    period: tuple[datetime | None, datetime],
) -> RecentSpend | None:
    """Return the amount of the last seven days.

    It is None if the last sync is older, or if `--since` excludes a part of the seven days.
    """
    begins_at, ends_at = period
    middle, start = ends_at - _WEEK, ends_at - 2 * _WEEK
    last_sync = max((sync.started_at for sync in syncs), default=None)
    if last_sync is None or last_sync < middle or (begins_at and begins_at > middle):
        return None
    query = _RECENT.format(
        amount=amount, middle=middle, start=start, end=ends_at, drawn=DRAWN.format(amount)
    )
    _, [(last, before)] = run_query(connection, query)
    earliest = max(filter(None, (begins_at, totals.first_at)), default=ends_at)
    return RecentSpend(ends_at, last, before if earliest <= start else None, last_sync)


def _read_groups(connection: Connection, column: str, amount: str) -> tuple[CostGroup, ...]:
    sums = {name: f"sum({name})" for name in ("cpu_hours", "cost_usd", *_WASTE)}
    counts = {"runs": _TOTALS["runs"], "failed_runs": _TOTALS["failed_runs"]}
    source = f"report_runs GROUP BY {column} {order_by(sums[amount])}, {column}"
    return select_rows(connection, CostGroup, source, name=column, **sums, **counts)


def _read_bills(connection: Connection, currency: str) -> tuple[BilledRun, ...]:
    """Return the runs with a bill, which is in USD."""
    if currency != "USD":
        return ()
    source = f"bill_by_run WHERE {DRAWN.format('bill_usd')} ORDER BY bill_usd DESC, run_id"
    return select_rows(connection, BilledRun, source)


def _read_releases(connection: Connection, currency: str) -> tuple[ReleaseChange, ...]:
    """Return the latest release of each pipeline against the one before it."""
    source = (
        f"release_changes WHERE currency = '{currency}' QUALIFY row_number() OVER "
        "(PARTITION BY pipeline ORDER BY first_submitted_at DESC) <= 2 "
        f"ORDER BY pipeline, first_submitted_at DESC LIMIT {MANY}"
    )
    return select_rows(connection, ReleaseChange, source)


def _read_runs(connection: Connection, clauses: str) -> tuple[Run, ...]:
    return select_rows(connection, Run, f"report_runs {clauses} LIMIT {FEW}")


def _read_regressions(connection: Connection) -> tuple[Regression, ...]:
    source = (
        "regressions JOIN (SELECT run_id, workspace, user_name FROM report_runs) USING (run_id)"  # noqa: S608 constants
        f" ORDER BY submitted_at DESC NULLS LAST, run_id, process LIMIT {FEW}"
    )
    return select_rows(connection, Regression, source)

"""From the marts to facts: every SELECT of the page."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, TypeVar

from tower_etl.load.reader import run_query
from tower_etl.report.facts import (
    Facts,
    FailureMessage,
    FailureReason,
    Freshness,
    IdleCpus,
    LabelCost,
    MemoryRequest,
    ProcessCost,
    Regression,
    Run,
    Slice,
    Spender,
    SuccessRate,
    SyncRun,
    Totals,
    Waste,
)

if TYPE_CHECKING:
    from tower_etl.load.reader import Connection

Fact = TypeVar("Fact")

MANY, FEW = 25, 10  # rows of a table
_DAYS, _WEEKS = 45, 200  # the longest histories, in days, that are shown by day and by week
_OPEN = "status IN ('SUBMITTED', 'RUNNING', 'UNKNOWN')"

_TOTALS = f"""
SELECT count(*), count(*) FILTER (status IN ('SUCCEEDED', 'FAILED', 'CANCELLED')),
  count(*) FILTER (status = 'SUCCEEDED'), count(*) FILTER (status = 'FAILED'),
  count(*) FILTER ({_OPEN}),
  count(*) FILTER (cost_usd IS NULL AND tasks > cached_tasks AND NOT coalesce({_OPEN}, FALSE)),
  count(DISTINCT pipeline), count(DISTINCT user_name), count(DISTINCT workspace),
  coalesce(sum(tasks), 0)::BIGINT, sum(cpu_hours), sum(cost_usd),
  sum(cost_usd) FILTER (status = 'FAILED'), sum(cpu_hours) FILTER (status = 'FAILED'),
  sum(saved_usd), (SELECT sum(saved_cpu_hours) FROM resume_savings),
  coalesce(sum(cached_tasks), 0)::BIGINT, min(submitted_at), max(submitted_at)
FROM run_costs
"""  # noqa: S608 a constant
_SLICES = f"""
SELECT date_trunc('{{step}}', submitted_at AT TIME ZONE 'UTC')::DATE, pipeline,
  count(*) FILTER (status = 'SUCCEEDED'), count(*) FILTER (status = 'FAILED'),
  count(*) FILTER (status = 'CANCELLED'), count(*) FILTER ({_OPEN}), sum({{amount}})
FROM run_costs WHERE submitted_at IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2
"""  # noqa: S608 a constant
_RECENT = """
SELECT coalesce(sum({amount}) FILTER (submitted_at > last_at - INTERVAL 7 DAY), 0),
  coalesce(sum({amount}) FILTER (submitted_at <= last_at - INTERVAL 7 DAY
    AND submitted_at > last_at - INTERVAL 14 DAY), 0)
FROM run_costs CROSS JOIN (SELECT max(submitted_at) AS last_at FROM run_costs)
"""
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


def read_facts(connection: Connection) -> Facts:
    """All that the page says, of the runs that the views of a connection know.

    Args:
        connection: One in which the marts go by their bare names.
    """
    (totals,) = _ask(connection, Totals, _TOTALS)
    amount = "cost_usd" if totals.cost_usd else "cpu_hours"
    step = choose_step(totals)
    by_amount = f"ORDER BY {amount} DESC NULLS LAST"
    return Facts(
        totals=totals,
        step=step,
        slices=_ask(connection, Slice, _SLICES.format(step=step, amount=amount)),
        recent=_read_recent(connection, totals, amount),
        pipelines=_read_spenders(connection, "pipeline", by_amount),
        users=_read_spenders(connection, "user", by_amount),
        workspaces=_read_spenders(connection, "workspace", by_amount),
        labels=_select(connection, LabelCost, f"cost_by_label {by_amount} LIMIT {MANY}"),
        processes=_select(connection, ProcessCost, f"cost_by_process {by_amount} LIMIT {FEW}"),
        memory=_read_memory(connection, totals),
        idle=_read_idle(connection, totals),
        waste=_ask(connection, Waste, _WASTE)[0],
        reasons=_ask(connection, FailureReason, _REASONS),
        messages=_read_messages(connection),
        success=_select(connection, SuccessRate, "success_rates"),
        dearest=_select(connection, Run, f"run_costs {by_amount}, run_id LIMIT {FEW}"),
        slowest=_read_slowest(connection),
        failed=_read_failed(connection),
        regressions=_read_regressions(connection),
        freshness=_select(connection, Freshness, "freshness"),
        syncs=_select(connection, SyncRun, f"sync_history LIMIT {FEW}"),
    )


def choose_step(totals: Totals) -> str:
    """The time that one column of a chart covers, so that there are neither few nor too many."""
    if not (totals.first_at and totals.last_at):
        return "day"
    days = (totals.last_at - totals.first_at).days
    return "day" if days <= _DAYS else "week" if days <= _WEEKS else "month"


def _select(
    connection: Connection, kind: type[Fact], source: str, **renamed: str
) -> tuple[Fact, ...]:
    """The columns that a fact has, of a mart; `renamed` says where one has another name."""
    names = (field.name for field in fields(kind))  # type: ignore[arg-type] # a dataclass
    columns = ", ".join(renamed.get(name, name) for name in names)
    return _ask(connection, kind, f"SELECT {columns} FROM {source}")  # noqa: S608 our own names


def _ask(connection: Connection, kind: type[Fact], sql: str) -> tuple[Fact, ...]:
    _, rows = run_query(connection, sql)
    return tuple(kind(*row) for row in rows)


def _read_spenders(connection: Connection, grain: str, order: str) -> tuple[Spender, ...]:
    name = "user_name" if grain == "user" else grain
    return _select(connection, Spender, f"cost_by_{grain} {order}, {name}", name=name)


def _read_recent(connection: Connection, totals: Totals, amount: str) -> tuple[float, float] | None:
    if not (totals.first_at and totals.last_at) or (totals.last_at - totals.first_at).days < 13:  # noqa: PLR2004 two weeks, less what the first run waited
        return None
    _, [(last, before)] = run_query(connection, _RECENT.format(amount=amount))
    return last, before


def _read_memory(connection: Connection, totals: Totals) -> tuple[MemoryRequest, ...]:
    by = "saves_usd" if totals.cost_usd else "saves_gib_hours"
    source = f"memory_requests WHERE {by} > 0 AND recommended_gib < requested_gib"
    return _select(connection, MemoryRequest, f"{source} ORDER BY {by} DESC LIMIT {FEW}")


def _read_idle(connection: Connection, totals: Totals) -> tuple[IdleCpus, ...]:
    by = "idle_usd" if totals.cost_usd else "idle_cpu_hours"
    source = f"cpu_efficiency WHERE {by} > 0 AND requested_cpus > 1"
    return _select(connection, IdleCpus, f"{source} ORDER BY {by} DESC LIMIT {FEW}")


def _read_messages(connection: Connection) -> tuple[FailureMessage, ...]:
    return _select(connection, FailureMessage, f"failure_messages WHERE origin = 'run' LIMIT {FEW}")


def _read_slowest(connection: Connection) -> tuple[Run, ...]:
    source = "run_costs WHERE hours IS NOT NULL ORDER BY hours DESC, run_id"
    return _select(connection, Run, f"{source} LIMIT {FEW}")


def _read_failed(connection: Connection) -> tuple[Run, ...]:
    source = "run_costs WHERE status = 'FAILED' ORDER BY submitted_at DESC NULLS LAST, run_id"
    return _select(connection, Run, f"{source} LIMIT {FEW}")


def _read_regressions(connection: Connection) -> tuple[Regression, ...]:
    joined = "regressions AS g JOIN run_costs AS r ON r.run_id = g.run_id"
    columns = {
        field.name: f"{'r' if field.name in {'workspace', 'user_name'} else 'g'}.{field.name}"
        for field in fields(Regression)
    }
    order = "ORDER BY g.submitted_at DESC NULLS LAST, g.run_id, g.process"
    return _select(connection, Regression, f"{joined} {order} LIMIT {FEW}", **columns)

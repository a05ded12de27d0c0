"""Queries of the report on tasks: processes, requests, machines, waits and failures."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import TYPE_CHECKING

from tower_etl.report.rows import FEW, MANY, order_by, query_rows, select_rows, sum_drawn
from tower_etl.report.task_data import (
    FailureMessage,
    FailureReason,
    IdleCpus,
    IdleGpus,
    MachineType,
    MemoryRequest,
    PriceModel,
    Process,
    QueueWait,
    TaskFacts,
    TaskTime,
    Waste,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tower_etl.warehouse.reader import Connection

_WASTE = tuple(field.name for field in fields(Waste))
_TIME = tuple(field.name for field in fields(TaskTime))
_REASONS = """
SELECT exit_code, any_value(meaning), count(*), max_by(process, (failed_tasks, process)),
  sum(failed_tasks)::BIGINT AS failed, sum(retried_tasks)::BIGINT
FROM failure_reasons GROUP BY exit_code ORDER BY failed DESC, exit_code
"""
_LOST = """(
  SELECT sum(interrupted_tasks)::BIGINT AS interrupted_tasks, sum(lost_usd) AS lost_usd,
    sum(escalated_usd) AS escalated_usd
  FROM spot_interruptions WHERE currency = '{currency}'
)"""
_RATE = "sum(cost_usd) FILTER ({0}) / nullif(sum({1}) FILTER ({0} AND cost_usd IS NOT NULL), 0)"
_BILLED = "billed_vcpu_hours"


def read_tasks(connection: Connection, currency: str, *, priced: bool) -> TaskFacts:
    """Return the data on tasks, without costs in other currencies."""
    inside = f"currency = '{currency}'"
    times = {name: sum_drawn(name) for name in _TIME}
    waits = f"queue_waits ORDER BY waited_hours DESC NULLS LAST, compute_env LIMIT {FEW}"
    messages = f"failure_messages WHERE origin = 'run' LIMIT {FEW}"
    processes = _read_processes(connection, inside, "cost_usd" if priced else "cpu_hours")
    requests = _read_requests(connection, inside)
    return TaskFacts(
        time=select_rows(connection, TaskTime, "time_by_run", **times)[0],
        processes=processes[:FEW],
        staged=_pick_staged(processes),
        memory=_pick_memory(requests, priced=priced),
        advice=requests[:MANY],
        idle=_read_idle(connection, inside, priced=priced),
        gpus=_read_gpus(connection, inside),
        price_models=_read_price_models(connection, currency),
        machines=_read_machines(connection, inside),
        waits=select_rows(connection, QueueWait, waits),
        reasons=query_rows(connection, FailureReason, _REASONS),
        messages=select_rows(connection, FailureMessage, messages),
    )


def _read_processes(connection: Connection, inside: str, amount: str) -> tuple[Process, ...]:
    """Return all processes, the most expensive first."""
    sums = {name: f"sum({name})" for name in ("cpu_hours", *_WASTE)}
    times = {name: f"any_value({name})" for name in (*_TIME, "staged_hours", "staged_share")}
    source = (
        "cost_by_process LEFT JOIN (SELECT * EXCLUDE (cost_usd, tasks, runs) FROM waste_by_process)"  # noqa: S608 constants, and a quoted currency
        " USING (process, currency, cost_source)"
        " LEFT JOIN (SELECT * EXCLUDE (tasks, runs) FROM time_by_process) USING (process)"
        f" WHERE {inside} GROUP BY process {order_by(sums[amount])}, process"
    )
    return select_rows(connection, Process, source, tasks="sum(tasks)::BIGINT", **sums, **times)


def _pick_staged(processes: Sequence[Process]) -> tuple[Process, ...]:
    staged = [row for row in processes if (row.staged_hours or 0) > 0]
    return tuple(sorted(staged, key=lambda row: -(row.staged_hours or 0))[:FEW])


def _read_requests(connection: Connection, inside: str) -> tuple[MemoryRequest, ...]:
    """Return requests that can be reduced or that grew after spot losses, largest savings first."""
    source = (
        "memory_requests LEFT JOIN (SELECT process, sum(spot_escalated_usd) AS spot_escalated_usd"  # noqa: S608 as above
        " FROM retry_waste GROUP BY process) USING (process)"
        f" WHERE {inside} AND (recommended_gib < requested_gib OR spot_grown_tasks > 0)"
        " ORDER BY saves_at_least_usd DESC NULLS LAST, saves_gib_hours DESC NULLS LAST, process"
    )
    return select_rows(connection, MemoryRequest, source)


def _pick_memory(requests: Sequence[MemoryRequest], *, priced: bool) -> tuple[MemoryRequest, ...]:
    """Return the reducible requests with savings."""
    saving = (
        row
        for row in requests
        if ((row.saves_at_most_usd if priced else row.saves_gib_hours) or 0) > 0
        and (row.recommended_gib or math.inf) < (row.requested_gib or 0)
    )
    return tuple(saving)[:FEW]


def _read_idle(connection: Connection, inside: str, *, priced: bool) -> tuple[IdleCpus, ...]:
    by = "saves_at_most_usd" if priced else "idle_cpu_hours"
    first = "saves_at_least_usd DESC NULLS LAST, " if priced else ""
    source = (
        f"cpu_efficiency WHERE {inside} AND {by} > 0 AND requested_cpus > 1"
        f" AND recommended_cpus < requested_cpus ORDER BY {first}{by} DESC, process LIMIT {FEW}"
    )
    return select_rows(connection, IdleCpus, source)


def _read_gpus(connection: Connection, inside: str) -> IdleGpus:
    """Return the idle accelerators; the sums are null without any."""
    columns = {name: sum_drawn(name) for name in ("gpu_hours", "idle_usd")}
    source = f"gpu_efficiency WHERE {inside}"
    return select_rows(
        connection, IdleGpus, source, processes="count(DISTINCT process)", **columns
    )[0]


def _read_price_models(connection: Connection, currency: str) -> tuple[PriceModel, ...]:
    columns = {
        "price_model": "lower(price_model)",
        "tasks": "sum(tasks)::BIGINT",
        "cpu_hours": sum_drawn("cpu_hours"),
        "cost_usd": sum_drawn("cost_usd"),
        "usd_per_cpu_hour": _RATE.format("TRUE", "cpu_hours"),
        "usd_per_billed_vcpu_hour": _RATE.format(f"{_BILLED} IS NOT NULL", _BILLED),
    }
    lost = ("interrupted_tasks", "lost_usd", "escalated_usd")
    columns |= {n: f"any_value(CASE WHEN lower(price_model) = 'spot' THEN l.{n} END)" for n in lost}
    source = (
        f"machine_mix CROSS JOIN {_LOST.format(currency=currency)} AS l"
        f" WHERE currency = '{currency}' AND lower(price_model) IN ('spot', 'standard')"
        " GROUP BY lower(price_model) ORDER BY 1"
    )
    return select_rows(connection, PriceModel, source, **columns)


def _read_machines(connection: Connection, inside: str) -> tuple[MachineType, ...]:
    columns = {
        f"{model}_usd_per_billed_vcpu_hour": _RATE.format(
            f"lower(price_model) = '{model}'", _BILLED
        )
        for model in ("spot", "standard")
    }
    columns |= {name: sum_drawn(name) for name in ("cpu_hours", "cost_usd")}
    source = (
        f"machine_mix WHERE {inside} AND machine_type <> 'unknown' GROUP BY machine_type"
        f" {order_by(columns['cost_usd'])}, {columns['cpu_hours']} DESC, machine_type LIMIT {FEW}"
    )
    return select_rows(connection, MachineType, source, tasks="sum(tasks)::BIGINT", **columns)

"""Recommended changes, each with its minimum and maximum savings.

Savings overlap: for example, a smaller request saves nothing on a retry that is avoided.

`memory_config_snippet` returns Nextflow configuration with the recommended memory requests, ready
to paste. Its request grows only after exit codes that can mean a lack of memory. The usual
`N.GB * task.attempt` also grows after the loss of a spot machine, where the request was large
enough, and increases the cost. On a retry, `task.exitStatus` is the exit code of the previous
attempt.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tower_etl.report.formats import NARROW, format_count, format_money
from tower_etl.text import pluralize

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tower_etl.report.data import ReportData
    from tower_etl.report.task_data import IdleCpus, MemoryRequest

_NOTHING = 0.005  # savings below it are not shown

OUT_OF_MEMORY = (134, 137, 139, 140, 247)  # as `out_of_memory` in sql/staging/stg_tasks.sql
# nf-core's base configuration retries on 104 and 130 to 145. The others are 247 (killed) and the
# codes of a lost spot machine: 50001 on Google Batch, 2147483647 (no exit code) on AWS Batch.
_RETRIED = "(130..145) + [104, 247, 50001, 2147483647]"
_MOST_RETRIES = 3
_NAME = re.compile(
    r"[\w:]+", re.ASCII
)  # process names in Nextflow; other text is read as a pattern


@dataclass(frozen=True)
class Action:
    """Change that saves money, or hours if runs have no cost.

    Attributes:
        title: What to do.
        detail: Extent of the cause.
        advice: How to do it.
        at_least: Savings that are certain by the price formula; 0 if they depend on the cause.
        at_most: Savings if the cause is removed completely.
        unit: Currency, or the unit of hours.
    """

    title: str
    detail: str
    advice: str
    at_least: float
    at_most: float
    unit: str

    def show(self, amount: float) -> str:
        """Format an amount of the savings."""
        if self.unit.endswith(" h") or self.unit == "h":
            return f"{format_count(amount)}{NARROW}{self.unit}"
        return format_money(amount, self.unit)


def list_actions(facts: ReportData) -> list[Action]:
    """Return the changes, those with the largest certain savings first."""
    if facts.priced:
        actions = [
            _lower_memory(facts),
            _lower_cpus(facts),
            _stop_growth(facts),
            _use_gpus(facts),
            _stage_less(facts, facts.totals.staging_usd),
            _retry_less(facts, facts.totals.retried_usd),
            _lose_less(facts),
        ]
        actions.sort(key=lambda action: (-action.at_least, -action.at_most))
    else:
        actions = [
            _lower_memory(facts),
            _lower_cpus(facts),
            _stage_less(facts, facts.time.kept_staged_hours),
            _retry_less(facts, facts.time.retried_hours),
        ]
    return [action for action in actions if action.at_most >= _NOTHING]


def _lower_memory(facts: ReportData) -> Action:
    rows = [row for row in facts.advice if (choose_memory(row) or 0) == row.recommended_gib]
    return Action(
        "Request less memory",
        f"{pluralize(len(rows), 'process', 'processes')} in the configuration below",
        "Paste it into nextflow.config.",
        *_sum_savings(facts, rows, (row.saves_gib_hours for row in rows), "GiB h"),
    )


def _lower_cpus(facts: ReportData) -> Action:
    rows = facts.idle
    return Action(
        "Request fewer CPUs",
        f"{pluralize(len(rows), 'process', 'processes')} below; memory stays as it is",
        "Lower cpus where few are in use, or pass task.cpus on to the tool.",
        *_sum_savings(facts, rows, (row.idle_cpu_hours for row in rows), "CPU h"),
    )


def _stop_growth(facts: ReportData) -> Action:
    spot = next((row for row in facts.price_models if row.price_model == "spot"), None)
    rows = [row for row in facts.advice if row.spot_grown_tasks and choose_memory(row) is not None]
    return Action(
        "Let nothing grow after a lost spot machine",
        "retries that requested more although nothing was too small",
        "The same configuration grows memory only after exit codes that can mean a lack of it.",
        _sum(row.spot_escalated_usd for row in rows),
        _sum([spot.escalated_usd if spot else None]),
        facts.currency,
    )


def _use_gpus(facts: ReportData) -> Action:
    gpus = facts.gpus
    return Action(
        "Keep GPUs busy",
        f"{pluralize(gpus.processes, 'process', 'processes')} with accelerators, "
        f"{format_count(gpus.gpu_hours)}{NARROW}GPU hours",
        "Use fewer or smaller GPUs, or give each more work: tower-etl query gpu_efficiency.",
        0.0,
        gpus.idle_usd or 0.0,
        facts.currency,
    )


def _stage_less(facts: ReportData, amount: float | None) -> Action:
    return Action(
        "Shorten staging",
        "data in and out, images and start-up",
        "Use Fusion, keep data in the region of the machines, and make images smaller.",
        0.0,
        amount or 0.0,
        facts.currency if facts.priced else "h",
    )


def _retry_less(facts: ReportData, amount: float | None) -> Action:
    return Action(
        "Avoid retries",
        "failed attempts that were tried again",
        "The reasons are under Failures. Spot losses: more zones and machine types.",
        0.0,
        amount or 0.0,
        facts.currency if facts.priced else "h",
    )


def _lose_less(facts: ReportData) -> Action:
    return Action(
        "Resume failed runs",
        f"{pluralize(facts.totals.failed_runs, 'run')} failed; "
        "what later runs took from the cache is not counted",
        "Launch them again with -resume: tasks that completed are not paid for twice.",
        0.0,
        facts.totals.lost_usd or 0.0,
        facts.currency,
    )


def _sum_savings(
    facts: ReportData,
    rows: Sequence[MemoryRequest | IdleCpus],
    hours: Iterable[float | None],
    unit: str,
) -> tuple[float, float, str]:
    """Return the least and the most savings of smaller requests, and their unit.

    Without costs, the most is the sum of `hours`, and nothing is certain.
    """
    if not facts.priced:
        return 0.0, _sum(hours), unit
    least = _sum(row.saves_at_least_usd for row in rows)
    return least, _sum(row.saves_at_most_usd for row in rows), facts.currency


def _sum(amounts: Iterable[float | None]) -> float:
    return sum((amount for amount in amounts if amount), 0.0)


def memory_config_snippet(requests: Sequence[MemoryRequest]) -> str:
    """Return a `process` block with memory requests and error strategies, empty without changes.

    `GB` is 2^30 bytes in Nextflow. A process with rows for several cost sources appears once, and
    only if each of its rows has a memory to request.

    Args:
        requests: Rows of `memory_requests`.
    """
    unchanged = {request.process for request in requests if choose_memory(request) is None}
    first_rows = {request.process: request for request in reversed(requests)}
    blocks = [
        line
        for request in requests
        if request is first_rows[request.process] and request.process not in unchanged
        for line in _iter_lines(request)
    ]
    return "\n".join(("process {", *blocks, "}")) if blocks else ""


def choose_memory(request: MemoryRequest) -> int | None:
    """Return the memory to request first in whole GiB, None to leave the process unchanged.

    The value must not raise the request of any task. A process is left unchanged if it recovered
    with a larger request from something other than a lack of memory or a lost machine, because it
    may need the growth. If no smaller request is recommended but spot losses grew the request, the
    current request is kept and only its growth is restricted.
    """
    lowest, highest = request.lowest_requested_gib, request.requested_gib
    grew_otherwise = request.grown_tasks > request.spot_grown_tasks and not request.killed_tasks
    if lowest is None or highest is None or grew_otherwise:
        return None
    if request.recommended_gib is not None and request.recommended_gib < lowest:
        return request.recommended_gib
    if not request.spot_grown_tasks or lowest != highest or not highest.is_integer():
        return None
    needed = request.recommended_gib if request.killed_tasks else None
    return max(int(highest), needed or 0)


def _iter_lines(request: MemoryRequest) -> Iterator[str]:
    memory = choose_memory(request)
    if memory is None or not _NAME.fullmatch(request.process):
        return
    if request.weak:
        yield f"  // measured on {request.tasks} tasks only: watch the first runs"
    yield f"  withName: '{request.process}' {{"
    if request.spot_grown_tasks and request.requested_cpus == request.lowest_requested_cpus:
        yield f"    cpus = {request.requested_cpus}"
    codes = ", ".join(map(str, OUT_OF_MEMORY))
    yield f"    memory = {{ {memory}.GB * (task.exitStatus in [{codes}] ? task.attempt : 1) }}"
    yield f"    errorStrategy = {{ task.exitStatus in ({_RETRIED}) ? 'retry' : 'finish' }}"
    yield f"    maxRetries = {_MOST_RETRIES}"
    yield "  }"

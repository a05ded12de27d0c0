"""Waste categories and savings: expected values computed by hand, and sums that always hold."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sql.small import GIB, HOUR_MS, SmallHistory
from tests.sql.test_behaviour import NOON, at
from tests.sql.test_spend import pick
from tower_etl.views.definitions import iter_views
from tower_etl.warehouse.filters import RunFilter, apply_filter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CATEGORIES = (
    "retried_usd",
    "lost_usd",
    "staging_usd",
    "escalated_usd",
    "over_requested_usd",
    "useful_usd",
)
FAILED: dict[str, Any] = {"status": "FAILED", "exit": "1", "errorAction": "RETRY"}
BUSY: dict[str, Any] = {
    "pcpu": 200.0,
    "memory": 8 * GIB,
    "peakRss": 8 * GIB,
}  # uses all that it requests


def ledger(small: SmallHistory, *categories: str) -> dict[str, tuple[float, ...]]:
    """Return some waste categories of each run; assert that the checks return no row."""
    rows = small.ask("waste_by_run")
    assert small.check("waste_by_run") == []
    assert small.check("waste_by_process") == []
    return {row["run_id"]: tuple(row[name] for name in categories) for row in rows}


def test_a_fully_used_task_is_useful_except_for_its_staging(small: SmallHistory) -> None:
    """It runs for an hour, and its command for 45 minutes."""
    small.add_run("a")
    small.add_task("a", cost=4.0, realtime=HOUR_MS * 3 // 4, complete=at(80), **BUSY)
    assert ledger(small, *CATEGORIES) == {"a": (0.0, 0.0, 1.0, 0.0, 0.0, 3.0)}


def test_a_retried_attempt_counts_as_retried_with_its_whole_cost(small: SmallHistory) -> None:
    """Its staging is not counted twice. The last attempt, which failed as well, is lost."""
    small.add_run("a", status="FAILED")
    small.add_task("a", cost=4.0, realtime=0, complete=at(80), **FAILED)
    small.add_task("a", cost=2.0, attempt=2, status="FAILED", exit="1")
    assert ledger(small, *CATEGORIES) == {"a": (4.0, 2.0, 0.0, 0.0, 0.0, 0.0)}


def test_a_task_that_a_resumed_run_reused_is_not_lost(small: SmallHistory) -> None:
    """Of the three tasks of a failed run, the resumed run reuses one and executes one again."""
    small.add_run("a", status="FAILED", sessionId="s", submit=at(0))
    small.add_run("b", sessionId="s", resume=True, submit=at(60))
    small.add_run("c", status="CANCELLED", sessionId="t", submit=at(0))
    for cost, task_hash in ((1.0, "aa/1"), (2.0, "bb/2"), (4.0, None)):
        small.add_task("a", hash=task_hash, cost=cost, **BUSY)
    small.add_task("b", hash="aa/1", cost=1.0, status="CACHED")
    small.add_task("b", hash="bb/3", cost=2.0, **BUSY)
    small.add_task("c", hash="aa/1", cost=8.0, **BUSY)
    expected = {"a": (6.0, 1.0), "b": (0.0, 2.0), "c": (8.0, 0.0)}
    assert ledger(small, "lost_usd", "useful_usd") == expected


def test_a_reused_task_is_credited_to_its_latest_execution(small: SmallHistory) -> None:
    """Two failed runs executed the same task; the third run reused the result of the second."""
    for run_id, minute in (("a", 0), ("b", 60)):
        small.add_run(run_id, status="FAILED", sessionId="s", submit=at(minute))
        small.add_task(run_id, hash="aa/1", cost=1.0, **BUSY)
    small.add_run("c", sessionId="s", resume=True, submit=at(120))
    small.add_task("c", hash="aa/1", cost=1.0, status="CACHED")
    assert ledger(small, "lost_usd") == {"a": (1.0,), "b": (0.0,), "c": (None,)}


@pytest.mark.slow
def test_a_run_filter_keeps_the_reuse_by_runs_outside_the_filter(small: SmallHistory) -> None:
    """The filter leaves the resumed run out, and the failed run still has nothing lost."""
    small.add_run("a", status="FAILED", sessionId="s", submit=at(0))
    small.add_task("a", hash="aa/1", cost=1.0, **BUSY)
    small.add_run("b", sessionId="s", resume=True, submit=at(60))
    small.add_task("b", hash="aa/1", cost=1.0, status="CACHED")
    with small.open() as connection:
        apply_filter(connection, RunFilter(until=NOON + timedelta(minutes=30)))
        rows = connection.execute("SELECT run_id, lost_usd FROM waste_by_run").fetchall()
    assert rows == [("a", 0.0)]


@pytest.mark.parametrize("status", ["ABORTED", "FAILED"])
def test_an_aborted_or_ignored_failed_task_is_lost_in_a_successful_run(
    small: SmallHistory, status: str
) -> None:
    small.add_run("a")
    small.add_task("a", status=status, errorAction="IGNORE", cost=3.0)
    assert ledger(small, "lost_usd", "useful_usd") == {"a": (3.0, 0.0)}


def test_the_larger_request_of_a_retry_is_escalated(small: SmallHistory) -> None:
    """With 4 GiB per vCPU, the first attempt is billed as 2 vCPUs and the second as 8.

    An eighth of the cost of the second is staging; six eighths of the rest are due to the growth.
    """
    small.add_run("a")
    small.add_task("a", priceModel="spot", cost=1.0, **(BUSY | FAILED | {"exit": "143"}))
    grown = BUSY | {"attempt": 2, "cpus": 4, "memory": 32 * GIB}
    small.add_task("a", cost=8.0, realtime=HOUR_MS * 7 // 8, complete=at(80), **grown)
    assert ledger(small, *CATEGORIES) == {"a": (1.0, 0.0, 1.0, 5.25, 0.0, 1.75)}
    columns = ("wasted_usd", "spot_wasted_usd", "escalated_usd", "spot_escalated_usd")
    assert pick(small.ask("retry_waste"), *columns) == [(1.0, 1.0, 5.25, 5.25)]
    assert sum(row["escalated_usd"] or 0 for row in small.ask("spot_interruptions")) == 0


def test_escalation_without_a_machine_type_is_the_smaller_growth(
    small: SmallHistory,
) -> None:
    """CPUs doubled and memory grew fourfold, so at least half of the cost is due to the growth."""
    small.add_run("a")
    small.add_task("a", machineType=None, cost=1.0, **(BUSY | FAILED))
    grown = BUSY | {"attempt": 2, "cpus": 4, "pcpu": 400.0, "memory": 32 * GIB}
    small.add_task("a", machineType=None, cost=8.0, **grown)
    assert ledger(small, "escalated_usd") == {"a": (4.0,)}


def test_over_requested_is_the_smaller_spare_share_of_cpus_and_memory(small: SmallHistory) -> None:
    """1 of 4 CPUs and, with headroom, 10 of 16 GiB are needed: at least 6 of 16 parts are spare."""
    small.add_run("a")
    small.add_task("a", cost=16.0, cpus=4, pcpu=80.0, memory=16 * GIB, peakRss=8 * GIB)
    assert ledger(small, "over_requested_usd", "useful_usd") == {"a": (6.0, 10.0)}


@pytest.mark.slow
def test_gpu_tasks_are_measured_by_gpu_use_and_not_by_cpu_use(small: SmallHistory) -> None:
    """They are recognized by the machine type or by the accelerators of the task."""
    small.add_run("a")
    gpu = {"name": "A10G", "pct": 25.0, "peak": 90.0, "mem": 24576, "peak_mem_used": 12288}
    idle: dict[str, Any] = {"pcpu": 10.0, "memory": 16 * GIB, "cpus": 4}
    small.add_task("a", machineType="g5.xlarge", gpuMetrics=gpu, cost=4.0, **idle)
    small.add_task("a", resourceAllocation={"acceleratorCount": 1}, cost=1.0, **idle)
    assert ledger(small, "over_requested_usd", "useful_usd") == {"a": (0.0, 5.0)}
    assert small.ask("cpu_efficiency") == []
    names = ("accelerator", "tasks", "gpu_hours", "gpu_percent", "gpu_peak_gib", "idle_usd")
    assert pick(small.ask("gpu_efficiency"), *names) == [
        ("A10G", 1, 1.0, 25.0, 12.0, 3.0),
        ("unknown", 1, 1.0, None, None, None),
    ]


def test_memory_savings_are_bounds_if_the_machine_type_is_unknown(small: SmallHistory) -> None:
    """CPUs may set the price, so the savings are between 0 and the unused share of memory."""
    small.add_run("a")
    task: dict[str, Any] = {"cpus": 8, "memory": 64 * GIB, "peakRss": 20 * GIB, "cost": 16.0}
    small.add_task("a", process="UNKNOWN", machineType=None, **task)
    small.add_task("a", process="KNOWN", machineType="m6id.24xlarge", **task)
    small.add_task("a", process="RULE", machineType="m9x.metal", **task)
    columns = ("process", "saves_at_least_usd", "saves_at_most_usd", "saves_estimate_usd")
    assert sorted(pick(small.ask("memory_requests"), *columns)) == [
        ("KNOWN", 8.0, 8.0, 8.0),
        ("RULE", 8.0, 8.0, 8.0),
        ("UNKNOWN", 0.0, 9.75, None),
    ]
    assert small.check("memory_requests") == []


def test_cpu_savings_are_zero_if_memory_sets_the_price(small: SmallHistory) -> None:
    """32 GiB are billed as 8 vCPUs for any number of CPUs; 4 GiB are billed as 1 vCPU.

    2 of the 8 CPUs are enough for the tasks.
    """
    small.add_run("a")
    task: dict[str, Any] = {"cpus": 8, "pcpu": 170.0, "cost": 16.0}
    small.add_task("a", process="MEMORY", memory=32 * GIB, **task)
    small.add_task("a", process="CPU", memory=4 * GIB, **task)
    small.add_task("a", process="UNKNOWN", memory=4 * GIB, machineType=None, **task)
    columns = ("process", "saves_at_least_usd", "saves_at_most_usd", "saves_estimate_usd")
    assert sorted(pick(small.ask("cpu_efficiency"), *columns)) == [
        ("CPU", 12.0, 12.0, 12.0),
        ("MEMORY", 0.0, 0.0, 0.0),
        ("UNKNOWN", 0.0, 12.0, None),
    ]


def test_recommended_memory_exceeds_every_peak_including_retries(
    small: SmallHistory,
) -> None:
    """The 95th percentile of 19 peaks of 4 GiB and one of 12 is far below 12.

    A retry used 14.5 GiB.
    """
    small.add_run("a")
    for peak in (*[4] * 19, 12):
        small.add_task("a", memory=32 * GIB, peakRss=peak * GIB)
    small.add_task("a", name="x", memory=32 * GIB, **FAILED)
    small.add_task("a", name="x", attempt=2, memory=64 * GIB, peakRss=29 * GIB // 2)
    columns = ("tasks", "weak", "requested_gib", "most_used_gib", "recommended_gib", "grown_tasks")
    assert pick(small.ask("memory_requests"), *columns) == [(20, False, 32.0, 14.5, 15, 1)]


def test_recommended_memory_exceeds_the_request_of_killed_tasks(small: SmallHistory) -> None:
    """The memory that they needed is unknown. The loss of a spot machine is not due to memory."""
    small.add_run("a")
    for process, model in (("KILLED", "standard"), ("LOST", "spot")):
        task = {"process": process, "priceModel": model, "memory": 8 * GIB}
        small.add_task("a", peakRss=2 * GIB, **task)
        small.add_task("a", exit="137", status="FAILED", numSpotInterruptions=1, **task)
    columns = ("process", "killed_tasks", "recommended_gib", "lowest_requested_gib")
    assert sorted(pick(small.ask("memory_requests"), *columns)) == [
        ("KILLED", 1, 9, 8.0),
        ("LOST", 0, 3, 8.0),
    ]


STATUSES = ("COMPLETED", "FAILED", "ABORTED", "CACHED", "RUNNING", None)
COSTS = st.none() | st.floats(0, 1e6, allow_subnormal=False)
TASKS = st.fixed_dictionaries(
    {
        "status": st.sampled_from(STATUSES),
        "attempt": st.sampled_from((None, 1, 2, 3)),
        "process": st.sampled_from(("A", "B")),
        "name": st.sampled_from(("A (1)", "A (2)", None)),
        "hash": st.sampled_from(("aa/1", "bb/2", None)),
        "errorAction": st.sampled_from(("RETRY", "IGNORE", None)),
        "cost": COSTS,
        "cpus": st.sampled_from((None, 0, 1, 2, 64)),
        "pcpu": st.none() | st.floats(0, 10_000),
        "memory": st.none() | st.integers(0, 2**42),
        "peakRss": st.none() | st.integers(0, 2**42),
        "realtime": st.none() | st.integers(0, 10 * HOUR_MS),
        "complete": st.sampled_from((None, at(15), at(20), at(45), at(600))),
        "exit": st.sampled_from(("0", "1", "137", "143", None)),
        "machineType": st.sampled_from(("m6id.large", "g5.xlarge", "c7z.metal", "no such", None)),
        "priceModel": st.sampled_from(("spot", "standard", None)),
    }
)
RUN_STATUSES = st.sampled_from(("SUCCEEDED", "FAILED", "CANCELLED", "RUNNING", "UNKNOWN", None))


CHECKS = [
    check
    for check in iter_views("checks")
    if check.name in {"waste_by_run", "waste_by_process", "memory_requests", "cpu_efficiency"}
]


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    """Create the tables and the views that the checks read, once for all examples."""
    with SmallHistory().open(*(name for check in CHECKS for name in check.sources)) as connection:
        yield connection


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(runs=st.lists(st.tuples(RUN_STATUSES, st.lists(TASKS, max_size=8)), max_size=4))
def test_waste_categories_of_any_history_add_up_to_its_cost(
    database: duckdb.DuckDBPyConnection, runs: list[Any]
) -> None:
    """No category is negative."""
    history = SmallHistory()
    for number, (status, tasks) in enumerate(runs):
        history.add_run(f"r{number}", status=status, sessionId="s", submit=at(number))
        for task in tasks:
            history.add_task(f"r{number}", **task)
    columns = ", ".join(("cost_usd", *CATEGORIES))
    for table in ("workflows", "tasks"):
        database.register("rows", history.tables[table])
        database.execute(f"DELETE FROM {table}; INSERT INTO {table} FROM rows")  # noqa: S608 trusted names
    assert [check.name for check in CHECKS if database.execute(check.sql).fetchall()] == []
    rows = database.execute(f"SELECT {columns} FROM waste_by_run").fetchall()  # noqa: S608 trusted names
    for cost, *parts in rows:
        if cost is not None:
            assert sum(parts) == pytest.approx(cost, rel=1e-9, abs=1e-6)
            assert min(parts) >= -0.00001


def test_waste_categories_of_a_seeded_history_add_up_to_its_cost(seeded: Path) -> None:
    with duckdb.connect(str(seeded), read_only=True) as connection:
        connection.execute("USE tower.tower")
        columns = ", ".join(("cost_usd", *CATEGORIES))
        rows = connection.execute(f"SELECT {columns} FROM waste_by_run").fetchall()  # noqa: S608 trusted names
    priced = [row for row in rows if row[0] is not None]
    assert priced
    for cost, *parts in priced:
        assert sum(parts) == pytest.approx(cost, abs=1e-6)

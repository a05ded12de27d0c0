"""Marts on three real runs: the same sums as plain Python over the dumped JSON."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from tests.load.warehouse import Warehouse
from tower_etl.clock import SYSTEM_CLOCK
from tower_etl.destinations.duckdb_files import resolve_duckdb_paths
from tower_etl.simulator import (
    NO_LIMIT,
    Simulator,
    load_runs,
    serve,
)
from tower_etl.views.definitions import iter_views

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.shared

RNASEQ, SAREK, METHYLSEQ = "10Sj9ejvKktHWg", "15dvxY1LnZYrYe", "wELtvsveirfd9"
GIB = 2**30

Row = dict[str, Any]


@dataclass(frozen=True)
class RealRuns:
    """Three runs, as dumped and as synced.

    Attributes:
        path: The DuckDB file.
        tasks: Tasks of each run, as the API returned them.
    """

    path: Path
    tasks: dict[str, list[Row]]

    def ask(self, sql: str) -> list[Row]:
        """Return rows as dictionaries."""
        with duckdb.connect(str(self.path), read_only=True) as connection:
            connection.execute("USE tower.tower")
            asked = connection.execute(sql)
            names = [column[0] for column in asked.description or ()]
            return [dict(zip(names, row, strict=True)) for row in asked.fetchall()]

    def list_executed(self) -> list[Row]:
        """Return the tasks of all runs that were not taken from the cache."""
        tasks = [task for tasks in self.tasks.values() for task in tasks]
        return [task for task in tasks if task["status"] != "CACHED"]


@pytest.fixture(scope="module")
def real(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> RealRuns:
    """Sync the runs once."""
    target = resolve_duckdb_paths(tmp_path_factory.mktemp("real") / "tower.duckdb")
    with serve(Simulator(load_runs(shared / "runs"), limit=NO_LIMIT)) as endpoint:
        assert Warehouse(target, endpoint, SYSTEM_CLOCK).sync().result.status == "ok"
    tasks = {
        run_id: json.loads((shared / "runs" / f"{run_id}.json").read_text("utf-8"))["tasks"]
        for run_id in (RNASEQ, SAREK, METHYLSEQ)
    }
    return RealRuns(target.path, {run: [t.get("task", t) for t in ts] for run, ts in tasks.items()})


def group(tasks: list[Row], *fields: str) -> dict[tuple[Any, ...], list[Row]]:
    """Group tasks by some of their fields."""
    groups = defaultdict(list)
    for task in tasks:
        groups[tuple(task[field] for field in fields)].append(task)
    return groups


def total(tasks: list[Row], value: Callable[[Row], float]) -> float:
    """Sum a value over tasks."""
    return sum(map(value, tasks))


def between(task: Row, first: str, last: str) -> float:
    """Return the seconds between two times of a task."""
    begin, end = (datetime.fromisoformat(task[name]) for name in (first, last))
    return (end - begin).total_seconds()


def count_waited(task: Row) -> float:
    """Return the seconds from submission to start."""
    return between(task, "submit", "start")


def elapsed_seconds(task: Row) -> float:
    """Return the seconds from start to end."""
    return between(task, "start", "complete")


def test_run_costs_are_the_sums_of_their_executed_tasks(real: RealRuns) -> None:
    """The four cached tasks of the sarek run count as savings."""
    costs = {row["run_id"]: row for row in real.ask("FROM run_costs")}
    assert costs.keys() == real.tasks.keys()
    for run_id, tasks in real.tasks.items():
        ran = [task for task in tasks if task["status"] != "CACHED"]
        assert costs[run_id]["cost_usd"] == pytest.approx(total(ran, lambda t: t["cost"]), abs=1e-6)
    assert costs[RNASEQ]["cost_usd"] == pytest.approx(21.2607, abs=1e-4)
    assert costs[METHYLSEQ]["cost_usd"] == pytest.approx(11.5759, abs=1e-4)
    assert costs[SAREK]["cost_usd"] == pytest.approx(6.011797, abs=1e-6)
    assert costs[SAREK]["saved_usd"] == pytest.approx(6.1615409231 - 6.0117969229, abs=1e-6)
    assert costs[SAREK]["cached_tasks"] == 4


def test_task_counts_check_returns_no_rows_on_real_runs(real: RealRuns) -> None:
    """Failed and cached tasks are included."""
    check = next(view for view in iter_views("checks") if view.name == "task_counts")
    assert real.ask(check.sql) == []


def test_cost_by_process_matches_sums_over_the_tasks(real: RealRuns) -> None:
    expected = {
        process: (
            len(tasks),
            pytest.approx(total(tasks, lambda t: t["cost"]), abs=1e-6),
            pytest.approx(
                total(tasks, lambda t: elapsed_seconds(t) * t["cpus"]) / 3600, abs=0.0051
            ),
            pytest.approx(total(tasks, lambda t: t["realtime"] * t["cpus"]) / 3.6e6, abs=0.0051),
        )
        for (process,), tasks in group(real.list_executed(), "process").items()
    }
    rows = real.ask("FROM cost_by_process")
    names = ("tasks", "cost_usd", "cpu_hours", "compute_cpu_hours")
    actual = {row["process"]: tuple(row[name] for name in names) for row in rows}
    assert actual == expected


def test_machine_mix_matches_the_machines_of_the_tasks(real: RealRuns) -> None:
    fields = ("machineType", "cloudZone", "priceModel")
    expected = {
        machine: (len(tasks), pytest.approx(total(tasks, lambda t: t["cost"]), abs=1e-6))
        for machine, tasks in group(real.list_executed(), *fields).items()
    }
    rows = real.ask(
        "SELECT machine_type, cloud_zone, price_model, tasks, cost_usd FROM machine_mix"
    )
    assert {tuple(row.values())[:3]: tuple(row.values())[3:] for row in rows} == expected


def test_queue_waits_match_median_and_maximum_over_the_tasks(real: RealRuns) -> None:
    expected = {
        queue: tuple(
            pytest.approx(seconds / 60, abs=0.0051)
            for seconds in (median(map(count_waited, tasks)), max(map(count_waited, tasks)))
        )
        for (queue,), tasks in group(real.list_executed(), "queue").items()
    }
    rows = real.ask("FROM queue_waits")
    assert {
        row["queue"]: (row["median_minutes"], row["longest_minutes"]) for row in rows
    } == expected


def test_cpu_efficiency_matches_the_first_attempts_without_gpu(real: RealRuns) -> None:
    done = [task for task in real.list_executed() if task["status"] == "COMPLETED"]
    measured = [
        task
        for task in done
        if task["realtime"]
        and task["pcpu"] is not None
        and task["attempt"] == 1
        and not task["machineType"].startswith("g5.")
    ]
    expected = {
        process: pytest.approx(
            total(tasks, lambda t: t["pcpu"] * t["realtime"])
            / total(tasks, lambda t: 100 * t["cpus"] * t["realtime"]),
            abs=1e-4,
        )
        for (process,), tasks in group(measured, "process").items()
    }
    rows = real.ask("FROM cpu_efficiency")
    assert {row["process"]: row["efficiency"] for row in rows} == expected


def test_storage_io_matches_sums_over_the_tasks(real: RealRuns) -> None:
    expected = {
        process: (
            pytest.approx(total(tasks, lambda t: t["rchar"] or 0) / GIB, abs=0.00051),
            pytest.approx(total(tasks, lambda t: t["wchar"] or 0) / GIB, abs=0.00051),
        )
        for (process,), tasks in group(
            [t for t in real.list_executed() if (t["rchar"], t["wchar"]) != (None, None)], "process"
        ).items()
    }
    rows = real.ask("FROM storage_io")
    assert {row["process"]: (row["read_gib"], row["written_gib"]) for row in rows} == expected


def test_retry_waste_is_the_cost_of_the_failed_attempts(real: RealRuns) -> None:
    """Three tasks were retried; their first attempts failed with 143, 143 and 2."""
    failed = [task for task in real.list_executed() if task["status"] == "FAILED"]
    retried = real.ask("FROM retry_waste")
    assert {row["process"]: row["retried_tasks"] for row in retried} == {
        task["process"]: 1 for task in failed
    }
    assert {row["recovered_tasks"] for row in retried} == {1}
    assert sum(row["wasted_usd"] for row in retried) == pytest.approx(
        total(failed, lambda t: t["cost"]), abs=3e-6
    )
    assert sorted(row["exit_code"] for row in real.ask("FROM failure_reasons")) == [
        "143",
        "143",
        "2",
    ]
    lost = sum(row["lost_usd"] for row in real.ask("FROM spot_interruptions"))
    assert lost == pytest.approx(0.6219736873 + 0.3018590571, abs=2e-6)


def test_average_parallelism_never_exceeds_the_peak(real: RealRuns) -> None:
    rows = real.ask("FROM parallelism")
    assert {row["run_id"] for row in rows} == real.tasks.keys()
    assert all(0 <= row["average_tasks"] <= row["peak_tasks"] for row in rows)
    assert all(0 <= row["of_peak"] <= 1 for row in rows)


# Computed from the same data with other tools; `platform_cpu_hours` includes CACHED tasks.
REFERENCE = {
    RNASEQ: {
        "cost_usd": 21.260741,
        "failed_cost_usd": 0.923833,
        "platform_cpu_hours": 469.8878,
        "compute_cpu_hours": 390.6045,
        "ran_hours": 70.1725,
        "run_hours": 61.9711,
        "staged_hours": 8.2318,
        "staging_usd": 3.4379,
        "wait_hours": 5.0194,
    },
    SAREK: {
        "cost_usd": 6.011797,
        "saved_usd": 0.149744,
        "failed_cost_usd": 0.773598,
        "platform_cpu_hours": 70.7197,
        "compute_cpu_hours": 61.2906,
        "ran_hours": 2.0722,
        "run_hours": 1.9129,
        "staged_hours": 0.1608,
        "staging_usd": 0.5489,
        "wait_hours": 0.2194,
    },
    METHYLSEQ: {
        "cost_usd": 11.575938,
        "failed_cost_usd": 0.0,
        "platform_cpu_hours": 231.9811,
        "compute_cpu_hours": 226.3660,
        "ran_hours": 19.7611,
        "run_hours": 19.2137,
        "staged_hours": 0.5482,
        "staging_usd": 0.2414,
        "wait_hours": 0.9272,
    },
}
LEDGER = {
    RNASEQ: {"retried_usd": 0.9238, "lost_usd": 0, "staging_usd": 3.4379, "escalated_usd": 0.6864},
    SAREK: {"retried_usd": 0.7736, "lost_usd": 0, "staging_usd": 0.5489, "escalated_usd": 1.9073},
    METHYLSEQ: {"retried_usd": 0, "lost_usd": 0, "staging_usd": 0.2414, "escalated_usd": 0},
}


@pytest.mark.parametrize(
    ("mart", "reference"),
    [("run_costs", REFERENCE), ("waste_by_run", LEDGER)],
)
def test_marts_match_the_reference_values_of_the_runs(
    real: RealRuns, mart: str, reference: dict[str, dict[str, float]]
) -> None:
    """The tolerance is half of the last digit of the reference."""
    rows = {row["run_id"]: row for row in real.ask(f"FROM {mart}")}
    found = {run: {name: rows[run][name] for name in names} for run, names in reference.items()}
    assert found == {
        run: {name: pytest.approx(value, abs=0.000051) for name, value in names.items()}
        for run, names in reference.items()
    }


@pytest.mark.slow
def test_waste_categories_add_up_to_the_cost_of_each_run(real: RealRuns) -> None:
    """The checks, including those against the platform's own sums, return no row."""
    for row in real.ask("FROM waste_by_run"):
        categories = ("retried", "lost", "staging", "escalated", "over_requested", "useful")
        parts = [row[f"{name}_usd"] for name in categories]
        assert sum(parts) == pytest.approx(row["cost_usd"], abs=1e-9)
        assert min(parts) >= 0
    names = {"progress_totals", "task_counts", "waste_by_run", "waste_by_process", "time_by_run"}
    checks = [check for check in iter_views("checks") if check.name in names]
    assert len(checks) == len(names)
    assert [check.name for check in checks if real.ask(check.sql)] == []


@pytest.mark.parametrize("figure", ["cpu_time", "cost", "net_cost"])
def test_progress_totals_check_finds_differences_above_a_thousandth(
    real: RealRuns, figure: str
) -> None:
    check = next(view for view in iter_views("checks") if view.name == "progress_totals")
    for factor, found in ((1.0005, 0), (1.002, 1)):
        with duckdb.connect() as connection:
            connection.execute(f"ATTACH '{real.path}' AS real (READ_ONLY)")
            for view in ("run_costs", "workflow_progress"):
                connection.execute(f"CREATE TABLE {view} AS FROM real.tower.{view}")
            change = f"SET {figure} = {figure} * {factor} WHERE workflow_id = '{RNASEQ}'"
            connection.execute(f"UPDATE workflow_progress {change}")
            assert len(connection.execute(check.sql).fetchall()) == found


def test_progress_totals_check_finds_command_time_in_place_of_cpu_time(real: RealRuns) -> None:
    """A mart that used the time of commands (Nextflow) instead of the platform's would be found."""
    check = next(view for view in iter_views("checks") if view.name == "progress_totals")
    wrong = check.sql.replace("r.platform_cpu_hours", "r.compute_cpu_hours")
    assert len(real.ask(wrong)) == 3


def test_estimated_savings_are_far_below_the_unused_shares(real: RealRuns) -> None:
    """The unused shares alone would be 18.42 USD (memory) and 13.33 USD (CPUs).

    The price formula estimates less, because the larger of CPUs and memory sets the price.
    """
    (memory,) = real.ask("SELECT sum(saves_estimate_usd) AS usd FROM memory_requests")
    (cpus,) = real.ask("SELECT sum(saves_estimate_usd) AS usd FROM cpu_efficiency")
    assert memory["usd"] == pytest.approx(7.16, abs=0.01)
    assert cpus["usd"] == pytest.approx(1.78, abs=0.01)
    (machines,) = real.ask("SELECT count(*) AS n FROM stg_tasks WHERE billed_vcpus IS NULL")
    assert machines["n"] == 0


def test_the_price_of_a_billed_vcpu_hour_is_constant_per_machine_type(real: RealRuns) -> None:
    """Within a run, machine type, zone and price model, prices vary by less than 0.5 %."""
    rows = real.ask(
        "SELECT run_id, machine_type, cloud_zone, price_model, "
        "min(cost_usd / billed_vcpus / ran_seconds) AS lowest, "
        "max(cost_usd / billed_vcpus / ran_seconds) AS highest FROM stg_tasks "
        "WHERE NOT cached AND ran_seconds >= 300 GROUP BY ALL"
    )
    assert len(rows) > 10
    assert all(row["highest"] / row["lowest"] < 1.005 for row in rows)

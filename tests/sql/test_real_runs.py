"""The views on three real runs, against the same sums in plain Python over the dumped JSON."""

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
from tower_etl.load.target import find_target
from tower_etl.load.views import iter_views
from tower_etl.simulator import NO_LIMIT, Simulator, load_runs, serve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.shared

RNASEQ, SAREK, METHYLSEQ = "10Sj9ejvKktHWg", "15dvxY1LnZYrYe", "wELtvsveirfd9"
GIB = 2**30

Row = dict[str, Any]


@dataclass(frozen=True)
class RealRuns:
    """Three runs as they were dumped, and as they were synced.

    Attributes:
        path: The DuckDB file.
        tasks: Tasks of each run, as the API gave them.
    """

    path: Path
    tasks: dict[str, list[Row]]

    def ask(self, sql: str) -> list[Row]:
        """Rows by column."""
        with duckdb.connect(str(self.path), read_only=True) as connection:
            connection.execute("USE tower.tower")
            asked = connection.execute(sql)
            names = [column[0] for column in asked.description or ()]
            return [dict(zip(names, row, strict=True)) for row in asked.fetchall()]

    def list_executed(self) -> list[Row]:
        """Tasks of all runs that ran in them."""
        tasks = [task for tasks in self.tasks.values() for task in tasks]
        return [task for task in tasks if task["status"] != "CACHED"]


@pytest.fixture(scope="module")
def real(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> RealRuns:
    """The runs, synced once."""
    target = find_target(tmp_path_factory.mktemp("real") / "tower.duckdb")
    with serve(Simulator(load_runs(shared / "runs"), limit=NO_LIMIT)) as endpoint:
        assert Warehouse(target, endpoint, SYSTEM_CLOCK).sync().outcome.status == "ok"
    tasks = {
        run_id: json.loads((shared / "runs" / f"{run_id}.json").read_text("utf-8"))["tasks"]
        for run_id in (RNASEQ, SAREK, METHYLSEQ)
    }
    return RealRuns(target.path, {run: [t.get("task", t) for t in ts] for run, ts in tasks.items()})


def group(tasks: list[Row], *fields: str) -> dict[tuple[Any, ...], list[Row]]:
    """Tasks by some of their fields."""
    groups = defaultdict(list)
    for task in tasks:
        groups[tuple(task[field] for field in fields)].append(task)
    return groups


def total(tasks: list[Row], value: Callable[[Row], float]) -> float:
    """The sum of something of each task."""
    return sum(map(value, tasks))


def between(task: Row, first: str, last: str) -> float:
    """Seconds from one time of a task to another."""
    begin, end = (datetime.fromisoformat(task[name]) for name in (first, last))
    return (end - begin).total_seconds()


def count_waited(task: Row) -> float:
    """Seconds from submission to start."""
    return between(task, "submit", "start")


def lasted(task: Row) -> float:
    """Seconds from start to end."""
    return between(task, "start", "complete")


def test_runs_cost_what_their_tasks_cost(real: RealRuns) -> None:
    """The four cached tasks of one of them are saved and not spent."""
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


def test_every_run_has_the_tasks_that_it_counts(real: RealRuns) -> None:
    """Failed and cached ones included."""
    check = next(view for view in iter_views("checks") if view.name == "task_counts")
    assert real.ask(check.sql) == []


def test_processes_cost_and_take_what_their_tasks_do(real: RealRuns) -> None:
    """Process by process: tasks, cost, CPU hours."""
    expected = {
        process: (
            len(tasks),
            pytest.approx(total(tasks, lambda t: t["cost"]), abs=1e-6),
            pytest.approx(total(tasks, lambda t: lasted(t) * t["cpus"]) / 3600, abs=0.0051),
            pytest.approx(total(tasks, lambda t: t["realtime"] * t["cpus"]) / 3.6e6, abs=0.0051),
        )
        for (process,), tasks in group(real.list_executed(), "process").items()
    }
    rows = real.ask("FROM cost_by_process")
    names = ("tasks", "cost_usd", "cpu_hours", "compute_cpu_hours")
    actual = {row["process"]: tuple(row[name] for name in names) for row in rows}
    assert actual == expected


def test_machines_are_those_of_the_tasks(real: RealRuns) -> None:
    """Type, zone and price model, with their tasks and cost."""
    fields = ("machineType", "cloudZone", "priceModel")
    expected = {
        machine: (len(tasks), pytest.approx(total(tasks, lambda t: t["cost"]), abs=1e-6))
        for machine, tasks in group(real.list_executed(), *fields).items()
    }
    rows = real.ask(
        "SELECT machine_type, cloud_zone, price_model, tasks, cost_usd FROM machine_mix"
    )
    assert {tuple(row.values())[:3]: tuple(row.values())[3:] for row in rows} == expected


def test_waits_are_those_of_the_tasks(real: RealRuns) -> None:
    """The median and the longest of each queue."""
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


def test_efficiency_is_that_of_the_tasks(real: RealRuns) -> None:
    """CPU time used of that requested by first attempts, process by process, but for GPU machines."""
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


def test_io_is_that_of_the_tasks(real: RealRuns) -> None:
    """What was read and written, process by process."""
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


def test_attempts_that_failed_are_the_waste(real: RealRuns) -> None:
    """Three tasks were tried twice, and their first attempts failed with 143, 143 and 2."""
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


def test_no_hour_is_busier_than_the_peak(real: RealRuns) -> None:
    """And the busy time of all hours that changed is no more than the tasks took."""
    rows = real.ask("FROM parallelism")
    assert {row["run_id"] for row in rows} == real.tasks.keys()
    assert all(0 <= row["average_tasks"] <= row["peak_tasks"] for row in rows)
    assert all(0 <= row["of_peak"] <= 1 for row in rows)

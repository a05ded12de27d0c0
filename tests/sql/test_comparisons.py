"""Marts of times, machine prices, queues, months and releases; expected values computed by hand."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from tests.sql.small import GIB, HOUR_MS
from tests.sql.test_behaviour import at
from tests.sql.test_spend import pick

if TYPE_CHECKING:
    from tests.sql.small import SmallHistory


def test_task_hours_are_measured_by_the_platform_and_by_nextflow(small: SmallHistory) -> None:
    """The task waits 10 minutes and holds 2 CPUs for an hour; its command takes half an hour."""
    small.add_run("a")
    small.add_task("a", realtime=HOUR_MS // 2, complete=at(80), pcpu=150.0, cost=3.0)
    small.add_task("a", status="CACHED", complete=at(80), cost=4.0)
    columns = ("wait_hours", "ran_hours", "run_hours", "staged_hours")
    (row,) = small.ask("run_costs")
    assert tuple(row[name] for name in columns) == (0.1667, 1.0, 0.5, 0.5)
    assert (row["cpu_hours"], row["compute_cpu_hours"], row["used_cpu_hours"]) == (2.0, 1.0, 0.75)
    assert (row["staging_usd"], row["platform_cpu_hours"], row["platform_cost_usd"]) == (1.5, 4, 7)
    (cached,) = (task for task in small.ask("stg_tasks") if task["cached"])
    clocks = ("wait_seconds", "ran_seconds", "run_seconds", "staged_seconds", "cpu_hours")
    assert {cached[name] for name in clocks} == {None}
    assert (cached["saved_cpu_hours"], cached["saved_usd"]) == (2.0, 4.0)


def test_a_spot_task_that_never_ran_has_no_wait_but_has_cpu_hours(small: SmallHistory) -> None:
    """The machine was reclaimed before the command began, but the task occupied it until then."""
    small.add_run("a")
    lost: dict[str, Any] = {"status": "FAILED", "priceModel": "spot", "exit": "2147483647"}
    small.add_task("a", realtime=0, complete=at(26), **lost)
    small.add_task("a", realtime=None, complete=None, start=None, **lost)
    small.add_task("a", realtime=1000, **lost)
    rows = sorted(small.ask("stg_tasks"), key=lambda row: row["task_id"])
    assert [(row["never_ran"], row["wait_seconds"]) for row in rows] == [
        (True, None),
        (True, None),
        (False, 600.0),
    ]
    assert rows[0]["cpu_hours"] == pytest.approx(0.2)
    assert pick(small.ask("spot_interruptions"), "lost_tasks", "never_ran_tasks") == [(3, 2)]


def test_time_by_run_splits_into_waits_staging_commands_and_retries(small: SmallHistory) -> None:
    """Hours of retried attempts are part of staging and commands, except in the `kept_` columns."""
    small.add_run("a")
    small.add_task("a", realtime=HOUR_MS // 4, complete=at(50), status="FAILED", exit="1")
    small.add_task("a", attempt=2, realtime=HOUR_MS // 2, complete=at(80))
    (row,) = small.ask("time_by_run")
    names = ("wait_hours", "staged_hours", "run_hours", "retried_hours", "wall_hours")
    assert tuple(row[name] for name in names) == (0.3333, 0.75, 0.75, 0.5, 2.0)
    assert (row["kept_staged_hours"], row["kept_run_hours"]) == (0.5, 0.5)
    assert pick(small.ask("time_by_process"), "ran_hours", "staged_share") == [(1.5, 0.5)]
    assert small.check("time_by_run") == []
    assert small.check("time_by_process") == []


def test_spend_is_assigned_to_the_month_in_which_a_task_started(small: SmallHistory) -> None:
    """The run was submitted in March; its second task started in April."""
    small.add_run("a", submit="2026-03-31T22:00:00Z")
    small.add_task("a", start="2026-03-31T23:59:59Z", cost=1.0)
    small.add_task("a", start="2026-04-01T00:00:00Z", cost=2.0)
    small.add_task("a", start="2026-04-01T00:00:00Z", cost=4.0, status="CACHED")
    march, april = date(2026, 3, 1), date(2026, 4, 1)
    assert pick(small.ask("spend_by_month"), "month", "tasks", "cost_usd") == [
        (march, 1, 1.0),
        (april, 1, 2.0),
    ]
    assert pick(small.ask("spend_by_day"), "day", "cost_usd") == [
        (date(2026, 3, 31), 1.0),
        (april, 2.0),
    ]
    assert pick(small.ask("cost_by_month"), "submission_month", "cost_usd") == [(march, 3.0)]


def test_machine_mix_has_prices_per_requested_and_per_billed_cpu_hour(small: SmallHistory) -> None:
    """2 CPUs and 32 GiB are billed as 8 vCPUs. Tasks without a cost are left out of both prices."""
    small.add_run("a")
    small.add_task("a", memory=32 * GIB, cost=1.6)
    small.add_task("a", cost=None)
    names = ("cpu_hours", "billed_vcpu_hours", "usd_per_cpu_hour", "usd_per_billed_vcpu_hour")
    assert pick(small.ask("machine_mix"), *names) == [(4.0, 10.0, 0.8, 0.2)]


def test_a_queue_is_named_after_its_compute_environment(small: SmallHistory) -> None:
    """The id in the name of the queue finds the environment, or else the launch of the run.

    Without either, the name of the queue is shown.
    """
    small.add_compute_env("3xY", name="spot pool", platform="aws-batch")
    small.add_launch("l1", id="ce2", name="cluster", platform="slurm")
    small.add_run("a")
    small.add_run("b", launchId="l1")
    small.add_task("a", queue="TowerForge-3xY-work")
    small.add_task("a", queue="TowerForge-gone-work")
    small.add_task("b", queue="long")
    assert sorted(pick(small.ask("queue_waits"), "compute_env", "queue")) == [
        ("TowerForge-gone-work", "TowerForge-gone-work"),
        ("cluster", "long"),
        ("spot pool", "TowerForge-3xY-work"),
    ]


def test_queue_waits_are_grouped_by_weekday_and_hour(small: SmallHistory) -> None:
    """2026-03-01 is a Sunday."""
    small.add_run("a")
    small.add_task("a", submit="2026-03-01T23:59:00Z", start="2026-03-02T00:09:00Z")
    small.add_task("a", submit="2026-03-02T00:00:00Z", start="2026-03-02T00:20:00Z")
    columns = ("weekday", "hour_of_day", "tasks", "median_minutes")
    assert pick(small.ask("queue_waits_by_hour"), *columns) == [(1, 0, 1, 20.0), (7, 23, 1, 10.0)]
    assert small.check("queue_waits_by_hour") == []


def add_release(small: SmallHistory, revision: str, month: int, *hours: int, failed: int) -> None:
    """Add successful runs of a release that took these hours, and failed runs."""
    for number, took in enumerate((*hours, *[1] * failed)):
        run_id = f"{revision}-{number}"
        status = "FAILED" if number >= len(hours) else "SUCCEEDED"
        run: dict[str, Any] = {"revision": revision, "status": status}
        small.add_run(
            run_id, submit=f"2026-{month:02}-01T00:00:00Z", duration=took * HOUR_MS, **run
        )
        small.add_task(run_id, realtime=took * HOUR_MS, cost=float(took))


def test_a_release_is_compared_with_the_previous_release(small: SmallHistory) -> None:
    """The geometric means are 4 and 2 hours; with three runs each, the interval contains 1.

    Student's t with 4 degrees of freedom is 2.73. Of the previous release 1 of 4 runs failed, of
    the new release 0 of 3. Resumed runs are not compared.
    """
    add_release(small, "1.0", 1, 1, 2, 4, failed=1)
    add_release(small, "2.0", 2, 2, 4, 8, failed=0)
    add_release(small, "3.0", 3, 4, failed=0)
    small.add_run("resumed", revision="2.0", resume=True, submit="2026-02-02T00:00:00Z")
    newest, row = small.ask("release_changes")
    assert (row["revision"], row["previous_revision"]) == ("2.0", "1.0")
    assert (row["runs"], row["previous_runs"], row["compared_runs"]) == (4, 4, 3)
    assert (row["hours_per_run"], row["previous_hours_per_run"]) == (4.0, 2.0)
    for name in ("duration", "cpu_hours", "cost"):
        found = [row[f"{name}_ratio{end}"] for end in ("", "_low", "_high")]
        assert found == pytest.approx([2.0, 0.4267, 9.3734], abs=0.0001)
    assert (row["failure_rate"], row["previous_failure_rate"]) == (0.0, 0.25)
    assert row["failure_rate_change"] == -0.25
    assert row["failure_rate_change_low"] < -0.5 < 0.2 < row["failure_rate_change_high"]
    names = ("previous_revision", "compared_runs", "duration_ratio", "duration_ratio_low")
    assert tuple(newest[name] for name in names) == ("2.0", 1, 1.0, None)
    assert small.check("release_changes") == []


def test_an_interval_of_more_than_a_factor_of_ten_is_not_shown(small: SmallHistory) -> None:
    """Two runs each, which took 1 and 100 hours, say nothing about the release."""
    add_release(small, "1.0", 1, 1, 100, failed=0)
    add_release(small, "2.0", 2, 1, 100, failed=0)
    (row,) = small.ask("release_changes")
    for name in ("duration", "cpu_hours", "cost"):
        assert [row[f"{name}_ratio{end}"] for end in ("", "_low", "_high")] == [1.0, None, None]


def test_a_reported_cost_in_another_currency_is_kept_apart(small: SmallHistory) -> None:
    """The platform reports the whole run in credits; the tasks have no cost."""
    small.add_run("a", cost=12.5, costCurrency="credits")
    small.add_task("a", cost=None)
    names = ("cost_usd", "currency", "cost_source", "reported_cost", "reported_currency")
    assert pick(small.ask("run_costs"), *names) == [(None, "USD", "platform", 12.5, "credits")]


@pytest.mark.parametrize(
    ("progress", "found"),
    [
        ({"cpuTime": 4 * HOUR_MS, "cost": 3.0, "netCost": 1.0, "cpus": 4}, False),
        (
            {"cpuTime": 4 * HOUR_MS + 4_000, "cost": 3.0, "cpus": 4},
            False,
        ),  # one second per CPU is tolerated
        ({"cpuTime": 4 * HOUR_MS * 1.002, "cost": 3.0, "cpus": 4}, True),
        ({"cpuTime": 2 * HOUR_MS, "cost": 3.0, "cpus": 4}, True),  # without CACHED tasks
        ({"cpuTime": 4 * HOUR_MS, "cost": 1.0}, True),
        ({"cpuTime": 4 * HOUR_MS, "netCost": 3.0}, True),
        ({"cpuTime": None, "cost": None}, False),  # of an old server
    ],
)
def test_progress_totals_check_compares_task_sums_with_progress(
    small: SmallHistory, progress: dict[str, Any], *, found: bool
) -> None:
    """CPU hours and cost include CACHED tasks and may differ by a thousandth.

    Open runs are skipped.
    """
    for run_id, status in (("a", "SUCCEEDED"), ("b", "RUNNING")):
        small.add_run(run_id, status=status)
        small.add_task(run_id, cost=1.0)
        small.add_task(run_id, cost=2.0, status="CACHED")
        numbers = {
            name: int(value) if name == "cpuTime" and value else value
            for name, value in progress.items()
        }
        small.add_progress(run_id, **numbers)
    assert [row[0] for row in small.check("progress_totals")] == (["a"] if found else [])

"""Marts of failures, waits, waste and speed; expected values computed by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.sql.small import GIB, HOUR_MS
from tests.sql.test_spend import USD, pick

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.sql.small import SmallHistory

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(minutes: float) -> str:
    """Return the time so many minutes after noon, as the API writes it."""
    return (NOON + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")


def test_cpu_efficiency_is_weighted_by_the_run_time_of_tasks(small: SmallHistory) -> None:
    """Of 4 cores, 1 is used for 3 hours and all for 1 hour: 7 of 16 core hours, so 9 are idle."""
    small.add_run("a")
    small.add_task("a", cpus=4, pcpu=100.0, realtime=3 * HOUR_MS, cost=4.0)
    small.add_task("a", cpus=4, pcpu=400.0, realtime=HOUR_MS, cost=2.0)
    small.add_task("a", cpus=4, pcpu=400.0, realtime=9 * HOUR_MS, status="CACHED")
    small.add_task("a", cpus=4, pcpu=None)
    (row,) = small.ask("cpu_efficiency")
    assert row == USD | {
        "process": "ALIGN",
        "tasks": 2,
        "runs": 1,
        "weak": True,
        "requested_cpus": 4,
        "lowest_requested_cpus": 4,
        "used_cpus": 1.75,
        "efficiency": 0.4375,
        "recommended_cpus": 4,
        "idle_cpu_hours": 9.0,
        "cost_usd": 6.0,
        "saves_at_least_usd": 0.0,
        "saves_at_most_usd": 0.0,
        "saves_estimate_usd": 0.0,
    }


def test_recommended_memory_is_the_95th_percentile_of_peaks_plus_a_quarter(
    small: SmallHistory,
) -> None:
    """Of 20 peaks from 1 to 20 GiB, the 95th percentile is 19.05 GiB, or 23.81 with headroom.

    The recommendation is thus 24 GiB. 64 GiB for 20 hours are 1280 GiB hours, 24 GiB are 480:
    800 saved. With 4 GiB per vCPU that is 6 of 16 vCPUs, which saves five eighths of the cost.
    """
    small.add_run("a")
    for gib in range(1, 21):
        small.add_task("a", memory=64 * GIB, peakRss=gib * GIB, cost=2.0)
    small.add_task("a", memory=64 * GIB, peakRss=64 * GIB, status="CACHED")
    (row,) = small.ask("memory_requests")
    assert row == USD | {
        "process": "ALIGN",
        "tasks": 20,
        "runs": 1,
        "weak": False,
        "requested_gib": 64.0,
        "lowest_requested_gib": 64.0,
        "used_gib": 10.5,
        "most_used_gib": 20.0,
        "requested_over_used": 6.1,
        "requested_cpus": 2,
        "lowest_requested_cpus": 2,
        "killed_tasks": 0,
        "grown_tasks": 0,
        "spot_grown_tasks": 0,
        "recommended_gib": 24,
        "saves_gib_hours": 800.0,
        "cost_usd": 40.0,
        "saves_at_least_usd": 25.0,
        "saves_at_most_usd": 25.0,
        "saves_estimate_usd": 25.0,
    }


def test_failures_are_grouped_by_process_and_exit_code(small: SmallHistory) -> None:
    """The exit code may be text, only a number, or missing."""
    small.add_run("a")
    small.add_run("b")
    failed: dict[str, Any] = {"status": "FAILED", "cost": 0.5}
    small.add_task("a", exit="137", errorAction="RETRY", **failed)
    small.add_task("b", exit=None, exitStatus=137, **failed)
    small.add_task("b", exit="137", **failed)
    small.add_task("b", exit="-", **failed)
    small.add_task("b", exit="137")
    columns = ("process", "exit_code", "failed_tasks", "retried_tasks", "runs", "cost_usd")
    rows = small.ask("failure_reasons")
    assert pick(rows, *columns) == [("ALIGN", "137", 3, 1, 2, 1.5), ("ALIGN", "none", 1, 0, 1, 0.5)]
    assert "out of memory" in rows[0]["meaning"]


def test_a_failed_task_with_exit_code_0_is_reported_as_missing_outputs(small: SmallHistory) -> None:
    small.add_run("a", status="FAILED")
    small.add_task("a", status="FAILED", exit="0", errorMessage="Missing output file(s)")
    assert pick(small.ask("failure_reasons"), "exit_code", "meaning") == [
        ("0", "the command ended well, but outputs were missing")
    ]


def test_failure_messages_are_grouped_without_names_and_numbers(small: SmallHistory) -> None:
    """Tags, paths, hashes and numbers do not distinguish messages; exit codes and causes do."""
    said = "Error executing process > 'A:B ({})'\n\nCaused by:\n  {}\n\nCommand executed:\n  x {}"
    ended = "Process `A:B ({})` terminated with an error exit status ({})"
    for run_id, tag, code in (("a", "one (1)", 137), ("b", "two", 137), ("b2", "two", 1)):
        message = said.format(tag, ended.format(tag, code), run_id)
        small.add_run(run_id, status="FAILED", errorMessage=message)
    small.add_run("c", status="FAILED", errorMessage="No such file: s3://data/x-1/reads_1.fq.gz")
    small.add_run("d", status="FAILED", errorMessage="No such file: /mnt/y/reads.fq.gz")
    small.add_run("e", errorMessage="A warning of a run that succeeded")
    small.add_run("f", status="FAILED", errorMessage="Access denied, HTTP 403 in 17 s")
    small.add_run("g", status="FAILED", errorMessage="Access denied, HTTP 503 in 21 s")
    lost = "Lost i-0abc12def3456789a at 12:01:59"
    small.add_task("a", status="FAILED", exit="143", errorMessage=lost)
    first = "Error executing process > 'A:B' Caused by: "
    cause = "Process `A:B` terminated with an error exit status ({})"
    rows = small.ask("failure_messages")
    assert sorted(pick(rows, "origin", "exit_code", "message", "times")) == [
        ("run", "1", first + cause.format(1), 1),
        ("run", "137", first + cause.format(137), 2),
        ("run", "none", "Access denied, HTTP 403 in <n> s", 1),
        ("run", "none", "Access denied, HTTP 503 in <n> s", 1),
        ("run", "none", "No such file: <path>", 2),
        ("task", "143", "Lost i<hash> at <n>:<n>:<n>", 1),
    ]
    assert [row["times"] for row in rows][:2] == [2, 2]


def test_queue_waits_are_measured_from_submission_to_start(small: SmallHistory) -> None:
    """The waits are 1 to 5 minutes.

    Cached tasks, tasks that still wait and negative waits are ignored.
    """
    small.add_run("a")
    for minutes in range(1, 6):
        small.add_task("a", submit=at(0), start=at(minutes))
    small.add_task("a", submit=at(0), start=at(50), status="CACHED")
    small.add_task("a", submit=at(0), start=None)
    small.add_task("a", submit=at(1), start=at(0))
    (row,) = small.ask("queue_waits")
    assert row == {
        "executor": "awsbatch",
        "compute_env": "work",
        "queue": "work",
        "tasks": 5,
        "median_minutes": 3.0,
        "p95_minutes": 4.8,
        "longest_minutes": 5.0,
        "waited_hours": 0.25,
    }


def test_only_retried_attempts_count_as_retry_waste(small: SmallHistory) -> None:
    """One task has three attempts, which waste 1 and 2.

    Two tasks share a name; one of them is retried and wastes 8.
    """
    small.add_run("a", status="FAILED")
    again: dict[str, Any] = {"status": "FAILED", "errorAction": "RETRY", "realtime": HOUR_MS // 2}
    small.add_task("a", name="ALIGN (x)", cost=1.0, **again)
    small.add_task("a", name="ALIGN (x)", attempt=2, cost=2.0, **again)
    small.add_task("a", name="ALIGN (x)", attempt=3, cost=4.0)
    small.add_task("a", name="ALIGN (y)", status="FAILED", errorAction="TERMINATE", cost=64.0)
    small.add_task("a", name="ALIGN (y)", cost=8.0, submit=at(30), **again)
    small.add_task("a", name="ALIGN (y)", attempt=2, cost=16.0, status="FAILED")
    small.add_task("a", name="ALIGN (z)", cost=32.0)
    (row,) = small.ask("retry_waste")
    assert row == USD | {
        "process": "ALIGN",
        "retried_tasks": 2,
        "spot_retried_tasks": 0,
        "attempts": 5,
        "recovered_tasks": 1,
        "wasted_cpu_hours": 3.0,
        "wasted_usd": 11.0,
        "spot_wasted_usd": 0.0,
        "other_wasted_usd": 11.0,
        "escalated_usd": 0.0,
        "spot_escalated_usd": 0.0,
    }


def test_spot_interruptions_are_counted_and_inferred_from_exit_codes(small: SmallHistory) -> None:
    """Two are inferred from exit codes.

    Two were counted by the platform for a task that failed in the end, and one for a task that its
    queue restarted.
    """
    small.add_run("a")
    spot: dict[str, Any] = {"priceModel": "spot", "cost": 1.0}
    small.add_task("a", **spot)
    small.add_task("a", numSpotInterruptions=1, **spot)
    small.add_task("a", status="FAILED", exit="143", **spot)
    small.add_task("a", status="FAILED", exit="50001", **spot)
    small.add_task("a", status="FAILED", exit="1", numSpotInterruptions=2, **spot)
    small.add_task("a", status="FAILED", exit="1", **spot)
    small.add_task("a", status="FAILED", exit="143")
    small.add_task("a", status="CACHED", numSpotInterruptions=5, **spot)
    (row,) = small.ask("spot_interruptions")
    assert row == USD | {
        "machine_type": "m6id.large",
        "cloud_zone": "eu-west-1a",
        "tasks": 6,
        "interrupted_tasks": 4,
        "lost_tasks": 3,
        "never_ran_tasks": 0,
        "interruptions": 5,
        "cost_usd": 6.0,
        "lost_cpu_hours": 6.0,
        "lost_usd": 3.0,
        "escalated_usd": 0.0,
    }


def test_time_to_result_starts_with_the_first_run_of_a_session(small: SmallHistory) -> None:
    """One session fails and is resumed (5 hours), one succeeds (1 hour), and one is cancelled."""
    small.add_run("a", sessionId="s", status="FAILED", submit=at(0), complete=at(60))
    small.add_run("b", sessionId="s", resume=True, submit=at(240), complete=at(300))
    small.add_run("c", sessionId="t", submit=at(0), complete=at(60))
    small.add_run("d", sessionId="u", status="CANCELLED")
    small.add_run("e", sessionId=None, status="RUNNING", complete=None)
    small.add_run("f", sessionId=None, status="RUNNING", complete=None)
    (row,) = small.ask("success_rates")
    assert row == {
        "pipeline": "acme/align",
        "ended_runs": 4,
        "succeeded_runs": 2,
        "failed_runs": 1,
        "cancelled_runs": 1,
        "success_rate": 0.5,
        "sessions": 5,
        "results": 2,
        "median_hours_to_result": 3.0,
        "p95_hours_to_result": 4.8,
    }


def test_parallelism_is_averaged_over_every_hour(small: SmallHistory) -> None:
    """2 CPUs are busy from 12:30 to 15:15 and 4 more from 12:45 to 13:00.

    In the third hour no task starts or ends.
    """
    small.add_run("a")
    small.add_peak("a", cpus=8, tasks=2)
    small.add_task("a", cpus=2, start=at(30), complete=at(195))
    small.add_task("a", cpus=4, start=at(45), complete=at(60))
    small.add_task("a", cpus=64, status="CACHED")
    columns = ("hour_at", "average_tasks", "average_cpus", "peak_cpus", "of_peak")
    assert [
        (NOON, 0.75, 2.0, 8, 0.25),
        (NOON + timedelta(hours=1), 1.0, 2.0, 8, 0.25),
        (NOON + timedelta(hours=2), 1.0, 2.0, 8, 0.25),
        (NOON + timedelta(hours=3), 0.25, 0.5, 8, 0.0625),
    ] == pick(small.ask("parallelism"), *columns)


def test_storage_io_sums_bytes_read_and_written_by_executed_tasks(small: SmallHistory) -> None:
    """One of the two ALIGN tasks takes no time, so their 6 GiB are divided by one hour."""
    small.add_run("a")
    small.add_task("a", rchar=3 * GIB, wchar=GIB, readBytes=GIB, writeBytes=GIB)
    small.add_task("a", rchar=2 * GIB, wchar=None, realtime=0)
    small.add_task("a", process="COUNT", rchar=2 * GIB, wchar=0, status="FAILED")
    small.add_task("a", rchar=90 * GIB, wchar=0, status="CACHED")
    columns = ("process", "tasks", "read_gib", "written_gib", "disk_gib", "gib_per_task")
    rows = small.ask("storage_io")
    assert pick(rows, *columns) == [
        ("ALIGN", 2, 5.0, 1.0, 2.0, 3.0),
        ("COUNT", 1, 2.0, 0.0, 0.0, 2.0),
    ]
    assert pick(rows, "mib_per_second", "share_of_io") == [(1.71, 0.75), (0.57, 0.25)]


STEADY = (30, 31, 29, 30, 32, 28, 30, 31)
UNSTEADY = (10, 40, 20, 60, 15, 50, 30, 45)


def add_history(small: SmallHistory, minutes: Iterable[float], usd: Iterable[float]) -> None:
    """Add consecutive runs r0, r1, ... with one task each, and an expensive cached task."""
    for number, (took, cost) in enumerate(zip(minutes, usd, strict=True)):
        small.add_run(f"r{number}", submit=at(number))
        small.add_task(f"r{number}", realtime=int(took * 60_000), cost=cost)
        small.add_task(f"r{number}", realtime=9 * HOUR_MS, cost=9.0, status="CACHED")


def test_regressions_compare_a_process_with_its_own_earlier_runs(small: SmallHistory) -> None:
    """One run takes twice as long as eight runs of about 30 minutes; one costs three times as much.

    The quartiles of 28 to 32 minutes are 29.75 and 31: 35 is an outlier, but not half as long
    again, and thus not a regression.
    """
    add_history(small, (*STEADY, 60, 30, 35), (*[1.0] * 9, 3.0, 1.0))
    columns = (
        "run_id",
        "earlier_runs",
        "confidence",
        "usual_minutes",
        "duration_ratio",
        "cost_ratio",
    )
    assert pick(small.ask("regressions"), *columns) == [
        ("r9", 9, "high", 30.0, 1.0, 3.0),
        ("r8", 8, "high", 30.0, 2.0, 1.0),
    ]


def test_three_consistent_earlier_runs_suffice_to_find_a_regression(small: SmallHistory) -> None:
    """The interval of 30, 31 and 29 minutes is narrow, so a run of 60 minutes is a regression.

    The other pipeline took 10, 40 and 20 minutes: after these runs, 60 minutes are not significant.
    """
    add_history(small, (30, 31, 29, 60), [1.0] * 4)
    for number, took in enumerate((10, 40, 20, 60)):
        small.add_run(f"u{number}", projectName="acme/unsteady", submit=at(number))
        small.add_task(f"u{number}", realtime=took * 60_000)
    (row,) = small.ask("regressions")
    names = ("run_id", "earlier_runs", "confidence", "duration_ratio", "cost_ratio")
    assert tuple(row[name] for name in names) == ("r3", 3, "low", 2.0, 1.0)
    assert 1.5 < row["duration_ratio_low"] < 2 < row["duration_ratio_high"] < 2.5


@pytest.mark.parametrize(
    "minutes",
    [
        UNSTEADY,  # quartiles of 18.75 and 46.25: not even 540 minutes are an outlier
        STEADY[:1],  # one run shows nothing about the variation
        [0.01] * 8,  # differences of seconds and tenths of a cent are not relevant
    ],
)
def test_unsteady_new_or_tiny_processes_have_no_regressions(
    small: SmallHistory, minutes: Sequence[float]
) -> None:
    """The last run takes nine times the longest earlier run, at 10 cents per minute."""
    took = (*minutes, 9 * max(minutes))
    add_history(small, took, [0.1 * each for each in took])
    assert small.ask("regressions") == []


def test_open_runs_are_neither_compared_nor_history_in_regressions(small: SmallHistory) -> None:
    add_history(small, [30], [1.0])
    small.add_run("open", status="RUNNING", submit=at(8))
    small.add_task("open", realtime=9 * HOUR_MS)
    small.add_run("late", submit=at(9))
    small.add_task("late", realtime=9 * HOUR_MS)
    assert small.ask("regressions") == []


def test_freshness_counts_runs_and_open_runs_per_workspace(small: SmallHistory) -> None:
    small.add_run("a")
    small.add_run("b", status="RUNNING", submit=at(30))
    small.add_run("c", status="UNKNOWN", submit=at(10))
    small.add_run("d", workspaceId=None, orgName=None, workspaceName=None)
    rows = small.ask("freshness")
    assert pick(rows, "workspace", "runs", "open_runs", "missing_runs") == [
        ("acme/lab", 3, 2, 0),
        ("personal", 1, 0, 0),
    ]
    assert rows[0]["last_submitted_at"] == NOON + timedelta(minutes=30)


def test_sync_history_starts_with_the_newest_sync(small: SmallHistory) -> None:
    small.add_sync(id="old", started_at=NOON)
    small.add_sync(id="new", started_at=NOON + timedelta(minutes=15), calls=7)
    rows = small.ask("sync_history")
    assert pick(rows, "sync_id", "calls", "reconciled") == [("new", 7, False), ("old", 3, False)]


def test_a_run_gets_the_compute_environment_of_its_launch(small: SmallHistory) -> None:
    """The environment `gone` is deleted and known from its launch alone.

    Runs without a launch, or with a launch that names no environment, have only the platform of the
    run.
    """
    small.add_launch("l1", id="ce1", name="old name", platform="aws-batch")
    small.add_launch("l2", id="gone", name="deleted", platform="google-batch")
    small.add_launch("l3")
    small.add_compute_env("ce1", name="spot", platform="aws-batch", region="eu-west-1")
    for run_id, launch_id in (("a", "l1"), ("b", "l1"), ("c", "l2"), ("d", "l3"), ("e", None)):
        small.add_run(run_id, launchId=launch_id, platform={"id": "slurm"})
    names = ("run_id", "compute_env_id", "compute_env", "platform", "region")
    found = sorted(tuple(row[name] for name in names) for row in small.ask("stg_runs"))
    assert found == [
        ("a", "ce1", "spot", "aws-batch", "eu-west-1"),
        ("b", "ce1", "spot", "aws-batch", "eu-west-1"),
        ("c", "gone", "deleted", "google-batch", None),
        ("d", None, None, "slurm", None),
        ("e", None, None, "slurm", None),
    ]

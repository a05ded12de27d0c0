"""Marts of cost by pipeline, user, label, process and machine; expected values computed by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.sql.small import HOUR_MS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.sql.small import SmallHistory


USD = {"currency": "USD", "cost_source": "platform"}


def pick(rows: Sequence[dict[str, Any]], *columns: str) -> list[tuple[Any, ...]]:
    """Return some columns of the rows."""
    return [tuple(row[column] for column in columns) for row in rows]


@pytest.fixture
def stats(small: SmallHistory) -> SmallHistory:
    """Return a history with two users, workspaces, pipelines and months, and a run without cost.

    Run a costs 1.00 and 2.00 (failed) in 4 CPU hours, run b costs 0.50 in 1 CPU hour and saves
    8.00, and run c has no task.
    """
    small.add_run("a")
    small.add_task("a", cost=1.0)
    small.add_task("a", cost=2.0, status="FAILED", exit="1")
    small.add_run(
        "b",
        userName="bob",
        projectName="acme/call",
        workspaceId=8,
        workspaceName="annex",
        submit="2026-04-01T00:00:00Z",
        status="FAILED",
    )
    small.add_task("b", cost=0.5, cpus=1)
    small.add_task("b", cost=8.0, cpus=16, status="CACHED")
    small.add_run("c", projectName="acme/call", submit="2026-03-31T23:59:59Z", status="RUNNING")
    return small


COUNTS = ("runs", "succeeded_runs", "failed_runs", "cpu_hours", "cost_usd", "failed_cost_usd")


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("pipeline", [("acme/align", 1, 1, 0, 4.0, 3.0, 2.0), ("acme/call", 2, 0, 1, 1.0, 0.5, 0)]),
        ("user", [("ada", 2, 1, 0, 4.0, 3.0, 2.0), ("bob", 1, 0, 1, 1.0, 0.5, 0)]),
        ("workspace", [("acme/lab", 2, 1, 0, 4.0, 3.0, 2.0), ("acme/annex", 1, 0, 1, 1.0, 0.5, 0)]),
        (
            "month",
            [(date(2026, 3, 1), 2, 1, 0, 4.0, 3.0, 2.0), (date(2026, 4, 1), 1, 0, 1, 1.0, 0.5, 0)],
        ),
    ],
)
def test_cost_is_grouped_without_cached_tasks(
    stats: SmallHistory, by: str, expected: list[tuple[Any, ...]]
) -> None:
    """A run without tasks counts as a run. Months are those of UTC."""
    column = {"user": "user_name", "month": "submission_month"}.get(by, by)
    assert expected == pick(stats.ask(f"cost_by_{by}"), column, *COUNTS)


def test_run_costs_has_costs_and_savings_with_the_latest_run_first(stats: SmallHistory) -> None:
    columns = ("run_id", "hours", "tasks", "cached_tasks", "failed_tasks", "cost_usd", "saved_usd")
    assert pick(stats.ask("run_costs"), *columns) == [
        ("b", 2.0, 2, 1, 0, 0.5, 8.0),
        ("c", 2.0, 0, 0, 0, None, None),
        ("a", 2.0, 2, 0, 1, 3.0, None),
    ]


def test_cost_is_null_and_not_zero_without_prices(small: SmallHistory) -> None:
    """On most clusters tasks have no price, so the cost of failed tasks is unknown as well."""
    small.add_run("a")
    small.add_task("a", cost=None)
    small.add_task("a", cost=None, status="FAILED", priceModel="spot", exit="143")
    for view in ("cost_by_pipeline", "run_costs"):
        assert pick(small.ask(view), "cost_usd", "failed_cost_usd") == [(None, None)]
    columns = ("cost_usd", "lost_tasks", "lost_cpu_hours", "lost_usd")
    assert pick(small.ask("spot_interruptions"), *columns) == [(None, 1, 2.0, None)]


def test_a_deleted_run_still_counts(small: SmallHistory) -> None:
    small.add_run("gone", missing_since=datetime(2026, 3, 2, tzinfo=UTC))
    small.add_task("gone", cost=1.25)
    assert pick(small.ask("cost_by_pipeline"), "runs", "cost_usd") == [(1, 1.25)]


def test_a_run_without_a_workspace_is_in_the_workspace_personal(small: SmallHistory) -> None:
    small.add_run("mine", workspaceId=None, workspaceName=None, orgName=None)
    assert pick(small.ask("cost_by_workspace"), "workspace", "runs") == [("personal", 1)]


def test_cost_of_a_run_is_shared_among_its_labels_without_duplicates(stats: SmallHistory) -> None:
    """Run a has two labels, one of them defined in two workspaces.

    Run b has one label, c has none.
    """
    stats.name_label(1, "team", "blue")
    stats.name_label(2, "urgent")
    stats.name_label(3, "urgent")
    for run_id, label_id in (("a", 1), ("a", 2), ("a", 3), ("b", 1)):
        stats.add_label(run_id, label_id)
    assert pick(
        stats.ask("cost_by_label"), "label", "runs", "cpu_hours", "cost_usd", "share_usd"
    ) == [
        ("team=blue", 2, 5.0, 3.5, 2.0),
        ("urgent", 1, 4.0, 3.0, 1.5),
        ("(none)", 1, None, None, None),
    ]


def test_cpu_hours_per_run_are_compared_with_the_previous_month(small: SmallHistory) -> None:
    """A new revision is compared with the previous revision.

    Revision 1.0 takes 2 and then 3 hours.
    """
    for run_id, month, revision, hours in (
        ("a", 1, "1.0", 1),
        ("b", 3, "1.0", 1),
        ("c", 3, "1.0", 2),
        ("d", 3, "2.0", 5),
    ):
        small.add_run(run_id, submit=f"2026-{month:02}-15T00:00:00Z", revision=revision)
        small.add_task(run_id, realtime=hours * HOUR_MS)
    columns = ("revision", "month", "runs", "cpu_hours_per_run", "compared_revision", "change")
    assert [
        ("1.0", date(2026, 1, 1), 1, 2.0, None, None),
        ("1.0", date(2026, 3, 1), 2, 3.0, "1.0", 0.5),
        ("2.0", date(2026, 3, 1), 1, 10.0, "1.0", 2.3333),
    ] == pick(small.ask("cpu_hours_trend"), *columns)


def test_an_open_run_is_left_out_of_cpu_hours_per_run(small: SmallHistory) -> None:
    """Its hours so far are part of the sum of hours."""
    small.add_run("a", submit="2026-01-15T00:00:00Z")
    small.add_task("a")
    small.add_run("b", submit="2026-02-15T00:00:00Z")
    small.add_task("b", realtime=2 * HOUR_MS)
    small.add_run("c", submit="2026-02-16T00:00:00Z", status="RUNNING", complete=None)
    small.add_task("c", realtime=HOUR_MS // 2)
    columns = ("runs", "cpu_hours", "cpu_hours_per_run", "change")
    assert pick(small.ask("cpu_hours_trend"), *columns) == [
        (1, 2.0, 2.0, None),
        (2, 5.0, 4.0, 1.0),
    ]


def test_processes_are_sorted_by_cost_with_failed_and_without_cached_tasks(
    small: SmallHistory,
) -> None:
    small.add_run("a")
    small.add_run("b")
    small.add_task("a", process="ALIGN", cost=2.0)
    small.add_task("b", process="ALIGN", cost=4.0, status="FAILED")
    small.add_task("a", process="COUNT", cost=2.0)
    small.add_task("b", process="COUNT", cost=9.0, status="CACHED")
    columns = ("process", "tasks", "runs", "cost_usd", "share_of_cost", "usd_per_task")
    assert pick(small.ask("cost_by_process"), *columns) == [
        ("ALIGN", 2, 2, 6.0, 0.75, 3.0),
        ("COUNT", 1, 1, 2.0, 0.25, 2.0),
    ]


def test_machine_mix_lists_machines_with_their_price_per_cpu_hour(small: SmallHistory) -> None:
    small.add_run("a")
    small.add_task("a", cost=4.0)
    small.add_task("a", cost=1.0, priceModel="spot", cloudZone="eu-west-1b")
    small.add_task("a", cost=3.0, status="CACHED")
    columns = ("cloud_zone", "price_model", "tasks", "cpu_hours", "share_of_cost")
    rows = small.ask("machine_mix")
    assert pick(rows, *columns) == [
        ("eu-west-1a", "standard", 1, 2.0, 0.8),
        ("eu-west-1b", "spot", 1, 2.0, 0.2),
    ]
    assert pick(rows, "usd_per_cpu_hour") == [(2.0,), (0.5,)]


def test_resume_savings_are_the_cost_and_cpu_hours_of_cached_tasks(small: SmallHistory) -> None:
    small.add_run("a")
    small.add_run("b", resume=True)
    small.add_task("b", status="CACHED", cost=1.0, realtime=HOUR_MS)
    small.add_task("b", status="CACHED", cost=2.0, realtime=2 * HOUR_MS)
    small.add_task("b", cost=0.25)
    (row,) = small.ask("resume_savings")
    assert row == USD | {
        "pipeline": "acme/align",
        "runs": 2,
        "resumed_runs": 1,
        "cached_tasks": 2,
        "cached_share": 0.6667,
        "saved_cpu_hours": 6.0,
        "saved_usd": 3.0,
        "cost_usd": 0.25,
    }

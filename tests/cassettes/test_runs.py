"""The fetch of one run with its parts, from recorded responses."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.cassettes import scenarios
from tower_etl.errors import ApiError, ForbiddenError
from tower_etl.extract.batch import build_batch
from tower_etl.extract.discovery import Workspace
from tower_etl.extract.runs import fetch_run
from tower_etl.schema import TABLES
from tower_etl.simulator import Fault, Quirks
from tower_etl.sync import RunFetch, TaskBookmark

if TYPE_CHECKING:
    from collections.abc import Callable

    from tower_etl.api import TowerClient
    from tower_etl.extract.batch import FetchedRun

    Ask = Callable[..., TowerClient]

RESEARCH = Workspace(scenarios.RESEARCH, "acme/research", {})


def fetch(
    client: TowerClient, run_id: str, bookmark: TaskBookmark | None = None
) -> FetchedRun | None:
    """Fetch a run of the research workspace for all tables."""
    run_fetch = RunFetch(run_id, None, starred=True, bookmark=bookmark or TaskBookmark())
    return fetch_run(client, RESEARCH, run_fetch, frozenset(TABLES))


def read(fetched: FetchedRun | None, table: str, *columns: str) -> list[tuple[Any, ...]]:
    """Return columns of a table of the fetched run."""
    assert fetched is not None
    tables = build_batch([fetched], frozenset(TABLES))
    return [tuple(row[name] for name in columns) for row in tables[table].to_pylist()]


def test_a_final_run_becomes_rows(ask: Ask) -> None:
    """Check times, counts and labels of the run. The fetch takes three calls."""
    client = ask(scenarios.serve_small_account)
    fetched = fetch(client, scenarios.FINAL)
    columns = ("id", "workspace_id", "run_name", "status", "starred", "user_name", "duration")
    row = (scenarios.FINAL, scenarios.RESEARCH, "calm_curie", "SUCCEEDED", True, "user-1", 255_000)
    assert [row] == read(fetched, "workflows", *columns)
    times = ((8, 0, 0), (8, 1, 0), (8, 5, 15))
    moments = [datetime(2026, 3, 1, *time, tzinfo=UTC) for time in times]
    assert [tuple(moments)] == read(fetched, "workflows", "submit", "start", "complete")
    counts = [(2, 1)]
    assert counts == read(fetched, "workflows", "stats__succeed_count", "stats__failed_count")
    links = [(scenarios.TEAM,), (scenarios.URGENT,)]
    assert links == read(fetched, "workflow_labels", "label_id")
    assert client.http.metrics.snapshot().calls == 3


def test_tasks_of_a_final_run_have_measurements_and_costs(ask: Ask) -> None:
    """Exit codes are text, times are in milliseconds, memory in bytes and costs in USD."""
    fetched = fetch(ask(scenarios.serve_small_account), scenarios.FINAL)
    columns = ("task_id", "process", "status", "attempt", "exit", "realtime", "cost")
    expected = [
        (1, "ALIGN", "COMPLETED", 1, "0", 30_000, 0.00031),
        (2, "CALL", "FAILED", 1, "1", 90_000, 0.00091),
        (3, "CALL", "COMPLETED", 2, "0", 120_000, 0.00121),
    ]
    assert expected == read(fetched, "tasks", *columns)
    used = [(2, 2 * 2**20), (1, None), (1, 4 * 2**20)]
    assert used == read(fetched, "tasks", "cpus", "peak_rss")


def test_metrics_of_a_final_run_are_rows_by_process(ask: Ask) -> None:
    """If only one task of a process was measured, all its statistics equal that task's value."""
    fetched = fetch(ask(scenarios.serve_small_account), scenarios.FINAL)
    rows = read(fetched, "process_metrics", "process", "metric", "mean", "min", "max", "max_label")
    (time,) = [row for row in rows if row[:2] == ("ALIGN", "time")]
    assert time == ("ALIGN", "time", 30_000.0, 30_000.0, 30_000.0, "ALIGN (1)")
    (memory,) = [row for row in rows if row[:2] == ("ALIGN", "mem")]
    assert pytest.approx(2 * 2**20, rel=1e-5) == memory[2]  # the platform rounds values
    assert {"ALIGN", "CALL"} == {row[0] for row in rows}


def test_progress_of_a_final_run_has_totals_per_run_and_process(ask: Ask) -> None:
    """The run has one row, and each process has one row."""
    fetched = fetch(ask(scenarios.serve_small_account), scenarios.FINAL)
    columns = ("succeeded", "failed", "running", "retries")
    assert read(fetched, "workflow_progress", *columns) == [(2, 1, 0, 1)]
    processes = [("ALIGN", 1, 0), ("CALL", 1, 1)]
    assert processes == read(fetched, "process_progress", "process", "succeeded", "failed")


def test_an_open_run_has_no_end(ask: Ask) -> None:
    """One task each is completed, running and submitted; only the completed one is measured."""
    fetched = fetch(ask(scenarios.serve_small_account), scenarios.OPEN)
    run = [("RUNNING", None, None)]
    assert run == read(fetched, "workflows", "status", "complete", "duration")
    tasks = [("COMPLETED", "0", 20_000), ("RUNNING", None, None), ("SUBMITTED", None, None)]
    assert tasks == read(fetched, "tasks", "status", "exit", "realtime")
    columns = ("succeeded", "running", "submitted")
    assert read(fetched, "workflow_progress", *columns) == [(1, 1, 1)]
    assert fetched is not None
    assert (fetched.summary.status, fetched.summary.bookmark) == ("RUNNING", TaskBookmark(1, 1))


def test_an_open_run_is_fetched_from_its_last_bookmarked_task(ask: Ask) -> None:
    """The last bookmarked task is requested again to verify the bookmark.

    Its row is not written again.
    """
    client = ask(scenarios.serve_small_account)
    fetched = fetch(client, scenarios.OPEN, TaskBookmark(1, 1))
    assert fetched is not None
    assert read(fetched, "tasks", "task_id") == [(2,), (3,)]
    assert TaskBookmark(1, 1) == fetched.summary.bookmark
    assert client.http.metrics.snapshot().calls == 3


def test_an_open_run_is_fetched_completely_if_the_bookmark_is_invalid(ask: Ask) -> None:
    """The second task does not match the bookmark, so all tasks are fetched.

    This costs one more call.
    """
    client = ask(scenarios.serve_small_account)
    fetched = fetch(client, scenarios.OPEN, TaskBookmark(2, 9))
    assert fetched is not None
    assert read(fetched, "tasks", "task_id") == [(1,), (2,), (3,)]
    assert TaskBookmark(1, 1) == fetched.summary.bookmark
    assert client.http.metrics.snapshot().calls == 4


def test_a_run_that_became_final_is_fetched_with_all_its_tasks(ask: Ask) -> None:
    """Bookmarked tasks may have received their cost since they were loaded."""
    client = ask(scenarios.serve_small_account)
    fetched = fetch(client, scenarios.FINAL, TaskBookmark(2, 2))
    assert fetched is not None
    assert read(fetched, "tasks", "task_id") == [(1,), (2,), (3,)]
    assert (fetched.summary.status, fetched.summary.bookmark) == ("SUCCEEDED", TaskBookmark(3, 3))
    assert client.http.metrics.snapshot().calls == 3


def test_a_submitted_run_of_the_personal_workspace_is_mostly_null(ask: Ask) -> None:
    """The run has no start, statistics, tasks or workspace id."""
    run_fetch = RunFetch(scenarios.PERSONAL, None, starred=None)
    personal = Workspace(None, "personal", {})
    fetched = fetch_run(ask(scenarios.serve_small_account), personal, run_fetch, frozenset(TABLES))
    columns = ("workspace_id", "status", "start", "stats__succeed_count", "params")
    assert read(fetched, "workflows", *columns) == [(None, "SUBMITTED", None, None, None)]
    assert read(fetched, "tasks", "task_id") == []


def test_two_pages_of_tasks_are_fetched(ask: Ask) -> None:
    """The fetch of 102 tasks takes four calls."""
    client = ask(scenarios.serve_many_tasks)
    fetched = fetch(client, scenarios.LONG)
    assert [(number,) for number in range(1, 103)] == read(fetched, "tasks", "task_id")
    assert {("CACHED", "0")} == set(read(fetched, "tasks", "status", "exit"))
    assert client.http.metrics.snapshot().calls == 4


@pytest.mark.parametrize("status", [403, 404])
def test_a_refused_run_that_is_not_listed_counts_as_deleted(ask: Ask, status: int) -> None:
    """Servers send 403 or 404, and the listing confirms that the run does not exist."""
    fault = ("/workflow/none", Fault("status", status))
    client = ask(lambda: scenarios.serve_small_account(fault))
    assert None is fetch(client, "none")
    assert client.http.metrics.snapshot().calls == 2


@pytest.mark.parametrize("status", [403, 404])
def test_a_refused_run_that_is_listed_raises_the_error(ask: Ask, status: int) -> None:
    """The listing shows the run, so the refusal is raised as an error."""
    fault = (f"/workflow/{scenarios.FINAL}", Fault("status", status))
    client = ask(lambda: scenarios.serve_small_account(fault))
    with pytest.raises(ApiError) as caught:
        fetch(client, scenarios.FINAL)
    assert caught.value.status_code == status
    assert client.http.metrics.snapshot().calls == 2


@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.parametrize("part", ["tasks", "metrics"])
def test_a_refused_part_of_a_run_is_recorded_as_missing(ask: Ask, part: str, status: int) -> None:
    """The refused part is recorded as missing, because the listing still shows the run."""
    fault = (f"/workflow/{scenarios.FINAL}/{part}", Fault("status", status, times=9))
    client = ask(lambda: scenarios.serve_small_account(fault))
    fetched = fetch(client, scenarios.FINAL)
    assert fetched is not None
    assert fetched.summary.missing_parts == (part,)


def test_a_run_of_a_refused_workspace_raises_forbidden_error(ask: Ask) -> None:
    """If the listing is refused as well, nothing confirms that the run was deleted."""
    client = ask(scenarios.serve_refusing_workspace)
    locked = Workspace(scenarios.LAB, "beta/lab", {})
    run_fetch = RunFetch(scenarios.FAILED, None, starred=None)
    with pytest.raises(ForbiddenError):
        fetch_run(client, locked, run_fetch, frozenset(TABLES))
    assert client.http.metrics.snapshot().calls == 2


def test_an_attribute_rejected_with_400_is_no_longer_requested(ask: Ask) -> None:
    """After a 400, the attribute is left out for this run and for later ones."""
    older = Quirks(unknown_attributes=frozenset({"pipelineInfo"}))
    client = ask(lambda: scenarios.serve_small_account(quirks=older))
    labels = client.get_run(scenarios.RESEARCH, scenarios.FINAL)["labels"]
    assert [label["name"] for label in labels] == ["team", "urgent"]
    run = client.get_run(scenarios.RESEARCH, scenarios.OPEN)["workflow"]
    assert run["runName"] == "busy_bell"
    assert client.http.metrics.snapshot().calls == 3

"""Task lists that are partial or contradict other responses are loaded exactly, or reported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.semantics.in_memory import InMemoryDestination
from tests.semantics.quirky import (
    DISCOVERY_CALLS,
    WORKSPACES,
    add_run,
    assert_equal,
    calls_of,
    contradict,
    find_space,
    sync,
)

if TYPE_CHECKING:
    from tests.semantics.quirky import Serve


@pytest.mark.parametrize("total", ["exact", "bound", "absent"])
@pytest.mark.parametrize("way", [{"page_cap": 50}, {"page_cap": 7}, {"ignores_max": True}])
@pytest.mark.parametrize("final", [True, False])
def test_all_tasks_are_loaded_if_pages_are_smaller_than_requested(
    serve_quirky: Serve, way: dict[str, Any], total: str, *, final: bool
) -> None:
    """The server's total, or the progress of the run, tells whether more tasks follow."""
    platform, warehouse = serve_quirky(**way, task_total=total), InMemoryDestination()
    for tasks in (0, 1, 50, 133):
        add_run(platform, tasks, final=final)
    assert sync(platform, warehouse).sync_result.warnings == []
    assert_equal(platform, warehouse)
    assert sync(platform, warehouse).sync_result.warnings == []
    assert_equal(platform, warehouse)


@pytest.mark.parametrize("way", [{"page_cap": 7}, {"ignores_max": True}])
@pytest.mark.parametrize("ended", [0, 6, 7, 9, 10, 20])
def test_running_tasks_after_a_small_page_are_loaded_without_a_total(
    serve_quirky: Serve, way: dict[str, Any], ended: int
) -> None:
    """The ended tasks may fill the page exactly: the progress has the number of running ones."""
    platform, warehouse = serve_quirky(**way, task_total="absent"), InMemoryDestination()
    run_id = add_run(platform, ended, final=False)
    platform.world.add_task(run_id)
    assert sync(platform, warehouse).sync_result.warnings == []
    assert_equal(platform, warehouse)


@pytest.mark.parametrize("more", [1, 9, 10, 11, 100])
def test_tasks_after_known_ones_are_loaded_if_pages_are_smaller_than_requested(
    serve_quirky: Serve, more: int
) -> None:
    """The pages after the known tasks are as long as the first of them, and no total ends them."""
    platform, warehouse = (
        serve_quirky(ignores_max=True, task_total="absent"),
        InMemoryDestination(),
    )
    run_id = add_run(platform, 99, final=False)
    sync(platform, warehouse)
    going = platform.world.add_task(run_id)
    for _ in range(more):
        platform.world.finish_task(run_id, platform.world.add_task(run_id))
    assert sync(platform, warehouse).sync_result.warnings == []
    assert_equal(platform, warehouse)
    platform.world.finish_task(run_id, going)
    sync(platform, warehouse)
    assert_equal(platform, warehouse)


def test_a_task_total_that_is_too_high_is_reported_once_per_workspace(serve_quirky: Serve) -> None:
    """The runs are loaded; one more call for each shows that no task follows."""
    platform, warehouse = serve_quirky(task_total="high"), InMemoryDestination()
    runs = [add_run(platform, tasks) for tasks in (3, 120, 5)]
    session = sync(platform, warehouse)
    assert_equal(platform, warehouse)
    (warning,) = session.sync_result.warnings
    assert warning.startswith("acme/clinic: 3 run(s) with another number of tasks than the total")
    counts = zip(runs, (3, 120, 5), strict=True)
    assert any(f"{run}: {tasks} tasks, total {tasks + 7}" in warning for run, tasks in counts)
    assert sync(platform, warehouse).sync_result.warnings == []


@pytest.mark.parametrize(
    ("part", "counts", "odd"),
    [
        ("progress", {"succeeded": 5}, False),
        ("progress", {"succeeded": 3, "failed": 1, "cached": 1, "retries": 1}, False),
        ("progress", {"succeeded": 4, "running": 2}, False),
        ("progress", {"succeeded": 5, "pending": 7}, False),
        ("progress", {"succeeded": 5, "running": -1}, False),
        ("progress", {"succeeded": 4, "aborted": None}, False),
        ("progress", {"succeeded": None}, False),
        ("progress", {"succeeded": 4}, True),
        ("progress", {"succeeded": 345}, True),
        ("progress", {"succeeded": 4, "aborted": 2}, True),
        ("stats", {"succeedCount": 5}, False),
        ("stats", {"succeedCount": 4}, False),
        ("stats", {"succeedCount": 3, "cachedCount": 2, "failedCount": 1}, True),
    ],
)
def test_tasks_are_compared_with_the_progress_and_stats_of_the_run(
    serve_quirky: Serve, part: str, counts: dict[str, Any], *, odd: bool
) -> None:
    """Retried tasks also count as failed; tasks that never ended may be absent from the list."""
    platform, warehouse = serve_quirky(), InMemoryDestination()
    run_id = add_run(platform, 5)
    none = dict.fromkeys(
        ("succeeded", "failed", "cached", "aborted", "pending", "submitted", "running"), 0
    )
    if part == "stats":
        platform.world.script(run_id).fields["stats"] = counts
    else:
        load = {"workflowProgress": none | counts, "processesProgress": []}
        contradict(platform, run_id, progress=load)
    warnings = sync(platform, warehouse).sync_result.warnings
    assert len(warehouse.rows_of("tasks", run_id)) == 5
    assert [run_id in warning for warning in warnings] == [True] * odd


def test_an_open_run_is_not_compared_with_its_progress(serve_quirky: Serve) -> None:
    """The progress changes while the tasks are read."""
    platform, warehouse = serve_quirky(), InMemoryDestination()
    load = {"workflowProgress": {"succeeded": 2}, "processesProgress": []}
    contradict(platform, add_run(platform, 5, final=False), progress=load)
    assert sync(platform, warehouse).sync_result.warnings == []


@pytest.mark.parametrize("final", [True, False])
def test_a_duplicate_task_is_stored_once_and_reported(serve_quirky: Serve, *, final: bool) -> None:
    """The later element is stored. Later syncs make no additional calls because of it."""
    platform, warehouse = serve_quirky(), InMemoryDestination()
    run_id = add_run(platform, 250, final=final)
    whole = platform.world.tasks(run_id)
    twice = [{**whole[6], "name": name} for name in ("first", "second")]
    contradict(platform, run_id, rows=[*whole[:6], *twice, *whole[7:]])
    session = sync(platform, warehouse)
    assert calls_of(platform, session, "/tasks") == 3
    rows = warehouse.rows_of("tasks", run_id)
    assert (len(rows), rows[run_id, 7]["name"]) == (250, "second")
    (warning, *_) = session.sync_result.warnings
    assert f"1 run(s) that list a task twice, for example {run_id}, 7" in warning
    assert calls_of(platform, sync(platform, warehouse), "/tasks") == (0 if final else 3)


def test_a_task_that_is_on_two_pages_is_stored_once(serve_quirky: Serve) -> None:
    """The list is read again and shows the same duplicates."""
    platform, warehouse = serve_quirky(), InMemoryDestination()
    run_id = add_run(platform, 1_150)
    whole = platform.world.tasks(run_id)
    contradict(platform, run_id, rows=[*whole[:100], *whole[99:], {**whole[6], "name": "later"}])
    assert len(sync(platform, warehouse).sync_result.warnings) == 2
    rows = warehouse.rows_of("tasks", run_id)
    assert (len(rows), rows[run_id, 7]["name"]) == (1_150, "later")


@pytest.mark.parametrize("odd", [None, "seven", {}, 7.5])
def test_a_task_without_a_valid_id_is_stored_with_a_surrogate_key(
    serve_quirky: Serve, odd: object
) -> None:
    """The task is reported."""
    platform, warehouse = serve_quirky(), InMemoryDestination()
    run_id = add_run(platform, 3)
    whole = platform.world.tasks(run_id)
    contradict(platform, run_id, rows=[*whole[:2], {**whole[2], "taskId": odd}])
    session = sync(platform, warehouse)
    rows = warehouse.rows_of("tasks", run_id)
    assert len(rows) == 3
    assert min(task_id for _, task_id in rows) < 0
    assert [run_id in one for one in session.sync_result.warnings] == [True]


@pytest.mark.parametrize(("going", "pages"), [({0}, 2), ({300}, 2), ({0, 300}, 3), ({0, 1, 50}, 2)])
def test_an_open_run_fetches_only_task_pages_with_open_tasks(
    serve_quirky: Serve, going: set[int], pages: int
) -> None:
    """The last page is fetched as well, since tasks may have been added.

    Few rows of final tasks are written again.
    """
    platform, warehouse = serve_quirky(), InMemoryDestination()
    world = platform.world
    run_id = add_run(platform, 520, final=False, going=520)
    for number in set(range(520)) - going:
        world.finish_task(run_id, number + 1)
    sync(platform, warehouse)
    session = sync(platform, warehouse)
    assert session.request_stats.calls == DISCOVERY_CALLS + WORKSPACES + 2 + pages
    assert session.row_counts["tasks"] <= len(going) + 10 * (len(going) + 1)
    assert_equal(platform, warehouse)
    for number in going:
        world.finish_task(run_id, number + 1)
    world.add_task(run_id)
    sync(platform, warehouse)
    assert_equal(platform, warehouse)
    assert sync(platform, warehouse).request_stats.calls == DISCOVERY_CALLS + WORKSPACES + 2 + 1
    state = warehouse.state["workspaces"][str(find_space(platform))]["open"][run_id]
    assert (state["settled_tasks"], state["last_settled_task_id"]) == (520, 520)

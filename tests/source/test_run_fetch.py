"""The fetch of one run: the calls it makes, and the handling of refused parts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest

from tower_etl.api import TowerClient
from tower_etl.errors import (
    ApiError,
    ForbiddenError,
    NotFoundError,
    ServerError,
)
from tower_etl.extract.batch import build_batch
from tower_etl.extract.discovery import Workspace
from tower_etl.extract.runs import fetch_run
from tower_etl.schema import TABLES
from tower_etl.simulator import Fault
from tower_etl.sync import RunFetch, TaskBookmark

if TYPE_CHECKING:
    from collections.abc import Callable

    from tower_etl.api.endpoints import Endpoint
    from tower_etl.extract.batch import FetchedRun
    from tower_etl.http import JsonHttpClient
    from tower_etl.simulator import Simulator, World

ALL = frozenset(TABLES)
PARTS = [r"/workflow/\w+\?", "/tasks", "/metrics"]


@pytest.fixture
def client(endpoint: str, connect: Callable[..., JsonHttpClient]) -> TowerClient:
    """Return a client of the simulated platform."""
    return TowerClient(connect(endpoint))


@pytest.fixture
def lab(world: World) -> Workspace:
    """Return the workspace `acme/lab`."""
    key = world.add_workspace(world.add_organization("acme"), "lab")
    return Workspace(key, "acme/lab", {})


@pytest.fixture
def run_id(world: World, lab: Workspace) -> str:
    """Start a run with four tasks, the first three of them final; return its id."""
    run_id = world.submit_run(lab.id)
    world.start_run(run_id)
    for task_id in (2, 4, 6, 8):
        world.add_task(run_id, task_id)
    for task_id in (2, 4, 6):
        world.finish_task(run_id, task_id)
    return run_id


def fetch(
    client: TowerClient,
    lab: Workspace,
    run_id: str,
    bookmark: TaskBookmark,
    wanted: frozenset[str] = ALL,
) -> FetchedRun:
    """Fetch a run whose tasks are bookmarked so far."""
    fetched = fetch_run(client, lab, RunFetch(run_id, None, None, bookmark), wanted)
    assert fetched is not None
    return fetched


def task_ids(fetched: FetchedRun) -> list[int]:
    """Return the ids of the tasks that a fetch loads."""
    return sorted(build_batch([fetched], ALL)["tasks"]["task_id"].to_pylist())


def offsets(simulator: Simulator) -> list[str]:
    """Return the offset of each call for tasks."""
    calls = [call for call in simulator.calls if call.path.endswith("/tasks")]
    return [parse_qs(call.query)["offset"][0] for call in calls]


def test_the_first_fetch_loads_all_tasks_and_sets_the_bookmark(
    client: TowerClient, simulator: Simulator, lab: Workspace, run_id: str
) -> None:
    """The bookmark covers the final tasks before the first one that is not final."""
    fetched = fetch(client, lab, run_id, TaskBookmark())

    assert (task_ids(fetched), fetched.summary.bookmark) == ([2, 4, 6, 8], TaskBookmark(3, 6))
    assert offsets(simulator) == ["0"]


def test_a_later_fetch_starts_at_the_last_bookmarked_task(
    client: TowerClient, simulator: Simulator, world: World, lab: Workspace, run_id: str
) -> None:
    """That task only verifies the bookmark, which advances over tasks that became final."""
    world.finish_task(run_id, 8)
    world.add_task(run_id, 9)
    fetched = fetch(client, lab, run_id, TaskBookmark(3, 6))

    assert (task_ids(fetched), fetched.summary.bookmark) == ([8, 9], TaskBookmark(4, 8))
    assert offsets(simulator) == ["2"]


def test_a_task_inserted_before_the_bookmark_causes_a_fetch_of_all_tasks(
    client: TowerClient, simulator: Simulator, world: World, lab: Workspace, run_id: str
) -> None:
    """The new bookmark covers the final tasks from the start of the list."""
    world.add_task(run_id, 5)
    fetched = fetch(client, lab, run_id, TaskBookmark(3, 6))

    assert (task_ids(fetched), fetched.summary.bookmark) == ([2, 4, 5, 6, 8], TaskBookmark(2, 4))
    assert offsets(simulator) == ["2", "0"]


def test_fewer_tasks_than_bookmarked_cause_a_fetch_of_all_tasks(
    client: TowerClient, simulator: Simulator, lab: Workspace, run_id: str
) -> None:
    """The server has lost tasks, so the bookmark is invalid."""
    fetched = fetch(client, lab, run_id, TaskBookmark(9, 18))

    assert (task_ids(fetched), fetched.summary.bookmark) == ([2, 4, 6, 8], TaskBookmark(3, 6))
    assert offsets(simulator) == ["8", "0"]


@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED", "CANCELLED"])
def test_a_run_that_became_final_is_fetched_with_all_its_tasks(  # noqa: PLR0913 - fixtures and parametrized values
    client: TowerClient,
    simulator: Simulator,
    world: World,
    lab: Workspace,
    run_id: str,
    *,
    status: str,
) -> None:
    """Bookmarked tasks may have received their cost since they were loaded."""
    world.finish_run(run_id, status)
    fetched = fetch(client, lab, run_id, TaskBookmark(3, 6))

    assert (task_ids(fetched), fetched.summary.status) == ([2, 4, 6, 8], status)
    assert offsets(simulator) == ["0"]


def test_tables_that_are_not_selected_cause_no_calls(
    client: TowerClient, simulator: Simulator, lab: Workspace, run_id: str
) -> None:
    """The bookmark does not change."""
    wanted = frozenset({"workflows", "workflow_labels"})
    fetched = fetch(client, lab, run_id, TaskBookmark(3, 6), wanted)

    assert (frozenset(build_batch([fetched], wanted)), fetched.summary.bookmark) == (
        wanted,
        TaskBookmark(3, 6),
    )
    assert len(simulator.calls) == 1


@pytest.mark.parametrize("status", [403, 404])
def test_a_refused_run_that_is_still_listed_raises_the_error(
    client: TowerClient, simulator: Simulator, lab: Workspace, run_id: str, *, status: int
) -> None:
    """A search of the listing shows that the run was not deleted."""
    simulator.faults.add(PARTS[0], Fault("status", status=status))

    with pytest.raises((ForbiddenError, NotFoundError)):
        fetch_run(client, lab, RunFetch(run_id, None, None), ALL)
    assert parse_qs(simulator.calls[-1].query)["search"] == [f"workflowId:{run_id}"]


@pytest.mark.parametrize("part", PARTS[1:])
@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_refused_part_is_recorded_as_missing(  # noqa: PLR0913 - fixtures and parametrized values
    client: TowerClient,
    simulator: Simulator,
    lab: Workspace,
    run_id: str,
    *,
    part: str,
    status: int,
) -> None:
    """The run is loaded without it."""
    simulator.faults.add(part, Fault("status", status=status, times=9))
    fetched = fetch(client, lab, run_id, TaskBookmark())
    assert fetched.summary.missing_parts == (part[1:],)
    rows = build_batch([fetched], ALL)
    assert rows["workflows"]["missing_parts"].to_pylist() == [f'["{part[1:]}"]']


@pytest.mark.parametrize("part", PARTS[1:])
@pytest.mark.parametrize("answer", [{}, {"tasks": None, "metrics": None}])
def test_a_part_without_a_list_is_recorded_as_missing(  # noqa: PLR0913 - fixtures and parametrized values
    client: TowerClient,
    lab: Workspace,
    run_id: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    part: str,
    answer: dict[str, Any],
) -> None:
    """Some servers omit the list or send null."""
    get = TowerClient._get

    def get_without(tower: TowerClient, endpoint: Endpoint, *args: Any, **names: Any) -> Any:
        return answer if endpoint.path.endswith(part) else get(tower, endpoint, *args, **names)

    monkeypatch.setattr(TowerClient, "_get", get_without)
    assert fetch(client, lab, run_id, TaskBookmark()).summary.missing_parts == (part[1:],)


@pytest.mark.parametrize("part", PARTS[1:])
@pytest.mark.parametrize("status", [403, 404])
def test_a_run_deleted_during_its_fetch_is_not_loaded(  # noqa: PLR0913 - fixtures and parametrized values
    client: TowerClient,
    simulator: Simulator,
    world: World,
    lab: Workspace,
    *,
    run_id: str,
    monkeypatch: pytest.MonkeyPatch,
    part: str,
    status: int,
) -> None:
    """The run disappears between two calls, and none of its parts is loaded."""
    world.submit_run(lab.id)  # another listed run makes no difference
    simulator.faults.add(part, Fault("status", status=status, times=2))
    get_run = TowerClient.get_run
    described: list[str] = []

    def delete_after_description(self: TowerClient, workspace_id: int | None, run_id: str) -> Any:
        if described:
            world.delete_run(run_id)
        described.append(run_id)
        return get_run(self, workspace_id, run_id)

    monkeypatch.setattr(TowerClient, "get_run", delete_after_description)

    assert fetch_run(client, lab, RunFetch(run_id, None, None), ALL) is None


def test_a_run_deleted_before_its_fetch_is_not_loaded(
    client: TowerClient, simulator: Simulator, world: World, lab: Workspace, run_id: str
) -> None:
    """The fetch takes two calls: the description of the run and the listing."""
    world.delete_run(run_id)

    assert fetch_run(client, lab, RunFetch(run_id, None, None), ALL) is None
    assert len(simulator.calls) == 2


def test_a_missing_run_is_an_error_if_the_listing_fails(
    client: TowerClient, simulator: Simulator, world: World, lab: Workspace, run_id: str
) -> None:
    """Without the listing, nothing confirms that the run was deleted."""
    world.delete_run(run_id)
    simulator.faults.add(r"/workflow\?", Fault("status", status=403))

    with pytest.raises(ForbiddenError):
        fetch_run(client, lab, RunFetch(run_id, None, None), ALL)


def test_a_server_error_causes_no_search_of_the_listing(
    client: TowerClient, simulator: Simulator, lab: Workspace, run_id: str
) -> None:
    """The error does not tell whether the run exists."""
    simulator.faults.add("/tasks", Fault("html", times=50))

    with pytest.raises(ApiError) as caught:
        fetch_run(client, lab, RunFetch(run_id, None, None), ALL)
    assert isinstance(caught.value, ServerError)
    assert not any("search" in call.query for call in simulator.calls)


def test_the_end_from_the_listing_counts_if_the_run_is_not_described(
    client: TowerClient, simulator: Simulator, lab: Workspace, run_id: str
) -> None:
    """A run with status UNKNOWN and an end is final, so all of its tasks are requested."""
    end = datetime(2026, 3, 1, tzinfo=UTC)
    bookmark = TaskBookmark(tasks=3, last_task_id=6)
    run_fetch = RunFetch(run_id, None, None, bookmark, status="UNKNOWN", complete=end)
    fetched = fetch_run(client, lab, run_fetch, frozenset({"tasks"}))
    assert fetched is not None
    assert (fetched.summary.complete, task_ids(fetched)) == (end, [2, 4, 6, 8])
    assert {call.path.rpartition("/")[2] for call in simulator.calls} == {"tasks"}

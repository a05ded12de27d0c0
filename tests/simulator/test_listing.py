"""Listings of runs and tasks over HTTP: order, pages, search and attributes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tower_etl.simulator import ServerProfile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.simulator.conftest import Caller
    from tower_etl.simulator import SimClock, World


def _ids(answer: dict[str, Any]) -> list[str]:
    return [element["workflow"]["id"] for element in answer["workflows"]]


def _submit(world: World, lab: int, clock: SimClock, count: int) -> list[str]:
    runs = []
    for _ in range(count):
        clock.advance(60)
        runs.append(world.submit_run(lab))
    return runs


def test_runs_are_listed_newest_first_in_pages(
    world: World, lab: int, clock: SimClock, call: Callable[..., Caller]
) -> None:
    """The pages join to the full listing, and `hasMore` is false from the last page on."""
    runs = _submit(world, lab, clock, 7)
    caller = call(world)

    pages = [
        caller.get("/workflow", workspaceId=lab, max=3, offset=offset, includeTotalSize="true")
        for offset in (0, 3, 6, 9)
    ]

    assert runs[::-1] == [run for page in pages for run in _ids(page)]
    assert [page["hasMore"] for page in pages] == [True, True, False, False]
    assert [page["totalSize"] for page in pages] == [7, 7, 7, 7]


def test_default_page_sizes_are_50_runs_and_10_tasks(
    world: World, lab: int, clock: SimClock, call: Callable[..., Caller]
) -> None:
    """The total number of runs is 0 unless it is requested."""
    runs = _submit(world, lab, clock, 51)
    for _ in range(11):
        world.add_task(runs[0])
    caller = call(world)

    listing = caller.get("/workflow", workspaceId=lab)
    tasks = caller.get(f"/workflow/{runs[0]}/tasks", workspaceId=lab)

    assert (
        len(listing["workflows"]),
        listing["totalSize"],
        listing["hasMore"],
    ) == (50, 0, True)
    assert (len(tasks["tasks"]), tasks["total"]) == (10, 11)


@pytest.mark.parametrize(
    "query",
    [
        {"max": 101},
        {"max": 0},
        {"max": "many"},
        {"offset": -1},
        {"search": "after:yesterday"},
        {"search": 'label:"open'},
        {"attributes": "colour"},
        {"workspaceId": "lab"},
    ],
)
def test_invalid_query_parameters_respond_with_400(
    world: World, call: Callable[..., Caller], query: dict[str, object]
) -> None:
    answer = call(world).ask("/workflow", **query)

    assert answer.status_code == 400
    assert list(answer.json()) == ["message"]


def test_search_bounds_after_and_before_are_inclusive(
    world: World, lab: int, clock: SimClock, call: Callable[..., Caller]
) -> None:
    runs = _submit(world, lab, clock, 5)
    caller = call(world)
    search = "after:2026-03-01T12:02:00.000Z before:2026-03-01T12:04:00.000Z"

    assert runs[3:0:-1] == _ids(caller.get("/workflow", workspaceId=lab, search=search))
    assert (
        _ids(caller.get("/workflow", workspaceId=lab, search="before:2026-03-01T12:00:59.999Z"))
        == []
    )


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("status:RUNNING", ["alpha"]),
        ("status:submitted", ["beta", "gamma"]),
        ("label:pilot", ["beta"]),
        ("label:project=atlas", ["alpha"]),
        ("label:project=other", []),
        ("userName:grace", ["gamma"]),
        ("projectName:sarek", ["beta"]),
        ("lph", ["alpha"]),
        ("status:SUBMITTED gam", ["gamma"]),
    ],
)
def test_search_keywords_filter_runs_and_combine(
    world: World, lab: int, call: Callable[..., Caller], search: str, expected: list[str]
) -> None:
    alpha = world.submit_run(lab, runName="alpha")
    beta = world.submit_run(lab, runName="beta", projectName="nf-core/sarek")
    world.submit_run(lab, runName="gamma", userName="grace")
    world.start_run(alpha)
    world.set_labels(alpha, [world.create_label(lab, "project", "atlas")])
    world.set_labels(beta, [world.create_label(lab, "pilot")])

    found = call(world).get("/workflow", workspaceId=lab, search=search)

    assert expected == sorted(element["workflow"]["runName"] for element in found["workflows"])


def test_search_by_workflow_id_finds_one_run(
    world: World, lab: int, call: Callable[..., Caller]
) -> None:
    run, _ = world.submit_run(lab), world.submit_run(lab)

    assert [run] == _ids(call(world).get("/workflow", workspaceId=lab, search=f"workflowId:{run}"))


def test_labels_are_null_unless_they_are_requested(
    world: World, lab: int, call: Callable[..., Caller]
) -> None:
    run = world.submit_run(lab)
    world.set_labels(run, [world.create_label(lab, "pilot")])
    caller = call(world)
    answers = []
    for attributes in ("", "labels"):
        listing = caller.get("/workflow", workspaceId=lab, attributes=attributes)
        one = caller.get(f"/workflow/{run}", workspaceId=lab, attributes=attributes)
        answers += [listing["workflows"][0]["labels"], one["labels"]]

    assert answers[:2] == [None, None]
    assert [labels[0]["name"] for labels in answers[2:]] == ["pilot", "pilot"]


def test_tasks_are_paged_in_the_order_of_task_id(
    world: World, lab: int, call: Callable[..., Caller]
) -> None:
    run = world.submit_run(lab)
    for task_id in (4, 1, 3, 5, 2):
        world.add_task(run, task_id)
    caller = call(world)

    pages = [
        caller.get(f"/workflow/{run}/tasks", workspaceId=lab, max=2, offset=offset)
        for offset in (0, 2, 4)
    ]

    assert world.tasks(run) == [entry["task"] for page in pages for entry in page["tasks"]]
    assert [page["total"] for page in pages] == [5, 5, 5]


def test_a_run_submitted_while_paging_shifts_the_offsets(
    world: World, lab: int, clock: SimClock, call: Callable[..., Caller]
) -> None:
    """The second page begins with the last run of the first page."""
    runs = _submit(world, lab, clock, 4)
    caller = call(world)
    first = _ids(caller.get("/workflow", workspaceId=lab, max=2))
    _submit(world, lab, clock, 1)

    second = _ids(caller.get("/workflow", workspaceId=lab, max=2, offset=2))

    assert [runs[3], runs[2]] == first
    assert [runs[2], runs[1]] == second


def test_a_legacy_server_omits_totals_and_returns_exit_as_text(
    world: World, lab: int, call: Callable[..., Caller]
) -> None:
    run = world.submit_run(lab)
    world.finish_task(run, world.add_task(run))
    caller = call(world, profile=ServerProfile(legacy=True))

    listing = caller.get("/workflow", workspaceId=lab, includeTotalSize="true")
    tasks = caller.get(f"/workflow/{run}/tasks", workspaceId=lab)
    progress = caller.get(f"/workflow/{run}/progress", workspaceId=lab)["progress"]

    assert list(listing) == ["workflows"]
    assert {"starred", "workflow"} == set(listing["workflows"][0])
    assert list(tasks) == ["tasks"]
    assert tasks["tasks"][0]["task"]["exit"] == "0"
    assert "totalProcesses" not in progress
    assert "retries" not in progress["workflowProgress"]


@pytest.mark.shared
def test_a_legacy_server_returns_the_fields_of_recorded_responses(
    seeded: World, shared: Path, call: Callable[..., Caller]
) -> None:
    key = next(key for key in seeded.workspaces if key > 0)
    run = next(r.id for r in seeded.iter_runs(key) if r.at(seeded.now_s()).status == "SUCCEEDED")
    caller = call(seeded, profile=ServerProfile(legacy=True))
    user = caller.get("/user-info")["user"]["id"]
    ours = [
        caller.get(f"/workflow/{run}/tasks", workspaceId=key)["tasks"][0]["task"],
        caller.get(f"/workflow/{run}/progress", workspaceId=key)["progress"]["workflowProgress"],
        caller.get("/orgs")["organizations"][0],
        caller.get(f"/user/{user}/workspaces")["orgsAndWorkspaces"][0],
    ]

    def read(name: str) -> Any:
        return json.loads((shared / "responses" / f"{name}.json").read_bytes())

    recorded = [
        read("task_detail_exit_as_string")["task"],
        read("runs_progress")["progress"]["workflowProgress"],
        read("organizations_list")["organizations"][0],
        read("workspaces_list")["orgsAndWorkspaces"][0],
    ]
    assert [set(row) for row in recorded] == [set(row) for row in ours]

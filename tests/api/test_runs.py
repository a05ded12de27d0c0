"""Requests for one run, against a simulated platform."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import pytest

from tests.api.tasks import list_tasks
from tower_etl.errors import ForbiddenError
from tower_etl.simulator import Fault

if TYPE_CHECKING:
    from tower_etl.api import TowerClient
    from tower_etl.simulator import Simulator, World
    from tower_etl.simulator.calls import Call


def test_all_tasks_are_fetched_in_pages(
    client: TowerClient, simulator: Simulator, world: World, lab: int
) -> None:
    """They are in the order of their ids."""
    run_id = world.submit_run(lab)
    world.start_run(run_id)
    for _ in range(230):
        world.add_task(run_id)

    tasks = list_tasks(client, lab, run_id)

    assert [element["task"]["taskId"] for element in tasks] == list(range(1, 231))
    offsets = [parse_qs(call.query)["offset"] for call in simulator.calls]
    assert offsets == [["0"], ["100"], ["200"]]


def test_a_task_inserted_between_two_pages_is_not_lost(
    client: TowerClient, simulator: Simulator, world: World, lab: int
) -> None:
    """Ids are assigned before tasks are submitted, so that a lower id may appear later."""
    run_id = world.submit_run(lab)
    for task_id in range(2, 152):
        world.add_task(run_id, task_id)

    def add_between_pages(number: int, _: Call) -> None:
        if number == 1:
            world.add_task(run_id, 1)

    simulator.before_call = add_between_pages

    tasks = list_tasks(client, lab, run_id)

    assert [element["task"]["taskId"] for element in tasks] == list(range(1, 152))


def test_get_run_returns_the_run_with_labels_and_progress(
    client: TowerClient, world: World, lab: int
) -> None:
    """One response contains all of them (API fact 14)."""
    run_id, label_id = world.submit_run(lab), world.create_label(lab, "urgent")
    world.set_labels(run_id, [label_id])

    described = client.get_run(lab, run_id)

    assert described == world.describe(run_id)
    assert [label["id"] for label in described["labels"]] == [label_id]


def test_list_metrics_returns_one_element_per_process(
    client: TowerClient, world: World, lab: int
) -> None:
    run_id = world.submit_run(lab)
    world.start_run(run_id)
    world.finish_task(run_id, world.add_task(run_id))

    metrics = client.list_metrics(lab, run_id)

    assert metrics == world.snapshot(run_id).tasks.metrics
    assert len(metrics) == 1


def test_a_run_that_does_not_exist_raises_forbidden_error(
    client: TowerClient, world: World, lab: int
) -> None:
    """The platform responds with 403 to unknown ids (API fact 11)."""
    run_id = world.submit_run(lab)
    world.delete_run(run_id)

    for ask in (client.get_run, partial(list_tasks, client), client.list_metrics):
        with pytest.raises(ForbiddenError):
            ask(lab, run_id)


def test_a_question_mark_in_a_run_id_does_not_start_a_query(
    client: TowerClient, simulator: Simulator, lab: int
) -> None:
    with pytest.raises(ForbiddenError):
        client.get_run(lab, "a?b&c=d")

    assert (simulator.calls[0].path, "c" in parse_qs(simulator.calls[0].query)) == (
        "/api/workflow/a?b&c=d",
        False,
    )


def test_a_run_is_listed_until_it_is_deleted(
    client: TowerClient, simulator: Simulator, world: World, lab: int
) -> None:
    """Each check is one call that searches for this run only."""
    run_id, other = world.submit_run(lab), world.submit_run(lab)

    assert client.search_run(lab, run_id)
    world.delete_run(run_id)
    assert not client.search_run(lab, run_id)
    assert client.search_run(lab, other)

    queries = [parse_qs(call.query) for call in simulator.calls]
    assert {call.path for call in simulator.calls} == {"/api/workflow"}
    assert queries[0] == {
        "workspaceId": [str(lab)],
        "search": [f"workflowId:{run_id}"],
        "max": ["100"],
        "offset": ["0"],
    }
    assert len(queries) == 3


def test_a_run_is_listed_only_in_its_workspace(client: TowerClient, world: World, lab: int) -> None:
    """The personal workspace, which is requested without an id, is checked too."""
    run_id, own = world.submit_run(lab), world.submit_run(None)

    assert [client.search_run(place, run_id) for place in (lab, None)] == [True, False]
    assert [client.search_run(place, own) for place in (lab, None)] == [False, True]


def test_search_run_raises_forbidden_error_in_a_forbidden_workspace(
    client: TowerClient, world: World, lab: int
) -> None:
    """The refusal does not show that the run was deleted."""
    run_id = world.submit_run(lab)
    world.forbid(lab)

    with pytest.raises(ForbiddenError):
        client.search_run(lab, run_id)


def test_search_run_is_retried_after_a_server_error(
    client: TowerClient, simulator: Simulator, world: World, lab: int
) -> None:
    run_id = world.submit_run(lab)
    simulator.faults.add("/workflow", Fault("status", status=500))

    assert client.search_run(lab, run_id)
    assert client.http.metrics.snapshot().retries == 1

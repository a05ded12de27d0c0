"""Answers that are not what the platform sends, and older ones, over a transport that is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import orjson
import pytest

from tower_etl.api import (
    PaginationStats,
    PathScope,
    TowerClient,
    endpoints,
)
from tower_etl.errors import ServerError
from tower_etl.http import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tower_etl.http import JsonHttpClient

    Answer = Callable[[str, Mapping[str, Any]], dict[str, Any]]


class FakeTransport:
    """Answers by a function of path and parameters.

    Attributes:
        asked: The paths and parameters, in order.
    """

    policy = RetryPolicy()
    endpoint = "http://127.0.0.1/api"

    def __init__(self, answer: Answer) -> None:
        self.asked: list[tuple[str, Mapping[str, Any]]] = []
        self._answer = answer

    def get(
        self,
        path: str,
        params: Mapping[str, Any] | None = None,
        policy: RetryPolicy | None = None,  # noqa: ARG002 - as the transport has it
    ) -> dict[str, Any]:
        """Answer as the function says."""
        self.asked.append((path, params or {}))
        return self._answer(path, params or {})


def make_client(answer: Answer) -> tuple[TowerClient, FakeTransport]:
    """Make a client of answers."""
    http_client = FakeTransport(answer)
    return TowerClient(cast("JsonHttpClient", http_client)), http_client


_ENV = endpoints.COMPUTE_ENV
ASKS: dict[str, tuple[str, Callable[[TowerClient], object]]] = {
    "service": ("serviceInfo", lambda client: client.get_service_info()),
    "user": ("user", lambda client: client.get_user()),
    "roles": ("orgsAndWorkspaces", lambda client: client.list_user_workspaces(1).items),
    "organizations": ("organizations", lambda client: client.list_organizations()),
    "workspaces": ("workspaces", lambda client: client.list_org_workspaces(1)),
    "labels": ("labels", lambda client: client.list_labels(1)),
    "runs": ("workflows", lambda client: list(client.list_runs(1, PaginationStats()))),
    "listed": ("workflows", lambda client: client.is_listed(1, "r")),
    "tasks": ("tasks", lambda client: client.iter_tasks(1, "r")),
    "metrics": ("metrics", lambda client: client.list_metrics(1, "r")),
    "launch": ("launch", lambda client: client.get_launch(1, "l")),
    "datasets": ("versions", lambda client: client.list_launch_datasets(1, "l")),
    "quotas": ("quotas", lambda client: client.list_entity(endpoints.QUOTAS, PathScope(1, 1))),
    "environment": ("computeEnv", lambda client: client.get_entity(_ENV, PathScope(1, None, "e"))),
}


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize("found", [None, "absent", 7, "text", [1], [None], [["x"]]])
def test_an_answer_without_its_items_is_a_fault(ask: str, found: object) -> None:
    """Never an empty page: what it lacks and where is said."""
    items, call = ASKS[ask]
    client, _ = make_client(lambda *_: {} if found == "absent" else {items: found})

    with pytest.raises(ServerError, match=f"'{items}'"):
        call(client)


SOUND: dict[str, Any] = {
    "roles": {"orgId": 1},
    "organizations": {"orgId": 1},
    "workspaces": {"id": 1},
    "labels": {"id": 1},
    "metrics": {"process": "p"},
    "tasks": {"task": {"taskId": 1}},
}


@pytest.mark.parametrize("ask", SOUND)
@pytest.mark.parametrize("odd", [1, None, "text", ["x"], 2.5, True])
def test_an_element_that_is_no_object_hides_no_other(ask: str, odd: object) -> None:
    """In one call; tasks are kept whatever they are, the others are left out."""
    items, call = ASKS[ask]
    client, http_client = make_client(lambda *_: {items: [odd, SOUND[ask], odd]})

    assert call(client) == ([odd, SOUND[ask]] if ask == "tasks" else [SOUND[ask]])
    assert len(http_client.asked) == 1


@pytest.mark.parametrize(
    ("ask", "element"),
    [
        ("labels", {}),
        ("labels", {"id": None}),
        ("labels", {"id": [1]}),
        ("tasks", {}),
        ("tasks", {"task": {"taskId": None}}),
        ("tasks", {"task": {"taskId": 1.5}}),
        ("tasks", {"task": 7}),
    ],
)
def test_an_element_without_its_id_hides_no_other(ask: str, element: object) -> None:
    """A task is kept even so, since its run would be short of it; anything else is left out."""
    items, call = ASKS[ask]
    client, http_client = make_client(lambda *_: {items: [element, SOUND[ask]]})

    assert call(client) == ([element, SOUND[ask]] if ask == "tasks" else [SOUND[ask]])
    assert len(http_client.asked) == 1


@pytest.mark.parametrize("element", [{}, {"workflow": None}, {"workflow": {"id": None}}, 7])
def test_a_run_is_found_beside_an_element_without_an_id(element: object) -> None:
    """What is no run is not the one that was searched for."""
    client, _ = make_client(lambda *_: {"workflows": [element, {"workflow": {"id": "r"}}]})

    assert client.is_listed(1, "r")
    assert not client.is_listed(1, "other")


def test_tasks_of_older_servers_need_no_wrapper() -> None:
    """A task is known by its number, wherever that is."""
    client, _ = make_client(lambda *_: {"tasks": [{"taskId": 1}, {"taskId": 1}, {"taskId": 2}]})

    assert client.iter_tasks(1, "r") == [{"taskId": 1}, {"taskId": 2}]


@pytest.mark.parametrize("total", [None, "12", 0, -1, 3.5, [], {}])
@pytest.mark.parametrize("more", [None, "yes", 0, []])
def test_odd_counts_and_flags_are_passed_over(total: object, more: object) -> None:
    """What is no count counts nothing."""
    answer = {"workflows": [{"workflow": {"id": "r"}}], "totalSize": total, "hasMore": more}
    client, _ = make_client(lambda *_: answer)
    walked = PaginationStats()

    assert len(list(client.list_runs(1, walked))) == 1
    assert (walked.reported_totals, walked.count_matches) == ([], True)


@pytest.mark.parametrize("total", [None, 0, 1, 2, 102, 1_000_000, "2", True])
def test_tasks_are_asked_for_while_the_server_counts_more(total: object) -> None:
    """Its count is right about whether more follows (API fact 3); an empty page ends it anyhow."""
    tasks = [{"task": {"taskId": number}} for number in range(1, 103)]

    def answer(_: str, params: Mapping[str, Any]) -> dict[str, Any]:
        start = params["offset"]
        return {"tasks": tasks[start : start + params["max"]], "total": total}

    client, http_client = make_client(answer)

    assert client.iter_tasks(1, "r") == tasks
    last = [102] if total == 1_000_000 else []
    assert [params["offset"] for _, params in http_client.asked] == [0, 100, *last]


@pytest.mark.parametrize(
    ("ids", "listed"),
    [
        ([], False),
        (["other"], False),
        (["r2", "ar"], False),
        (["R"], False),
        (["other", "r"], True),
    ],
)
def test_a_run_is_listed_if_its_very_id_is(ids: list[str], *, listed: bool) -> None:
    """A search that is not understood, or finds similar ids, proves nothing."""
    client, http_client = make_client(
        lambda *_: {"workflows": [{"workflow": {"id": i}} for i in ids]}
    )

    assert client.is_listed(None, "r") is listed
    ((path, params),) = http_client.asked
    assert (path, params["search"], "workspaceId" in params) == ("/workflow", "workflowId:r", False)


def test_the_listing_of_2021_is_read(shared: Path) -> None:
    """Without labels, counts and flags (API fact 3)."""
    answer = orjson.loads((shared / "responses" / "workflow_list.json").read_bytes())
    client, _ = make_client(lambda *_: answer)
    walked = PaginationStats()

    pages = list(client.list_runs(None, walked))

    assert pages == [answer["workflows"]]
    assert (walked.reported_totals, walked.count_matches, walked.was_modified) == ([], True, False)


@pytest.mark.parametrize(
    ("name", "ask"), [("organizations_list", "organizations"), ("workspaces_list", "roles")]
)
def test_the_places_of_2021_are_read(shared: Path, name: str, ask: str) -> None:
    """Entries with null ids included (API fact 13)."""
    items, call = ASKS[ask]
    answer = orjson.loads((shared / "responses" / f"{name}.json").read_bytes())
    client, _ = make_client(lambda *_: answer)

    assert call(client) == answer[items]


def test_an_answer_about_another_thing_is_a_fault() -> None:
    """Its details would be taken for those of the thing that was asked for."""
    client, _ = make_client(lambda *_: {"computeEnv": {"id": "other", "config": {}}})
    with pytest.raises(ServerError, match="no object with the id mine under 'computeEnv'"):
        client.get_entity(_ENV, PathScope(1, None, "mine"))

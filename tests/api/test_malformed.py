"""Malformed responses, and responses of older servers, through a fake HTTP client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import orjson
import pytest

from tests.api.tasks import list_tasks
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
    """HTTP client whose responses are computed from path and parameters.

    Attributes:
        asked: Paths and parameters of the calls, in order.
    """

    policy = RetryPolicy()
    endpoint = "http://127.0.0.1/api"

    def __init__(self, answer: Answer) -> None:
        self.asked: list[tuple[str, Mapping[str, Any]]] = []
        self._answer = answer

    def with_policy(self, _policy: RetryPolicy) -> FakeTransport:
        """Return the client itself: nothing is retried."""
        return self

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Record the call, and return the computed response."""
        self.asked.append((path, params or {}))
        return self._answer(path, params or {})


def make_client(answer: Answer) -> tuple[TowerClient, FakeTransport]:
    """Return an API client with computed responses, and its fake HTTP client."""
    http_client = FakeTransport(answer)
    return TowerClient(cast("JsonHttpClient", http_client)), http_client


_ENV = endpoints.COMPUTE_ENV
ASKS: dict[str, tuple[str, Callable[[TowerClient], object]]] = {
    "service": ("serviceInfo", lambda client: client.get_service_info()),
    "user": ("user", lambda client: client.get_user()),
    "roles": ("orgsAndWorkspaces", lambda client: client.list_user_workspaces(1).items),
    "organizations": (
        "organizations",
        lambda client: client.list_entity(endpoints.ORGANIZATIONS, PathScope()).items,
    ),
    "workspaces": (
        "workspaces",
        lambda client: client.list_entity(endpoints.ORG_WORKSPACES, PathScope(org_id=1)).items,
    ),
    "labels": ("labels", lambda client: client.list_entity(endpoints.LABELS, PathScope(1)).items),
    "runs": ("workflows", lambda client: list(client.iter_run_pages(1, PaginationStats()))),
    "listed": ("workflows", lambda client: client.search_run(1, "r")),
    "tasks": ("tasks", lambda client: list_tasks(client, 1, "r")),
    "metrics": ("metrics", lambda client: client.list_metrics(1, "r")),
    "launch": ("launch", lambda client: client.get_launch(1, "l")),
    "datasets": ("versions", lambda client: client.list_launch_datasets(1, "l")),
    "quotas": ("quotas", lambda client: client.list_entity(endpoints.QUOTAS, PathScope(1, 1))),
    "environment": ("computeEnv", lambda client: client.get_entity(_ENV, PathScope(1, None, "e"))),
}


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize("found", [None, "absent", 7, "text", [1], [None], [["x"]]])
def test_a_response_without_its_records_is_an_error(ask: str, found: object) -> None:
    """It must not become an empty page. The message names the missing key."""
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
def test_an_element_that_is_not_an_object_does_not_hide_others(ask: str, odd: object) -> None:
    """Tasks are kept in any form, other elements are left out, and no call is repeated."""
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
def test_an_element_without_an_id_does_not_hide_others(ask: str, element: object) -> None:
    """A task is kept all the same, because its run would be incomplete without it."""
    items, call = ASKS[ask]
    client, http_client = make_client(lambda *_: {items: [element, SOUND[ask]]})

    assert call(client) == ([element, SOUND[ask]] if ask == "tasks" else [SOUND[ask]])
    assert len(http_client.asked) == 1


@pytest.mark.parametrize("element", [{}, {"workflow": None}, {"workflow": {"id": None}}, 7])
def test_a_run_is_found_beside_an_element_without_an_id(element: object) -> None:
    client, _ = make_client(lambda *_: {"workflows": [element, {"workflow": {"id": "r"}}]})

    assert client.search_run(1, "r")
    assert not client.search_run(1, "other")


def test_tasks_without_a_wrapper_object_are_read() -> None:
    """Older servers list them in this form."""
    client, _ = make_client(lambda *_: {"tasks": [{"taskId": 1}, {"taskId": 1}, {"taskId": 2}]})

    assert list_tasks(client, 1, "r") == [{"taskId": 1}, {"taskId": 2}]


@pytest.mark.parametrize("total", [None, "12", 0, -1, 3.5, [], {}])
@pytest.mark.parametrize("more", [None, "yes", 0, []])
def test_invalid_counts_and_flags_are_ignored(total: object, more: object) -> None:
    answer = {"workflows": [{"workflow": {"id": "r"}}], "totalSize": total, "hasMore": more}
    client, _ = make_client(lambda *_: answer)
    walked = PaginationStats()

    assert len(list(client.iter_run_pages(1, walked))) == 1
    assert (walked.reported_totals, walked.count_matches) == ([], True)


@pytest.mark.parametrize("total", [None, 0, 1, 2, 102, 1_000_000, "2", True])
def test_tasks_are_requested_while_the_count_promises_more(total: object) -> None:
    """The count shows whether more follow (API fact 3); an empty page ends the list anyway."""
    tasks = [{"task": {"taskId": number}} for number in range(1, 103)]

    def answer(_: str, params: Mapping[str, Any]) -> dict[str, Any]:
        start = params["offset"]
        return {"tasks": tasks[start : start + params["max"]], "total": total}

    client, http_client = make_client(answer)

    assert list_tasks(client, 1, "r") == tasks
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
def test_a_run_is_listed_only_if_its_exact_id_is_found(ids: list[str], *, listed: bool) -> None:
    """A server may ignore the search or return similar ids."""
    client, http_client = make_client(
        lambda *_: {"workflows": [{"workflow": {"id": i}} for i in ids]}
    )

    assert client.search_run(None, "r") is listed
    ((path, params),) = http_client.asked
    assert (path, params["search"], "workspaceId" in params) == ("/workflow", "workflowId:r", False)


def test_a_listing_of_a_2021_server_is_read(shared: Path) -> None:
    """It has no labels, totals and flags (API fact 3)."""
    answer = orjson.loads((shared / "responses" / "workflow_list.json").read_bytes())
    client, _ = make_client(lambda *_: answer)
    walked = PaginationStats()

    pages = list(client.iter_run_pages(None, walked))

    assert pages == [answer["workflows"]]
    assert (walked.reported_totals, walked.count_matches, walked.was_modified) == ([], True, False)


@pytest.mark.parametrize(
    ("name", "ask"), [("organizations_list", "organizations"), ("workspaces_list", "roles")]
)
def test_organizations_and_workspaces_of_a_2021_server_are_read(
    shared: Path, name: str, ask: str
) -> None:
    """Entries with null ids are included (API fact 13)."""
    items, call = ASKS[ask]
    answer = orjson.loads((shared / "responses" / f"{name}.json").read_bytes())
    client, _ = make_client(lambda *_: answer)

    assert call(client) == answer[items]


def test_a_response_that_describes_another_entity_is_an_error() -> None:
    """Otherwise its details would be stored for the requested entity."""
    client, _ = make_client(lambda *_: {"computeEnv": {"id": "other", "config": {}}})
    with pytest.raises(ServerError, match="no object with the id mine under 'computeEnv'"):
        client.get_entity(_ENV, PathScope(1, None, "mine"))

"""Answers that are not what the platform sends, and older ones, over a transport that is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import orjson
import pytest

from tower_etl.api import TowerClient, Walked
from tower_etl.errors import ApiError, BadRequestError, ServerFaultError
from tower_etl.http import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tower_etl.http import Transport

    Answer = Callable[[str, Mapping[str, Any]], dict[str, Any]]


class FakeTransport:
    """Answers by a function of path and parameters.

    Attributes:
        asked: The paths and parameters, in order.
    """

    policy = RetryPolicy()

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
    transport = FakeTransport(answer)
    return TowerClient(cast("Transport", transport)), transport


ASKS: dict[str, tuple[str, Callable[[TowerClient], object]]] = {
    "service": ("serviceInfo", lambda client: client.fetch_service_info()),
    "user": ("user", lambda client: client.fetch_user()),
    "roles": ("orgsAndWorkspaces", lambda client: client.list_user_workspaces(1)),
    "organizations": ("organizations", lambda client: client.list_organizations()),
    "workspaces": ("workspaces", lambda client: client.list_org_workspaces(1)),
    "labels": ("labels", lambda client: client.list_labels(1)),
    "runs": ("workflows", lambda client: list(client.iter_runs(1, Walked()))),
    "listed": ("workflows", lambda client: client.is_listed(1, "r")),
    "tasks": ("tasks", lambda client: client.list_tasks(1, "r")),
    "metrics": ("metrics", lambda client: client.list_metrics(1, "r")),
}


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize("found", [None, "absent", 7, "text", [1], [None], [["x"]], [{}, 1]])
def test_an_answer_without_its_items_is_a_fault(ask: str, found: object) -> None:
    """Never an empty page: what it lacks and where is said."""
    items, call = ASKS[ask]
    client, _ = make_client(lambda *_: {} if found == "absent" else {items: found})

    with pytest.raises(ServerFaultError, match=f"'{items}'"):
        call(client)


@pytest.mark.parametrize(
    ("ask", "element"),
    [
        ("labels", {}),
        ("labels", {"id": None}),
        ("labels", {"id": [1]}),
        ("runs", {}),
        ("runs", {"workflow": None}),
        ("runs", {"workflow": "r"}),
        ("runs", {"workflow": {"id": None}}),
        ("listed", {}),
        ("listed", {"workflow": {"id": None}}),
        ("tasks", {"taskId": 1}),
        ("tasks", {"task": {"taskId": None}}),
        ("tasks", {"task": {"taskId": 1.5}}),
    ],
)
def test_an_element_without_its_id_is_a_fault(ask: str, element: object) -> None:
    """It could be told from no other."""
    items, call = ASKS[ask]
    client, _ = make_client(lambda *_: {items: [element]})

    with pytest.raises(ServerFaultError, match="in each element"):
        call(client)


@pytest.mark.parametrize("total", [None, "12", 0, -1, 3.5, [], {}])
@pytest.mark.parametrize("more", [None, "yes", 0, []])
def test_odd_counts_and_flags_are_passed_over(total: object, more: object) -> None:
    """What is no count counts nothing."""
    answer = {"workflows": [{"workflow": {"id": "r"}}], "totalSize": total, "hasMore": more}
    client, _ = make_client(lambda *_: answer)
    walked = Walked()

    assert len(list(client.iter_runs(1, walked))) == 1
    assert (walked.totals, walked.is_counted) == ([], True)


@pytest.mark.parametrize("total", [None, 0, 1, 2, 1_000_000, "2"])
def test_the_count_of_tasks_is_not_looked_at(total: object) -> None:
    """It is unreliable: a short page is the last one, whatever the count says (API fact 3)."""
    tasks = [{"task": {"taskId": number}} for number in range(1, 103)]

    def answer(_: str, params: Mapping[str, Any]) -> dict[str, Any]:
        start = params["offset"]
        return {"tasks": tasks[start : start + params["max"]], "total": total}

    client, transport = make_client(answer)

    assert client.list_tasks(1, "r") == tasks
    assert [params["offset"] for _, params in transport.asked] == [0, 100]


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
    client, transport = make_client(
        lambda *_: {"workflows": [{"workflow": {"id": i}} for i in ids]}
    )

    assert client.is_listed(None, "r") is listed
    ((path, params),) = transport.asked
    assert (path, params["search"], "workspaceId" in params) == ("/workflow", "workflowId:r", False)


class Older:
    """A server that knows some attributes of a run and answers 400 to others."""

    def __init__(self, *known: str) -> None:
        self._known = {*known}

    def __call__(self, path: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Describe the run, or refuse."""
        if set(params["attributes"].split(",")) - self._known:
            msg = "unknown attribute"
            raise BadRequestError(msg, status_code=400)
        return {"workflow": {"id": path.rsplit("/", 1)[-1]}}


def test_an_older_server_is_asked_for_less_from_then_on() -> None:
    """One refusal, and no other for the runs that follow."""
    client, transport = make_client(Older("labels"))

    for run_id in ("a", "b", "c"):
        assert client.describe_run(1, run_id) == {"workflow": {"id": run_id}}

    attributes = [params["attributes"] for _, params in transport.asked]
    assert attributes[0].split(",")[0] == "labels"
    assert attributes[1:] == ["labels"] * 3


def test_threads_that_ask_at_once_all_fall_back() -> None:
    """The second refusal comes when the first has been learnt from already."""
    older = Older("labels")
    inner: list[object] = []

    def answer(path: str, params: Mapping[str, Any]) -> dict[str, Any]:
        if path.endswith("/outer") and params["attributes"] != "labels" and not inner:
            inner.append(client.describe_run(1, "inner"))
        return older(path, params)

    client, _ = make_client(answer)

    assert client.describe_run(1, "outer") == {"workflow": {"id": "outer"}}
    assert inner == [{"workflow": {"id": "inner"}}]


def test_a_run_that_is_refused_either_way_takes_nothing_from_others() -> None:
    """Two calls for it, and all attributes for the next."""

    def answer(path: str, params: Mapping[str, Any]) -> dict[str, Any]:
        return Older(*([] if path.endswith("/odd") else params["attributes"].split(",")))(
            path, params
        )

    client, transport = make_client(answer)

    with pytest.raises(BadRequestError):
        client.describe_run(1, "odd")
    client.describe_run(1, "even")

    attributes = [params["attributes"] for _, params in transport.asked]
    assert attributes[1] == "labels"
    assert attributes[2] == attributes[0] != "labels"


def test_other_refusals_are_no_reason_to_ask_for_less() -> None:
    """403 and 500 say nothing about attributes."""

    def answer(path: str, params: Mapping[str, Any]) -> dict[str, Any]:
        msg = "no"
        raise ServerFaultError(msg)

    client, transport = make_client(answer)

    with pytest.raises(ApiError):
        client.describe_run(1, "r")

    assert len(transport.asked) == 1


def test_the_listing_of_2021_is_read(shared: Path) -> None:
    """Without labels, counts and flags (API fact 3)."""
    answer = orjson.loads((shared / "responses" / "workflow_list.json").read_bytes())
    client, _ = make_client(lambda *_: answer)
    walked = Walked()

    pages = list(client.iter_runs(None, walked))

    assert pages == [answer["workflows"]]
    assert (walked.totals, walked.is_counted, walked.disturbed) == ([], True, False)


@pytest.mark.parametrize(
    ("name", "ask"), [("organizations_list", "organizations"), ("workspaces_list", "roles")]
)
def test_the_places_of_2021_are_read(shared: Path, name: str, ask: str) -> None:
    """Entries with null ids included (API fact 13)."""
    items, call = ASKS[ask]
    answer = orjson.loads((shared / "responses" / f"{name}.json").read_bytes())
    client, _ = make_client(lambda *_: answer)

    assert call(client) == answer[items]

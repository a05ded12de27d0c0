"""Servers that reject part of a request: the request is reduced, and the result remembered."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.api.tasks import list_tasks
from tests.api.test_malformed import make_client
from tower_etl.api import PaginationStats, PathScope, endpoints
from tower_etl.errors import ApiError, BadRequestError, ServerError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tower_etl.api.endpoints import Endpoint

ALL = ("labels", "optimized", "messages", "pipelineInfo")
SAYS = {
    "nothing": "",
    "what": "Unknown attribute: {}",
    "which": "Bad request: {}",
    "everything": "Cannot convert attributes [labels,optimized,messages,pipelineInfo]",
    "the others": "Supported attributes: {known}",
}


class OlderServer:
    """Server that knows some attributes, allows some page size, and responds with 400 to more.

    Attributes:
        refused: Number of rejected calls.
    """

    def __init__(self, known: tuple[str, ...] = ALL, most: int = 100, says: str = "") -> None:
        self.refused = 0
        self._known = known
        self._most = most
        self._says = says

    def __call__(self, path: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the run with pipelines and tasks, or reject the call."""
        asked = [name for name in params.get("attributes", "").split(",") if name]
        unknown = [name for name in asked if name not in self._known]
        if unknown:
            self._refuse(self._says.format(unknown[0], known=",".join(self._known)))
        if params.get("max", 0) > self._most:
            self._refuse(f"max must be at most {self._most}" if self._says else "")
        size, offset = min(params.get("max", 10), self._most), params.get("offset", 0)
        numbers = range(345)[offset : offset + size]
        return {
            "workflow": {"id": path.rsplit("/", 1)[-1], "attributes": asked},
            "tasks": [{"task": {"taskId": number}} for number in numbers],
            "pipelines": [{"pipelineId": number, "attributes": asked} for number in numbers],
            "total": 345,
            "totalSize": 345,
        }

    def _refuse(self, message: str) -> None:
        self.refused += 1
        msg = f"GET /x: the server answered 400{f' ({message})' if message else ''}."
        raise BadRequestError(msg, status_code=400)


@pytest.mark.parametrize("says", SAYS)
@given(known=st.sets(st.sampled_from(ALL)))
def test_all_attributes_that_a_server_knows_are_requested(says: str, known: set[str]) -> None:
    """This holds for every set of attributes and every form of the error message."""
    kept = tuple(name for name in ALL if name in known)
    client, http_client = make_client(OlderServer(kept, says=SAYS[says]))

    described = [client.get_run(1, run_id)["workflow"] for run_id in "ab"]

    assert described == [{"id": run_id, "attributes": [*kept]} for run_id in "ab"]
    assert len(http_client.asked) <= 2 + 2 + 2 * len(ALL)
    news = client.compatibility.messages
    assert len(news) == (len(kept) < len(ALL))
    assert all(name in news[0] for name in {*ALL} - known)


def test_attributes_are_dropped_one_at_a_time_newest_first() -> None:
    """Only the first run costs rejected calls."""
    client, http_client = make_client(OlderServer(ALL[:2], says="Unknown attributes"))

    for run_id in "abc":
        client.get_run(1, run_id)

    asked = [tuple(params["attributes"].split(",")) for _, params in http_client.asked]
    assert asked == [ALL, ALL[:3], ALL[:2], (*ALL[:2], ALL[3]), ALL[:2], ALL[:2]]


@pytest.mark.parametrize("says", ["", "what"])
@pytest.mark.parametrize("most", [50, 49, 25, 10, 7])
@pytest.mark.parametrize("known", [("labels", "computeEnv", "optimized"), ("labels",), ()])
def test_lists_use_the_largest_page_size_and_attributes_allowed(
    most: int, known: tuple[str, ...], says: str
) -> None:
    """The lists are complete, and the second one causes no rejected call."""
    older = OlderServer(known, most, SAYS["what"] if says else "")
    client, _ = make_client(older)

    found = client.list_entity(endpoints.PIPELINES, PathScope(1))
    refused = older.refused
    again = client.list_entity(endpoints.PIPELINES, PathScope(1))

    assert [item["pipelineId"] for item in found.items] == list(range(345))
    assert found == again
    assert {tuple(item["attributes"]) for item in found.items} == {known}
    assert found.complete
    assert older.refused == refused <= 13


def test_all_tasks_are_listed_with_the_page_size_that_is_allowed() -> None:
    client, http_client = make_client(OlderServer(most=50))

    assert len(list_tasks(client, 1, "r")) == 345
    assert len(list_tasks(client, 1, "s")) == 345
    sizes = [params.get("max") for _, params in http_client.asked]
    assert sizes == [100, None, 100, 50, *[50] * 13]


def test_compatibility_is_remembered_until_the_version_changes() -> None:
    """It is stored as JSON in the state."""
    client, _ = make_client(OlderServer(("labels",), 25))
    client.get_run(1, "r")
    list_tasks(client, 1, "r")
    client.compatibility.load(None, "1.0")
    stored = json.loads(json.dumps(client.compatibility.dump()))

    for version, refused in (("1.0", 0), ("1.1", 6), (None, 6)):
        older = OlderServer(("labels",), 25)
        client, _ = make_client(older)
        client.compatibility.load(stored, version)
        client.get_run(1, "r")
        list_tasks(client, 1, "r")
        assert (older.refused > 0) == (refused > 0)
        assert (client.compatibility.messages != []) == (refused > 0)


def test_concurrent_requests_share_what_one_of_them_has_learned() -> None:
    """The second rejection arrives when the first one was handled already."""
    older = OlderServer(("labels",))
    inner: list[object] = []

    def answer(path: str, params: Mapping[str, Any]) -> dict[str, Any]:
        if path.endswith("/outer") and params["attributes"] != "labels" and not inner:
            inner.append(client.get_run(1, "inner")["workflow"])
        return older(path, params)

    client, http_client = make_client(answer)

    assert client.get_run(1, "outer")["workflow"] == {"id": "outer", "attributes": ["labels"]}
    assert inner == [{"id": "inner", "attributes": ["labels"]}]
    assert [path for path, _ in http_client.asked].count("/workflow/outer") == 2


@pytest.mark.parametrize("first", [True, False])
def test_a_run_rejected_in_every_form_does_not_affect_other_runs(*, first: bool) -> None:
    """It costs two calls, or one if the server has accepted the attributes before."""

    def answer(path: str, params: Mapping[str, Any]) -> dict[str, Any]:
        if path.endswith("/odd"):
            msg = "GET /workflow/odd: the server answered 400."
            raise BadRequestError(msg, status_code=400)
        return OlderServer()(path, params)

    client, http_client = make_client(answer)
    if not first:
        client.get_run(1, "even")
        http_client.asked.clear()

    with pytest.raises(BadRequestError):
        client.get_run(1, "odd")

    assert len(http_client.asked) == (2 if first else 1)
    assert client.get_run(1, "even")["workflow"]["attributes"] == [*ALL]
    assert client.compatibility.messages == []


def test_a_single_random_rejection_drops_no_attribute() -> None:
    """The same request is repeated before a reduced one."""
    left = [1]

    def answer(path: str, params: Mapping[str, Any]) -> dict[str, Any]:
        left[0] -= 1
        return OlderServer(() if left[0] == 0 else ALL)(path, params)

    client, _ = make_client(answer)

    assert client.get_run(1, "r")["workflow"]["attributes"] == [*ALL]
    assert client.compatibility.messages == []


@pytest.mark.parametrize(
    "error", [ServerError("no"), BadRequestError("no such method", status_code=405)]
)
def test_a_405_or_a_server_error_does_not_reduce_the_request(error: ApiError) -> None:
    """Such an error says nothing about attributes."""

    def answer(path: str, params: Mapping[str, Any]) -> dict[str, Any]:
        raise error

    client, http_client = make_client(answer)

    with pytest.raises(ApiError):
        client.get_run(1, "r")

    assert len(http_client.asked) == 1


@pytest.mark.parametrize("endpoint", [endpoints.COMPUTE_ENVS, endpoints.TEAMS, endpoints.STUDIOS])
def test_an_endpoint_that_rejects_every_form_costs_two_calls(endpoint: Endpoint) -> None:
    """The second call has neither attributes nor a page size."""

    def answer(path: str, params: Mapping[str, Any]) -> dict[str, Any]:
        msg = "GET /x: the server answered 400."
        raise BadRequestError(msg, status_code=400)

    client, http_client = make_client(answer)

    with pytest.raises(BadRequestError):
        client.list_entity(endpoint, PathScope(1, 1, 1))

    assert len(http_client.asked) == 2


def test_runs_are_listed_without_labels_if_these_are_rejected() -> None:
    """Servers from before the introduction of labels reject them."""

    def answer(path: str, params: Mapping[str, Any]) -> dict[str, Any]:
        if "attributes" in params:
            msg = "GET /workflow: the server answered 400."
            raise BadRequestError(msg, status_code=400)
        return {"workflows": [{"workflow": {"id": "r"}}], "totalSize": 1}

    client, _ = make_client(answer)

    assert list(client.iter_run_pages(1, PaginationStats())) == [[{"workflow": {"id": "r"}}]]

"""Endless lists, and ids that would change the path of a request."""

from __future__ import annotations

from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from tests.api.tasks import list_tasks
from tests.api.test_malformed import make_client
from tests.http.conftest import ScriptedServer
from tower_etl.api import (
    MissingKey,
    Page,
    PaginationStats,
    PathScope,
    TowerClient,
    client,
    endpoints,
    run_key,
)
from tower_etl.api.pagination import limit_items
from tower_etl.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tower_etl.api.endpoints import Endpoint
    from tower_etl.http import JsonHttpClient

ODD_IDS = (
    *("../user-info", "a/b", "a%2Fb", "%2e%2e", "...", "a?max=1", "a#b", "a;b", "a b", "a+b"),
    *(
        "a\nb",
        "a\r\nX: 1",
        "a\x00b",
        "'; DROP TABLE workflows; --",
        '"quoted"',
        "\\",
        "é𝄞",
        "{run_id}",
    ),
)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """Start a scripted server."""
    started = ScriptedServer()
    yield started
    started.close()


@pytest.mark.parametrize("run_id", ODD_IDS)
def test_a_run_id_with_special_characters_stays_one_path_segment(
    server: ScriptedServer, connect: Callable[..., JsonHttpClient], run_id: str
) -> None:
    """The request is sent over real HTTP, and its query does not change either."""
    server.answer({"workflow": {"id": run_id}})
    server.answer({"tasks": []})

    tower = TowerClient(connect(server.endpoint))
    tower.get_run(7, run_id)
    list_tasks(tower, 7, run_id)

    described, listed = (urlsplit(seen.path) for seen in server.seen)
    assert described.path.removeprefix("/api/workflow/").count("/") == 0
    assert unquote(described.path) == f"/api/workflow/{run_id}"
    assert unquote(listed.path) == f"/api/workflow/{run_id}/tasks"
    assert parse_qs(listed.query) == {"workspaceId": ["7"], "max": ["100"], "offset": ["0"]}


@pytest.mark.parametrize("run_id", ["", ".", ".."])
def test_a_run_id_that_would_change_the_path_is_refused(
    server: ScriptedServer, connect: Callable[..., JsonHttpClient], run_id: str
) -> None:
    """Quoting does not help, because clients and servers treat `%2E%2E` like `..`."""
    tower = TowerClient(connect(server.endpoint))

    for ask in (tower.get_run, partial(list_tasks, tower), tower.list_metrics):
        with pytest.raises(ServerError, match="an id that cannot be part of a path"):
            ask(7, run_id)

    assert server.seen == []


@pytest.mark.parametrize("found", [None, {}, {"id": None}, {"id": "other"}, {"id": 5}, "r", []])
def test_a_response_that_describes_another_run_is_an_error(found: object) -> None:
    """Otherwise it would replace the rows of the run that it names."""
    tower, _ = make_client(lambda *_: {"workflow": found})

    with pytest.raises(ServerError):
        tower.get_run(1, "r")


@pytest.mark.parametrize("run_id", [5, True, 2**70, 1.0, None, {}])
def test_a_run_without_a_text_id_does_not_hide_other_runs(run_id: object) -> None:
    """The state could not recognize it, so that it gets no key."""
    runs = [{"workflow": {"id": one}} for one in ("a", run_id, "b")]
    tower, http_client = make_client(lambda *_: {"workflows": runs, "totalSize": 3})

    (page,) = tower.iter_run_pages(1, walked := PaginationStats())

    assert [run_key(element) for element in page][::2] == ["a", "b"]
    assert isinstance(run_key(page[1]), MissingKey)
    assert (walked.count_matches, len(http_client.asked)) == (True, 1)


def make_endless(size: int) -> Callable[[str, Mapping[str, Any]], dict[str, Any]]:
    """Return a responder with endless pages of the given number of new items."""
    numbers = count(1)

    def answer(path: str, _: Mapping[str, Any]) -> dict[str, Any]:
        some = [next(numbers) for _ in range(size)]
        if path.endswith("/tasks"):
            return {"tasks": [{"task": {"taskId": number}} for number in some]}
        if path == "/labels":
            return {"labels": [{"id": number} for number in some], "totalSize": 10**12}
        runs = [{"workflow": {"id": f"r{number}"}} for number in some]
        return {"workflows": runs, "totalSize": 10**12, "hasMore": True}

    return answer


@pytest.mark.parametrize("ask", ["runs", "labels", "tasks"])
@pytest.mark.parametrize("size", [1, 100, 2_500])
def test_an_endless_list_is_an_error(ask: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """This includes pages with more or fewer items than requested."""
    monkeypatch.setattr(client, "_MAX_LISTED", 5_000)
    monkeypatch.setattr(client, "_MAX_TASKS", 5_000)
    tower, http_client = make_client(make_endless(size))
    asks: dict[str, Callable[[], object]] = {
        "runs": lambda: list(tower.iter_run_pages(1, PaginationStats())),
        "labels": lambda: tower.list_entity(endpoints.LABELS, PathScope(1)).items,
        "tasks": lambda: list_tasks(tower, 1, "r"),
    }
    if ask == "tasks" and size != 100:  # a page of another size is the last one (API fact 1)
        assert asks[ask]() == [{"task": {"taskId": number}} for number in range(1, size + 1)]
        return
    with pytest.raises(ServerError, match=r"no end|changed while it was read"):
        asks[ask]()

    assert len(http_client.asked) <= 501


def test_a_repeated_page_is_the_whole_list() -> None:
    """The server ignores pagination and returns the same items (API fact 1)."""
    page = {
        "workflows": [{"workflow": {"id": f"r{number}"}} for number in range(100)],
        "tasks": [{"task": {"taskId": number}} for number in range(100)],
    }
    tower, http_client = make_client(lambda *_: page)

    assert list(tower.iter_run_pages(1, PaginationStats())) == [page["workflows"]]
    assert list_tasks(tower, 1, "r") == page["tasks"]
    assert len(http_client.asked) == 4


def test_a_repeated_page_with_a_higher_total_is_an_error() -> None:
    """It is not the whole list. The message names the list."""
    runs = [{"workflow": {"id": f"r{number}"}} for number in range(100)]
    tower, http_client = make_client(lambda *_: {"workflows": runs, "totalSize": 345})

    with pytest.raises(ServerError, match=r"^GET /workflow: the list changed while it was read"):
        list(tower.iter_run_pages(1, PaginationStats()))

    assert len(http_client.asked) <= 6


def test_a_list_with_the_maximum_number_of_items_is_read() -> None:
    fetch = limit_items(200, lambda _: Page([{"id": 1}] * 100))

    assert len([*fetch(0).items, *fetch(100).items]) == 200
    with pytest.raises(ServerError, match=r"no end after 300 items on 3 pages"):
        fetch(200)


@pytest.mark.parametrize("endpoint", [endpoints.COMPUTE_ENVS, endpoints.PIPELINES])
@pytest.mark.parametrize("odd", [None, [], {"a": 1}, 1.5, True])
def test_entities_with_an_invalid_id_are_left_out(endpoint: Endpoint, odd: object) -> None:
    """The list is then incomplete, so that absent entities are not taken for deleted."""
    sound = {endpoint.id_field: endpoint.key[endpoint.id_field](7)}
    items = [{endpoint.id_field: odd}, sound, "text", None]
    tower, http_client = make_client(lambda *_: {endpoint.records_key: items})

    found = tower.list_entity(endpoint, PathScope(1))

    assert (found.items, found.complete, found.left_out) == ([sound], False, 3)
    assert len(http_client.asked) == 1

"""Lists without end, and ids that lead elsewhere."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

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
    """A server that does as it is told."""
    started = ScriptedServer()
    yield started
    started.close()


@pytest.mark.parametrize("run_id", ODD_IDS)
def test_an_odd_id_stays_one_segment_of_the_path(
    server: ScriptedServer, connect: Callable[..., JsonHttpClient], run_id: str
) -> None:
    """Over real HTTP: neither the path nor the query is another one."""
    server.answer({"workflow": {"id": run_id}})
    server.answer({"tasks": []})

    tower = TowerClient(connect(server.endpoint))
    tower.get_run(7, run_id)
    tower.iter_tasks(7, run_id)

    described, listed = (urlsplit(seen.path) for seen in server.seen)
    assert described.path.removeprefix("/api/workflow/").count("/") == 0
    assert unquote(described.path) == f"/api/workflow/{run_id}"
    assert unquote(listed.path) == f"/api/workflow/{run_id}/tasks"
    assert parse_qs(listed.query) == {"workspaceId": ["7"], "max": ["100"], "offset": ["0"]}


@pytest.mark.parametrize("run_id", ["", ".", ".."])
def test_an_id_that_means_another_path_is_not_asked_for(
    server: ScriptedServer, connect: Callable[..., JsonHttpClient], run_id: str
) -> None:
    """No quoting helps: clients and servers take `%2E%2E` for `..` too."""
    tower = TowerClient(connect(server.endpoint))

    for ask in (tower.get_run, tower.iter_tasks, tower.list_metrics):
        with pytest.raises(ServerError, match="an id that cannot be part of a path"):
            ask(7, run_id)

    assert server.seen == []


@pytest.mark.parametrize("found", [None, {}, {"id": None}, {"id": "other"}, {"id": 5}, "r", []])
def test_a_description_of_something_else_is_a_fault(found: object) -> None:
    """The rows of the run named in it would be replaced."""
    tower, _ = make_client(lambda *_: {"workflow": found})

    with pytest.raises(ServerError):
        tower.get_run(1, "r")


@pytest.mark.parametrize("run_id", [5, True, 2**70, 1.0, None, {}])
def test_a_run_whose_id_is_no_text_hides_no_other(run_id: object) -> None:
    """The state would not know it again: it has no key, and the others have theirs."""
    runs = [{"workflow": {"id": one}} for one in ("a", run_id, "b")]
    tower, http_client = make_client(lambda *_: {"workflows": runs, "totalSize": 3})

    (page,) = tower.list_runs(1, walked := PaginationStats())

    assert [run_key(element) for element in page][::2] == ["a", "b"]
    assert isinstance(run_key(page[1]), MissingKey)
    assert (walked.count_matches, len(http_client.asked)) == (True, 1)


def make_endless(size: int) -> Callable[[str, Mapping[str, Any]], dict[str, Any]]:
    """Pages of so many items, none of which was there before, for ever."""
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
def test_a_list_without_end_is_left(ask: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one whose pages hold far more, or far less, than was asked for."""
    monkeypatch.setattr(client, "_MAX_LISTED", 5_000)
    monkeypatch.setattr(client, "_MAX_TASKS", 5_000)
    tower, http_client = make_client(make_endless(size))
    asks: dict[str, Callable[[], object]] = {
        "runs": lambda: list(tower.list_runs(1, PaginationStats())),
        "labels": lambda: tower.list_labels(1),
        "tasks": lambda: tower.iter_tasks(1, "r"),
    }
    if ask == "tasks" and size != 100:  # a page of another size is the last one (API fact 1)
        assert asks[ask]() == [{"task": {"taskId": number}} for number in range(1, size + 1)]
        return
    with pytest.raises(ServerError, match=r"no end|changed while it was read"):
        asks[ask]()

    assert len(http_client.asked) <= 501


def test_a_page_that_repeats_is_the_whole_list() -> None:
    """With the same items, whatever is asked for: the server does not page (API fact 1)."""
    page = {
        "workflows": [{"workflow": {"id": f"r{number}"}} for number in range(100)],
        "tasks": [{"task": {"taskId": number}} for number in range(100)],
    }
    tower, http_client = make_client(lambda *_: page)

    assert list(tower.list_runs(1, PaginationStats())) == [page["workflows"]]
    assert tower.iter_tasks(1, "r") == page["tasks"]
    assert len(http_client.asked) == 4


def test_a_page_that_repeats_although_more_is_said_to_follow_is_left() -> None:
    """It is not the whole list; the message names it."""
    runs = [{"workflow": {"id": f"r{number}"}} for number in range(100)]
    tower, http_client = make_client(lambda *_: {"workflows": runs, "totalSize": 345})

    with pytest.raises(ServerError, match=r"^GET /workflow: the list changed while it was read"):
        list(tower.list_runs(1, PaginationStats()))

    assert len(http_client.asked) <= 6


def test_the_last_item_allowed_is_taken() -> None:
    """The bound is on what comes after it."""
    fetch = limit_items(200, lambda _: Page([{"id": 1}] * 100))

    assert len([*fetch(0).items, *fetch(100).items]) == 200
    with pytest.raises(ServerError, match=r"no end after 300 items on 3 pages"):
        fetch(200)


@pytest.mark.parametrize("endpoint", [endpoints.COMPUTE_ENVS, endpoints.PIPELINES])
@pytest.mark.parametrize("odd", [None, [], {"a": 1}, 1.5, True])
def test_an_entity_whose_id_is_none_is_left_out(endpoint: Endpoint, odd: object) -> None:
    """Also in a list that comes in one piece; what the list lacks need not be missing then."""
    sound = {endpoint.id_field: endpoint.key[endpoint.id_field](7)}
    items = [{endpoint.id_field: odd}, sound, "text", None]
    tower, http_client = make_client(lambda *_: {endpoint.records_key: items})

    found = tower.list_entity(endpoint, PathScope(1))

    assert (found.items, found.complete, found.left_out) == ([sound], False, 3)
    assert len(http_client.asked) == 1

"""Stable lists: pages that are fetched in parallel return the same items in as few calls."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.api.changing_list import flatten, key
from tests.api.test_malformed import make_client
from tower_etl.api import Page, TotalCheck, paginate_append_only
from tower_etl.api.endpoints import MAX_PAGE
from tower_etl.api.task_pages import fetch_stable_list
from tower_etl.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from concurrent.futures import Executor
    from typing import Any

    from tower_etl.api import Item
    from tower_etl.api.pagination import FetchPage


@pytest.fixture
def pool() -> Iterator[Executor]:
    """Create a pool of four idle threads."""
    with ThreadPoolExecutor(4) as pool:
        yield pool


def walk(
    fetch: FetchPage, pool: Executor, total_check: TotalCheck | None = None
) -> list[list[Item]] | None:
    """Return the pages of a stable list, None if it changed."""
    make: Callable[[], list[list[Item]]] = list
    return fetch_stable_list(fetch, key, make, pool, total_check or TotalCheck())


def answer(numbers: range | list[int], offset: int, count: int | None) -> Page:
    """Return a page of a list, with the count that the server reports."""
    return Page([{"id": n} for n in numbers[offset : offset + MAX_PAGE]], minimum_total=count)


@pytest.mark.parametrize("size", [0, 1, 99, 100, 101, 200, 1234])
def test_a_stable_list_returns_every_item_once_and_in_order(size: int, pool: Executor) -> None:
    """It takes one call per page, and one more if the last page is full."""
    asked: list[int] = []

    def fetch(offset: int) -> Page:
        asked.append(offset)
        return answer(range(size), offset, size)

    assert flatten(walk(fetch, pool) or []) == list(range(size))
    assert sorted(asked) == list(range(0, size + 1, MAX_PAGE))


def test_idle_threads_fetch_pages_in_parallel(pool: Executor) -> None:
    """Each of two pages is returned only after the other one was requested."""
    together = threading.Barrier(2)

    def fetch(offset: int) -> Page:
        if offset in {100, 200}:
            together.wait(10)
        return answer(range(250), offset, 250)

    assert flatten(walk(fetch, pool) or []) == list(range(250))


def test_a_stable_list_is_read_while_all_threads_are_busy() -> None:
    """Two lists in a pool of two threads fetch their pages themselves."""
    with ThreadPoolExecutor(2) as pool:
        walks = [pool.submit(walk, lambda at: answer(range(950), at, 950), pool) for _ in range(2)]
        assert [flatten(one.result(10) or []) for one in walks] == [list(range(950))] * 2


def test_an_insertion_hidden_by_out_of_order_pages_is_detected(pool: Executor) -> None:
    """The third page is read before an item enters the second page, which is read after it."""
    numbers, entered, third = list(range(250)), threading.Event(), threading.Event()

    def fetch(offset: int) -> Page:
        if offset == 100:
            assert third.wait(10)
            numbers.insert(120, 9_999)
            entered.set()
        page = answer(numbers, offset, len(numbers))
        if offset == 200:
            third.set()
        return page

    assert walk(fetch, pool) is None
    assert entered.is_set()


def test_an_error_of_a_page_fetched_in_parallel_is_raised(pool: Executor) -> None:
    def fetch(offset: int) -> Page:
        if offset == 300:
            msg = "broken"
            raise ServerError(msg)
        return answer(range(5_000), offset, 5_000)

    with pytest.raises(ServerError, match="broken"):
        walk(fetch, pool)


@pytest.mark.parametrize(("cap", "bound"), [(40, False), (40, True), (150, False), (10, True)])
def test_a_stable_list_is_complete_for_any_size_of_page(
    cap: int, pool: Executor, *, bound: bool
) -> None:
    """The server caps pages or ignores `max`, and its count is exact or a lower bound."""
    asked: list[int] = []

    def fetch(offset: int) -> Page:
        asked.append(offset)
        items: list[Item] = [{"id": n} for n in range(345)[offset : offset + cap]]
        end = offset + len(items)
        return Page(items, minimum_total=end + (end < 345) if bound else 345)

    total_check = TotalCheck()
    pages = walk(fetch, pool, total_check) or paginate_append_only(
        fetch, key, list[list["Item"]], total_check
    )
    assert flatten(pages) == list(range(345))
    assert total_check.is_counted
    assert len(asked) <= (1 + 345 // cap) * (2 if bound else 1)


@pytest.mark.parametrize("total", [None, 0, 1, 101, 103, 1_000_000, "102"])
def test_all_tasks_are_listed_whatever_count_the_server_reports(
    total: object, pool: Executor
) -> None:
    """After a wrong count, pages are requested in order, and one more if the count is too high."""
    tasks = [{"task": {"taskId": number}} for number in range(1, 103)]

    def respond(_: str, params: Mapping[str, Any]) -> dict[str, Any]:
        start = params["offset"]
        return {"tasks": tasks[start : start + params["max"]], "total": total}

    client, http_client = make_client(respond)
    first: list[list[Item]] = client.list_tasks_into(1, "r", list, pool=pool)
    http_client.asked.clear()
    second: list[list[Item]] = client.list_tasks_into(1, "r", list, pool=pool)

    assert [tasks[:100], tasks[100:]] == first == second
    more = isinstance(total, int) and total > 102
    assert [params["offset"] for _, params in http_client.asked] == [
        0,
        100,
        *([102] if more else []),
    ]

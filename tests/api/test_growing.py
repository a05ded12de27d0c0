"""Walks of lists that only grow: tasks that enter anywhere, between any two pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.api.moving import INSERTIONS, SIZES, Server, flatten, key
from tower_etl.api import Page, walk_growing
from tower_etl.api.endpoints import MAX_PAGE
from tower_etl.errors import ServerFaultError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.api.moving import Change
    from tower_etl.api import Item
    from tower_etl.api.pages import FetchPage


def walk(fetch: FetchPage, start: int = 0) -> list[list[Item]]:
    """The pages of a list that only grows."""
    pages: list[list[Item]] = walk_growing(fetch, key, list, start)
    return pages


@given(size=SIZES, changes=st.lists(st.lists(INSERTIONS, max_size=5), max_size=4))
def test_no_task_is_lost_to_tasks_in_between(size: int, changes: list[list[Change]]) -> None:
    """A task that enters the list anywhere shifts others, yet all come, each once, in order."""
    server = Server(list(range(size)), changes)

    pages = walk(server.fetch)

    got = flatten(pages)
    assert set(range(size)) <= set(got)
    assert len(got) == len(set(got))
    assert [number for number in got if number < size] == list(range(size))


@given(size=SIZES, start=st.sampled_from([0, 1, 99, 100, 117, 200]))
def test_a_walk_begins_where_it_is_told(size: int, start: int) -> None:
    """Tasks that are settled are not fetched again; all others come in whole pages."""
    server = Server(list(range(size)))

    pages = walk(server.fetch, start)

    assert flatten(pages) == list(range(start, size))
    assert all(len(page) == MAX_PAGE for page in pages[:-1])
    assert len(server.offsets) == 1 + max(0, size - start) // MAX_PAGE


def test_a_task_between_two_pages_starts_the_walk_again() -> None:
    """The last task of page one comes twice: page one holds another one now."""
    server = Server(list(range(150)), [[("insert", 0.0)]])

    got = flatten(walk(server.fetch))

    assert server.offsets == [0, 100, 0, 100]
    assert len(got) == 151


@pytest.mark.parametrize("items", [range(MAX_PAGE), [1, 1], [*range(99), 5]])
def test_tasks_that_repeat_end_with_an_error(items: Sequence[int]) -> None:
    """The same page for ever, or an item twice on one."""
    calls = []

    def fetch(offset: int) -> Page:
        calls.append(offset)
        return Page([{"id": number} for number in items])

    with pytest.raises(ServerFaultError):
        walk(fetch)

    assert len(calls) <= 10


@pytest.mark.parametrize("total", [None, 0, 3, 100, 230])
def test_a_count_below_what_is_there_ends_no_walk(total: int | None) -> None:
    """A short page does, and no count alone (API fact 3)."""
    server = Server(list(range(230)))

    pages = walk(lambda at: Page(server.fetch(at).items, total))

    assert (len(flatten(pages)), server.offsets) == (230, [0, 100, 200])


@pytest.mark.parametrize("tells", [False, True])
def test_tasks_on_shorter_pages_are_all_fetched(*, tells: bool) -> None:
    """The server caps pages below what was asked for; its flag or its count says that it does."""
    offsets = []

    def fetch(offset: int) -> Page:
        offsets.append(offset)
        numbers = range(95)[offset : offset + 40]
        more = offset + len(numbers) < 95
        items: list[Item] = [{"id": number} for number in numbers]
        return Page(items, has_more=more) if tells else Page(items, 95)

    assert flatten(walk(fetch)) == list(range(95))
    assert offsets == [0, 40, 80]


def test_a_count_of_more_than_there_is_ends_with_an_empty_page() -> None:
    """Once past the end there is nothing, whatever the count says."""
    server = Server(list(range(30)))

    pages = walk(lambda at: Page(server.fetch(at).items, 1_000_000))

    assert (flatten(pages), server.offsets) == (list(range(30)), [0, 30])

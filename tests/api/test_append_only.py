"""Append-only lists: tasks that are inserted anywhere, between any two pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.api.changing_list import INSERTIONS, SIZES, Server, flatten, key
from tower_etl.api import Page, TotalCheck, paginate_append_only
from tower_etl.api.endpoints import MAX_PAGE
from tower_etl.errors import ServerError

if TYPE_CHECKING:
    from tests.api.changing_list import Change
    from tower_etl.api import Item
    from tower_etl.api.pagination import FetchPage


def walk(fetch: FetchPage, total_check: TotalCheck | None = None) -> list[list[Item]]:
    """Return the pages of an append-only list."""
    pages: list[list[Item]] = paginate_append_only(fetch, key, list, total_check or TotalCheck())
    return pages


@given(size=SIZES, changes=st.lists(st.lists(INSERTIONS, max_size=5), max_size=4))
def test_no_task_is_lost_to_insertions_between_pages(
    size: int, changes: list[list[Change]]
) -> None:
    """An insertion shifts other tasks, but each of them is returned once and in order."""
    server = Server(list(range(size)), changes)

    pages = walk(server.fetch)

    got = flatten(pages)
    assert set(range(size)) <= set(got)
    assert len(got) == len(set(got))
    assert [number for number in got if number < size] == list(range(size))


def test_an_insertion_on_a_page_already_read_starts_another_pass() -> None:
    """It shifts the last task of the first page to the second page."""
    server = Server(list(range(150)), [[("insert", 0.0)]])

    got = flatten(walk(server.fetch))

    assert server.offsets == [0, 100, 0, 100]
    assert len(got) == 151


@given(changes=st.lists(st.lists(INSERTIONS, max_size=5), min_size=8, max_size=8))
def test_a_list_that_grows_in_every_pass_is_complete_or_an_error(
    changes: list[list[Change]],
) -> None:
    """No task that existed from the start is left out."""
    server = Server(list(range(250)), changes)

    try:
        got = flatten(walk(server.fetch))
    except ServerError as error:
        assert "changed while it was read, 5 times" in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert set(range(250)) <= set(got)


@pytest.mark.parametrize("counted", [None, MAX_PAGE])
def test_a_repeated_page_is_the_whole_list(counted: int | None) -> None:
    """The server ignores `offset`, which takes two calls (API fact 1)."""
    calls = []

    def fetch(offset: int) -> Page:
        calls.append(offset)
        return Page([{"id": number} for number in range(MAX_PAGE)], minimum_total=counted)

    assert flatten(walk(fetch, total_check := TotalCheck())) == list(range(MAX_PAGE))
    assert (calls, total_check.is_counted, total_check.repeated) == ([0, 100], True, set())


def test_a_repeated_page_with_a_higher_count_fails_the_count_check() -> None:
    """Its items are returned all the same."""
    calls = []

    def fetch(offset: int) -> Page:
        calls.append(offset)
        return Page([{"id": number} for number in range(MAX_PAGE)], minimum_total=345)

    assert flatten(walk(fetch, total_check := TotalCheck())) == list(range(MAX_PAGE))
    assert (calls, total_check.is_counted) == ([0, 100] * 2, False)


@pytest.mark.parametrize(
    ("items", "offsets"),
    [
        ([1, 1], [0]),
        ([*range(99), 5, 100], [0, 100]),
        ([*range(99), 5, 5, 100, 101], [0, 100, 0, 100]),
        ([*range(100), 5, *range(101, 250)], [0, 100, 0, 100, 200]),
        ([*range(100), 100, 5, *range(102, 250)], [0, 100, 0, 100, 200]),
        ([*range(100), 99, *range(101, 250)], [0, 100, 0, 100, 200]),
        ([*range(199), 199, 200, 200, *range(202, 250)], [0, 100, 200]),
    ],
)
def test_a_task_that_is_listed_twice_is_returned_and_reported(
    items: list[int], offsets: list[int]
) -> None:
    """On two pages, it looks like the effect of an insertion, which starts one more pass."""
    server = Server(items)

    got = flatten(walk(server.fetch, total_check := TotalCheck()))

    assert got == items
    assert total_check.repeated == {one for one in items if items.count(one) > 1}
    assert server.offsets == offsets


@pytest.mark.parametrize("total", [None, 3, 100, 230])
def test_a_count_that_is_too_low_does_not_end_the_list(total: int | None) -> None:
    """Only a short page does (API fact 3)."""
    server = Server(list(range(230)))

    pages = walk(
        lambda at: Page(server.fetch(at).items, minimum_total=total), total_check := TotalCheck()
    )

    assert (len(flatten(pages)), server.offsets) == (230, [0, 100, 200])
    assert total_check.is_counted is (total in {None, 230})


@given(
    size=st.integers(0, 250),
    cap=st.integers(1, 120),
    way=st.sampled_from(["flag", "total", "count", "bound"]),
)
def test_all_tasks_are_read_from_pages_of_any_size(size: int, cap: int, way: str) -> None:
    """The server caps pages or ignores `max`; its flag or a count shows whether more follow.

    The lower bound of a count is the offset, the items of the page, and one if more follow.
    """
    offsets: list[int] = []

    def fetch(offset: int) -> Page:
        offsets.append(offset)
        items: list[Item] = [{"id": number} for number in range(size)[offset : offset + cap]]
        end = offset + len(items)
        return {
            "flag": Page(items, has_more=end < size),
            "total": Page(items, size or None),
            "count": Page(items, minimum_total=size or None),
            "bound": Page(items, minimum_total=(end + (end < size)) or None),
        }[way]

    assert flatten(walk(fetch, total_check := TotalCheck())) == list(range(size))
    assert total_check.is_counted
    assert len(offsets) <= 1 + size // min(cap, MAX_PAGE)


@pytest.mark.parametrize("least", [0, 40, 41, 95, 300])
def test_reading_continues_up_to_the_known_minimum_of_tasks(least: int) -> None:
    """A server with capped pages reports no count; the progress of the run has the minimum."""
    server = Server(list(range(95)))

    def fetch(offset: int) -> Page:
        return Page(server.fetch(offset).items[:40])

    got = flatten(walk(fetch, TotalCheck(least=least)))

    assert got == list(range(95 if least > 40 else 40))


def test_a_count_that_is_too_high_ends_with_an_empty_page() -> None:
    """The count check then fails."""
    server = Server(list(range(30)))

    pages = walk(
        lambda at: Page(server.fetch(at).items, minimum_total=1_000_000),
        total_check := TotalCheck(),
    )

    assert (flatten(pages), server.offsets) == (list(range(30)), [0, 30])
    assert not total_check.is_counted

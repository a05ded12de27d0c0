"""Pagination of lists that change between any two pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.api.changing_list import (
    ARRIVALS,
    DELETIONS,
    INSERTIONS,
    SIZES,
    Server,
    flatten,
    key,
    some_changes,
)
from tower_etl.api import Page, PaginationStats, paginate_descending
from tower_etl.api.endpoints import MAX_PAGE
from tower_etl.errors import ServerError

if TYPE_CHECKING:
    from tests.api.changing_list import Change
    from tower_etl.api import Item


def walk(server: Server) -> tuple[list[int], PaginationStats]:
    """Read a list whose items are added and deleted."""
    walked = PaginationStats()
    return flatten(paginate_descending(server.fetch, key, walked)), walked


@given(size=SIZES, counts=st.booleans(), tells=st.booleans())
def test_an_unchanged_list_is_read_in_full(size: int, *, counts: bool, tells: bool) -> None:
    """Items are in order and complete, whether the server reports totals and flags or not."""
    server = Server(list(range(size)), counts=counts, tells=tells)

    got, walked = walk(server)

    assert got == list(range(size))
    assert (walked.count_matches, walked.was_modified, walked.keys) == (
        True,
        False,
        set(range(size)),
    )
    assert set(walked.reported_totals) == ({size} if counts and size else set())
    assert len(server.offsets) <= 2 + size // (MAX_PAGE - 1)


@given(
    size=SIZES,
    changes=some_changes(DELETIONS, INSERTIONS),
    counts=st.booleans(),
    tells=st.booleans(),
)
def test_no_item_is_lost_to_insertions_and_deletions(
    size: int, changes: list[list[Change]], *, counts: bool, tells: bool
) -> None:
    """Items that exist from start to end are returned, and no item is returned twice."""
    server = Server(list(range(size)), changes, counts, tells)

    got, _ = walk(server)

    assert set(range(size)) - server.deleted <= set(got)
    assert len(got) == len(set(got))


@given(size=SIZES, changes=some_changes(ARRIVALS))
def test_insertions_at_the_start_do_not_count_as_a_modification(
    size: int, changes: list[list[Change]]
) -> None:
    """New runs are listed first. They shift known runs to later pages, where the overlap is."""
    server = Server(list(range(size)), changes)

    got, walked = walk(server)

    assert [number for number in got if number < size] == list(range(size))
    assert not walked.was_modified


@given(size=st.integers(MAX_PAGE + 1, 450), changes=some_changes(DELETIONS), counts=st.booleans())
def test_an_unmodified_list_contains_every_item_that_still_exists(
    size: int, changes: list[list[Change]], *, counts: bool
) -> None:
    """Runs are marked as deleted on this condition, so that every deletion must be detected."""
    server = Server(list(range(size)), changes, counts)

    got, walked = walk(server)

    if not walked.was_modified:
        assert set(server.items) <= set(got)


@pytest.mark.parametrize("deleted", [1, 2, 50, 101])
def test_a_list_that_shrinks_below_the_next_page_is_read_to_the_end(deleted: int) -> None:
    """The last of 101 items is shifted to the first page, which was read already."""
    changes: list[list[Change]] = [[("delete", 0.0)] * min(deleted, MAX_PAGE)]
    server = Server(list(range(MAX_PAGE + 1)), changes)

    got, walked = walk(server)

    assert MAX_PAGE in got
    assert walked.was_modified


def test_a_wrong_total_fails_the_count_check() -> None:
    """The server reports 7 items and lists 5, so that no run may be marked as deleted."""
    server, walked = Server(list(range(5))), PaginationStats()

    pages = paginate_descending(lambda at: Page(server.fetch(at).items, 7), key, walked)

    assert flatten(pages) == [0, 1, 2, 3, 4]
    assert (walked.reported_totals, walked.count_matches, walked.was_modified) == (
        [7, 7],
        False,
        False,
    )
    assert server.offsets == [0, 4]  # a second page without new items is the end


@pytest.mark.parametrize(
    ("totals", "seen", "counted"),
    [
        ([], 0, True),
        ([], 5, True),
        ([5], 5, True),
        ([5], 4, False),
        ([5], 6, False),
        ([5, 5], 4, False),
        ([3, 6], 3, True),
        ([6, 3], 5, True),
        ([3, 6, 4], 6, True),
        ([3, 6], 2, False),
        ([3, 6], 7, False),
    ],
)
def test_a_count_matches_within_the_range_of_reported_totals(
    totals: list[int], seen: int, *, counted: bool
) -> None:
    """The totals change, because runs are added and deleted during the pagination."""
    walked = PaginationStats()
    walked.reported_totals, walked.keys = totals, set(range(seen))

    assert walked.count_matches is counted


@given(size=SIZES, changes=some_changes(ARRIVALS))
def test_the_count_matches_after_insertions_at_the_start(
    size: int, changes: list[list[Change]]
) -> None:
    """They change the total between the first page and the last."""
    server = Server(list(range(size)), changes, counts=True)

    _, walked = walk(server)

    assert (walked.count_matches, walked.was_modified) == (True, False)


@pytest.mark.parametrize("end", [MAX_PAGE, 250])
@pytest.mark.parametrize(
    ("length", "total", "has_more", "last"),
    [
        (0, None, None, True),
        (0, 1_000, True, True),
        (7, None, None, True),
        (7, None, False, True),
        (7, None, True, False),
        (7, 0, None, True),
        (7, -1, None, True),
        (7, 0, True, False),
        (7, 1, None, False),
        (7, 1, False, False),
        (7, 1, True, False),
        (MAX_PAGE, None, None, False),
        (MAX_PAGE, None, False, False),
        (MAX_PAGE, 0, None, False),
        (MAX_PAGE, 0, True, False),
        (MAX_PAGE, 0, False, True),
        (MAX_PAGE, -1, False, False),
        (MAX_PAGE, 1, False, False),
    ],
)
def test_length_flag_and_total_decide_whether_a_page_is_the_last(
    length: int, total: int | None, end: int, *, has_more: bool | None, last: bool
) -> None:
    """A short page is, unless the server reports more; a full page needs both flag and total.

    The parameter `total` is relative to the end of the page.
    """
    counted = total if total is None or total == 1_000 else end + total
    page = Page([{"id": number} for number in range(length)], counted, has_more)

    assert page.is_last(end) is last


@pytest.mark.parametrize("length", [2 * MAX_PAGE, MAX_PAGE, 7, 1])
@pytest.mark.parametrize("counts", [False, True])
def test_an_unpaged_list_is_read_in_at_most_two_calls(length: int, *, counts: bool) -> None:
    """The server ignores `offset` and `max`, with a total or without."""
    calls = []

    def fetch(offset: int) -> Page:
        calls.append(offset)
        items: list[Item] = [{"id": number} for number in range(length)]
        return Page(items, length if counts else None)

    got = flatten(paginate_descending(fetch, key, walked := PaginationStats()))

    assert got == list(range(length))
    assert (walked.count_matches, walked.was_modified) == (True, False)
    assert len(calls) == (2 if length == MAX_PAGE else 1)


@pytest.mark.parametrize("has_more", [True, None])
def test_items_after_a_page_of_more_than_requested_are_fetched(*, has_more: bool | None) -> None:
    """The server ignores `max`, honours `offset`, and reports that more items follow."""

    def fetch(offset: int) -> Page:
        items: list[Item] = [{"id": number} for number in range(345)[offset : offset + 150]]
        more = offset + 150 < 345
        return Page(items, has_more=more) if has_more else Page(items, 345)

    assert flatten(paginate_descending(fetch, key, PaginationStats())) == list(range(345))


@given(
    size=st.integers(0, 120),
    cap=st.integers(1, 60),
    asked=st.sampled_from([None, 10, 100]),
    tells=st.booleans(),
)
def test_every_item_is_read_from_pages_of_any_size(
    size: int, cap: int, asked: int | None, *, tells: bool
) -> None:
    def fetch(offset: int) -> Page:
        items: list[Item] = [{"id": number} for number in range(size)[offset : offset + cap]]
        more = offset + len(items) < size
        return Page(items, size or None, more if tells else None, size=asked)

    assert flatten(paginate_descending(fetch, key, PaginationStats())) == list(range(size))


def test_a_deletion_on_a_server_with_capped_pages_hides_no_item() -> None:
    """From the second page on, each page begins with the last item of the page before."""
    numbers = list(range(95))
    calls = []

    def fetch(offset: int) -> Page:
        calls.append(offset)
        if len(calls) == 2:
            del numbers[0]
        items: list[Item] = [{"id": number} for number in numbers[offset : offset + 40]]
        return Page(items, len(numbers))

    got = flatten(paginate_descending(fetch, key, walked := PaginationStats()))

    assert set(range(1, 95)) <= set(got)
    assert walked.was_modified


@pytest.mark.parametrize("length", [MAX_PAGE, 7])
def test_an_endlessly_repeated_page_is_an_error(length: int) -> None:
    """The server ignores `offset` and reports that more items follow."""
    calls = []

    def fetch(offset: int) -> Page:
        calls.append(offset)
        return Page([{"id": number} for number in range(length)], has_more=True)

    with pytest.raises(ServerError, match="its pages repeat, or change faster"):
        list(paginate_descending(fetch, key, PaginationStats()))

    assert len(calls) == 5  # one page with new items, and four without


def test_an_item_twice_on_a_page_is_returned_once() -> None:
    """The last occurrence is used."""
    page = Page([{"id": 1, "at": 1}, {"id": 2}, {"id": 1, "at": 2}])

    walked = paginate_descending(lambda _: page, key, PaginationStats())

    assert [[*items] for items in walked] == [[{"id": 1, "at": 2}, {"id": 2}]]


def test_a_list_with_only_new_items_on_every_page_is_an_error() -> None:
    """No page overlaps the one before, and stepping back does not help."""
    calls = []

    def fetch(offset: int) -> Page:
        calls.append(offset)
        return Page([{"id": len(calls) * 1000 + number} for number in range(MAX_PAGE)])

    with pytest.raises(ServerError):
        list(paginate_descending(fetch, key, PaginationStats()))

    assert len(calls) < 200


def test_a_long_list_tolerates_many_deletions() -> None:
    """Sixty pages have no new items, but as many have some, so that the end is reached."""
    changes: list[list[Change]] = [[("delete", 0.0)], []] * 60
    server = Server(list(range(5_000)), changes)

    got, walked = walk(server)

    assert server.changes == []
    assert set(server.items) <= set(got)
    assert walked.was_modified


def test_a_list_that_becomes_empty_ends_after_the_first_page() -> None:
    """All runs are deleted during the pagination."""
    changes: list[list[Change]] = [[("delete", 0.0)] * 300]
    server = Server(list(range(300)), changes)

    got, walked = walk(server)

    assert got == list(range(MAX_PAGE))
    assert walked.was_modified


@pytest.mark.parametrize("tells", [False, True])
def test_a_server_with_capped_pages_is_read_in_full(*, tells: bool) -> None:
    """Its flag or its total shows that more items follow a short page."""
    calls = []

    def fetch(offset: int) -> Page:
        calls.append(offset)
        numbers = range(95)[offset : offset + 10]
        items: list[Item] = [{"id": number} for number in numbers]
        more = offset + len(numbers) < 95
        return Page(items, has_more=more) if tells else Page(items, 95)

    got = flatten(paginate_descending(fetch, key, walked := PaginationStats()))

    assert got == list(range(95))
    assert (walked.count_matches, walked.was_modified) == (True, False)
    assert len(calls) <= 12


@pytest.mark.parametrize(
    ("size", "calls_of_older", "calls_of_newer"),
    [(0, 1, 1), (1, 1, 1), (99, 1, 1), (100, 2, 1), (101, 2, 2), (199, 3, 2), (200, 3, 3)],
)
def test_pagination_makes_no_unnecessary_call(
    size: int, calls_of_older: int, calls_of_newer: int
) -> None:
    """A short page ends it, and so does a full page if total and flag agree."""
    older = Server(list(range(size)))
    newer = Server(list(range(size)), counts=True, tells=True)

    walk(older)
    walk(newer)

    assert (len(older.offsets), len(newer.offsets)) == (calls_of_older, calls_of_newer)


@pytest.mark.parametrize("total", [None, 5, 100])
def test_has_more_alone_does_not_end_a_full_page(total: int | None) -> None:
    """The flag is false by default on some servers, with no total or one that contradicts it."""
    server = Server(list(range(150)))
    calls: list[int] = []

    def fetch(offset: int) -> Page:
        calls.append(offset)
        return Page(server.fetch(offset).items, None if total == 100 else total, has_more=False)

    assert flatten(paginate_descending(fetch, key, PaginationStats())) == list(range(150))

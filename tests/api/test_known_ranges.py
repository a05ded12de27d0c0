"""Lists of which ranges are known already: few pages are read, and no unknown item is missed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.api.changing_list import Server, key
from tower_etl.api import Page, TotalCheck
from tower_etl.api.task_pages import paginate_around_known
from tower_etl.sync import TaskRange

if TYPE_CHECKING:
    from tower_etl.api import Item
    from tower_etl.api.pagination import FetchPage

Ranges = list[TaskRange]


def ranges_of(ids: list[int], *bounds: tuple[int, int]) -> Ranges:
    """Return known ranges by their offsets."""
    return [TaskRange(start, end, ids[start], ids[end - 1]) for start, end in bounds]


def walk(
    fetch: FetchPage, known: Ranges, total_check: TotalCheck | None = None
) -> list[int] | None:
    """Return the ids outside of the known ranges, None if the ranges have moved."""
    found = paginate_around_known(fetch, key, known, total_check or TotalCheck())
    return None if found is None else [key(item) for _, item in found]


@pytest.mark.parametrize(
    ("bounds", "offsets"),
    [
        ([(0, 520)], [519]),
        ([(0, 500)], [499]),
        ([(0, 419)], [418, 518]),
        ([(1, 520)], [0, 519]),
        ([(1, 300), (301, 520)], [0, 299, 519]),
        ([(1, 60), (61, 520)], [0, 519]),
        ([(1, 99), (100, 520)], [0, 519]),
        ([(1, 100), (101, 520)], [0, 100, 519]),
        ([(0, 30), (31, 99), (101, 520)], [29, 519]),
        ([(10, 20), (30, 40), (50, 90)], [0, 100, 200, 300, 400, 500]),
    ],
)
def test_only_pages_with_unknown_items_are_fetched(
    bounds: list[tuple[int, int]], offsets: list[int]
) -> None:
    """The last item of each skipped range is read too, to verify that the range has not moved."""
    ids = list(range(0, 1040, 2))
    server = Server(ids)

    got = walk(server.fetch, ranges_of(ids, *bounds), total_check := TotalCheck())

    inside = {offset for start, end in bounds for offset in range(start, end)}
    assert got == [number for offset, number in enumerate(ids) if offset not in inside]
    assert (server.offsets, total_check.end) == (offsets, 520)


@given(
    size=st.integers(1, 450),
    cap=st.sampled_from([7, 40, 100, 150]),
    cuts=st.lists(st.integers(0, 450), max_size=12),
    late=st.lists(st.integers(0, 920), max_size=3),
    counts=st.booleans(),
)
def test_late_items_are_returned_or_move_a_known_range(
    size: int, cap: int, cuts: list[int], late: list[int], *, counts: bool
) -> None:
    """This holds for all ranges and page sizes, with a count or a flag."""
    before = list(range(0, 2 * size, 2))
    edges = sorted({min(cut, size) for cut in cuts})
    known = ranges_of(before, *(p for p in zip(edges[::2], edges[1::2], strict=False)))
    after = sorted({*before, *late})

    def fetch(offset: int) -> Page:
        items: list[Item] = [{"id": number} for number in after[offset : offset + cap]]
        more = offset + len(items) < len(after)
        return Page(items, minimum_total=len(after)) if counts else Page(items, has_more=more)

    got = walk(fetch, known)

    inside = {before[offset] for one in known for offset in range(one.start, one.end)}
    if got is None:
        assert after != before
    else:
        assert got == [number for number in after if number not in inside]


@pytest.mark.parametrize("unknown", [1, 9, 10, 11, 20, 95])
def test_a_page_as_long_as_the_first_one_is_not_the_end(unknown: int) -> None:
    """The server ignores the requested size, and reports neither a count nor a flag."""
    ids = list(range(99 + unknown))

    def fetch(offset: int) -> Page:
        return Page([{"id": number} for number in ids[offset : offset + 10]])

    total_check = TotalCheck(least=98 + unknown, expected=len(ids))
    assert walk(fetch, ranges_of(ids, (0, 99)), total_check) == ids[99:]


@given(size=st.integers(50, 450), lost=st.integers(0, 449), start=st.integers(0, 30))
def test_a_deletion_moves_a_known_range(size: int, lost: int, start: int) -> None:
    """A server may lose items, too."""
    before = list(range(size))
    known = ranges_of(before, (start, size))
    after = [number for number in before if number != lost]
    server = Server(after)

    assert (walk(server.fetch, known) is None) == (after != before)


def test_an_insertion_between_two_pages_moves_a_known_range() -> None:
    ids = list(range(1000, 1520))
    server = Server(list(ids), [[("insert", 0.5)]])

    assert walk(server.fetch, ranges_of(ids, (1, 519))) is None


def test_an_item_twice_on_a_page_is_returned_twice_and_reported() -> None:
    """It was not shifted, because one response contains it twice."""
    ids = [*range(30), 29, *range(30, 60)]

    got = walk(Server(ids).fetch, [TaskRange(0, 30, 0, 29)], total_check := TotalCheck())

    assert (got, total_check.repeated) == (ids[30:], {29})


def test_a_server_that_ignores_offsets_is_detected() -> None:
    """The caller then reads the whole list."""
    ids = list(range(100))

    assert walk(lambda _: Page([{"id": n} for n in ids]), ranges_of(ids, (0, 60))) is None

"""Page walks as properties: lists that change between any two pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tower_etl.api import Page, Walked, walk_growing, walk_newest_first
from tower_etl.api.endpoints import MAX_PAGE
from tower_etl.errors import ServerFaultError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    Key = Callable[[Any], int]

SIZES = st.integers(0, 450) | st.sampled_from([99, 100, 101, 102, 199, 200, 299, 300])
PLACES = st.floats(0, 1)
DELETIONS = st.tuples(st.just("delete"), PLACES)
INSERTIONS = st.tuples(st.just("insert"), PLACES)
ARRIVALS = st.tuples(st.just("insert"), st.just(0.0))
Change = tuple[Literal["delete", "insert"], float]


@dataclass
class Server:
    """A paged list of which changes are made between two pages.

    Attributes:
        items: The ids, in the server's order.
        changes: What happens before the second page, before the third, and so on.
        counts: Whether it says how many there are.
        tells: Whether it says that there are more.
        offsets: The pages that were asked for.
        deleted: What is gone.
    """

    items: list[int]
    changes: list[list[Change]] = field(default_factory=list)
    counts: bool = False
    tells: bool = False
    offsets: list[int] = field(default_factory=list)
    deleted: set[int] = field(default_factory=set)
    _new: Iterator[int] = field(default_factory=lambda: count(1_000_000))

    def fetch(self, offset: int) -> Page:
        """Answer a page, after the changes that are due."""
        if self.offsets and self.changes:
            for change in self.changes.pop(0):
                self._change(*change)
        self.offsets.append(offset)
        shown = self.items[offset : offset + MAX_PAGE]
        total = len(self.items) if self.counts and self.items else None
        more = offset + len(shown) < len(self.items) if self.tells else None
        return Page([{"id": number} for number in shown], total, more)

    def _change(self, kind: Literal["delete", "insert"], place: float) -> None:
        at = int(place * len(self.items))
        if kind == "insert":
            self.items.insert(at, next(self._new))
        elif at < len(self.items):
            self.deleted.add(self.items.pop(at))


def key(item: Any) -> int:
    """Tell two items apart."""
    return int(item["id"])


def flatten(pages: Iterable[Sequence[Any]]) -> list[int]:
    """List the ids of all pages."""
    return [key(item) for page in pages for item in page]


def walk(server: Server) -> tuple[list[int], Walked]:
    """Walk a list whose items come and go."""
    walked = Walked()
    return flatten(walk_newest_first(server.fetch, key, walked)), walked


def some_changes(*kinds: st.SearchStrategy[Any]) -> st.SearchStrategy[list[list[Change]]]:
    """Few or many changes, before a few of the pages."""
    return st.lists(st.lists(st.one_of(*kinds), max_size=120), max_size=6)


@given(size=SIZES, counts=st.booleans(), tells=st.booleans())
def test_a_quiet_list_is_walked_whole(size: int, *, counts: bool, tells: bool) -> None:
    """In order, each item once, and known to be complete, whatever the server says of it."""
    server = Server(list(range(size)), counts=counts, tells=tells)

    got, walked = walk(server)

    assert got == list(range(size))
    assert (walked.complete, walked.disturbed) == (True, False)
    assert len(server.offsets) <= 2 + size // (MAX_PAGE - 1)


@given(
    size=SIZES,
    changes=some_changes(DELETIONS, INSERTIONS),
    counts=st.booleans(),
    tells=st.booleans(),
)
def test_no_item_is_lost_to_changes(
    size: int, changes: list[list[Change]], *, counts: bool, tells: bool
) -> None:
    """What was there from start to end is seen, and nothing is seen twice."""
    server = Server(list(range(size)), changes, counts, tells)

    got, _ = walk(server)

    assert set(range(size)) - server.deleted <= set(got)
    assert len(got) == len(set(got))


@given(size=SIZES, changes=some_changes(ARRIVALS))
def test_new_items_disturb_nobody(size: int, changes: list[list[Change]]) -> None:
    """New runs come first: the walk shifts back with them and need not step back."""
    server = Server(list(range(size)), changes)

    got, walked = walk(server)

    assert [number for number in got if number < size] == list(range(size))
    assert not walked.disturbed


@given(size=st.integers(MAX_PAGE + 1, 450), changes=some_changes(DELETIONS), counts=st.booleans())
def test_a_complete_walk_saw_everything_that_is_there(
    size: int, changes: list[list[Change]], *, counts: bool
) -> None:
    """`complete` is what lets the absent be called missing: it must not be said in error."""
    server = Server(list(range(size)), changes, counts)

    got, walked = walk(server)

    if walked.complete:
        assert set(server.items) <= set(got)


@pytest.mark.parametrize("deleted", [1, 2, 50, 101])
def test_a_list_that_shrinks_below_the_next_page_is_not_over(deleted: int) -> None:
    """101 items, and so many of the first page go: the last one is now on the first page."""
    changes: list[list[Change]] = [[("delete", 0.0)] * min(deleted, MAX_PAGE)]
    server = Server(list(range(MAX_PAGE + 1)), changes)

    got, walked = walk(server)

    assert MAX_PAGE in got
    assert walked.disturbed


def test_a_wrong_count_makes_a_walk_incomplete() -> None:
    """The server says 7 and shows 5: nothing may be called missing."""
    walked = Walked()
    page = Page([{"id": number} for number in range(5)], total=7)

    got = flatten(walk_newest_first(lambda _: page, key, walked))

    assert (got, walked.complete, walked.disturbed) == ([0, 1, 2, 3, 4], False, False)


@pytest.mark.parametrize("length", [MAX_PAGE, 7])
def test_a_page_that_repeats_for_ever_ends_with_an_error(length: int) -> None:
    """A server that ignores `offset` and says that there is more."""
    calls = []

    def fetch(offset: int) -> Page:
        calls.append(offset)
        return Page([{"id": number} for number in range(length)], has_more=True)

    with pytest.raises(ServerFaultError, match="its pages repeat, or change faster"):
        list(walk_newest_first(fetch, key, Walked()))

    assert len(calls) < 100


def test_a_list_that_is_new_on_every_page_ends_with_an_error() -> None:
    """Nothing is ever recognised: the walk steps back, and gives up in the end."""
    calls = []

    def fetch(offset: int) -> Page:
        calls.append(offset)
        return Page([{"id": len(calls) * 1000 + number} for number in range(MAX_PAGE)])

    with pytest.raises(ServerFaultError):
        list(walk_newest_first(fetch, key, Walked()))

    assert len(calls) < 200


def test_a_list_that_empties_itself_ends() -> None:
    """All runs are deleted while the walk is under way."""
    changes: list[list[Change]] = [[("delete", 0.0)] * 300]
    server = Server(list(range(300)), changes)

    got, walked = walk(server)

    assert got == list(range(MAX_PAGE))
    assert walked.disturbed


def test_a_server_with_shorter_pages_is_walked_whole() -> None:
    """It caps pages below what was asked for, and says that there is more."""
    calls = []

    def fetch(offset: int) -> Page:
        calls.append(offset)
        numbers = range(95)[offset : offset + 10]
        return Page([{"id": number} for number in numbers], has_more=offset + len(numbers) < 95)

    got = flatten(walk_newest_first(fetch, key, walked := Walked()))

    assert got == list(range(95))
    assert walked.complete
    assert len(calls) <= 12


@pytest.mark.parametrize(
    ("size", "calls_of_older", "calls_of_newer"),
    [(0, 1, 1), (1, 1, 1), (99, 1, 1), (100, 2, 1), (101, 2, 2), (199, 3, 2), (200, 3, 3)],
)
def test_a_walk_costs_no_call_too_many(size: int, calls_of_older: int, calls_of_newer: int) -> None:
    """A short page ends it; so does a full one when count and flag agree that it is the last."""
    older = Server(list(range(size)))
    newer = Server(list(range(size)), counts=True, tells=True)

    walk(older)
    walk(newer)

    assert (len(older.offsets), len(newer.offsets)) == (calls_of_older, calls_of_newer)


@pytest.mark.parametrize("total", [None, 5, 100])
def test_has_more_alone_does_not_end_a_full_page(total: int | None) -> None:
    """A flag that is false by default on some servers, with a count that speaks against it."""
    server = Server(list(range(150)))
    calls: list[int] = []

    def fetch(offset: int) -> Page:
        calls.append(offset)
        return Page(server.fetch(offset).items, None if total == 100 else total, has_more=False)

    assert flatten(walk_newest_first(fetch, key, Walked())) == list(range(150))


@given(size=SIZES, changes=st.lists(st.lists(INSERTIONS, max_size=5), max_size=4))
def test_no_task_is_lost_to_tasks_in_between(size: int, changes: list[list[Change]]) -> None:
    """A task that enters the list anywhere shifts others, yet all come, each once, in order."""
    server = Server(list(range(size)), changes)

    pages = walk_growing(server.fetch, key)

    got = flatten(pages)
    assert set(range(size)) <= set(got)
    assert len(got) == len(set(got))
    assert [number for number in got if number < size] == list(range(size))


@given(size=SIZES, start=st.sampled_from([0, 100, 200]))
def test_a_walk_begins_where_it_is_told(size: int, start: int) -> None:
    """Tasks that are settled are not fetched again; all others come in whole pages."""
    server = Server(list(range(size)))

    pages = walk_growing(server.fetch, key, start)

    assert flatten(pages) == list(range(start, size))
    assert all(len(page) == MAX_PAGE for page in pages[:-1])
    assert len(server.offsets) == 1 + max(0, size - start) // MAX_PAGE


def test_a_task_between_two_pages_starts_the_walk_again() -> None:
    """The last task of page one comes twice: page one holds another one now."""
    server = Server(list(range(150)), [[("insert", 0.0)]])

    got = flatten(walk_growing(server.fetch, key))

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
        walk_growing(fetch, key)

    assert len(calls) <= 10


@pytest.mark.parametrize("total", [None, 0, 3, 1_000_000])
def test_the_count_of_tasks_is_not_relied_on(total: int | None) -> None:
    """A short page ends the list, and nothing else does (API fact 3)."""
    server = Server(list(range(230)))

    pages = walk_growing(lambda at: Page(server.fetch(at).items, total), key)

    assert (len(flatten(pages)), server.offsets) == (230, [0, 100, 200])

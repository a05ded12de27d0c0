"""The walk of a list that only grows, in the order of its keys: the tasks of a run.

An item that comes on two pages means one of two things. Either another item was added where the
walk has been already: the walk starts again. Or the server lists it twice: then the same item comes
twice in the next walk, too. Such an item, like one that is twice on one page, is taken twice, and
the later one counts.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol, TypeVar

from tower_etl.api.pages import ANY_LIST, unstable_list_error

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from tower_etl.api.pages import FetchPage, Item, Key, Page

_MAX_PASSES = 5


class PageSink(Protocol):
    """What takes the pages of a walk, such as a list."""

    def append(self, page: list[Item], /) -> None:
        """Take one page."""


SinkT = TypeVar("SinkT", bound=PageSink)


@dataclass
class TotalCheck:
    """What a walk of a growing list found out beside its items.

    Attributes:
        least: How many items there are at least, by what else the server says.
        end: Offset just past the last item.
        total: The last count that the server gave, None where it gave none.
        is_bound: Whether that count came with a full page, and may be a lower bound.
        is_exact: Whether pages that came out of order do not contradict the server's counts.
        repeated: Keys that the server lists twice.
        doubted: Keys that came on two pages in an earlier walk, for which it was started again.
    """

    least: int = 0
    end: int = 0
    total: int | None = None
    is_bound: bool = False
    is_exact: bool = True
    repeated: set[Hashable] = field(default_factory=set)
    contradicted: set[Hashable] = field(default_factory=set)

    @property
    def is_counted(self) -> bool:
        """Whether the server's count does not speak against the number of items."""
        return self.total is None or self.total in {self.end, self.end + self.is_bound}

    def record(self, page: Page, end: int) -> None:
        """Take the next page, which ends there."""
        self.end = end
        if page.count is not None:
            self.total = page.count
            self.is_bound = page.size is None or len(page.items) >= page.size


def paginate_append_only(
    fetch: FetchPage,
    key: Key,
    make: Callable[[], SinkT],
    tally: TotalCheck | None = None,
    name: str = ANY_LIST,
) -> SinkT:
    """Return all pages of a list that only grows.

    Args:
        fetch: The page at an offset.
        key: What tells two items apart.
        make: Gives what takes the pages of one walk; that of the walk that succeeds is returned.
        tally: Filled in on the way.
        name: The list, for messages.

    Raises:
        ServerFaultError: The list grew within itself during every one of a few walks.
    """
    tally = tally or TotalCheck()
    for _ in range(_MAX_PASSES):
        taker = make()
        if _paginate_once(fetch, key, taker, tally):
            return taker
    raise unstable_list_error(name, _MAX_PASSES)


def _paginate_once(fetch: FetchPage, key: Key, taker: PageSink, tally: TotalCheck) -> bool:
    """Whether all pages were taken; not so when an item may have been added behind the walk."""
    walk = _AppendOnlyPass(key, taker, tally)
    while True:
        is_whole = walk.take(fetch(tally.end))
        if is_whole is not None:
            return is_whole


class _AppendOnlyPass:
    """One walk from the first page on."""

    def __init__(self, key: Key, taker: PageSink, tally: TotalCheck) -> None:
        self._key = key
        self._taker = taker
        self._tally = tally
        self._order: list[Hashable] = []
        self._seen: set[Hashable] = set()
        self._length: int | None = None
        tally.end, tally.total, tally.repeated = 0, None, set()

    def take(self, page: Page) -> bool | None:
        """Take the next page; return whether the list is whole, None where more follows."""
        keys, tally = [self._key(item) for item in page.items], self._tally
        if keys and keys == self._order and not self._goes_on(page):
            return True  # `offset` is ignored: the first page was the whole list
        again = self._seen.intersection(keys)
        if not again <= tally.contradicted:
            tally.contradicted |= again
            return False
        if keys and self._seen.issuperset(keys):
            return True  # the same pages as in the walk before, and nothing on them is new
        tally.repeated |= again | {one for one, times in Counter(keys).items() if times > 1}
        if self._length is not None:  # a page of that length was followed by another one
            page = replace(page, size=self._length)
        self._order += keys
        self._seen.update(keys)
        tally.record(page, tally.end + len(keys))
        if page.items:
            self._taker.append(page.items)
            self._length = self._length or len(page.items)
        return page.is_last(tally.end, tally.least) or None

    def _goes_on(self, page: Page) -> bool:
        return page.says_more(self._tally.end) or self._tally.least > self._tally.end

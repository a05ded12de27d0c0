"""The page walk: no item is lost when others are added or deleted between two pages.

Offsets count from the start of the list, so that an item added before the page at hand shifts the
next one back (items come twice), and a deleted one shifts it on (items are passed over). Both are
told by where a page starts: `paginate_descending` lets each page begin with the last item of the
page before. When it begins with an unknown item, or is empty, something was skipped: the walk steps
back until it meets an item that it knows. Append-only lists need no steps back.

A walk ends with a short page, unless the server says that more follows: it may give fewer items
than requested (API facts 1 and 3). Where only its count says so, an empty page, or one that brings
nothing new, is the end. A list that is not paged comes whole: as a page of more items than
requested, or as the same page again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from tower_etl.api.endpoints import MAX_PAGE
from tower_etl.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Iterator

Item = Mapping[str, Any]
Key = Callable[[Item], Hashable]

ANY_LIST = "The list"

_MAX_STALLED_PAGES = 50  # pages that bring nothing, less those that do
_MAX_REPEATED_PAGES = 3  # times that the first page comes again although more is said to follow
_MIN_PAGE_ITEMS = 10  # items a page, on the average of a long walk


@dataclass(frozen=True)
class Page:
    """One answer of a paged endpoint.

    Attributes:
        items: What it holds, in the server's order.
        total: How many there are in all by the server's word, None if it does not say.
        has_more: Whether another page follows by its word, None if it does not say.
        count: A lower bound of how many there are in all, above the end of this page if more
            follows (API fact 3); None if it does not say.
        size: How many items were requested, None where that was left to the server.
    """

    items: list[Item]
    total: int | None = None
    has_more: bool | None = None
    count: int | None = None
    size: int | None = MAX_PAGE

    def says_more(self, end: int) -> bool:
        """Whether the server says that there are items beyond the first `end`."""
        return self.has_more is True or max(self.total or 0, self.count or 0) > end

    def is_last(self, end: int, least: int = 0) -> bool:
        """Whether nothing follows.

        A page of fewer or more items than requested is the last one, unless the server says that
        there is more. A page of as many is not, unless flag and total agree that it is.

        Args:
            end: The offset just past this page.
            least: How many items there are at least, by what else the server says.
        """
        if not self.items:
            return True
        if self.says_more(end) or end < least:
            return False
        if self.size is None:
            return self.has_more is False or self.total is not None or self.count is not None
        return len(self.items) != self.size or (self.has_more is False and self.total == end)


FetchPage = Callable[[int], Page]


def limit_items(most: int, fetch: FetchPage, name: str = ANY_LIST) -> FetchPage:
    """Return `fetch` for a list of at most so many items and of pages that are not all but empty.

    Args:
        most: Items after which the list has no end.
        fetch: The page at an offset.
        name: The list, for messages.

    Raises:
        ServerError: From the page at which the list should have ended long ago.
    """
    items = pages = 0

    def fetch_bounded(offset: int) -> Page:
        nonlocal items, pages
        page = fetch(offset)
        items, pages = items + len(page.items), pages + 1
        if items > most or pages > most // _MIN_PAGE_ITEMS:
            msg = f"{name}: no end after {items:,} items on {pages:,} pages. It is left out."
            raise ServerError(msg)
        return page

    return fetch_bounded


class PaginationStats:
    """What a walk has seen: enough to tell whether it was disturbed.

    Attributes:
        seen: Keys of the items, each once.
        totals: The counts that the server gave on the way.
        disturbed: Whether items were passed over, so that the walk had to step back.
        repeated: Keys of items that the server lists more than once, although nothing moved.
    """

    def __init__(self) -> None:
        self.keys: set[Hashable] = set()
        self.reported_totals: list[int] = []
        self.was_modified = False
        self.repeated: set[Hashable] = set()

    @property
    def count_matches(self) -> bool:
        """Whether no count of the server speaks against what was seen.

        Items that come or go during the walk move the count, so that any on the way will do.
        """
        return not self.reported_totals or min(self.reported_totals) <= len(self.keys) <= max(
            self.reported_totals
        )

    def take(self, page: Page, key: Key) -> list[Item]:
        """The items of the page that are new, noted as seen."""
        if page.total is not None:
            self.reported_totals.append(page.total)
        keys = [key(item) for item in page.items]
        self._note_repeated(keys)
        fresh = dict(zip(keys, page.items, strict=True))  # a page may name one twice
        for known in fresh.keys() & self.keys:
            del fresh[known]
        self.keys.update(fresh)
        return list(fresh.values())

    def _note_repeated(self, keys: list[Hashable]) -> None:
        """Note the keys that a page names twice, and known ones after one that is new.

        Known items at the start of a page are the overlap, or were shifted there by an insertion.
        """
        repeated = {one for one, times in Counter(keys).items() if times > 1}
        if not self.was_modified:
            fresh = next((at for at, one in enumerate(keys) if one not in self.keys), len(keys))
            repeated |= self.keys.intersection(keys[fresh:])
        self.repeated |= repeated


def paginate_descending(
    fetch: FetchPage, key: Key, walked: PaginationStats, name: str = ANY_LIST
) -> Iterator[list[Item]]:
    """Yield the pages of a list whose items come and go, each item once.

    Args:
        fetch: The page at an offset.
        key: What tells two items apart.
        walked: Filled in on the way.
        name: The list, for messages.

    Raises:
        ServerError: The list moves faster than it can be walked, or repeats for ever.
    """
    offset, overlaps, strikes, repeats = 0, False, 0, _RepeatedPages()
    while True:
        page = fetch(offset)
        passed_over = overlaps and not (page.items and key(page.items[0]) in walked.keys)
        fresh = [] if passed_over else walked.take(page, key)
        strikes = max(0, strikes - 1) if fresh else strikes + 1
        if strikes > _MAX_STALLED_PAGES or repeats.count(page, key) > _MAX_REPEATED_PAGES:
            raise unstable_list_error(name, strikes)
        if passed_over:
            walked.was_modified = True
            offset = max(0, offset - max(1, (page.size or MAX_PAGE) // 2))
            overlaps = offset > 0
            continue
        if fresh:
            yield fresh
        end = offset + len(page.items)
        is_whole = repeats.times and not page.says_more(len(walked.keys))
        is_over = overlaps and not fresh and len(page.items) == 1 and not page.has_more
        if page.is_last(end) or is_whole or is_over:
            return
        overlaps = len(page.items) > 1
        offset = end - 1 if overlaps else end


class _RepeatedPages:
    """Counts how often the first page of a walk came again, as it does where `offset` is ignored.

    Attributes:
        times: In a row, up to now.
    """

    def __init__(self) -> None:
        self.times = 0
        self._first: set[Hashable] | None = None

    def count(self, page: Page, key: Key) -> int:
        """Take the next page; return how often the first one came again, in a row."""
        keys = {key(item) for item in page.items}
        if self._first is None:
            self._first = keys
        elif keys and keys == self._first:
            self.times += 1
        else:
            self.times = 0
        return self.times


def unstable_list_error(name: str, count: int) -> ServerError:
    """Make the error for a list that cannot be read page by page."""
    msg = (
        f"{name}: the list moved under the walk {count} times: its pages repeat, or change faster "
        "than they can be read. Nothing of it was taken; the next sync tries again."
    )
    return ServerError(msg)


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
        ServerError: The list grew within itself during every one of a few walks.
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

"""The page walk: no item is lost when others are added or deleted between two pages.

Offsets count from the start of the list, so that an item added before the page at hand shifts the
next one back (items come twice), and a deleted one shifts it on (items are passed over). Both are
told by where a page starts: `walk_newest_first` lets each page begin with the last item of the page
before. When it begins with an item never seen, or is empty, something was passed over: the walk
steps back until it meets an item that it knows. Lists that only grow are walked by `growing.py`.

A walk ends with a short page, unless the server says that more follows: it may give fewer items
than requested (API facts 1 and 3). Where only its count says so, an empty page, or one that brings
nothing new, is the end. A list that is not paged comes whole: as a page of more items than
requested, or as the same page again.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
        ServerFaultError: From the page at which the list should have ended long ago.
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
    """

    def __init__(self) -> None:
        self.keys: set[Hashable] = set()
        self.reported_totals: list[int] = []
        self.was_modified = False

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
        fresh = {key(item): item for item in page.items}  # a page may name one twice
        for known in fresh.keys() & self.keys:
            del fresh[known]
        self.keys.update(fresh)
        return list(fresh.values())


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
        ServerFaultError: The list moves faster than it can be walked, or repeats for ever.
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

"""The page walk: no item is lost when others are added or deleted between two pages.

Offsets count from the start of the list, so that an item added before the page at hand shifts the
next one back (items come twice), and a deleted one shifts it on (items are passed over). Both are
told by where a page starts:

- `walk_newest_first` lets each page begin with the last item of the page before. When it begins
  with an item never seen, or is empty, something was passed over: the walk steps back until it
  meets an item that it knows.
- `walk_growing` is for lists that only grow (the tasks of a run). There an item that comes twice
  means that another was added before it, where the walk has been already: it starts again.

Both end on a short page (API fact 3: totals may be missing, or wrong). Where only the count says
that more follows a short page, one more page is asked for, and an empty one is the end.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from tower_etl.api.endpoints import MAX_PAGE
from tower_etl.errors import ServerFaultError

if TYPE_CHECKING:
    from collections.abc import Iterator

Item = Mapping[str, Any]
Key = Callable[[Item], Hashable]

_MAX_STRIKES = 50  # pages that bring nothing, less those that do
_MAX_WALKS = 5
_LEAST_PAGE = 10  # items a page, on the average of a long walk


@dataclass(frozen=True)
class Page:
    """One answer of a paged endpoint.

    Attributes:
        items: What it holds, in the server's order.
        total: How many there are in all by the server's word, None if it does not say.
        has_more: Whether another page follows by its word, None if it does not say.
        count: How many there are in all where its word is good for a guess alone.
    """

    items: list[Item]
    total: int | None = None
    has_more: bool | None = None
    count: int | None = None

    def is_last(self, end: int) -> bool:
        """Whether nothing follows, where `end` is the offset just past this page.

        A short page is the last one, unless the server says that there is more: it may give fewer
        than were asked for. A full one is not, unless flag and count agree that it is.
        """
        if not self.items:
            return True
        if len(self.items) < MAX_PAGE:
            return not self.has_more and (self.total is None or end >= self.total)
        return self.has_more is False and self.total == end


FetchPage = Callable[[int], Page]


def end_after(most: int, fetch: FetchPage) -> FetchPage:
    """`fetch`, for a list of so many items and of pages that are not all but empty.

    Raises:
        ServerFaultError: From the page at which the list should have ended long ago.
    """
    items = pages = 0

    def fetch_bounded(offset: int) -> Page:
        nonlocal items, pages
        page = fetch(offset)
        items, pages = items + len(page.items), pages + 1
        if items > most or pages > most // _LEAST_PAGE:
            msg = f"The list had no end after {items:,} items on {pages:,} pages. It is left out."
            raise ServerFaultError(msg)
        return page

    return fetch_bounded


class TakesPages(Protocol):
    """What takes the pages of a walk, such as a list."""

    def append(self, page: list[Item], /) -> None:
        """Take one page."""


Taker = TypeVar("Taker", bound=TakesPages)


class Walked:
    """What a walk has seen: enough to tell whether it was disturbed.

    Attributes:
        seen: Keys of the items, each once.
        totals: The counts that the server gave on the way.
        disturbed: Whether items were passed over, so that the walk had to step back.
    """

    def __init__(self) -> None:
        self.seen: set[Hashable] = set()
        self.totals: list[int] = []
        self.disturbed = False

    @property
    def is_counted(self) -> bool:
        """Whether no count of the server speaks against what was seen.

        Items that come or go during the walk move the count, so that any on the way will do.
        """
        return not self.totals or min(self.totals) <= len(self.seen) <= max(self.totals)

    def take(self, page: Page, key: Key) -> list[Item]:
        """The items of the page that are new, noted as seen."""
        if page.total is not None:
            self.totals.append(page.total)
        fresh = {key(item): item for item in page.items}  # a page may name one twice
        for known in fresh.keys() & self.seen:
            del fresh[known]
        self.seen.update(fresh)
        return list(fresh.values())


def walk_newest_first(fetch: FetchPage, key: Key, walked: Walked) -> Iterator[list[Item]]:
    """Pages of a list whose items come and go, each item once.

    Args:
        fetch: The page at an offset.
        key: What tells two items apart.
        walked: Filled in on the way.

    Raises:
        ServerFaultError: The list moves faster than it can be walked, or repeats for ever.
    """
    offset, strikes, probing = 0, 0, False
    while True:
        page = fetch(offset)
        if probing and not page.items:
            return  # the count was of more than there is
        end = offset + len(page.items)
        known = bool(page.items) and key(page.items[0]) in walked.seen
        passed_over = offset > 0 and not probing and not known
        fresh = [] if passed_over else walked.take(page, key)
        strikes = max(0, strikes - 1) if fresh else strikes + 1
        _give_up_after(strikes, _MAX_STRIKES)
        if passed_over:
            walked.disturbed = True
            offset = max(0, offset - MAX_PAGE // 2)
            continue
        if fresh:
            yield fresh
        if page.is_last(end):
            return
        probing = len(page.items) < MAX_PAGE and not page.has_more
        offset = end if probing or end == offset + 1 else end - 1


def walk_growing(fetch: FetchPage, key: Key, make: Callable[[], Taker], start: int = 0) -> Taker:
    """All pages of a list that only grows, from an offset on.

    Args:
        fetch: The page at an offset.
        key: What tells two items apart.
        make: Gives what takes the pages of one walk; that of the walk that succeeds is handed back.
        start: Offset of the first page.

    Raises:
        ServerFaultError: The list grew within itself during every one of a few walks.
    """
    for _ in range(_MAX_WALKS):
        taker = make()
        if walk_once(fetch, key, start, taker):
            return taker
    _give_up_after(_MAX_WALKS, _MAX_WALKS - 1)
    raise AssertionError


def walk_once(fetch: FetchPage, key: Key, start: int, taker: TakesPages) -> bool:
    """Whether all pages were taken; not so when an item came twice."""
    seen: set[Hashable] = set()
    offset = start
    while True:
        page = fetch(offset)
        keys = {key(item) for item in page.items}
        if len(keys) < len(page.items) or keys & seen:
            return False
        seen |= keys
        offset += len(page.items)
        if page.items:
            taker.append(page.items)
        if page.is_last(offset):
            return True


def _give_up_after(count: int, limit: int) -> None:
    if count > limit:
        msg = (
            f"The list moved under the walk {count} times: its pages repeat, or change faster than "
            "they can be read. Nothing of it was taken; the next sync tries again."
        )
        raise ServerFaultError(msg)

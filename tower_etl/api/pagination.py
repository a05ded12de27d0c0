"""Pagination that loses no item when others are added or deleted between two pages.

Offsets count from the start of the list. An item that is added before the current page shifts
items onto the next page (they come twice), and a deleted one shifts items onto the current page
(they are skipped). Both are detected by an overlap: `paginate_descending` lets each page begin with
the last item of the page before. A page that is empty or begins with an unknown item shows that
items were skipped; the pagination then steps back until it meets a known item. Append-only lists
need no steps back.

Pagination ends with a short page, unless the server reports that more items follow: it may return
fewer items than requested (API facts 1 and 3). If only its count says so, an empty page or a page
without new items is the end. An endpoint that ignores pagination returns the whole list, as a page
with more items than requested or as the same page again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tower_etl.api.endpoints import MAX_PAGE
from tower_etl.api.records import MissingKey, make_key_reader, split_keyed, with_typed_key
from tower_etl.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator

    from tower_etl.api.endpoints import FieldTypes
    from tower_etl.api.records import Item, KeyReader

ANY_LIST = "The list"

_MAX_STALLED_PAGES = 50  # pages without new items, minus pages with some
_MAX_REPEATED_PAGES = 3  # repetitions of the first page while the server reports more items
_MIN_PAGE_ITEMS = 10  # average number of items per page of a long list


@dataclass(frozen=True)
class Page:
    """Page of a list.

    Attributes:
        items: Items in the server's order.
        total: Number of all items according to the server, None if it does not report one.
        has_more: Whether more pages follow according to the server, None if it does not report it.
        minimum_total: Lower bound of the number of all items, greater than the end of this page if
            more follow (API fact 3); None if the server does not report one.
        size: Number of items requested, None for the server's default.
    """

    items: list[Item]
    total: int | None = None
    has_more: bool | None = None
    minimum_total: int | None = None
    size: int | None = MAX_PAGE

    def says_more(self, end: int) -> bool:
        """Return whether the server reports items beyond the first `end` ones."""
        return self.has_more is True or max(self.total or 0, self.minimum_total or 0) > end

    def is_last(self, end: int, least: int = 0) -> bool:
        """Return whether this is the last page, if it ends before the offset `end`.

        A page with fewer or more items than requested is the last one, unless the server reports
        more items, or other responses show that there are at least `least`. A page with the
        requested number is not, unless `has_more` and `total` agree.
        """
        if not self.items:
            return True
        if self.says_more(end) or end < least:
            return False
        if self.size is None:
            return (
                self.has_more is False or self.total is not None or self.minimum_total is not None
            )
        return len(self.items) != self.size or (self.has_more is False and self.total == end)


FetchPage = Callable[[int], Page]  # fetches the page at an offset


def limit_items(most: int, fetch: FetchPage, name: str = ANY_LIST) -> FetchPage:
    """Return `fetch` with a limit of the items and pages, for servers whose lists have no end.

    The returned function raises `ServerError` for the page that exceeds the limit.
    """
    items = pages = 0

    def fetch_bounded(offset: int) -> Page:
        nonlocal items, pages
        page = fetch(offset)
        items, pages = items + len(page.items), pages + 1
        if items > most or pages > most // _MIN_PAGE_ITEMS:
            msg = (
                f"{name}: no end after {items:,} items on {pages:,} pages. None of its items were "
                "loaded. Report it to the administrator of the server."
            )
            raise ServerError(msg)
        return page

    return fetch_bounded


@dataclass
class PaginationStats:
    """Statistics of reading a list, from which its completeness is derived.

    Attributes:
        keys: Keys of the items that were read.
        reported_totals: Total counts that the server reported with the pages.
        was_modified: Whether items were skipped, so that the pagination had to step back.
        repeated: Keys of items that the server lists more than once in an unmodified list.
    """

    keys: set[Hashable] = field(default_factory=set)
    reported_totals: list[int] = field(default_factory=list)
    was_modified: bool = False
    repeated: set[Hashable] = field(default_factory=set)

    @property
    def count_matches(self) -> bool:
        """Whether the number of items is within the range of the reported totals, if any.

        Items that are added or deleted during the pagination change the total.
        """
        return not self.reported_totals or min(self.reported_totals) <= len(self.keys) <= max(
            self.reported_totals
        )

    def take(self, page: Page, read_key: KeyReader) -> list[Item]:
        """Add a page, and return its items that are new."""
        if page.total is not None:
            self.reported_totals.append(page.total)
        keys = [read_key(item) for item in page.items]
        self._add_repeated(keys)
        new = dict(zip(keys, page.items, strict=True))  # a page may contain an item twice
        for known_key in new.keys() & self.keys:
            del new[known_key]
        self.keys.update(new)
        return list(new.values())

    def _add_repeated(self, keys: list[Hashable]) -> None:
        """Record the keys that a page has twice, and known keys that follow a new one.

        Known keys at the start of a page are the overlap, or were shifted there by an insertion.
        """
        repeated = {key for key, count in Counter(keys).items() if count > 1}
        if not self.was_modified:
            is_new = (index for index, key in enumerate(keys) if key not in self.keys)
            repeated |= self.keys.intersection(keys[next(is_new, len(keys)) :])
        self.repeated |= {key for key in repeated if not isinstance(key, MissingKey)}


@dataclass(frozen=True)
class EntityList:
    """Items of a list endpoint.

    Attributes:
        items: Items, each once.
        complete: Whether an item that is not in the list certainly does not exist: the list did
            not change while it was read, the count of the server, if any, matches, and no element
            was skipped.
        left_out: Number of elements without a key.
        repeated: Number of items that the server lists more than once.
        total: Count of the server if it differs from the number of listed items, else None.
    """

    items: list[Item]
    complete: bool
    left_out: int = 0
    repeated: int = 0
    total: int | None = None

    @classmethod
    def of(
        cls, listed_items: Iterable[Item], key: FieldTypes, stats: PaginationStats
    ) -> EntityList:
        """Return the items that a pagination yields, with its statistics at the end."""
        items, left_out = split_keyed(listed_items, make_key_reader(key))
        return cls(
            [with_typed_key(item, key) for item in items],
            complete=stats.count_matches and not stats.was_modified and not left_out,
            left_out=left_out,
            repeated=len(stats.repeated),
            total=None if stats.count_matches or stats.was_modified else stats.reported_totals[-1],
        )


def paginate_descending(
    fetch: FetchPage, read_key: KeyReader, stats: PaginationStats, name: str = ANY_LIST
) -> Iterator[list[Item]]:
    """Yield the pages of a list to and from which items are added and deleted, each item once.

    `stats` is filled in during the iteration; `name` is the name of the list in messages.

    Raises:
        ServerError: The list changes faster than it can be read, or repeats endlessly.
    """
    offset, overlaps, stalled = 0, False, 0
    # Servers that ignore `offset` repeat the first page.
    first_keys, repeats = None, 0
    while True:
        page = fetch(offset)
        has_gap = overlaps and not (page.items and read_key(page.items[0]) in stats.keys)
        new = [] if has_gap else stats.take(page, read_key)
        stalled = max(0, stalled - 1) if new else stalled + 1
        keys = {read_key(item) for item in page.items}
        repeats = repeats + 1 if keys and keys == first_keys else 0
        first_keys = keys if first_keys is None else first_keys
        if stalled > _MAX_STALLED_PAGES or repeats > _MAX_REPEATED_PAGES:
            raise unstable_list_error(name, stalled)
        if has_gap:
            stats.was_modified = True
            # Half a page: enough for a few deletions, without reading a whole page again.
            offset = max(0, offset - max(1, (page.size or MAX_PAGE) // 2))
            overlaps = offset > 0
            continue
        if new:
            yield new
        end = offset + len(page.items)
        is_unpaged = repeats and not page.says_more(len(stats.keys))
        is_end = overlaps and not new and len(page.items) == 1 and not page.has_more
        if page.is_last(end) or is_unpaged or is_end:
            return
        overlaps = len(page.items) > 1
        offset = end - 1 if overlaps else end


def unstable_list_error(name: str, count: int) -> ServerError:
    """Return the error for a list that changes too fast to be read in pages."""
    msg = (
        f"{name}: the list changed while it was read, {count} times: its pages repeat, or change "
        "faster than they can be read. None of its items were loaded; the next sync retries."
    )
    return ServerError(msg)

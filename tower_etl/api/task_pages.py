"""Pagination of task lists, to which tasks are only added, but not always at the end.

`paginate_append_only` reads the pages one after another. `fetch_stable_list` fetches them in
parallel, so that a run with many tasks does not wait for each response in turn. Out-of-order
responses can hide an insertion, because it shifts items to a page already read; it is therefore
used only for lists that no longer change, such as the tasks of a finished run, and the pages are
compared with the server's count. `paginate_around_known` reads only the pages with unknown items.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol, TypeVar

from tower_etl.api.endpoints import RUN_TASKS
from tower_etl.api.pagination import unstable_list_error

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence
    from concurrent.futures import Executor, Future

    from tower_etl.api.pagination import FetchPage, Page
    from tower_etl.api.records import Item, KeyReader

_LIST = f"GET {RUN_TASKS.path}"
_MAX_PASSES = 5
_PREFETCHED_PAGES = 8  # the usual number of workers: more pages would hardly be in flight


class PageSink(Protocol):
    """Sink of pages, such as a list."""

    def append(self, page: list[Item], /) -> None:
        """Add a page."""


SinkT = TypeVar("SinkT", bound=PageSink)


@dataclass
class TotalCheck:
    """Comparison of a task list with the server's counts, filled in while the list is read.

    Attributes:
        least: Minimum number of items in the list, known from other responses.
        expected: Number of items in the list by other responses, which may be wrong. The list is
            read up to it if the server reports no count.
        end: Offset just past the last item that was read.
        reported_total: Last count that the server reported, None without one.
        is_bound: Whether that count came with a full page, so that it may be a lower bound.
        is_exact: Whether the server's counts agree with pages that were fetched out of order.
        repeated: Keys of items that the server lists twice.
        contradicted: Keys of items that were on two pages in an earlier pass, which was repeated
            for that reason.
    """

    least: int = 0
    expected: int = 0
    end: int = 0
    reported_total: int | None = None
    is_bound: bool = False
    is_exact: bool = True
    repeated: set[Hashable] = field(default_factory=set)
    contradicted: set[Hashable] = field(default_factory=set)

    @property
    def is_counted(self) -> bool:
        """Whether the number of items agrees with the server's count, if any."""
        return self.reported_total is None or self.reported_total in {
            self.end,
            self.end + self.is_bound,
        }

    def record(self, page: Page, end: int) -> None:
        """Record the count of the next page, and the offset just past it."""
        self.end = end
        if page.minimum_total is not None:
            self.reported_total = page.minimum_total
            self.is_bound = page.size is None or len(page.items) >= page.size

    def is_last(self, page: Page) -> bool:
        """Return whether the page that was recorded last is the end of the list."""
        least = self.least if page.minimum_total is not None else max(self.least, self.expected)
        return page.is_last(self.end, least)


def paginate_append_only(
    fetch: FetchPage, read_key: KeyReader, make_sink: Callable[[], SinkT], total_check: TotalCheck
) -> SinkT:
    """Return all pages of a list to which items are only appended.

    `make_sink` creates the sink of one pass; that of the successful pass is returned.

    Raises:
        ServerError: Items were inserted within the list during each of several passes.
    """
    for _ in range(_MAX_PASSES):
        sink = make_sink()
        if _paginate_once(fetch, read_key, sink, total_check):
            return sink
    raise unstable_list_error(_LIST, _MAX_PASSES)


def _paginate_once(
    fetch: FetchPage, read_key: KeyReader, sink: PageSink, total_check: TotalCheck
) -> bool:
    """Read the list once; return False if an item may have been inserted in a page already read."""
    order: list[Hashable] = []
    seen: set[Hashable] = set()
    page_length: int | None = None
    total_check.end, total_check.reported_total, total_check.repeated = 0, None, set()
    while True:
        page = fetch(total_check.end)
        keys = [read_key(item) for item in page.items]
        has_more = page.says_more(total_check.end) or total_check.least > total_check.end
        if keys and keys == order and not has_more:
            return True  # `offset` is ignored: the first page was the whole list
        again = seen.intersection(keys)
        if not again <= total_check.contradicted:
            total_check.contradicted |= again
            return False
        if keys and seen.issuperset(keys):
            return True  # the pages repeat those of the previous pass, without new items
        total_check.repeated |= again | {one for one, times in Counter(keys).items() if times > 1}
        page = _with_size(page, page_length)
        order += keys
        seen.update(keys)
        total_check.record(page, total_check.end + len(keys))
        if page.items:
            sink.append(page.items)
            page_length = page_length or len(page.items)
        if total_check.is_last(page):
            return True


def _with_size(page: Page, length: int | None) -> Page:
    """Return a page whose size is the length of the first page, None without one.

    A server may return fewer items than requested (API fact 1). A page that is as long as the
    first one, which was not the last one, is not short.
    """
    return replace(page, size=length or page.size)


def fetch_stable_list(
    fetch: FetchPage,
    read_key: KeyReader,
    make_sink: Callable[[], SinkT],
    pool: Executor,
    total_check: TotalCheck,
) -> SinkT | None:
    """Read a list that no longer changes; idle threads of `pool` fetch pages in advance.

    Returns:
        The sink with all pages, None if the list changed or disagrees with the server's counts.
    """
    sink, pages = make_sink(), PagePrefetcher(fetch, pool)
    try:
        is_complete = _paginate_once(pages.fetch, read_key, sink, total_check)
    finally:
        pages.close()
    total_check.is_exact = pages.is_consistent
    return sink if is_complete and pages.is_consistent else None


class PagePrefetcher:
    """Sequential reader of pages that prefetches the next pages in other threads.

    A page that no thread has started to fetch is fetched by the caller's thread. A caller that is
    itself a worker of the pool therefore never waits for a free worker, which could deadlock.
    """

    def __init__(self, fetch: FetchPage, pool: Executor) -> None:
        self._fetch = fetch
        self._pool = pool
        self._prefetched: dict[int, Future[Page]] = {}
        self._items = 0
        self._page_length = 0
        self._minimum_totals: set[int | None] = set()
        self._used_prefetched = False

    def fetch(self, offset: int) -> Page:
        """Return the page at an offset; pages must be requested in order."""
        future = self._prefetched.pop(offset, None)
        # `cancel` fails once a thread has started: only then is there a result to wait for.
        is_prefetched = future is not None and not future.cancel()
        self._used_prefetched |= is_prefetched
        page = future.result() if future and is_prefetched else self._fetch(offset)
        self._items += len(page.items)
        self._minimum_totals.add(page.minimum_total)
        self._page_length = self._page_length or len(page.items)
        if page.minimum_total and page.items and len(page.items) == self._page_length:
            self._prefetch(offset + self._page_length, page.minimum_total)
        return page

    @property
    def is_consistent(self) -> bool:
        """Whether the order of the responses cannot have hidden an item."""
        return not self._used_prefetched or self._minimum_totals == {self._items}

    def close(self) -> None:
        """Cancel the pages that no thread has started to fetch."""
        for future in self._prefetched.values():
            future.cancel()

    def _prefetch(self, start: int, end: int) -> None:
        """Submit the next pages, assuming that they are as long as the first one."""
        step = self._page_length
        for offset in range(start, min(end, start + _PREFETCHED_PAGES * step), step):
            if offset not in self._prefetched:
                self._prefetched[offset] = self._pool.submit(self._fetch, offset)


class KnownRange(Protocol):
    """Range of a list whose items are known and need not be fetched."""

    @property
    def start(self) -> int:
        """Offset of the first item."""

    @property
    def end(self) -> int:
        """Offset just past the last item."""

    @property
    def first_id(self) -> int | None:
        """Key of the first item, None if unknown."""

    @property
    def last_id(self) -> int | None:
        """Key of the last item, None if unknown."""


def paginate_around_known(
    fetch: FetchPage,
    read_key: KeyReader,
    known_ranges: Sequence[KnownRange],
    total_check: TotalCheck,
) -> list[tuple[int, Item]] | None:
    """Return the items outside of known ranges in order, each with its offset.

    The known ranges ascend and do not touch. The result is None if the first or last item of a
    range has moved, so that the whole list must be read.
    """
    items_by_offset: dict[int, Item] = {}
    offsets: dict[Hashable, int] = {}
    offset, remaining = 0, deque(known_ranges)
    page_length: int | None = None
    while True:
        previous = offset
        while remaining and remaining[0].start <= offset:
            offset = max(offset, remaining.popleft().end)
        # Overlap with the last item of a range, to detect that the range has moved.
        start = offset - 1 if offset > previous and offset - 1 not in items_by_offset else offset
        page = _with_size(fetch(start), page_length)
        page_length = page_length or len(page.items)
        total_check.record(page, start + len(page.items))
        if not page.items and (start < offset or remaining):
            return None  # the list has become shorter
        if not (
            _ranges_match(page, start, read_key, known_ranges)
            and _record_offsets(page, start, read_key, offsets, total_check)
        ):
            return None
        items_by_offset.update(enumerate(page.items, start))
        offset = max(offset, total_check.end)
        if not remaining and total_check.is_last(page):
            inside = {offset for one in known_ranges for offset in range(one.start, one.end)}
            return [
                (offset, items_by_offset[offset])
                for offset in sorted(items_by_offset.keys() - inside)
            ]


def _record_offsets(
    page: Page,
    start: int,
    read_key: KeyReader,
    offsets: dict[Hashable, int],
    total_check: TotalCheck,
) -> bool:
    """Record the offsets of a page's items; return False if an item was elsewhere on another page.

    An item that is twice on the same page is recorded as repeated.
    """
    new: dict[Hashable, int] = {}
    for offset, item in enumerate(page.items, start):
        if offsets.get(read_key(item), offset) != offset:
            return False
        if read_key(item) in new:
            total_check.repeated.add(read_key(item))
        new[read_key(item)] = offset
    offsets.update(new)
    return True


def _ranges_match(
    page: Page, start: int, read_key: KeyReader, known_ranges: Sequence[KnownRange]
) -> bool:
    """Return whether the first and last items of known ranges on a page are unchanged."""
    edges = {
        offset: edge
        for one in known_ranges
        for offset, edge in ((one.start, one.first_id), (one.end - 1, one.last_id))
        if edge is not None and start <= offset < start + len(page.items)
    }
    return all(read_key(page.items[offset - start]) == edge for offset, edge in edges.items())

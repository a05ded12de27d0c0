"""Pages of one list fetched side by side: a run of many tasks would wait for each answer in turn.

Out-of-order answers can hide an item that is added meanwhile: it shifts others onto a page that was
answered before. So this is for lists that no longer change, the tasks of a final run, and what came
is compared with the server's count, page by page. Where they disagree the list is to be walked
again, one page after the other.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

from tower_etl.api.pagination import TotalCheck, _paginate_once

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence
    from concurrent.futures import Executor, Future

    from tower_etl.api.pagination import (
        FetchPage,
        Item,
        Key,
        Page,
        SinkT,
    )

_PREFETCHED_PAGES = 8  # pages


def fetch_stable_list(
    fetch: FetchPage,
    key: Key,
    make: Callable[[], SinkT],
    pool: Executor,
    tally: TotalCheck | None = None,
) -> SinkT | None:
    """Walk a list that no longer changes, with the help of idle threads.

    Args:
        fetch: The page at an offset.
        key: What tells two items apart.
        make: Gives what takes the pages.
        pool: Threads that help, as far as they have nothing else to do.
        tally: Filled in on the way.

    Returns:
        All pages, None where the list moved or the server's counts are others.
    """
    tally = tally or TotalCheck()
    taker, pages = make(), PagePrefetcher(fetch, pool)
    try:
        whole = _paginate_once(pages.fetch, key, taker, tally)
    finally:
        pages.close()
    tally.is_exact = pages.is_consistent
    return taker if whole and pages.is_consistent else None


class PagePrefetcher:
    """Gives one page after the other, and has those that follow fetched meanwhile.

    Whoever asks for a page that no thread has begun with fetches it itself. So it never waits for
    a thread that waits for it, and helps that come too late cost nothing.
    """

    def __init__(self, fetch: FetchPage, pool: Executor) -> None:
        self._fetch = fetch
        self._pool = pool
        self._asked: dict[int, Future[Page]] = {}
        self._items = 0
        self._step = 0
        self._counts: set[int | None] = set()
        self._was_helped = False

    def fetch(self, offset: int) -> Page:
        """The page at an offset; to be asked for in order."""
        future = self._asked.pop(offset, None)
        helped = future is not None and not future.cancel()
        self._was_helped |= helped
        page = future.result() if future and helped else self._fetch(offset)
        self._items += len(page.items)
        self._counts.add(page.count)
        self._step = self._step or len(page.items)
        if page.count and page.items and len(page.items) == self._step:
            self._ask(offset + self._step, page.count)
        return page

    @property
    def is_consistent(self) -> bool:
        """Whether the order of the answers can have hidden nothing."""
        return not self._was_helped or self._counts == {self._items}

    def close(self) -> None:
        """Ask for nothing more."""
        for future in self._asked.values():
            future.cancel()

    def _ask(self, start: int, end: int) -> None:
        """Have the next pages fetched, as long as pages are as long as the first one."""
        for offset in range(start, min(end, start + _PREFETCHED_PAGES * self._step), self._step):
            if offset not in self._asked:
                self._asked[offset] = self._pool.submit(self._fetch, offset)


class KnownRange(Protocol):
    """Items of a list that need not be fetched."""

    @property
    def start(self) -> int:
        """Offset of the first of them."""
        ...

    @property
    def end(self) -> int:
        """Offset just past the last of them."""
        ...

    @property
    def first_id(self) -> int | None:
        """Key of the first of them, None where it is not known."""
        ...

    @property
    def last_id(self) -> int | None:
        """Key of the last of them."""
        ...


RangePages = list[tuple[int, "Item"]]


def paginate_around_known(
    fetch: FetchPage, key: Key, known: Sequence[KnownRange], tally: TotalCheck
) -> RangePages | None:
    """Return the items that are in no known range, each with its offset.

    Args:
        fetch: The page at an offset.
        key: What tells two items apart.
        known: Ranges in their order, which do not touch.
        tally: Filled in on the way.

    Returns:
        The items in order; None where the edges of a range are not where they were, so that the
        whole list is to be walked.
    """
    found: dict[int, Item] = {}
    places: dict[Hashable, int] = {}
    offset, waiting = 0, deque(known)
    while True:
        last = offset
        while waiting and waiting[0].start <= offset:
            offset = max(offset, waiting.popleft().end)
        start = offset - 1 if offset > last and offset - 1 not in found else offset
        page = fetch(start)
        tally.record(page, start + len(page.items))
        if not page.items and (start < offset or waiting):
            return None  # the list is shorter than it was
        if not (_fits(page, start, key, known) and _note_places(page, start, key, places, tally)):
            return None
        found.update(enumerate(page.items, start))
        offset = max(offset, tally.end)
        if not waiting and page.is_last(tally.end, tally.least):
            return _list_unknown(found, known)


def _note_places(
    page: Page, start: int, key: Key, places: dict[Hashable, int], tally: TotalCheck
) -> bool:
    """Note where the items of a page are; whether none of them was elsewhere on another page.

    One that is twice on a page is listed twice.
    """
    fresh: dict[Hashable, int] = {}
    for offset, item in enumerate(page.items, start):
        if places.get(key(item), offset) != offset:
            return False
        if key(item) in fresh:
            tally.repeated.add(key(item))
        fresh[key(item)] = offset
    places.update(fresh)
    return True


def _fits(page: Page, start: int, key: Key, known: Sequence[KnownRange]) -> bool:
    """Whether the edges of all ranges that a page shows are where they were."""
    edges = {
        offset: edge
        for one in known
        for offset, edge in ((one.start, one.first_id), (one.end - 1, one.last_id))
        if edge is not None and start <= offset < start + len(page.items)
    }
    return all(key(page.items[offset - start]) == edge for offset, edge in edges.items())


def _list_unknown(found: dict[int, Item], known: Sequence[KnownRange]) -> RangePages:
    inside = {offset for one in known for offset in range(one.start, one.end)}
    return [(offset, found[offset]) for offset in sorted(found.keys() - inside)]

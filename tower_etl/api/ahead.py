"""Pages of one list fetched side by side: a run of many tasks would wait for each answer in turn.

Out-of-order answers can hide an item that is added meanwhile: it shifts others onto a page that was
answered before. So this is for lists that no longer change, the tasks of a final run, and what came
is compared with the server's count, page by page. Where they disagree the list is to be walked
again, one page after the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tower_etl.api.growing import TotalCheck, _paginate_once

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor, Future

    from tower_etl.api.growing import SinkT
    from tower_etl.api.pages import FetchPage, Key, Page

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

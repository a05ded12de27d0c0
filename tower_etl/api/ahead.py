"""Pages of one list fetched side by side: a run of many tasks would wait for each answer in turn.

Answers that overtake each other would hide an item that enters the list in between: it shifts
others onto a page that was answered before. So this is for lists at rest, the tasks of a final
run, and what came is compared with the server's count, page by page. Where they disagree the list
is to be walked again, one page after the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tower_etl.api.endpoints import MAX_PAGE
from tower_etl.api.pages import walk_once

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor, Future

    from tower_etl.api.pages import FetchPage, Key, Page, Taker

_AHEAD = 8  # pages


def walk_at_rest(
    fetch: FetchPage, key: Key, make: Callable[[], Taker], pool: Executor
) -> Taker | None:
    """All pages of a list at rest, None where it moved or the server's count is another.

    Args:
        fetch: The page at an offset.
        key: What tells two items apart.
        make: Gives what takes the pages.
        pool: Threads that help, as far as they have nothing else to do.
    """
    taker, pages = make(), PagesAhead(fetch, pool)
    try:
        whole = walk_once(pages.fetch, key, 0, taker)
    finally:
        pages.close()
    return taker if whole and pages.agree else None


class PagesAhead:
    """Gives one page after the other, and has those that follow fetched meanwhile.

    Whoever asks for a page that no thread has begun with fetches it itself. So it never waits for
    a thread that waits for it, and helps that come too late cost nothing.
    """

    def __init__(self, fetch: FetchPage, pool: Executor) -> None:
        self._fetch = fetch
        self._pool = pool
        self._asked: dict[int, Future[Page]] = {}
        self._items = 0
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
        if page.count and len(page.items) == MAX_PAGE:
            self._ask(offset + MAX_PAGE, page.count)
        return page

    @property
    def agree(self) -> bool:
        """Whether the order of the answers can have hidden nothing."""
        return not self._was_helped or self._counts == {self._items}

    def close(self) -> None:
        """Ask for nothing more."""
        for future in self._asked.values():
            future.cancel()

    def _ask(self, start: int, end: int) -> None:
        for offset in range(start, min(end, start + _AHEAD * MAX_PAGE), MAX_PAGE):
            if offset not in self._asked:
                self._asked[offset] = self._pool.submit(self._fetch, offset)

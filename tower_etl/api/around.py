"""The walk around what is known of a growing list: only pages with something unknown are fetched.

Items are never removed from such a list, so that an item added anywhere before the end of a known
range shifts that end. Each range is skipped only together with a look at its last item.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from tower_etl.api.growing import TotalCheck
    from tower_etl.api.pages import FetchPage, Item, Key, Page


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

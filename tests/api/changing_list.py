"""Paged list that changes between any two pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, Literal

from hypothesis import strategies as st

from tower_etl.api import Page
from tower_etl.api.endpoints import MAX_PAGE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

SIZES = st.integers(0, 450) | st.sampled_from([99, 100, 101, 102, 199, 200, 299, 300])
PLACES = st.floats(0, 1)
DELETIONS = st.tuples(st.just("delete"), PLACES)
INSERTIONS = st.tuples(st.just("insert"), PLACES)
ARRIVALS = st.tuples(st.just("insert"), st.just(0.0))
Change = tuple[Literal["delete", "insert"], float]


@dataclass
class Server:
    """Paged list that changes between two pages.

    Attributes:
        items: Ids of the items, in the server's order.
        changes: Changes before the second page, before the third page, and so on.
        counts: Whether it reports the number of items.
        tells: Whether it reports that more items follow.
        offsets: Offsets of the requested pages.
        deleted: Ids of the deleted items.
    """

    items: list[int]
    changes: list[list[Change]] = field(default_factory=list)
    counts: bool = False
    tells: bool = False
    offsets: list[int] = field(default_factory=list)
    deleted: set[int] = field(default_factory=set)
    _new: Iterator[int] = field(default_factory=lambda: count(1_000_000))

    def fetch(self, offset: int) -> Page:
        """Return a page, after the changes that are due."""
        if self.offsets and self.changes:
            for change in self.changes.pop(0):
                self._change(*change)
        self.offsets.append(offset)
        shown = self.items[offset : offset + MAX_PAGE]
        total = len(self.items) if self.counts and self.items else None
        more = offset + len(shown) < len(self.items) if self.tells else None
        return Page([{"id": number} for number in shown], total, more)

    def _change(self, kind: Literal["delete", "insert"], place: float) -> None:
        at = int(place * len(self.items))
        if kind == "insert":
            self.items.insert(at, next(self._new))
        elif at < len(self.items):
            self.deleted.add(self.items.pop(at))


def key(item: Any) -> int:
    """Return the id of an item."""
    return int(item["id"])


def flatten(pages: Iterable[Sequence[Any]]) -> list[int]:
    """Return the ids of all pages."""
    return [key(item) for page in pages for item in page]


def some_changes(*kinds: st.SearchStrategy[Any]) -> st.SearchStrategy[list[list[Change]]]:
    """Return a strategy of few or many changes, before some of the pages."""
    return st.lists(st.lists(st.one_of(*kinds), max_size=120), max_size=6)

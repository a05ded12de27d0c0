"""Ways in which servers and gateways differ from the published description."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

_TIME = re.compile(rb'("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?)Z"')


@dataclass(frozen=True)
class Quirks:
    """What is different; nothing by default.

    Attributes:
        largest_page: The largest `max` that is not refused with 400; 0 refuses any.
        page_cap: Items on a page at most, whatever was requested; None for no cap.
        ignores_max: Whether pages have their default size, whatever was requested.
        unpaged: Regular expression for paths whose lists ignore `max` and `offset`; empty for none.
        unknown_attributes: Attributes that are refused with 400.
        search: What a search for runs by bounds does: `bounds` as documented, `words` looks for the
            text in names, `ignored` shows all runs, `refused` is 400.
        task_total: What `total` of a task list is: `exact`, `bound` (one more than the end of the
            page if more follows), `absent`, or `high` (seven too many).
        zoned: Whether times end with a `Z`.
    """

    largest_page: int = 100
    page_cap: int | None = None
    ignores_max: bool = False
    unpaged: str = ""
    unknown_attributes: frozenset[str] = frozenset()
    search: Literal["bounds", "words", "ignored", "refused"] = "bounds"
    task_total: Literal["exact", "bound", "absent", "high"] = "exact"
    zoned: bool = True

    def is_unpaged(self, path: str) -> bool:
        """Whether the list at a path comes whole, whatever is requested."""
        return bool(self.unpaged) and re.search(self.unpaged, path) is not None

    def count_tasks(self, tasks: int, end: int) -> dict[str, int]:
        """`total` of a page of tasks that ends there."""
        match self.task_total:
            case "exact":
                return {"total": tasks}
            case "bound":
                return {"total": end + (end < tasks)}
            case "high":
                return {"total": tasks + 7}
        return {}

    def write(self, body: bytes) -> bytes:
        """The body of an answer, with times as this server writes them."""
        return body if self.zoned else _TIME.sub(rb'\1"', body)

"""Server profiles: API versions with their missing fields, and deviations from the description.

The simulated world has the fields of the newest version. Nothing is ever added here, so recorded
runs pass unchanged.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from tower_etl.simulator.data import load_toml

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tower_etl.simulator.aggregates import Row

_TIME = re.compile(rb'("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?)Z"')
_UNKNOWN_BELOW: dict[str, dict[str, list[str]]] = load_toml("api_fields.toml")["unknown_below"]
_FIRST_WITH_AUDIT_LOGS = (1, 181)


@dataclass(frozen=True)
class Quirks:
    """Deviations of servers and gateways from the published description; none by default.

    Attributes:
        largest_page: Largest `max` that is not refused with 400; 0 refuses any.
        page_cap: Maximum number of items on a page for any `max`; None for no cap.
        ignores_max: Whether pages have their default size for any `max`.
        unpaged: Regular expression for paths whose lists ignore `max` and `offset`; empty for none.
        unknown_attributes: Attributes that are refused with 400.
        search: Effect of a search for runs by bounds: `bounds` as documented, `words` searches the
            text in names, `ignored` returns all runs, `refused` is 400.
        task_total: Meaning of `total` of a task list: `exact`, `bound` (one more than the end of
            the page if more follows), `absent`, or `high` (seven too many).
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

    def task_totals(self, tasks: int, end: int) -> dict[str, int]:
        """Return `total` of a page of tasks that ends at a position."""
        totals = {"exact": tasks, "bound": end + (end < tasks), "high": tasks + 7}
        return {"total": totals[self.task_total]} if self.task_total in totals else {}

    def format_times(self, body: bytes) -> bytes:
        """Return the body of a response with times as this server formats them."""
        return body if self.zoned else _TIME.sub(rb'\1"', body)


def _parse_version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:2])


@dataclass(frozen=True)
class ServerProfile:
    """Kind of server to simulate.

    Attributes:
        version: Version of the platform.
        api_version: Version of the API description.
        user_workspace: Whether users have a personal workspace.
        legacy: Whether the server behaves like a version of 2021: fewer fields, no totals, no
            `hasMore`, `exit` as text.
        quirks: Other deviations.
    """

    version: str = "26.2.0-sim"
    api_version: str = "1.187.0"
    user_workspace: bool = True
    legacy: bool = False
    quirks: Quirks = field(default_factory=Quirks)

    def _is_below(self, version: tuple[int, ...]) -> bool:
        return self.legacy or _parse_version(self.api_version) < version

    @property
    def has_audit_logs(self) -> bool:
        """Presence of an audit log."""
        return not self._is_below(_FIRST_WITH_AUDIT_LOGS)

    @cached_property
    def _unknown(self) -> dict[str, set[str]]:
        """Unknown fields by kind of object."""
        unknown: defaultdict[str, set[str]] = defaultdict(set)
        for version, fields in _UNKNOWN_BELOW.items():
            if self._is_below(_parse_version(version)):
                for kind, names in fields.items():
                    unknown[kind].update(names)
        return unknown

    def filter_fields(self, kind: str, row: Row) -> Row:
        """Return the object without the fields that this version does not know."""
        unknown = self._unknown[kind]
        if unknown.isdisjoint(row):
            return row
        return {name: value for name, value in row.items() if name not in unknown}

    def filter_tasks(self, tasks: Sequence[Row]) -> list[Row]:
        """Return a page of tasks in the shape of this version."""
        rows = [self.filter_fields("task", task) for task in tasks]
        if self.legacy:
            exits = [row.get("exit") for row in rows]
            texts = [None if code is None else str(code) for code in exits]
            rows = [row | {"exit": text} for row, text in zip(rows, texts, strict=True)]
        return rows

    def filter_progress(self, progress: Row) -> Row:
        """Return the progress of a run in the shape of this version."""
        if not self.legacy:
            return progress
        processes = progress["processesProgress"]
        return {
            "workflowProgress": self.filter_fields("load", progress["workflowProgress"]),
            "processesProgress": [self.filter_fields("load", row) for row in processes],
        }

"""Lookup of export columns by normalized names, independent of the export's spelling.

`lineItem/UsageStartDate` in a legacy CSV and `line_item_usage_start_date` in Parquet are the same
normalized name; `ChargePeriodStart` in FOCUS becomes `charge_period_start`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tower_etl.quoting import quote_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


def normalize_name(name: str) -> str:
    """Return the name of a column or tag in snake_case, with `_` for every other character."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name.strip())
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")


@dataclass
class ExportColumns:
    """The columns of one file, and the set of those that an expression uses.

    Attributes:
        types: DuckDB's type of each column, by its name in the file.
        used: Names (in the file) of the columns that appear in an expression.
    """

    types: Mapping[str, str]
    used: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Index the columns by normalized name; the first of several equal names wins."""
        self._names: dict[str, str] = {}
        for name in self.types:
            self._names.setdefault(normalize_name(name), name)

    def missing(self, names: Iterable[str]) -> list[str]:
        """Return the names without a column."""
        return [name for name in names if name not in self._names]

    def matching(self, prefix: str) -> dict[str, str]:
        """Return the columns with a prefix: the rest of the name -> the name in the file."""
        return {
            known.removeprefix(prefix): name
            for known, name in self._names.items()
            if known.startswith(prefix) and known != prefix
        }

    def type_of(self, name: str) -> str | None:
        """Return the DuckDB type of a column, or None if there is no such column."""
        return self.types.get(self._names.get(name, ""))

    def text(self, *names: str) -> str:
        """Return an expression for the first of these columns that is not empty, as text."""
        return self._first(names, lambda column: f"nullif(trim(CAST({column} AS VARCHAR)), '')")

    def number(self, *names: str) -> str:
        """Return an expression for the first of these columns that is not null, as a number."""
        return self._first(
            names, lambda column: f"CAST(nullif(CAST({column} AS VARCHAR), '') AS DOUBLE)"
        )

    def time(self, *names: str) -> str:
        """Return an expression for the first of these columns that is not null, as a time."""
        return self._first(
            names, lambda column: f"CAST(nullif(CAST({column} AS VARCHAR), '') AS TIMESTAMPTZ)"
        )

    def raw(self, name: str) -> str | None:
        """Return the quoted name of a column, or None if there is no such column."""
        if name not in self._names:
            return None
        self.used.add(self._names[name])
        return quote_name(self._names[name])

    def _first(self, names: Iterable[str], convert: Callable[[str], str]) -> str:
        found = [column for name in names if (column := self.raw(name))]
        if not found:
            return "NULL"
        return f"coalesce({', '.join(map(convert, found))})"

    def unused(self) -> list[str]:
        """Return the columns that no expression uses."""
        return [name for name in self.types if name not in self.used]

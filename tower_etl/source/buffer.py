"""Rows on their way to dlt: few large Arrow tables cost it far less than many small ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from tower_etl.tables import TABLES, ColumnPolicy, deduplicate

if TYPE_CHECKING:
    from collections.abc import Mapping

FLUSH_ROWS = 25_000
_USUAL = ColumnPolicy(TABLES)


class BatchBuffer:
    """Collects rows by table until there are enough to hand on.

    Attributes:
        rows: Rows taken since the last flush.
        written: Rows handed on, by table.
    """

    def __init__(self, column_policy: ColumnPolicy = _USUAL) -> None:
        self.rows = 0
        self._column_policy = column_policy
        self.written: dict[str, int] = {}
        self._parts: dict[str, list[pa.Table]] = {}

    def add(self, tables: Mapping[str, pa.Table]) -> None:
        """Take the rows of several tables."""
        for name, rows in tables.items():
            if rows.num_rows:
                self._parts.setdefault(name, []).append(rows)
                self.rows += rows.num_rows

    @property
    def is_full(self) -> bool:
        """Whether it is time to flush."""
        return self.rows >= FLUSH_ROWS

    def row_counts(self) -> dict[str, int]:
        """Rows by table, those that wait for the next flush included."""
        waiting = {name: sum(map(_count, parts)) for name, parts in self._parts.items()}
        names = self.written.keys() | waiting.keys()
        counts = {name: self.written.get(name, 0) + waiting.get(name, 0) for name in names}
        return {name: count for name, count in sorted(counts.items()) if count}

    def flush(self) -> dict[str, pa.Table]:
        """Hand on everything, one Arrow table each, a key once, and nothing that is secret."""
        joined = {name: _join(name, parts) for name, parts in self._parts.items()}
        ready = self._column_policy.apply(joined)
        for name, rows in ready.items():
            self.written[name] = self.written.get(name, 0) + _count(rows)
        self._parts, self.rows = {}, 0
        return ready


def _join(name: str, parts: list[pa.Table]) -> pa.Table:
    rows = pa.concat_tables(parts, promote_options="default")
    return deduplicate(rows, TABLES[name].key) if len(parts) > 1 else rows


def _count(rows: pa.Table) -> int:
    """Rows that stay in the table: a tombstone only takes others out of it."""
    if "_removed" not in rows.schema.names:
        return int(rows.num_rows)
    return int(rows.num_rows - (pc.sum(rows["_removed"]).as_py() or 0))

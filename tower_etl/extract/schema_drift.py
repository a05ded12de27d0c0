"""Fields that arrive without having a column, and which of them were not seen before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from tower_etl.lossless import load_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

_REMEMBERED = 200  # names of a table, should a server make up names without end


class SchemaDrift:
    """Remembers the undocumented fields of each table.

    Attributes:
        fresh: Names that this sync saw first, by table, sorted.
    """

    def __init__(self) -> None:
        self.new_fields: dict[str, list[str]] = {}
        self._known: dict[str, set[str]] = {}

    def load(self, state: Mapping[str, list[str]]) -> None:
        """Take what earlier syncs saw."""
        self._known = {table: set(names) for table, names in state.items()}

    def dump(self) -> dict[str, list[str]]:
        """What was seen until now, for the next sync."""
        return {table: sorted(names) for table, names in sorted(self._known.items())}

    def observe(self, batch: Mapping[str, pa.Table]) -> None:
        """Look through `undocumented` of rows that are handed on."""
        for table, rows in batch.items():
            if "undocumented" in rows.schema.names:
                self._observe_names(table, _list_names(rows["undocumented"]))

    def _observe_names(self, table: str, names: set[str]) -> None:
        known = self._known.setdefault(table, set()) if names else set()
        fresh = sorted(names - known)[: max(0, _REMEMBERED - len(known))]
        if fresh:
            known.update(fresh)
            self.new_fields[table] = sorted({*self.new_fields.get(table, ()), *fresh})


def _list_names(column: pa.ChunkedArray) -> set[str]:
    if column.null_count == len(column):
        return set()
    extras: list[dict[str, Any]] = list(map(load_json, pc.drop_null(column).to_pylist()))
    return {name for stray in extras for name in stray}

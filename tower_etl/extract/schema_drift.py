"""Detection of fields without a column that earlier syncs did not observe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from tower_etl.lossless import load_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

_MAX_FIELDS = 200  # names per table, for servers with generated field names


class SchemaDrift:
    """Undocumented fields of each table.

    Attributes:
        new_fields: Sorted names that this sync observed first, by table.
    """

    def __init__(self) -> None:
        self.new_fields: dict[str, list[str]] = {}
        self._known: dict[str, set[str]] = {}

    def load(self, state: Mapping[str, list[str]]) -> None:
        """Load the fields that earlier syncs observed."""
        self._known = {table: set(names) for table, names in state.items()}

    def dump(self) -> dict[str, list[str]]:
        """Return all observed fields, for the state."""
        return {table: sorted(names) for table, names in sorted(self._known.items())}

    def observe(self, batch: Mapping[str, pa.Table]) -> None:
        """Record the fields in the column `undocumented` of a batch."""
        for table, rows in batch.items():
            if "undocumented" in rows.schema.names:
                self._observe_names(table, _list_names(rows["undocumented"]))

    def _observe_names(self, table: str, names: set[str]) -> None:
        known = self._known.setdefault(table, set()) if names else set()
        new = sorted(names - known)[: max(0, _MAX_FIELDS - len(known))]
        if new:
            known.update(new)
            self.new_fields[table] = sorted({*self.new_fields.get(table, ()), *new})


def _list_names(column: pa.ChunkedArray) -> set[str]:
    if column.null_count == len(column):
        return set()
    extras: list[dict[str, Any]] = list(map(load_json, pc.drop_null(column).to_pylist()))
    return {name for fields in extras for name in fields}

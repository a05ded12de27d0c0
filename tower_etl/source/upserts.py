"""Rows prepared for destinations that upsert: each key once, and removed rows named.

Delete-insert takes the same key twice, and drops the rows of a group that a load replaces as a
whole. An upsert does neither: Delta inserts a repeated key twice, Iceberg refuses it, and a row
stays until it arrives again with `_removed`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from tower_etl.tables import deduplicate

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from tower_etl.tables import TableSpec

REMOVED = "_removed"


class StoredGroups(Protocol):
    """Reads the rows that a load replaces."""

    def read_groups(self, name: str, column: str, values: Iterable[object]) -> pa.Table:
        """Return the whole rows of a table whose column has one of some values."""
        ...


def prepare_upserts(
    batches: Iterable[Mapping[str, pa.Table]],
    upserted: Collection[TableSpec],
    store: StoredGroups,
) -> Iterator[dict[str, pa.Table]]:
    """Hand out the rows of one package, those of upserted tables at its end.

    Their rows are held in memory until then, because a key may come again; dlt holds them as well
    when it merges them.

    Args:
        batches: The package, some rows at a time.
        upserted: The tables that are merged by upsert.
        store: What the destination holds.
    """
    held: dict[str, list[pa.Table]] = {table.name: [] for table in upserted}
    for batch in batches:
        for name, rows in batch.items():
            if name in held:
                held[name].append(rows)
        if direct := {name: rows for name, rows in batch.items() if name not in held}:
            yield direct
    ready = {
        table.name: _prepare(table, pa.concat_tables(held[table.name]), store)
        for table in upserted
        if held[table.name]
    }
    if ready:
        yield ready


def _prepare(table: TableSpec, rows: pa.Table, store: StoredGroups) -> pa.Table:
    if not table.merge_key or not rows.num_rows:
        return deduplicate(rows, table.key)
    live = deduplicate(rows.filter(pc.invert(rows[REMOVED])), table.key)
    gone = _find_removed(table, rows, live, store)
    return pa.concat_tables([live, gone.select(live.schema.names)])


def _find_removed(
    table: TableSpec, rows: pa.Table, live: pa.Table, store: StoredGroups
) -> pa.Table:
    """Return the stored rows of replaced groups that are no longer live, as tombstones."""
    (group,) = table.merge_key
    stored = store.read_groups(table.name, group, rows[group].unique().to_pylist())
    keys = set(_list_keys(table, live))
    gone = [
        key not in keys and not removed
        for key, removed in zip(_list_keys(table, stored), stored[REMOVED].to_pylist(), strict=True)
    ]
    found = stored.filter(pa.array(gone, pa.bool_()))
    index = found.schema.get_field_index(REMOVED)
    tombs = pa.repeat(pa.scalar(value=True), found.num_rows)
    return found.set_column(index, found.schema.field(index), tombs)


def _list_keys(table: TableSpec, rows: pa.Table) -> Iterator[tuple[object, ...]]:
    return zip(*(rows[name].to_pylist() for name in table.key), strict=True)

"""Mapping of API records to columns, and collection of fields without a column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tower_etl.schema.types import ColumnSpec

ExtraFields = dict[int, dict[str, Any]]
"""Values without a column: row -> dotted API name -> value."""

KeyOrders = dict[tuple[str, ...], tuple[str, ...]]
"""Keys of an object in the order received -> the unknown keys among them."""

Columnar = dict[str, tuple[Any, ...]]
"""Values of many objects by key."""


@dataclass(frozen=True)
class RecordMapping:
    """Mapping of an object of the API to columns.

    Attributes:
        columns: Columns by the key of their value.
        nested: Mappings of nested objects by key.
        prefix: Dotted path of the object, with a trailing dot; empty for the record itself.
    """

    columns: Mapping[str, ColumnSpec]
    nested: Mapping[str, RecordMapping]
    prefix: str = ""

    @classmethod
    def of(cls, columns: Sequence[ColumnSpec], prefix: tuple[str, ...] = ()) -> RecordMapping:
        """Derive the mapping from the columns' paths."""
        depth = len(prefix)
        inside = [c for c in columns if len(c.path) > depth and c.path[:depth] == prefix]
        nested = {c.path[depth]: (*prefix, c.path[depth]) for c in inside if c.path[depth + 1 :]}
        return cls(
            columns={c.path[depth]: c for c in inside if len(c.path) == depth + 1},
            nested={key: cls.of(inside, path) for key, path in nested.items()},
            prefix="".join(f"{part}." for part in prefix),
        )

    def extract(
        self, objects: Sequence[Mapping[str, Any]], extras: ExtraFields
    ) -> Iterator[tuple[ColumnSpec, Sequence[Any]]]:
        """Yield the values of every column, and collect the fields without a column.

        Args:
            objects: One object per row, an empty object where the API has null.
            extras: Filled with the fields without a column, and values that should be objects.
        """
        orders = self._collect_unknown(objects, extras)
        columnar = _to_columns(objects, orders) if len(orders) == 1 else None
        for key, column in self.columns.items():
            yield column, _values(key, objects, columnar)
        for key, mapping in self.nested.items():
            values = _values(key, objects, columnar)
            yield from mapping.extract(self._objects(key, values, extras), extras)

    def _collect_unknown(
        self, objects: Sequence[Mapping[str, Any]], extras: ExtraFields
    ) -> KeyOrders:
        """Collect the fields without a column; return the orders of keys that were found.

        Records of a type have few different orders of keys, so unknown keys are determined once
        per order instead of once per record.
        """
        known = self.columns.keys() | self.nested.keys()
        orders: KeyOrders = {}
        for row, item in enumerate(objects):
            keys = tuple(item)
            unknown = orders.get(keys)
            if unknown is None:
                unknown = orders[keys] = tuple(key for key in keys if key not in known)
            for key in unknown:
                if item[key] is not None:
                    extras.setdefault(row, {})[self.prefix + key] = item[key]
        return orders

    def _objects(
        self, key: str, values: Sequence[Any], extras: ExtraFields
    ) -> list[dict[str, Any]]:
        empty: dict[str, Any] = {}
        for row, value in enumerate(values):
            if value is not None and not isinstance(value, dict):
                extras.setdefault(row, {})[self.prefix + key] = value
        return [value if isinstance(value, dict) else empty for value in values]


def _to_columns(objects: Sequence[Mapping[str, Any]], orders: KeyOrders) -> Columnar:
    """Return the values by key of objects that all have the same keys in the same order."""
    (keys,) = orders
    columns = zip(*(item.values() for item in objects), strict=True)
    return dict(zip(keys, columns, strict=True))


def _values(
    key: str, objects: Sequence[Mapping[str, Any]], columnar: Columnar | None
) -> Sequence[Any]:
    """Return the values of a key, None for objects without it."""
    if columnar is None:
        return [item.get(key) for item in objects]
    return columnar.get(key) or [None] * len(objects)


def as_objects(value: object) -> list[dict[str, Any]]:
    """Return the objects of a JSON list, or of an iterable of JSON values.

    A single object counts as a list of one; nulls are skipped. Any other value becomes an object
    with the value in a field with an empty name, so that it is not lost.
    """
    is_single = isinstance(value, Mapping | str) or not isinstance(value, Iterable)
    items = [value] if is_single else cast("Iterable[object]", value)
    return [_as_object(item) for item in items if item is not None]


def _as_object(item: object) -> dict[str, Any]:
    if isinstance(item, dict):
        return item
    return dict(item) if isinstance(item, Mapping) else {"": item}

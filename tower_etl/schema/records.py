"""The shape of an API record: which key feeds which column, and what no column takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tower_etl.schema.types import ColumnSpec

ExtraFields = dict[int, dict[str, Any]]
"""What found no place in a column: row -> dotted API name -> value."""

KeyOrders = dict[tuple[str, ...], tuple[str, ...]]
"""Keys of objects, in the order in which they came -> those of them that are not known."""

Columnar = dict[str, tuple[Any, ...]]
"""Values of many objects, by key."""


@dataclass(frozen=True)
class RecordMapping:
    """An object of the API.

    Attributes:
        leaves: Keys whose value goes into a column.
        branches: Keys whose value is an object that is taken apart.
        prefix: Dotted path of the object, with its dot; empty for the record itself.
    """

    columns: Mapping[str, ColumnSpec]
    nested: Mapping[str, RecordMapping]
    prefix: str = ""

    @classmethod
    def of(cls, columns: Sequence[ColumnSpec], prefix: tuple[str, ...] = ()) -> RecordMapping:
        """Read the shape off the paths of columns."""
        depth = len(prefix)
        inside = [c for c in columns if len(c.path) > depth and c.path[:depth] == prefix]
        deeper = {c.path[depth]: (*prefix, c.path[depth]) for c in inside if c.path[depth + 1 :]}
        return cls(
            columns={c.path[depth]: c for c in inside if len(c.path) == depth + 1},
            nested={key: cls.of(inside, path) for key, path in deeper.items()},
            prefix="".join(f"{part}." for part in prefix),
        )

    def extract(
        self, objects: Sequence[Mapping[str, Any]], extras: ExtraFields
    ) -> Iterator[tuple[ColumnSpec, Sequence[Any]]]:
        """Yield the values of every column, and note what no column takes.

        Args:
            objects: One object a row, an empty one where the API has null.
            extras: Gets the fields that no column takes, and what stands where an object is due.
        """
        orders = self._note_unknown(objects, extras)
        turned = _to_columns(objects, orders) if len(orders) == 1 else None
        for key, column in self.columns.items():
            yield column, _take(key, objects, turned)
        for key, branch in self.nested.items():
            values = _take(key, objects, turned)
            yield from branch.extract(self._objects(key, values, extras), extras)

    def _note_unknown(self, objects: Sequence[Mapping[str, Any]], extras: ExtraFields) -> KeyOrders:
        """Note the fields without a column; the orders of keys that were met.

        Records of one kind come in few orders: each is compared with what is known once.
        """
        known = self.columns.keys() | self.nested.keys()
        unknown_of: KeyOrders = {}
        for row, item in enumerate(objects):
            keys = tuple(item)
            unknown = unknown_of.get(keys)
            if unknown is None:
                unknown = unknown_of[keys] = tuple(key for key in keys if key not in known)
            for key in unknown:
                if item[key] is not None:
                    extras.setdefault(row, {})[self.prefix + key] = item[key]
        return unknown_of

    def _objects(
        self, key: str, values: Sequence[Any], extras: ExtraFields
    ) -> list[dict[str, Any]]:
        nothing: dict[str, Any] = {}
        for row, value in enumerate(values):
            if value is not None and not isinstance(value, dict):
                extras.setdefault(row, {})[self.prefix + key] = value
        return [value if isinstance(value, dict) else nothing for value in values]


def _to_columns(objects: Sequence[Mapping[str, Any]], orders: KeyOrders) -> Columnar:
    """The values by key, of objects that all have the same keys in the same order."""
    (keys,) = orders
    columns = zip(*(item.values() for item in objects), strict=True)
    return dict(zip(keys, columns, strict=True))


def _take(key: str, objects: Sequence[Mapping[str, Any]], turned: Columnar | None) -> Sequence[Any]:
    """The values of one key, None where an object has none."""
    if turned is None:
        return [item.get(key) for item in objects]
    return turned.get(key) or [None] * len(objects)


def as_objects(value: object) -> list[dict[str, Any]]:
    """List the objects of a JSON list, or of an iterable of JSON values.

    A single object counts as a list of one, null as nothing. Anything else that stands where an
    object is due is kept, as the nameless field of an object.
    """
    single = isinstance(value, Mapping | str) or not isinstance(value, Iterable)
    items = [value] if single else cast("Iterable[object]", value)
    return [_as_object(item) for item in items if item is not None]


def _as_object(item: object) -> dict[str, Any]:
    if isinstance(item, dict):
        return item
    return dict(item) if isinstance(item, Mapping) else {"": item}

"""The shape of an API record: which key feeds which column, and what no column takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tower_etl.tables.column import Column

Strays = dict[int, dict[str, Any]]
"""What found no place in a column: row -> dotted API name -> value."""


@dataclass(frozen=True)
class Shape:
    """An object of the API.

    Attributes:
        leaves: Keys whose value goes into a column.
        branches: Keys whose value is an object that is taken apart.
        prefix: Dotted path of the object, with its dot; empty for the record itself.
    """

    leaves: Mapping[str, Column]
    branches: Mapping[str, Shape]
    prefix: str = ""

    @classmethod
    def of(cls, columns: Sequence[Column], prefix: tuple[str, ...] = ()) -> Shape:
        """Read the shape off the paths of columns."""
        depth = len(prefix)
        inside = [c for c in columns if len(c.path) > depth and c.path[:depth] == prefix]
        deeper = {c.path[depth]: (*prefix, c.path[depth]) for c in inside if c.path[depth + 1 :]}
        return cls(
            leaves={c.path[depth]: c for c in inside if len(c.path) == depth + 1},
            branches={key: cls.of(inside, path) for key, path in deeper.items()},
            prefix="".join(f"{part}." for part in prefix),
        )

    def pick(
        self, objects: Sequence[Mapping[str, Any]], strays: Strays
    ) -> Iterator[tuple[Column, list[Any]]]:
        """Yield the values of every column, and note what no column takes.

        Args:
            objects: One object a row, an empty one where the API has null.
            strays: Gets the fields that no column takes, and what stands where an object is due.
        """
        self._note_unknown(objects, strays)
        for key, column in self.leaves.items():
            yield column, [item.get(key) for item in objects]
        for key, branch in self.branches.items():
            values = [item.get(key) for item in objects]
            yield from branch.pick(self._objects(key, values, strays), strays)

    def _note_unknown(self, objects: Sequence[Mapping[str, Any]], strays: Strays) -> None:
        known = self.leaves.keys() | self.branches.keys()
        # Records of one kind come in few orders of keys: each is compared with `known` once.
        unknown_of: dict[tuple[str, ...], tuple[str, ...]] = {}
        for row, item in enumerate(objects):
            keys = tuple(item)
            unknown = unknown_of.get(keys)
            if unknown is None:
                unknown = unknown_of[keys] = tuple(key for key in keys if key not in known)
            for key in unknown:
                if item[key] is not None:
                    strays.setdefault(row, {})[self.prefix + key] = item[key]

    def _objects(self, key: str, values: list[Any], strays: Strays) -> list[dict[str, Any]]:
        nothing: dict[str, Any] = {}
        for row, value in enumerate(values):
            if value is not None and not isinstance(value, dict):
                strays.setdefault(row, {})[self.prefix + key] = value
        return [value if isinstance(value, dict) else nothing for value in values]


def list_objects(value: object) -> list[dict[str, Any]]:
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

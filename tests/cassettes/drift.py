"""Comparison of the shapes of two recordings: fields and types that only one of them has."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

Shape = dict[str, dict[str, set[str]]]

_KINDS = {bool: "boolean", int: "number", float: "number", str: "text", type(None): "null"}
_KINDS |= {dict: "object", list: "list"}
_MAPS = ("params",)  # their keys are data, not fields


def read_shape(paths: Iterable[Path]) -> Shape:
    """Return the fields of successful responses by endpoint, each with the types of its values."""
    shape: Shape = {}
    for path in paths:
        for exchange in json.loads(path.read_text())["interactions"]:
            response = exchange["response"]
            if response["status"] == 200 and "json" in response:
                fields = shape.setdefault(name_endpoint(exchange["request"]["uri"]), {})
                for field, kind in _iter_fields("", response["json"]):
                    fields.setdefault(field, set()).add(kind)
    return shape


def name_endpoint(uri: str) -> str:
    """Return the endpoint of an address with ids replaced: `/workflow/{id}/tasks`."""
    path = urlsplit(uri).path.removeprefix("/api")
    return re.sub(r"(?<=/workflow/)[^/]+|(?<=/)\d+", "{id}", path)


def compare_shapes(one: Shape, other: Shape, names: tuple[str, str]) -> list[str]:
    """Return the differences, one line each; null and the empty list match every type.

    Args:
        one: First shape.
        other: Second shape; endpoints that only one of the two shapes has are left out.
        names: Names of the two shapes in the lines.
    """
    lines = []
    for endpoint in sorted(one.keys() & other.keys()):
        mine, theirs = one[endpoint], other[endpoint]
        for name, fields, others in ((names[0], mine, theirs), (names[1], theirs, mine)):
            only = [field for field in sorted(fields) if _is_missing(field, others)]
            lines += [f"{endpoint}: only {name} has {field}" for field in only]
        for field in sorted(mine.keys() & theirs.keys()):
            kinds = mine[field] - {"null"}, theirs[field] - {"null"}
            if all(kinds) and kinds[0] != kinds[1]:
                first, second = (" or ".join(sorted(kind)) for kind in kinds)
                lines.append(
                    f"{endpoint}: {field} is {first} in {names[0]}, {second} in {names[1]}"
                )
    return lines


def _is_missing(field: str, fields: dict[str, set[str]]) -> bool:
    """Return whether a field is missing although the object that would hold it exists."""
    parent = field.rpartition(".")[0]
    there = not parent or "object" in fields.get(parent, ())
    return there and field not in fields and not field.endswith("[]")


def _iter_fields(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield fields by path, also of objects and lists; elements of a list share one path."""
    yield prefix, _KINDS[type(value)]
    if isinstance(value, list):
        for item in value:
            yield from _iter_fields(f"{prefix}[]", item)
    elif isinstance(value, Mapping) and not prefix.endswith(_MAPS):
        for name, inner in value.items():
            yield from _iter_fields(f"{prefix}.{name}".lstrip("."), inner)

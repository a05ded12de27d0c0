"""Extraction of records and their primary keys from responses, and findings about them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from tower_etl.errors import AbsentListError, MalformedResponseError
from tower_etl.lossless import parse_integer, to_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tower_etl.api.endpoints import Endpoint, FieldTypes
    from tower_etl.errors import ServerError

Item = Mapping[str, Any]
KeyReader = Callable[[Item], Hashable]  # returns the key of an item


@dataclass(frozen=True)
class MissingKey:
    """Placeholder for the key of an element without one, with the digest of the element's JSON."""

    digest: bytes


def extract_records(endpoint: Endpoint, response: Item) -> list[Item]:
    """Return the list in the response of an endpoint; some elements may not be objects.

    The object of an endpoint that returns a single object becomes a list of one.

    Raises:
        AbsentListError: The list is absent or null.
        MalformedResponseError: The value is not a list, or the list has elements but no objects.
    """
    if endpoint.single:
        return [extract_object(endpoint, response)]
    records = response.get(endpoint.records_key)
    # API fact 7: a list may be null, as `metrics` of runs without metrics.
    if records is None:
        raise malformed_response(endpoint, "list of objects", AbsentListError)
    if isinstance(records, list) and (
        not records or any(isinstance(item, dict) for item in records)
    ):
        return records
    raise malformed_response(endpoint, "list of objects")


def extract_objects(endpoint: Endpoint, response: Item) -> tuple[list[Item], int]:
    """Return the objects in the list of a response, and the number of elements of other types."""
    elements = extract_records(endpoint, response)
    objects: list[Item] = [element for element in elements if isinstance(element, dict)]
    return objects, len(elements) - len(objects)


def extract_object(endpoint: Endpoint, response: Item) -> Item:
    """Return the single object in the response of an endpoint, or raise an error without one."""
    record = response.get(endpoint.records_key)
    if isinstance(record, dict):
        return record
    raise malformed_response(endpoint, "object")


def extract_count(value: object) -> int | None:
    """Return a number of items; None for 0 and other values, which servers send if unknown."""
    return value if type(value) is int and value > 0 else None


def parse_text_id(value: object) -> str | None:
    """Return an id as text: a non-blank text or an integer; None for any other value."""
    if isinstance(value, str):
        return value if value.strip() else None
    return str(value) if type(value) is int else None


def make_key_reader(fields: FieldTypes) -> KeyReader:
    """Return a function that gets an item's key: the values of fields, in their columns' types.

    The key of an item with an invalid value in one of the fields is a `MissingKey`.
    """
    readers = [(path.split("."), _READERS[kind]) for path, kind in fields.items()]

    def read_key(item: Item) -> Hashable:
        values = tuple(read(_get_nested(item, path)) for path, read in readers)
        if None in values:
            return _missing_key(item)
        return values[0] if len(values) == 1 else values

    return read_key


def with_typed_key(item: Item, fields: FieldTypes) -> Item:
    """Return an item with the fields of its key in the types of their columns."""
    converted = {
        name: _READERS[kind](item[name])
        for name, kind in fields.items()
        if name in item and type(item[name]) is not kind
    }
    return {**item, **converted} if converted else item


def run_key(element: Item) -> str | MissingKey:
    """Return the id of a run from an element of a listing or a detail; an id must be text."""
    run_id = _get_nested(element, ("workflow", "id"))
    return run_id if isinstance(run_id, str) and run_id.strip() else _missing_key(element)


def task_key(element: Item) -> Hashable:
    """Return the `taskId` of a task within its run; older servers may not wrap tasks in `task`."""
    task = element["task"] if isinstance(_get_field(element, "task"), dict) else element
    task_id = parse_integer(_get_field(task, "taskId"))
    return _missing_key(task) if task_id is None else task_id


def split_keyed(items: Iterable[Item], read_key: KeyReader) -> tuple[list[Item], int]:
    """Return the items with a key, and the number of items without one."""
    everything = list(items)
    keyed = [item for item in everything if not isinstance(read_key(item), MissingKey)]
    return keyed, len(everything) - len(keyed)


def malformed_response(
    endpoint: Endpoint, expected: str, kind: type[ServerError] = MalformedResponseError
) -> ServerError:
    """Return the error for a response that lacks its documented content."""
    msg = (
        f"GET {endpoint.path}: the answer has no {expected} under {endpoint.records_key!r}. "
        "The endpoint may not be a Seqera Platform API: check it with `tower-etl check`."
    )
    return kind(msg)


def _get_field(item: object, name: str) -> Any:  # noqa: ANN401 - any JSON value
    return item.get(name) if isinstance(item, dict) else None


def _get_nested(item: object, path: Iterable[str]) -> object:
    for name in path:
        item = _get_field(item, name)
    return item


def _missing_key(item: object) -> MissingKey:
    return MissingKey(blake2b(to_json(item).encode(), digest_size=8).digest())


_READERS: Mapping[type, Callable[[object], Any]] = {int: parse_integer, str: parse_text_id}

NULL_KEY = _missing_key(None)


@dataclass(frozen=True)
class Finding:
    """Kind of contradiction or oddity at one location.

    Attributes:
        location: Location, such as a workspace or one of its tables.
        problem: Description of the problem, with `{}` for the number of occurrences.
        advice: Consequence of the problem, or action to take.
    """

    location: str
    problem: str
    advice: str


class Findings:
    """Thread-safe counter of findings."""

    def __init__(self) -> None:
        self._occurrences: dict[Finding, tuple[int, str]] = {}
        self._lock = threading.Lock()

    def add(self, finding: Finding, example: str = "", count: int = 1) -> None:
        """Count occurrences of a finding, and keep its first example."""
        with self._lock:
            before, first = self._occurrences.get(finding, (0, example))
            self._occurrences[finding] = before + count, first

    def list_messages(self) -> list[str]:
        """Return one message for each finding, in the order of their first occurrence."""
        with self._lock:
            return [
                f"{finding.location}: {finding.problem.format(count)}"
                f"{f', for example {example}' if example else ''}. {finding.advice}"
                for finding, (count, example) in self._occurrences.items()
            ]

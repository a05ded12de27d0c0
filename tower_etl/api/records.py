"""What an answer holds: the items of a list, and what tells two of them apart."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from tower_etl.api import endpoints
from tower_etl.errors import AbsentListError, MalformedResponseError
from tower_etl.lossless import to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

    from tower_etl.api.endpoints import Endpoint, FieldTypes
    from tower_etl.api.pagination import Item, Key
    from tower_etl.errors import ServerError

_INT64 = range(-(2**63), 2**63)
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,18})")


@dataclass(frozen=True)
class MissingKey:
    """Stands for the key of an element that has none: such elements are told apart by content.

    Attributes:
        digest: Of the element.
    """

    digest: bytes


def extract_records(endpoint: Endpoint, answer: Item) -> list[Item]:
    """Return the list that an answer of an endpoint holds; some elements may be no objects.

    An endpoint that answers with one object gives a list of that one.

    Raises:
        AbsentListError: The list is absent or null.
        MalformedResponseError: There is something else, or there are no objects in the list.
    """
    if endpoint.single:
        return [extract_object(endpoint, answer)]
    found = answer.get(endpoint.records_key)
    if found is None:
        raise malformed_response(endpoint, "list of objects", AbsentListError)
    if isinstance(found, list) and (not found or any(isinstance(item, dict) for item in found)):
        return found
    raise malformed_response(endpoint, "list of objects")


def extract_object(endpoint: Endpoint, answer: Item) -> Item:
    """Return the one object that an answer holds.

    Raises:
        MalformedResponseError: It holds none.
    """
    found = answer.get(endpoint.records_key)
    if isinstance(found, dict):
        return found
    raise malformed_response(endpoint, "object")


def parse_id(value: object) -> int | None:
    """Return a number as an id that a column can hold, None where it is none.

    Decimal text counts: some gateways and clients write long integers as text.
    """
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        value = int(value)
    return value if type(value) is int and value in _INT64 else None


def extract_count(value: object) -> int | None:
    """Return a number of items, None where the server does not know it."""
    return value if type(value) is int and value > 0 else None


def parse_text_id(value: object) -> str | None:
    """Return a text as an id, None where it is empty or no text; a whole number counts as text."""
    if isinstance(value, str):
        return value if value.strip() else None
    return str(value) if type(value) is int else None


def record_key(fields: FieldTypes) -> Key:
    """Return what tells two items apart: the values of fields, in the types of their columns.

    An item in which one of the fields is no id has a `MissingKey`.
    """
    readers = [(path.split("."), _READERS[kind]) for path, kind in fields.items()]

    def key(item: Item) -> Hashable:
        values = tuple(read(_at(item, path)) for path, read in readers)
        if None in values:
            return MissingKey(_digest(item))
        return values[0] if len(values) == 1 else values

    return key


def with_typed_key(item: Item, fields: FieldTypes) -> Item:
    """Return an item that has a key, with the fields of its key in the types of their columns."""
    odd = {
        name: _READERS[kind](item[name])
        for name, kind in fields.items()
        if name in item and type(item[name]) is not kind
    }
    return {**item, **odd} if odd else item


def run_key(element: Item) -> str | MissingKey:
    """Return the id of a run, in a listing or as it is described; a number is none."""
    found = _at(element, ("workflow", "id"))
    return found if isinstance(found, str) and found.strip() else MissingKey(_digest(element))


def task_key(element: Item) -> Hashable:
    """Return the number of a task in its run; older servers may not wrap tasks."""
    task = element["task"] if isinstance(_of(element, "task"), dict) else element
    task_id = parse_id(_of(task, "taskId"))
    return MissingKey(_digest(task)) if task_id is None else task_id


def split_keyed(items: Iterable[Item], key: Callable[[Item], Hashable]) -> tuple[list[Item], int]:
    """Return the items that have a key, and how many have none."""
    everything = list(items)
    keyed = [item for item in everything if not isinstance(key(item), MissingKey)]
    return keyed, len(everything) - len(keyed)


def count_keyed(keys: Iterable[Hashable]) -> int:
    """Return how many keys are those of items that have one."""
    return sum(not isinstance(key, MissingKey) for key in keys)


def malformed_response(
    endpoint: Endpoint, wanted: str, kind: type[ServerError] = MalformedResponseError
) -> ServerError:
    """The error for an answer that lacks what it should have."""
    msg = (
        f"GET {endpoint.path}: the answer has no {wanted} under {endpoint.records_key!r}. "
        "The endpoint may not be a Seqera Platform API: check it with `tower-etl check`."
    )
    return kind(msg)


def malformed_runs_response() -> ServerError:
    """The error for a listing of runs none of which has an id."""
    return malformed_response(endpoints.RUNS, "text as workflow.id in any element")


def _of(item: object, name: str) -> Any:  # noqa: ANN401 - any JSON value
    return item.get(name) if isinstance(item, dict) else None


def _at(item: object, path: Iterable[str]) -> object:
    for name in path:
        item = _of(item, name)
    return item


def _digest(item: object) -> bytes:
    return blake2b(to_json(item).encode(), digest_size=8).digest()


_READERS: Mapping[type, Callable[[object], int | str | None]] = {int: parse_id, str: parse_text_id}


NULL_KEY = MissingKey(_digest(None))


@dataclass(frozen=True)
class Finding:
    """One kind of contradiction or oddity in one place.

    Attributes:
        place: Where, such as a workspace or a table of it.
        problem: What is odd, with `{}` for the number of things it was found in.
        advice: What was done about it, or is to be done.
    """

    location: str
    problem: str
    advice: str


class Findings:
    """Counts findings, safely from several threads."""

    def __init__(self) -> None:
        self._counts: dict[Finding, int] = {}
        self._examples: dict[Finding, str] = {}
        self._lock = threading.Lock()

    def add(self, finding: Finding, example: str = "", count: int = 1) -> None:
        """Count a finding, in so many things; the first example is kept."""
        with self._lock:
            self._counts[finding] = self._counts.get(finding, 0) + count
            self._examples.setdefault(finding, example)

    def list_messages(self) -> list[str]:
        """Return one message for each kind and place, in the order in which they were found."""
        with self._lock:
            return [
                f"{finding.location}: {finding.problem.format(count)}"
                f"{f', for example {example}' if (example := self._examples[finding]) else ''}. "
                f"{finding.advice}"
                for finding, count in self._counts.items()
            ]

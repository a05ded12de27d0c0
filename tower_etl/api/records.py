"""Extraction of records and their primary keys from responses, and findings about them."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from tower_etl.api import endpoints
from tower_etl.errors import AbsentListError, ServerError
from tower_etl.lossless import to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from tower_etl.api.endpoints import Endpoint
    from tower_etl.api.pagination import Item, Key


@dataclass(frozen=True)
class MissingKey:
    """Placeholder for the key of an element without one; such elements differ by their content.

    Attributes:
        digest: Digest of the element's JSON.
    """

    digest: bytes


def extract_records(endpoint: Endpoint, answer: Item) -> list[Item]:
    """Return the list in the response of an endpoint; some elements may not be objects.

    The object of an endpoint that returns a single object becomes a list of one.

    Raises:
        AbsentListError: The list is absent or null.
        ServerError: The value is not a list, or the list has elements but no objects.
    """
    if endpoint.single:
        return [extract_object(endpoint, answer)]
    found = answer.get(endpoint.records_key)
    # API fact 7: a list may be null, as `metrics` of runs without metrics.
    if found is None:
        raise malformed_response(endpoint, "list of objects", AbsentListError)
    if isinstance(found, list) and (not found or any(isinstance(item, dict) for item in found)):
        return found
    raise malformed_response(endpoint, "list of objects")


def extract_object(endpoint: Endpoint, answer: Item) -> Item:
    """Return the single object in the response of an endpoint.

    Raises:
        ServerError: The response has no such object.
    """
    found = answer.get(endpoint.records_key)
    if isinstance(found, dict):
        return found
    raise malformed_response(endpoint, "object")


def extract_count(value: object) -> int | None:
    """Return a number of items; None for 0 and other values, which servers send if unknown."""
    return value if type(value) is int and value > 0 else None


def primary_key(*path: str) -> Key:
    """Return a function that gets an item's key: the value at the path, else a `MissingKey`."""

    def key(item: Item) -> Hashable:
        found: object = item
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        if isinstance(found, str | int) and not isinstance(found, bool):
            return found
        return MissingKey(_digest(item))

    return key


def run_key(element: Item) -> str | MissingKey:
    """Return the id of a run from an element of a listing or a detail; an id must be text."""
    key = _RUN_KEY(element)
    return key if isinstance(key, str) else MissingKey(_digest(element))


def task_key(element: Item) -> Hashable:
    """Return the `taskId` of a task within its run; older servers may not wrap tasks in `task`."""
    return _TASK_KEY(element["task"] if isinstance(_of(element, "task"), dict) else element)


def split_keyed(items: Iterable[Item], key: Callable[[Item], Hashable]) -> tuple[list[Item], int]:
    """Return the items that have a key, and the number of those that have none."""
    everything = list(items)
    keyed = [item for item in everything if not isinstance(key(item), MissingKey)]
    return keyed, len(everything) - len(keyed)


def malformed_response(
    endpoint: Endpoint, wanted: str, kind: type[ServerError] = ServerError
) -> ServerError:
    """Return the error for a response that lacks its documented content."""
    msg = (
        f"GET {endpoint.path}: the answer has no {wanted} under {endpoint.records_key!r}. "
        "The endpoint may not be a Seqera Platform API: check it with `tower-etl check`."
    )
    return kind(msg)


def malformed_runs_response() -> ServerError:
    """Return the error for a listing in which no run has an id."""
    return malformed_response(endpoints.RUNS, "text as workflow.id in any element")


def _of(item: object, name: str) -> Any:  # noqa: ANN401 - any JSON value
    return item.get(name) if isinstance(item, dict) else None


def _digest(item: object) -> bytes:
    return blake2b(to_json(item).encode(), digest_size=8).digest()


_RUN_KEY = primary_key("workflow", "id")
_TASK_KEY = primary_key("taskId")


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
        self._counts: dict[Finding, int] = {}
        self._examples: dict[Finding, str] = {}
        self._lock = threading.Lock()

    def add(self, finding: Finding, example: str = "", count: int = 1) -> None:
        """Count occurrences of a finding, and keep its first example."""
        with self._lock:
            self._counts[finding] = self._counts.get(finding, 0) + count
            self._examples.setdefault(finding, example)

    def list_messages(self) -> list[str]:
        """Return one message for each finding, in the order of their first occurrence."""
        with self._lock:
            return [
                f"{finding.location}: {finding.problem.format(count)}"
                f"{f', for example {example}' if (example := self._examples[finding]) else ''}. "
                f"{finding.advice}"
                for finding, count in self._counts.items()
            ]

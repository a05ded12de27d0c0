"""What an answer holds: the items of a list, and what tells two of them apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tower_etl.api import endpoints
from tower_etl.errors import AbsentListError, ServerFaultError

if TYPE_CHECKING:
    from collections.abc import Hashable

    from tower_etl.api.endpoints import Endpoint
    from tower_etl.api.pages import Item, Key


def take_items(endpoint: Endpoint, answer: Item) -> list[Item]:
    """The list of objects that an answer of an endpoint holds.

    Raises:
        AbsentListError: The list is absent or null.
        ServerFaultError: It holds something else.
    """
    found = answer.get(endpoint.items)
    if found is None:
        raise malformed(endpoint, "list of objects", AbsentListError)
    if isinstance(found, list) and all(isinstance(item, dict) for item in found):
        return found
    raise malformed(endpoint, "list of objects")


def take_count(value: object) -> int | None:
    """A number of items, None where the server does not know it."""
    return value if isinstance(value, int) and value > 0 else None


def key_of(endpoint: Endpoint, *path: str) -> Key:
    """What tells two items of an endpoint apart: the value at `path`, which must be there."""

    def key(item: Item) -> Hashable:
        found: object = item
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        if isinstance(found, str | int) and not isinstance(found, bool):
            return found
        raise malformed(endpoint, f"{'.'.join(path)} in each element")

    return key


def run_key(element: Item) -> str:
    """The id of a run, in a listing or as it is described; a number is none.

    Raises:
        ServerFaultError: There is none.
    """
    key = _any_run_key(element)
    if isinstance(key, str):
        return key
    raise malformed(endpoints.RUNS, "text as workflow.id in each element")


def malformed(
    endpoint: Endpoint, wanted: str, kind: type[ServerFaultError] = ServerFaultError
) -> ServerFaultError:
    """The error for an answer that lacks what it should have."""
    msg = (
        f"GET {endpoint.path}: the answer has no {wanted} under {endpoint.items!r}. The endpoint "
        "may not be a Seqera Platform API: check it with `tower-etl check`."
    )
    return kind(msg)


_any_run_key = key_of(endpoints.RUNS, "workflow", "id")
TASK_KEY = key_of(endpoints.RUN_TASKS, "task", "taskId")

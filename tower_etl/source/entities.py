"""Fetching the slow entities: what each place answers, refuses, or fails to answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from tower_etl.api import Finding, Found
from tower_etl.errors import (
    ApiError,
    BadRequestError,
    ForbiddenError,
    NotFoundError,
    ServerFaultError,
    TokenRefusedError,
)
from tower_etl.source.catalog import choose_entities, list_places

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tower_etl.api import Item, TowerClient
    from tower_etl.api.endpoints import Endpoint
    from tower_etl.source.catalog import Entity, Place
    from tower_etl.source.fetcher import Failure, Fetcher
    from tower_etl.source.preflight import Workspace

_REFUSALS = (ForbiddenError, NotFoundError, BadRequestError, TokenRefusedError)
_NAMED = 3

Asked = tuple["Entity", "Place"]


@dataclass(frozen=True)
class Haul:
    """What came of asking for an entity at a place.

    Attributes:
        entity: What was asked for.
        place: Where.
        result: The list, or why there is none.
        details: What one call for each item says, or why it says nothing, by the item's key.
    """

    entity: Entity
    place: Place
    result: Found | Failure
    details: Mapping[object, Item | Failure] = field(default_factory=dict)

    @property
    def items(self) -> list[Item]:
        """What the list holds, with details where there are some; nothing without a list."""
        listed = self.result.items if isinstance(self.result, Found) else []
        return [self._detail(item) for item in listed] if self.details else listed

    def _detail(self, item: Item) -> Item:
        """An item with what its details add; where both say something, the list does."""
        found = self.details.get(item.get(self.entity.endpoint.key[0]))
        if not isinstance(found, Mapping):
            return item
        return {**found, **{name: value for name, value in item.items() if value is not None}}

    @property
    def complete(self) -> bool:
        """Whether what the list lacks is not there for sure."""
        return isinstance(self.result, Found) and self.result.complete


def is_refusal(result: object) -> bool:
    """Whether the server lacks an endpoint, or keeps it from the token (API fact 11).

    A page that is no answer of the API, with a status that says success, is one way to lack it.
    """
    if isinstance(result, ServerFaultError):
        return result.status_code == HTTPStatus.OK
    return isinstance(result, _REFUSALS)


def fetch_entities(
    client: TowerClient,
    fetcher: Fetcher,
    wanted: frozenset[str],
    workspaces: Sequence[Workspace],
    is_due: Callable[[str, Item], bool],
) -> list[Haul]:
    """Everything that is wanted of some workspaces and of the organisations that they are in.

    Args:
        client: Asks the platform.
        fetcher: Asks for several things at once.
        wanted: Names of tables.
        workspaces: Where to ask.
        is_due: Whether the children of a row are to be asked for, by the table of the children.
    """
    entities = choose_entities(wanted)
    firsts = [
        (entity, place)
        for entity in entities
        if not entity.parent
        for place in list_places(entity.scope, workspaces)
    ]
    hauls = _add_details(client, fetcher, entities, _fetch(client, fetcher, firsts))
    children = [entity for entity in entities if entity.parent]
    return [*hauls, *_fetch(client, fetcher, _iter_children(children, hauls, is_due))]


def _fetch(client: TowerClient, fetcher: Fetcher, asked: Iterable[Asked]) -> list[Haul]:
    def work(pair: Asked) -> Haul:
        entity, place = pair
        found = fetcher.guard(lambda: client.list_entities(entity.endpoint, place.where))
        if isinstance(found, Found) and found.left_out:
            problem = f"{{}} element(s) of {entity.table} without a usable id were left out"
            finding = Finding(place.name, problem, "No row was marked as missing.")
            client.findings.add(finding, count=found.left_out)
        return Haul(entity, place, found)

    return fetcher.run_all(work, asked)


def _add_details(
    client: TowerClient, fetcher: Fetcher, entities: Iterable[Entity], hauls: list[Haul]
) -> list[Haul]:
    """The hauls, with the details of the items of each entity that has details."""
    for entity in entities:
        if entity.detail is not None:
            own = [haul for haul in hauls if haul.entity is entity]
            details = _fetch_details(client, fetcher, entity.detail, own)
            hauls = [replace(h, details=details) if h.entity is entity else h for h in hauls]
    return hauls


def _fetch_details(
    client: TowerClient, fetcher: Fetcher, endpoint: Endpoint, hauls: Iterable[Haul]
) -> dict[object, Item | Failure]:
    """Ask for each item once: in its own workspace, where that is among those asked."""
    places: dict[str, Place] = {}
    for haul in hauls:
        for item in haul.items:
            key = item.get(haul.entity.endpoint.key[0])
            is_own = item.get("workspaceName") == haul.place.workspace
            if isinstance(key, str) and (is_own or key not in places):
                places[key] = haul.place.of_parent(key)

    def work(place: Place) -> Item | Failure:
        return fetcher.guard(lambda: client.describe_entity(endpoint, place.where))

    return dict(zip(places, fetcher.run_all(work, places.values()), strict=True))


def _iter_children(
    children: list[Entity], hauls: list[Haul], is_due: Callable[[str, Item], bool]
) -> Iterator[Asked]:
    for entity in children:
        for haul in hauls:
            if haul.entity.table == entity.parent:
                for item in haul.items:
                    parent_id = item.get(haul.entity.endpoint.key[0])
                    if isinstance(parent_id, int) and is_due(entity.table, item):
                        yield entity, haul.place.of_parent(parent_id)


def group_refusals(hauls: Iterable[Haul]) -> dict[str, list[Haul]]:
    """The hauls that were refused, by table."""
    refused: dict[str, list[Haul]] = {}
    for haul in hauls:
        if is_refusal(haul.result):
            refused.setdefault(haul.entity.table, []).append(haul)
    return refused


def list_faults(hauls: Iterable[Haul]) -> list[ApiError]:
    """What failed without being a refusal, each once."""
    faults = [
        haul.result
        for haul in hauls
        if isinstance(haul.result, ApiError) and not is_refusal(haul.result)
    ]
    return list({str(fault): fault for fault in faults}.values())


def list_absent(hauls: Iterable[Haul]) -> dict[object, Failure]:
    """Why the details of some items are not there, by the item's key."""
    details = [pair for haul in hauls for pair in haul.details.items()]
    return {key: found for key, found in details if not isinstance(found, Mapping)}


def describe_refusal(table: str, refused: list[Haul]) -> str:
    """One sentence for all places that refused a table."""
    names = list(dict.fromkeys(haul.place.name for haul in refused))
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return (
        f"The token may not read {table} of {', '.join(names[:_NAMED])}{more}, or the server has "
        f"none; rows loaded before stay as they are ({refused[0].result})"
    )

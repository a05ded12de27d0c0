"""What a token may read, table by table: one call for each endpoint and place, of one item."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tower_etl.api import endpoints
from tower_etl.clock import SYSTEM_CLOCK
from tower_etl.source.catalog import Entity, Scope, choose_entities, list_places
from tower_etl.source.fetcher import Fetcher
from tower_etl.source.launches import is_launch_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from tower_etl.api import Item, TowerClient
    from tower_etl.source.catalog import Place
    from tower_etl.source.fetcher import Failure
    from tower_etl.source.preflight import Reach

# Tables that are not lists of their own, by the one whose call fills them.
_RUNS = Entity("workflows", endpoints.RUNS, Scope.WORKSPACE)
_PARTS = (
    Entity("tasks", endpoints.RUN_TASKS, Scope.WORKSPACE, parent="workflows"),
    Entity("process_metrics", endpoints.RUN_METRICS, Scope.WORKSPACE, parent="workflows"),
)
_OF_LAUNCHES = (
    Entity("launches", endpoints.LAUNCH, Scope.WORKSPACE, parent="workflows"),
    Entity("launch_datasets", endpoints.LAUNCH_DATASETS, Scope.WORKSPACE, parent="workflows"),
)


@dataclass(frozen=True)
class Access:
    """What came of asking for a table.

    Attributes:
        table: Its name.
        readable: Names of the places that answered.
        refused: Why others did not, by name.
    """

    table: str
    readable: tuple[str, ...]
    refused: dict[str, str]


@dataclass(frozen=True)
class Answer:
    """One call: the first item, None where the list is empty, or why there is no list."""

    entity: Entity
    place: Place
    result: Item | Failure | None


def inspect_tables(
    client: TowerClient, reach: Reach, wanted: frozenset[str], workers: int
) -> list[Access]:
    """Ask for one item of everything that fills a wanted table, wherever it is wanted from.

    What hangs on a run, a team or a pipeline is asked for with the first one that came; where none
    did, nothing is said of it.
    """
    inquiry = _Inquiry(client, Fetcher(client, wanted, workers))
    try:
        answers = inquiry.ask_all([_RUNS, *choose_entities(wanted)], reach)
        parts = [part for part in _PARTS if part.table in wanted]
        answers += inquiry.ask_children([*parts, *choose_entities(wanted)], answers)
        if "launches" in wanted:
            answers += inquiry.ask_launches(answers, wanted)
        if "audit_logs" in wanted:
            answers.append(inquiry.ask_audit_logs())
    finally:
        inquiry.fetcher.close()
    tables = dict.fromkeys(answer.entity.table for answer in answers)
    return [_sum_up(table, answers) for table in tables if table in wanted]


@dataclass(frozen=True)
class _Inquiry:
    client: TowerClient
    fetcher: Fetcher

    def ask_all(self, entities: list[Entity], reach: Reach) -> list[Answer]:
        """What every place answers to every entity that hangs on nothing else."""
        asked = [
            (entity, place)
            for entity in entities
            if not entity.parent
            for place in list_places(entity.scope, reach.workspaces)
        ]
        return self.fetcher.run_all(lambda pair: self._ask(*pair), asked)

    def ask_children(self, entities: list[Entity], answers: list[Answer]) -> list[Answer]:
        """What is answered to the children of the first row of each place."""
        asked = [
            self._prepare(entity, answer.place, answer.result)
            for entity in entities
            for answer in answers
            if answer.entity.table == entity.parent and isinstance(answer.result, dict)
        ]
        return self.fetcher.run_all(lambda ask: ask(), asked)

    def ask_launches(self, answers: list[Answer], wanted: frozenset[str]) -> list[Answer]:
        """What is answered to the launch of the first run of each place, if it had one."""
        firsts = [
            (answer.place, _run_of(answer.result).get("launchId"))
            for answer in answers
            if answer.entity is _RUNS and isinstance(answer.result, dict)
        ]
        asked = [
            (entity, place, launch_id)
            for entity in _OF_LAUNCHES
            for place, launch_id in firsts
            if entity.table in wanted and is_launch_id(launch_id)
        ]
        return self.fetcher.run_all(lambda ask: self._ask(ask[0], ask[1], launch_id=ask[2]), asked)

    def ask_audit_logs(self) -> Answer:
        """The newest entry of the audit log."""
        entity = Entity("audit_logs", endpoints.AUDIT_LOGS, Scope.SERVER)
        (place,) = list_places(Scope.SERVER, ())
        now = SYSTEM_CLOCK.now()
        found = self.fetcher.guard(lambda: self.client.page_audit_logs(now, now, None))
        return Answer(entity, place, None if isinstance(found, tuple) else found)

    def _prepare(self, entity: Entity, place: Place, parent: Item) -> Callable[[], Answer]:
        if entity.parent == _RUNS.table:
            run_id = _run_of(parent).get("id")
            return lambda: self._ask(entity, place, run_id=run_id)
        key = next(e for e in choose_entities(frozenset({entity.parent}))).endpoint.key[0]
        where = replace(place.where, parent_id=parent.get(key))
        return lambda: self._ask(entity, replace(place, where=where))

    def _ask(self, entity: Entity, place: Place, **names: object) -> Answer:
        found = self.fetcher.guard(lambda: self.client.probe(entity.endpoint, place.where, **names))
        return Answer(entity, place, found)


def _run_of(element: Item) -> Item:
    """The run in an element of a listing; nothing where there is none."""
    run = element.get("workflow")
    return run if isinstance(run, dict) else {}


def _sum_up(table: str, answers: list[Answer]) -> Access:
    own = [answer for answer in answers if answer.entity.table == table]
    refused = {a.place.name: str(a.result) for a in own if isinstance(a.result, Exception)}
    readable = [a.place.name for a in own if not isinstance(a.result, Exception)]
    return Access(table, tuple(dict.fromkeys(readable)), refused)

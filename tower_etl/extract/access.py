"""What a token may read, table by table: one call for each endpoint and place, of one item."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tower_etl.api import endpoints
from tower_etl.clock import SYSTEM_CLOCK
from tower_etl.extract.executor import FetchExecutor
from tower_etl.extract.on_demand import is_launch_id
from tower_etl.extract.reference import (
    EntityScope,
    ReferenceEntity,
    list_partitions,
    select_entities,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tower_etl.api import Item, TowerClient
    from tower_etl.extract.discovery import Discovery
    from tower_etl.extract.failures import Failure
    from tower_etl.extract.reference import Partition

# Tables that are not lists of their own, by the one whose call fills them.
_RUNS = ReferenceEntity("workflows", endpoints.RUNS, EntityScope.WORKSPACE)
_PARTS = (
    ReferenceEntity("tasks", endpoints.RUN_TASKS, EntityScope.WORKSPACE, parent="workflows"),
    ReferenceEntity(
        "process_metrics", endpoints.RUN_METRICS, EntityScope.WORKSPACE, parent="workflows"
    ),
)
_OF_LAUNCHES = (
    ReferenceEntity("launches", endpoints.LAUNCH, EntityScope.WORKSPACE, parent="workflows"),
    ReferenceEntity(
        "launch_datasets", endpoints.LAUNCH_DATASETS, EntityScope.WORKSPACE, parent="workflows"
    ),
)


@dataclass(frozen=True)
class TableAccess:
    """What came of asking for a table.

    Attributes:
        table: Its name.
        readable: Names of the places that answered.
        refused: Why others did not, by name.
    """

    table: str
    readable: tuple[str, ...]
    denied: dict[str, str]


@dataclass(frozen=True)
class ProbeResult:
    """One call: the first item, None where the list is empty, or why there is no list."""

    entity: ReferenceEntity
    partition: Partition
    result: Item | Failure | None


def check_table_access(
    client: TowerClient, discovery: Discovery, wanted: frozenset[str], workers: int
) -> list[TableAccess]:
    """Ask for one item of everything that fills a wanted table, wherever it is wanted from.

    What hangs on a run, a team or a pipeline is asked for with the first one that came; where none
    did, nothing is said of it.
    """
    inquiry = _AccessProbe(client, FetchExecutor(client, wanted, workers))
    try:
        answers = inquiry.probe_all([_RUNS, *select_entities(wanted)], discovery)
        parts = [part for part in _PARTS if part.table in wanted]
        answers += inquiry.probe_children([*parts, *select_entities(wanted)], answers)
        if "launches" in wanted:
            answers += inquiry.probe_launches(answers, wanted)
        if "audit_logs" in wanted:
            answers.append(inquiry.probe_audit_logs())
    finally:
        inquiry.executor.close()
    tables = dict.fromkeys(answer.entity.table for answer in answers)
    return [_sum_up(table, answers) for table in tables if table in wanted]


@dataclass(frozen=True)
class _AccessProbe:
    client: TowerClient
    executor: FetchExecutor

    def probe_all(self, entities: list[ReferenceEntity], discovery: Discovery) -> list[ProbeResult]:
        """What every place answers to every entity that hangs on nothing else."""
        asked = [
            (entity, place)
            for entity in entities
            if not entity.parent
            for place in list_partitions(entity.scope, discovery.workspaces)
        ]
        return self.executor.map(lambda pair: self._probe(*pair), asked)

    def probe_children(
        self, entities: list[ReferenceEntity], answers: list[ProbeResult]
    ) -> list[ProbeResult]:
        """What is answered to the children of the first row of each place."""
        asked = [
            self._prepare(entity, answer.partition, answer.result)
            for entity in entities
            for answer in answers
            if answer.entity.table == entity.parent and isinstance(answer.result, dict)
        ]
        return self.executor.map(lambda ask: ask(), asked)

    def probe_launches(
        self, answers: list[ProbeResult], wanted: frozenset[str]
    ) -> list[ProbeResult]:
        """What is answered to the launch of the first run of each place, if it had one."""
        firsts = [
            (answer.partition, _run_of(answer.result).get("launchId"))
            for answer in answers
            if answer.entity is _RUNS and isinstance(answer.result, dict)
        ]
        asked = [
            (entity, place, launch_id)
            for entity in _OF_LAUNCHES
            for place, launch_id in firsts
            if entity.table in wanted and is_launch_id(launch_id)
        ]
        return self.executor.map(lambda ask: self._probe(ask[0], ask[1], launch_id=ask[2]), asked)

    def probe_audit_logs(self) -> ProbeResult:
        """The newest entry of the audit log."""
        entity = ReferenceEntity("audit_logs", endpoints.AUDIT_LOGS, EntityScope.SERVER)
        (place,) = list_partitions(EntityScope.SERVER, ())
        now = SYSTEM_CLOCK.now()
        found = self.executor.capture_error(lambda: self.client.list_audit_log_page(now, now, None))
        return ProbeResult(entity, place, None if isinstance(found, tuple) else found)

    def _prepare(
        self, entity: ReferenceEntity, place: Partition, parent: Item
    ) -> Callable[[], ProbeResult]:
        if entity.parent == _RUNS.table:
            run_id = _run_of(parent).get("id")
            return lambda: self._probe(entity, place, run_id=run_id)
        key = next(e for e in select_entities(frozenset({entity.parent}))).endpoint.id_field
        where = replace(place.scope, parent_id=parent.get(key))
        return lambda: self._probe(entity, replace(place, scope=where))

    def _probe(self, entity: ReferenceEntity, place: Partition, **names: object) -> ProbeResult:
        found = self.executor.capture_error(
            lambda: self.client.probe(entity.endpoint, place.scope, **names)
        )
        return ProbeResult(entity, place, found)


def _run_of(element: Item) -> Item:
    """The run in an element of a listing; nothing where there is none."""
    run = element.get("workflow")
    return run if isinstance(run, dict) else {}


def _sum_up(table: str, answers: list[ProbeResult]) -> TableAccess:
    own = [answer for answer in answers if answer.entity.table == table]
    refused = {a.partition.name: str(a.result) for a in own if isinstance(a.result, Exception)}
    readable = [a.partition.name for a in own if not isinstance(a.result, Exception)]
    return TableAccess(table, tuple(dict.fromkeys(readable)), refused)

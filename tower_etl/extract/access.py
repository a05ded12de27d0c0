"""Check of the access to each table: one call of one item per endpoint and partition."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tower_etl.api import endpoints
from tower_etl.clock import SYSTEM_CLOCK
from tower_etl.extract.executor import FetchExecutor
from tower_etl.extract.failures import capture_failure
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

# Tables that are filled from other calls than the lists of reference data.
_RUNS = ReferenceEntity("workflows", endpoints.RUNS, EntityScope.WORKSPACE)
_RUN_PARTS = (
    ReferenceEntity("tasks", endpoints.RUN_TASKS, EntityScope.WORKSPACE, parent="workflows"),
    ReferenceEntity(
        "process_metrics", endpoints.RUN_METRICS, EntityScope.WORKSPACE, parent="workflows"
    ),
)
_LAUNCH_ENTITIES = (
    ReferenceEntity("launches", endpoints.LAUNCH, EntityScope.WORKSPACE, parent="workflows"),
    ReferenceEntity(
        "launch_datasets", endpoints.LAUNCH_DATASETS, EntityScope.WORKSPACE, parent="workflows"
    ),
)


@dataclass(frozen=True)
class TableAccess:
    """Access to a table.

    Attributes:
        table: Name of the table.
        readable: Names of the partitions that granted access.
        denied: Reasons of the partitions that denied access, by name.
    """

    table: str
    readable: tuple[str, ...]
    denied: dict[str, str]


@dataclass(frozen=True)
class ProbeResult:
    """Result of one call.

    Attributes:
        entity: Requested entity.
        partition: Partition that it was requested for.
        item: First item of the list, None if it is empty; or the failure.
    """

    entity: ReferenceEntity
    partition: Partition
    item: Item | Failure | None


def check_table_access(
    client: TowerClient, discovery: Discovery, selected: frozenset[str], workers: int
) -> list[TableAccess]:
    """Request one item of each endpoint that fills a selected table, from each partition.

    Children of a run, team or pipeline are requested for the first parent found; if there is none,
    the result does not contain their table.
    """
    probe = _AccessProbe(client, FetchExecutor(client, selected, workers))
    try:
        results = probe.probe_all([_RUNS, *select_entities(selected)], discovery)
        parts = [part for part in _RUN_PARTS if part.table in selected]
        results += probe.probe_children([*parts, *select_entities(selected)], results)
        if "launches" in selected:
            results += probe.probe_launches(results, selected)
        if "audit_logs" in selected:
            results.append(probe.probe_audit_logs())
    finally:
        probe.executor.close()
    tables = dict.fromkeys(result.entity.table for result in results)
    return [_summarize(table, results) for table in tables if table in selected]


def count_runs(client: TowerClient, discovery: Discovery) -> dict[str, int | None]:
    """Return the number of runs by workspace key, None if unknown; one call per workspace."""
    found = {
        workspace.key: capture_failure(partial(client.count_runs, workspace.id))
        for workspace in discovery.workspaces
    }
    return {key: count if isinstance(count, int) else None for key, count in found.items()}


@dataclass(frozen=True)
class _AccessProbe:
    client: TowerClient
    executor: FetchExecutor

    def probe_all(self, entities: list[ReferenceEntity], discovery: Discovery) -> list[ProbeResult]:
        """Request one item of each entity without a parent from each partition."""
        requests = [
            (entity, partition)
            for entity in entities
            if not entity.parent
            for partition in list_partitions(entity.scope, discovery.workspaces)
        ]
        return self.executor.map(lambda pair: self._probe(*pair), requests)

    def probe_children(
        self, entities: list[ReferenceEntity], results: list[ProbeResult]
    ) -> list[ProbeResult]:
        """Request one item of each child entity for the first parent of each partition."""
        requests = [
            self._prepare(entity, result.partition, result.item)
            for entity in entities
            for result in results
            if result.entity.table == entity.parent and isinstance(result.item, dict)
        ]
        return self.executor.map(lambda request: request(), requests)

    def probe_launches(
        self, results: list[ProbeResult], selected: frozenset[str]
    ) -> list[ProbeResult]:
        """Request the launch of the first run of each partition, if it has one."""
        first_launches = [
            (result.partition, _run_of(result.item).get("launchId"))
            for result in results
            if result.entity is _RUNS and isinstance(result.item, dict)
        ]
        requests = [
            (entity, partition, launch_id)
            for entity in _LAUNCH_ENTITIES
            for partition, launch_id in first_launches
            if entity.table in selected and is_launch_id(launch_id)
        ]
        return self.executor.map(
            lambda request: self._probe(request[0], request[1], launch_id=request[2]), requests
        )

    def probe_audit_logs(self) -> ProbeResult:
        """Request the newest page of the audit log."""
        entity = ReferenceEntity("audit_logs", endpoints.AUDIT_LOGS, EntityScope.SERVER)
        (partition,) = list_partitions(EntityScope.SERVER, ())
        now = SYSTEM_CLOCK.now()
        found = self.executor.capture_error(lambda: self.client.list_audit_log_page(now, now, None))
        return ProbeResult(entity, partition, None if isinstance(found, tuple) else found)

    def _prepare(
        self, entity: ReferenceEntity, partition: Partition, parent: Item
    ) -> Callable[[], ProbeResult]:
        if entity.parent == _RUNS.table:
            run_id = _run_of(parent).get("id")
            return lambda: self._probe(entity, partition, run_id=run_id)
        key = next(e for e in select_entities(frozenset({entity.parent}))).endpoint.id_field
        child = partition.child(parent.get(key))
        return lambda: self._probe(entity, child)

    def _probe(self, entity: ReferenceEntity, partition: Partition, **names: object) -> ProbeResult:
        found = self.executor.capture_error(
            lambda: self.client.probe(entity.endpoint, partition.scope, **names)
        )
        return ProbeResult(entity, partition, found)


def _run_of(element: Item) -> Item:
    """Return the run in an element of a listing; empty if there is none."""
    run = element.get("workflow")
    return run if isinstance(run, dict) else {}


def _summarize(table: str, results: list[ProbeResult]) -> TableAccess:
    own = [result for result in results if result.entity.table == table]
    denied = {a.partition.name: str(a.item) for a in own if isinstance(a.item, Exception)}
    readable = [a.partition.name for a in own if not isinstance(a.item, Exception)]
    return TableAccess(table, tuple(dict.fromkeys(readable)), denied)

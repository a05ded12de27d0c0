"""Check of the access to each table: one call of one item per endpoint and partition."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tower_etl.api import endpoints
from tower_etl.clock import SYSTEM_CLOCK
from tower_etl.extract.executor import FetchExecutor
from tower_etl.extract.failures import capture_failure
from tower_etl.extract.launches import is_launch_id
from tower_etl.extract.reference import (
    EntityScope,
    ReferenceEntity,
    list_partitions,
    list_requests,
    select_entities,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tower_etl.api import Item, TowerClient
    from tower_etl.extract.discovery import Discovery
    from tower_etl.extract.failures import Failure
    from tower_etl.extract.reference import Partition

# Tables that are filled from other calls than the lists of reference data.
_RUNS = ReferenceEntity("workflows", endpoints.RUNS, EntityScope.WORKSPACE)
_child_of_run = partial(ReferenceEntity, scope=EntityScope.WORKSPACE, parent="workflows")
_RUN_PARTS = (
    _child_of_run("tasks", endpoints.RUN_TASKS),
    _child_of_run("process_metrics", endpoints.RUN_METRICS),
)
_LAUNCHES = (
    _child_of_run("launches", endpoints.LAUNCH),
    _child_of_run("launch_datasets", endpoints.LAUNCH_DATASETS),
)

AccessRequest = tuple[ReferenceEntity, "Partition", dict[str, object]]


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
class AccessResult:
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
    executor = FetchExecutor(client, selected, workers)
    entities = select_entities(selected)
    children = [
        entity for entity in (*_RUN_PARTS, *entities, *_LAUNCHES) if entity.table in selected
    ]
    try:
        roots = list_requests([_RUNS, *entities], discovery.workspaces)
        results = _request_items(executor, ((entity, partition, {}) for entity, partition in roots))
        results += _request_items(executor, _list_children(children, results))
        if "audit_logs" in selected:
            results.append(_request_audit_logs(executor))
    finally:
        executor.close()
    tables = dict.fromkeys(result.entity.table for result in results)
    return [_summarize(table, results) for table in tables if table in selected]


def count_runs(client: TowerClient, discovery: Discovery) -> dict[str, int | None]:
    """Return the number of runs by workspace key, None if unknown; one call per workspace."""
    counts = {
        workspace.key: capture_failure(partial(client.count_runs, workspace.id))
        for workspace in discovery.workspaces
    }
    return {key: count if isinstance(count, int) else None for key, count in counts.items()}


def _request_items(
    executor: FetchExecutor, requests: Iterable[AccessRequest]
) -> list[AccessResult]:
    """Request one item for each request."""

    def request_one(request: AccessRequest) -> AccessResult:
        entity, partition, names = request
        item = executor.try_request(
            lambda: executor.client.get_first_item(entity.endpoint, partition.path_scope, **names)
        )
        return AccessResult(entity, partition, item)

    return executor.map(request_one, requests)


def _list_children(
    entities: list[ReferenceEntity], results: list[AccessResult]
) -> list[AccessRequest]:
    """Return the request of each child entity for the first parent of each partition."""
    return [
        request
        for entity in entities
        for result in results
        if result.entity.table == entity.parent and isinstance(result.item, dict)
        for request in _iter_child_requests(entity, result, result.item)
    ]


def _iter_child_requests(
    entity: ReferenceEntity, parent: AccessResult, item: Item
) -> Iterator[AccessRequest]:
    """Yield the request for the children of an item; none for a run without a launch."""
    workflow = item.get("workflow")
    run = workflow if isinstance(workflow, dict) else {}
    if entity in _RUN_PARTS:
        yield entity, parent.partition, {"run_id": run.get("id")}
    elif entity not in _LAUNCHES:
        child = parent.partition.child(item.get(parent.entity.endpoint.id_field))
        yield entity, child, {}
    elif is_launch_id(run.get("launchId")):
        yield entity, parent.partition, {"launch_id": run["launchId"]}


def _request_audit_logs(executor: FetchExecutor) -> AccessResult:
    """Request the newest page of the audit log."""
    entity = ReferenceEntity("audit_logs", endpoints.AUDIT_LOGS, EntityScope.SERVER)
    (partition,) = list_partitions(EntityScope.SERVER, ())
    now = SYSTEM_CLOCK.now()
    page = executor.try_request(lambda: executor.client.list_audit_log_page(now, now, None))
    return AccessResult(entity, partition, None if isinstance(page, tuple) else page)


def _summarize(table: str, results: list[AccessResult]) -> TableAccess:
    items = [
        (result.partition.name, result.item) for result in results if result.entity.table == table
    ]
    denied = {name: str(item) for name, item in items if isinstance(item, Exception)}
    readable = [name for name, item in items if not isinstance(item, Exception)]
    return TableAccess(table, tuple(dict.fromkeys(readable)), denied)

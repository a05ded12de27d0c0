"""Reference entities: their tables, endpoints and scopes, and the requests for them.

A new entity needs an entry in `tower_etl.api.endpoints`, a spec in `tower_etl.schema`, and an entry
in `ENTITIES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING

from tower_etl.api import EntityList, Finding, PathScope, endpoints
from tower_etl.errors import ServerError
from tower_etl.extract.failures import is_access_denied
from tower_etl.schema import COMPUTE_ENV_DETAILS
from tower_etl.text import enumerate_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tower_etl.api import Findings, Item
    from tower_etl.api.endpoints import Endpoint
    from tower_etl.extract.discovery import Workspace
    from tower_etl.extract.executor import FetchExecutor
    from tower_etl.extract.failures import Failure


_SHOWN_NAMES = 3

PartitionRequest = tuple["ReferenceEntity", "Partition"]


class EntityScope(Enum):
    """Scope of an endpoint: the kind of partition that it is requested for."""

    SERVER = "the server"
    ORGANIZATION = "each organization"
    WORKSPACE = "each workspace, the personal one included"
    SHARED = "each workspace of an organization"


@dataclass(frozen=True)
class ReferenceEntity:
    """Reference entity, such as pipelines or members.

    Attributes:
        table: Name of its table.
        endpoint: Endpoint that lists it.
        scope: Scope of the endpoint.
        parent: Table of the parent entity, if the endpoint is requested per parent row.
        parent_column: Column of both tables with the key of the parent row.
        detect_deletes: Whether the list is exhaustive, so that rows not in it are deleted.
        detail: Endpoint with more fields of one item, requested per item.
        detail_columns: Names of the columns that only `detail` fills.
    """

    table: str
    endpoint: Endpoint
    scope: EntityScope
    parent: str = ""
    parent_column: str = ""
    detect_deletes: bool = True
    detail: Endpoint | None = None
    detail_columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Partition:
    """Partition that an endpoint is requested for: the server, an organization or a workspace.

    Attributes:
        key: Key in the state.
        name: Name in messages.
        path_scope: Ids for the path of the endpoint.
        workspace: Name of the workspace without its organization; empty for other partitions.
    """

    key: str
    name: str
    path_scope: PathScope
    workspace: str = ""

    def child(self, parent_id: int | str | None) -> Partition:
        """Return the partition of a team, pipeline or compute environment in this one."""
        return replace(self, path_scope=replace(self.path_scope, parent_id=parent_id))


ENTITIES = (
    ReferenceEntity("organizations", endpoints.ORGANIZATIONS, EntityScope.SERVER),
    ReferenceEntity(
        "organization_quotas", endpoints.QUOTAS, EntityScope.ORGANIZATION, detect_deletes=False
    ),
    ReferenceEntity("workspaces", endpoints.ORG_WORKSPACES, EntityScope.ORGANIZATION),
    ReferenceEntity("members", endpoints.MEMBERS, EntityScope.ORGANIZATION),
    ReferenceEntity("collaborators", endpoints.COLLABORATORS, EntityScope.ORGANIZATION),
    ReferenceEntity("teams", endpoints.TEAMS, EntityScope.ORGANIZATION),
    ReferenceEntity(
        "team_members", endpoints.TEAM_MEMBERS, EntityScope.ORGANIZATION, "teams", "team_id"
    ),
    ReferenceEntity("participants", endpoints.PARTICIPANTS, EntityScope.SHARED),
    ReferenceEntity("labels", endpoints.LABELS, EntityScope.WORKSPACE),
    ReferenceEntity("pipelines", endpoints.PIPELINES, EntityScope.WORKSPACE),
    ReferenceEntity(
        "pipeline_versions",
        endpoints.PIPELINE_VERSIONS,
        EntityScope.WORKSPACE,
        "pipelines",
        "pipeline_id",
    ),
    ReferenceEntity(
        "compute_envs",
        endpoints.COMPUTE_ENVS,
        EntityScope.WORKSPACE,
        detail=endpoints.COMPUTE_ENV,
        detail_columns=tuple(column.name for column in COMPUTE_ENV_DETAILS),
    ),
    ReferenceEntity("actions", endpoints.ACTIONS, EntityScope.WORKSPACE),
    ReferenceEntity("datasets", endpoints.DATASETS, EntityScope.WORKSPACE),
    ReferenceEntity(
        "dataset_versions", endpoints.DATASET_VERSIONS, EntityScope.WORKSPACE, detect_deletes=False
    ),
    # While the platform scans the storage, it returns status 202 and the links found so far.
    ReferenceEntity(
        "data_links", endpoints.DATA_LINKS, EntityScope.WORKSPACE, detect_deletes=False
    ),
    ReferenceEntity("studios", endpoints.STUDIOS, EntityScope.WORKSPACE),
    ReferenceEntity("credentials", endpoints.CREDENTIALS, EntityScope.WORKSPACE),
    ReferenceEntity("pipeline_secrets", endpoints.PIPELINE_SECRETS, EntityScope.WORKSPACE),
)


def select_entities(selected: frozenset[str]) -> list[ReferenceEntity]:
    """Return the entities whose table or history table is selected, and their parents."""
    tables = {entity.table for entity in ENTITIES if _is_selected(entity.table, selected)}
    parents = {entity.parent for entity in ENTITIES if entity.table in tables}
    return [entity for entity in ENTITIES if entity.table in tables | parents]


def _is_selected(table: str, selected: frozenset[str]) -> bool:
    return bool({table, f"{table}_history"} & selected)


def list_partitions(scope: EntityScope, workspaces: Iterable[Workspace]) -> list[Partition]:
    """Return the partitions of a scope in a stable order."""
    if scope is EntityScope.SERVER:
        return [Partition("server", "the server", PathScope())]
    if scope is EntityScope.ORGANIZATION:
        names = {
            workspace.org_id: workspace.org_name for workspace in workspaces if workspace.org_id
        }
        return [
            Partition(f"org:{org_id}", names[org_id], PathScope(org_id=org_id))
            for org_id in sorted(names)
        ]
    return [
        _of_workspace(workspace)
        for workspace in workspaces
        if scope is EntityScope.WORKSPACE or workspace.id
    ]


def _of_workspace(workspace: Workspace) -> Partition:
    name = workspace.name.rpartition("/")[2] if workspace.id else ""
    return Partition(workspace.key, workspace.name, PathScope(workspace.id, workspace.org_id), name)


def list_requests(
    entities: Iterable[ReferenceEntity], workspaces: Sequence[Workspace]
) -> list[PartitionRequest]:
    """Return each entity without a parent with each of its partitions."""
    return [
        (entity, partition)
        for entity in entities
        if not entity.parent
        for partition in list_partitions(entity.scope, workspaces)
    ]


@dataclass(frozen=True)
class PartitionResult:
    """Result of the request for an entity in a partition.

    Attributes:
        entity: Requested entity.
        partition: Requested partition.
        outcome: List, or the failure.
        details: Details of each item, or the failure of their request, by the item's key.
    """

    entity: ReferenceEntity
    partition: Partition
    outcome: EntityList | Failure
    details: Mapping[object, Item | Failure] = field(default_factory=dict)

    @property
    def items(self) -> list[Item]:
        """Items of the list, with their details if any; empty without a list."""
        listed = self.outcome.items if isinstance(self.outcome, EntityList) else []
        return [self._detail(item) for item in listed] if self.details else listed

    def _detail(self, item: Item) -> Item:
        """Return an item with the fields of its details; fields of the list take precedence."""
        details = self.details.get(item.get(self.entity.endpoint.id_field))
        if not isinstance(details, Mapping):
            return item
        return {**details, **{name: value for name, value in item.items() if value is not None}}

    @property
    def complete(self) -> bool:
        """Whether items that are not in the list are certainly deleted."""
        return isinstance(self.outcome, EntityList) and self.outcome.complete

    @property
    def failure(self) -> Failure | None:
        """Failure of the request for the list, None if it succeeded."""
        return None if isinstance(self.outcome, EntityList) else self.outcome

    @property
    def is_denied(self) -> bool:
        """Whether the server lacks the endpoint, or denies access to it."""
        return is_access_denied(self.outcome)


def fetch_entities(
    executor: FetchExecutor,
    selected: frozenset[str],
    workspaces: Sequence[Workspace],
    is_due: Callable[[str, Item], bool],
) -> list[PartitionResult]:
    """Fetch the selected entities of some workspaces and of their organizations.

    Args:
        executor: Executor for concurrent requests.
        selected: Names of the selected tables.
        workspaces: Workspaces to request.
        is_due: Function that returns whether to request the children of a row, given the table of
            the children and the row.
    """
    entities = select_entities(selected)
    requests = list_requests(entities, workspaces)
    results = _add_item_details(executor, entities, _fetch(executor, requests))
    children = [entity for entity in entities if entity.parent]
    return [*results, *_fetch(executor, _iter_children(children, results, is_due))]


def _fetch(executor: FetchExecutor, requests: Iterable[PartitionRequest]) -> list[PartitionResult]:
    client = executor.client

    def request_one(pair: PartitionRequest) -> PartitionResult:
        entity, partition = pair
        outcome = executor.try_request(
            lambda: client.list_entity(entity.endpoint, partition.path_scope)
        )
        if isinstance(outcome, EntityList):
            _report_findings(client.findings, entity.table, partition.name, outcome)
        return PartitionResult(entity, partition, outcome)

    return executor.map(request_one, requests)


def _report_findings(findings: Findings, table: str, location: str, listed: EntityList) -> None:
    """Report elements that were skipped or repeated, and a count that the list contradicts."""
    if listed.left_out:
        problem = f"{{}} element(s) of {table} without a usable id were left out"
        finding = Finding(location, problem, "No row was marked as missing.")
        findings.add(finding, count=listed.left_out)
    if listed.repeated:
        problem = f"{{}} element(s) of {table} that are listed more than once"
        findings.add(Finding(location, problem, "One row each is stored."), count=listed.repeated)
    if listed.total is not None:
        problem = f"the server counts other {table} than it lists"
        example = f"{listed.total:,} by its count, {len(listed.items):,} listed"
        findings.add(Finding(location, problem, "None was marked as missing."), example)


def _add_item_details(
    executor: FetchExecutor,
    entities: Iterable[ReferenceEntity],
    results: list[PartitionResult],
) -> list[PartitionResult]:
    """Return the results with the details of their items, for entities that have details."""
    for entity in entities:
        if entity.detail is not None:
            entity_results = [result for result in results if result.entity is entity]
            details = _fetch_details(executor, entity.detail, entity_results)
            results = [
                replace(result, details=details) if result.entity is entity else result
                for result in results
            ]
    return results


def _fetch_details(
    executor: FetchExecutor, endpoint: Endpoint, results: Iterable[PartitionResult]
) -> dict[object, Item | Failure]:
    """Request the details of each item once, in its owning workspace if that is requested."""
    owners: dict[str, Partition] = {}
    for result in results:
        for item in result.items:
            key = item.get(result.entity.endpoint.id_field)
            is_owner = item.get("workspaceName") == result.partition.workspace
            if isinstance(key, str) and (is_owner or key not in owners):
                owners[key] = result.partition.child(key)

    def request_one(partition: Partition) -> Item | Failure:
        return executor.try_request(
            lambda: executor.client.get_entity(endpoint, partition.path_scope)
        )

    return dict(zip(owners, executor.map(request_one, owners.values()), strict=True))


def _iter_children(
    children: list[ReferenceEntity],
    results: list[PartitionResult],
    is_due: Callable[[str, Item], bool],
) -> Iterator[PartitionRequest]:
    for entity in children:
        for result in results:
            if result.entity.table == entity.parent:
                for item in result.items:
                    parent_id = item.get(result.entity.endpoint.id_field)
                    if isinstance(parent_id, int) and is_due(entity.table, item):
                        yield entity, result.partition.child(parent_id)


def list_failed_details(results: Iterable[PartitionResult]) -> dict[object, Failure]:
    """Return the failures of requests for details by the item's key."""
    details = [pair for result in results for pair in result.details.items()]
    return {key: failure for key, failure in details if not isinstance(failure, Mapping)}


def access_denied_message(table: str, refused: list[PartitionResult]) -> str:
    """Return a message on all partitions that denied access to a table or sent other data."""
    names = list(dict.fromkeys(result.partition.name for result in refused))
    listed = enumerate_names(names, _SHOWN_NAMES)
    cause = f"The token may not read {table} of {listed}, or the server has none"
    if isinstance(refused[0].outcome, ServerError):
        cause = f"The server's answer for {table} of {listed} cannot be used"
    return f"{cause}; rows loaded before stay as they are ({refused[0].outcome})"

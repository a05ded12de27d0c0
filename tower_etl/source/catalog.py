"""The slow entities as a table: which endpoint fills which table, and for what it is asked.

One more entity is a row of `tower_etl.api.endpoints`, a spec in `tower_etl.tables`, and a row here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from tower_etl.api import PathScope, endpoints

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tower_etl.api.endpoints import Endpoint
    from tower_etl.source.preflight import Workspace


class EntityScope(Enum):
    """What an endpoint is asked for."""

    SERVER = "the server"
    ORGANIZATION = "each organisation"
    WORKSPACE = "each workspace, the personal one included"
    SHARED = "each workspace of an organisation"


@dataclass(frozen=True)
class ReferenceEntity:
    """One slow entity.

    Attributes:
        table: Its table.
        endpoint: What lists it.
        scope: What that is asked for.
        parent: Table of the entity for each row of which it is asked, in the same scope.
        parent_column: The column, of both tables, that names that row.
        whole: Whether a list is of all there is, so that what it lacks is missing.
        detail: Describes one item further than the list does, with one call for each item.
    """

    table: str
    endpoint: Endpoint
    scope: EntityScope
    parent: str = ""
    parent_column: str = ""
    detect_deletes: bool = True
    detail: Endpoint | None = None


@dataclass(frozen=True)
class Partition:
    """Something that an endpoint is asked for.

    Attributes:
        key: Its key in the state.
        name: For people.
        where: Its ids.
        workspace: Name of the workspace alone, empty where it is none.
    """

    key: str
    name: str
    scope: PathScope
    workspace: str = ""

    def child(self, parent_id: int | str) -> Partition:
        """One team, pipeline or compute environment of the place."""
        return replace(self, scope=replace(self.scope, parent_id=parent_id))


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
        "compute_envs", endpoints.COMPUTE_ENVS, EntityScope.WORKSPACE, detail=endpoints.COMPUTE_ENV
    ),
    ReferenceEntity("actions", endpoints.ACTIONS, EntityScope.WORKSPACE),
    ReferenceEntity("datasets", endpoints.DATASETS, EntityScope.WORKSPACE),
    ReferenceEntity(
        "dataset_versions", endpoints.DATASET_VERSIONS, EntityScope.WORKSPACE, detect_deletes=False
    ),
    # While the platform looks for data it answers 202, with what it has found so far.
    ReferenceEntity(
        "data_links", endpoints.DATA_LINKS, EntityScope.WORKSPACE, detect_deletes=False
    ),
    ReferenceEntity("studios", endpoints.STUDIOS, EntityScope.WORKSPACE),
    ReferenceEntity("credentials", endpoints.CREDENTIALS, EntityScope.WORKSPACE),
    ReferenceEntity("pipeline_secrets", endpoints.PIPELINE_SECRETS, EntityScope.WORKSPACE),
)


def select_entities(wanted: frozenset[str]) -> list[ReferenceEntity]:
    """The entities to ask for: those wanted, or whose versions are, and the parents of such."""
    own = {entity.table for entity in ENTITIES if _is_selected(entity.table, wanted)}
    parents = {entity.parent for entity in ENTITIES if entity.table in own}
    return [entity for entity in ENTITIES if entity.table in own | parents]


def _is_selected(table: str, wanted: frozenset[str]) -> bool:
    return bool({table, f"{table}_history"} & wanted)


def list_partitions(scope: EntityScope, workspaces: Iterable[Workspace]) -> list[Partition]:
    """What to ask an endpoint of that scope for, in an order that stays."""
    if scope is EntityScope.SERVER:
        return [Partition("server", "the server", PathScope())]
    if scope is EntityScope.ORGANIZATION:
        names = {space.org_id: space.org_name for space in workspaces if space.org_id}
        return [_of_organization(org_id, names[org_id]) for org_id in sorted(names)]
    return [
        _of_workspace(space) for space in workspaces if scope is EntityScope.WORKSPACE or space.id
    ]


def _of_organization(org_id: int, name: str) -> Partition:
    return Partition(f"org:{org_id}", name, PathScope(org_id=org_id))


def _of_workspace(space: Workspace) -> Partition:
    name = space.name.rpartition("/")[2] if space.id else ""
    return Partition(space.key, space.name, PathScope(space.id, space.org_id), name)

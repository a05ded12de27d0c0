"""The slow entities as a table: which endpoint fills which table, and for what it is asked.

One more entity is a row of `tower_etl.api.endpoints`, a spec in `tower_etl.tables`, and a row here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from tower_etl.api import Where, endpoints

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tower_etl.api.endpoints import Endpoint
    from tower_etl.source.preflight import Workspace


class Scope(Enum):
    """What an endpoint is asked for."""

    SERVER = "the server"
    ORGANIZATION = "each organisation"
    WORKSPACE = "each workspace, the personal one included"
    SHARED = "each workspace of an organisation"


@dataclass(frozen=True)
class Entity:
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
    scope: Scope
    parent: str = ""
    parent_column: str = ""
    whole: bool = True
    detail: Endpoint | None = None


@dataclass(frozen=True)
class Place:
    """Something that an endpoint is asked for.

    Attributes:
        key: Its key in the state.
        name: For people.
        where: Its ids.
        workspace: Name of the workspace alone, empty where it is none.
    """

    key: str
    name: str
    where: Where
    workspace: str = ""

    def of_parent(self, parent_id: int | str) -> Place:
        """One team, pipeline or compute environment of the place."""
        return replace(self, where=replace(self.where, parent_id=parent_id))


ENTITIES = (
    Entity("organizations", endpoints.ORGANIZATIONS, Scope.SERVER),
    Entity("organization_quotas", endpoints.QUOTAS, Scope.ORGANIZATION, whole=False),
    Entity("workspaces", endpoints.ORG_WORKSPACES, Scope.ORGANIZATION),
    Entity("members", endpoints.MEMBERS, Scope.ORGANIZATION),
    Entity("collaborators", endpoints.COLLABORATORS, Scope.ORGANIZATION),
    Entity("teams", endpoints.TEAMS, Scope.ORGANIZATION),
    Entity("team_members", endpoints.TEAM_MEMBERS, Scope.ORGANIZATION, "teams", "team_id"),
    Entity("participants", endpoints.PARTICIPANTS, Scope.SHARED),
    Entity("labels", endpoints.LABELS, Scope.WORKSPACE),
    Entity("pipelines", endpoints.PIPELINES, Scope.WORKSPACE),
    Entity(
        "pipeline_versions",
        endpoints.PIPELINE_VERSIONS,
        Scope.WORKSPACE,
        "pipelines",
        "pipeline_id",
    ),
    Entity("compute_envs", endpoints.COMPUTE_ENVS, Scope.WORKSPACE, detail=endpoints.COMPUTE_ENV),
    Entity("actions", endpoints.ACTIONS, Scope.WORKSPACE),
    Entity("datasets", endpoints.DATASETS, Scope.WORKSPACE),
    Entity("dataset_versions", endpoints.DATASET_VERSIONS, Scope.WORKSPACE, whole=False),
    # While the platform looks for data it answers 202, with what it has found so far.
    Entity("data_links", endpoints.DATA_LINKS, Scope.WORKSPACE, whole=False),
    Entity("studios", endpoints.STUDIOS, Scope.WORKSPACE),
    Entity("credentials", endpoints.CREDENTIALS, Scope.WORKSPACE),
    Entity("pipeline_secrets", endpoints.PIPELINE_SECRETS, Scope.WORKSPACE),
)


def choose_entities(wanted: frozenset[str]) -> list[Entity]:
    """The entities to ask for: those wanted, or whose versions are, and the parents of such."""
    own = {entity.table for entity in ENTITIES if _is_wanted(entity.table, wanted)}
    parents = {entity.parent for entity in ENTITIES if entity.table in own}
    return [entity for entity in ENTITIES if entity.table in own | parents]


def _is_wanted(table: str, wanted: frozenset[str]) -> bool:
    return bool({table, f"{table}_history"} & wanted)


def list_places(scope: Scope, workspaces: Iterable[Workspace]) -> list[Place]:
    """What to ask an endpoint of that scope for, in an order that stays."""
    if scope is Scope.SERVER:
        return [Place("server", "the server", Where())]
    if scope is Scope.ORGANIZATION:
        names = {space.org_id: space.org_name for space in workspaces if space.org_id}
        return [_of_organization(org_id, names[org_id]) for org_id in sorted(names)]
    return [_of_workspace(space) for space in workspaces if scope is Scope.WORKSPACE or space.id]


def _of_organization(org_id: int, name: str) -> Place:
    return Place(f"org:{org_id}", name, Where(org_id=org_id))


def _of_workspace(space: Workspace) -> Place:
    name = space.name.rpartition("/")[2] if space.id else ""
    return Place(space.key, space.name, Where(space.id, space.org_id), name)

"""Rows of a reference entity as listed, and the detection of deleted items."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tower_etl.extract.reference import EntityScope, list_failed_details
from tower_etl.lossless import parse_integer
from tower_etl.schema import TABLES, deduplicate, workspace_rows
from tower_etl.sync import PERSONAL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tower_etl.api import Item
    from tower_etl.extract.discovery import Discovery
    from tower_etl.extract.reference import Partition, PartitionResult, ReferenceEntity
    from tower_etl.schema import TableSpec

Row = dict[str, Any]
Key = tuple[Any, ...]

_OWNER_COLUMNS = ("workspace_id", "org_id", "listed_in")


@dataclass(frozen=True)
class EntitySnapshot:
    """Results of one entity and of its parent entity in all partitions.

    Attributes:
        entity: Reference entity.
        results: Results of its partitions.
        parents: Results of the parent's partitions, empty without a parent.
        discovery: Result of the discovery.
        is_other_user: Whether the token belongs to another user than the stored rows;
            organizations and workspaces that are invisible to it are then not deleted.
    """

    entity: ReferenceEntity
    results: Sequence[PartitionResult]
    parents: Sequence[PartitionResult]
    discovery: Discovery
    is_other_user: bool = False

    @property
    def table(self) -> TableSpec:
        """Table of the entity."""
        return TABLES[self.entity.table]

    @cached_property
    def rows(self) -> pa.Table:
        """Rows with unique keys; the owning workspace overrides others that list the same item."""
        if self.entity.table == "workspaces":
            return self._describe_workspaces()
        return deduplicate(self._joined, self.table.key)

    @cached_property
    def _joined(self) -> pa.Table:
        """Rows of all partitions, those of the owning workspace last."""
        parts = [part for result in self.results for part in self._iter_parts(result)]
        ordered = [rows for is_owner, rows in sorted(parts, key=lambda part: part[0])]
        empty = self.table.arrow_schema.empty_table()
        return pa.concat_tables([empty, *ordered])

    def count_conflicts(self) -> int:
        """Return the number of keys that different items of several owners have in common.

        An item that a workspace shares with others is in the lists of all of them, with the same
        owner. If an older server does not name the owner, the item is the same in all lists.
        """
        if self.entity.table == "workspaces" or self._joined.num_rows == self.rows.num_rows:
            return 0
        owners: dict[Key, set[Key]] = {}
        contents: dict[Key, set[str]] = {}
        for row in self._joined.to_pylist():
            key = key_of(self.table, row)
            owners.setdefault(key, set()).add(tuple(row.pop(name, None) for name in _OWNER_COLUMNS))
            contents.setdefault(key, set()).add(repr(row))
        return sum(len(owners[key]) > 1 and len(contents[key]) > 1 for key in owners)

    def _iter_parts(self, result: PartitionResult) -> Iterator[tuple[bool, pa.Table]]:
        """Yield rows per owning workspace, and whether that is the workspace of the list."""
        by_owner: dict[int | None, list[Item]] = {}
        for item in result.items:
            by_owner.setdefault(
                _owning_workspace(item, result.partition, self.discovery), []
            ).append(item)
        for owning_workspace_id, items in by_owner.items():
            yield (
                owning_workspace_id == result.partition.path_scope.workspace_id,
                _build(self.table, items, result.partition, owning_workspace_id),
            )

    def _describe_workspaces(self) -> pa.Table:
        """Build rows of workspaces, from memberships only if the organization's list failed."""
        workspaces = self.discovery.workspaces
        selected = {workspace.id for workspace in workspaces}
        listed = [item for result in self.results for item in result.items]
        return workspace_rows(
            [workspace.membership for workspace in workspaces if workspace.membership],
            [item for item in listed if item.get("id") in selected],
        )

    def is_deleted(self, row: Row) -> bool:
        """Return whether a row is absent from a complete list of its partition."""
        if self.is_other_user and self.entity.table in {"workspaces", "organizations"}:
            return False
        if self.entity.table == "workspaces":
            return not self.discovery.left_out and row["id"] not in {
                membership.get("workspaceId") for membership in self.discovery.memberships
            }
        if not self.entity.detect_deletes or key_of(self.table, row) in self._keys:
            return False
        if not self.entity.parent:
            return _partition_key(self.entity.scope, row) in self._complete_partitions
        parent_id = row[self.entity.parent_column]
        if parent_id in self._parents_with_children:
            return True
        return (
            _partition_key(self.entity.scope, row) in self._complete_partitions
            and parent_id not in self._parents
        )

    @cached_property
    def keys_without_details(self) -> set[object]:
        """Keys of the items whose details were requested and could not be fetched."""
        return set(list_failed_details(self.results))

    @cached_property
    def _keys(self) -> set[Key]:
        return {key_of(self.table, row) for row in self.rows.select(self.table.key).to_pylist()}

    @cached_property
    def _complete_partitions(self) -> set[str]:
        """Keys of partitions with a complete list, of the parents for a child entity."""
        results = self.parents if self.entity.parent else self.results
        return {result.partition.key for result in results if result.complete}

    @cached_property
    def _parents_with_children(self) -> set[int | str | None]:
        """Parents whose list of children is complete."""
        return {result.partition.path_scope.parent_id for result in self.results if result.complete}

    @cached_property
    def _parents(self) -> set[object]:
        return {
            item.get(result.entity.endpoint.id_field)
            for result in self.parents
            for item in result.items
        }


def key_of(table: TableSpec, row: Row) -> Key:
    """Return the values of the key columns."""
    return tuple(row[name] for name in table.key)


def _partition_key(scope: EntityScope, row: Row) -> str:
    """Return the key of the partition that a row belongs to."""
    if scope is EntityScope.SERVER:
        return "server"
    if scope is EntityScope.ORGANIZATION:
        return f"org:{row['org_id']}"
    return PERSONAL if row["workspace_id"] is None else str(row["workspace_id"])


def _owning_workspace(item: Item, partition: Partition, discovery: Discovery) -> int | None:
    """Return the id of an item's owning workspace: lists also contain items that others share."""
    listed_in = partition.path_scope.workspace_id
    workspace_id = parse_integer(item.get("workspaceId"))
    if workspace_id is not None:
        return workspace_id
    name = item.get("workspaceName")
    if not partition.workspace or not isinstance(name, str) or name == partition.workspace:
        return listed_in
    owners = [
        membership.get("workspaceId")
        for membership in discovery.memberships
        if membership.get("orgId") == partition.path_scope.org_id
        and membership.get("workspaceName") == name
    ]
    return owners[0] if owners else listed_in


def _build(
    table: TableSpec, items: list[Item], partition: Partition, owning_workspace_id: int | None
) -> pa.Table:
    """Build rows of one partition and one owning workspace, which fill the local columns."""
    local_values: Mapping[str, object] = {
        "workspace_id": owning_workspace_id,
        "org_id": partition.path_scope.org_id,
        "team_id": partition.path_scope.parent_id,
        "listed_in": partition.key,
    }
    local = {
        column.name: local_values[column.name]
        for column in table.columns
        if not column.path and column.name in local_values
    }
    if "workspace_id" not in local and owning_workspace_id is not None:
        # Older servers omit the id, or send null.
        items = [
            {**item, "workspaceId": owning_workspace_id}
            if item.get("workspaceId") is None
            else item
            for item in items
        ]
    return table.build(items, **local)

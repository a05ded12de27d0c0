"""From what places answered to rows: fresh ones, those that are missing, and versions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tower_etl.api import parse_id
from tower_etl.extract.reference import EntityScope, list_absent
from tower_etl.lossless import load_json
from tower_etl.schema import (
    COMPUTE_ENV_DETAILS,
    HISTORY_TABLES,
    TABLES,
    deduplicate,
    tracked_columns,
    workspace_rows,
)
from tower_etl.sync import PERSONAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from tower_etl.api import Item
    from tower_etl.extract.destination_state import DestinationState
    from tower_etl.extract.discovery import Discovery
    from tower_etl.extract.reference import Partition, PartitionResult, ReferenceEntity
    from tower_etl.schema import TableSpec
    from tower_etl.transform import ColumnPolicy

Row = dict[str, Any]
Key = tuple[Any, ...]

_OWNERS = ("workspace_id", "org_id", "listed_in")
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True)
class EntitySnapshot:
    """All that came of one entity, and of its parent.

    Attributes:
        entity: The entity.
        hauls: What its places answered.
        parents: What the places of its parent answered, none without a parent.
        discovery: What preflight found.
        foreign: Whether the token belongs to another user than the rows: what it does not see of
            organisations and workspaces is not missing.
    """

    entity: ReferenceEntity
    results: Sequence[PartitionResult]
    parents: Sequence[PartitionResult]
    discovery: Discovery
    is_other_user: bool = False

    @property
    def table(self) -> TableSpec:
        """The table of the entity."""
        return TABLES[self.entity.table]

    @cached_property
    def rows(self) -> pa.Table:
        """The rows, one a key: of two places that list a thing, its own says how it is."""
        if self.entity.table == "workspaces":
            return self._describe_workspaces()
        return deduplicate(self._joined, self.table.key)

    @cached_property
    def _joined(self) -> pa.Table:
        """The rows of all places."""
        parts = [part for response in self.results for part in self._iter_parts(response)]
        ordered = [rows for own, rows in sorted(parts, key=lambda part: part[0])]
        empty = self.table.arrow_schema.empty_table()
        return pa.concat_tables([empty, *ordered])

    def count_conflicts(self) -> int:
        """Return the number of keys that stand for different things in several owners.

        A thing that one workspace shares with others is in the lists of all, with the same owner;
        where an older server does not name the owner, it is the same in all lists.
        """
        if self.entity.table == "workspaces" or self._joined.num_rows == self.rows.num_rows:
            return 0
        owners: dict[Key, set[Key]] = {}
        contents: dict[Key, set[str]] = {}
        for row in self._joined.to_pylist():
            key, rest = _key_of(self.table, row), dict(row)
            owners.setdefault(key, set()).add(tuple(rest.pop(name, None) for name in _OWNERS))
            contents.setdefault(key, set()).add(repr(rest))
        return sum(len(owners[key]) > 1 and len(contents[key]) > 1 for key in owners)

    def _iter_parts(self, response: PartitionResult) -> Iterator[tuple[bool, pa.Table]]:
        """Rows by the workspace that they are of, and whether that is the place itself."""
        homes: dict[int | None, list[Item]] = {}
        for item in response.items:
            homes.setdefault(
                _owning_workspace(item, response.partition, self.discovery), []
            ).append(item)
        for home, items in homes.items():
            yield (
                home == response.partition.scope.workspace_id,
                _build(self.table, items, response.partition, home),
            )

    def _describe_workspaces(self) -> pa.Table:
        """Workspaces of organisations that did not answer are known by name and role alone."""
        chosen = {space.id for space in self.discovery.workspaces}
        described = [item for response in self.results for item in response.items]
        return workspace_rows(
            [space.membership for space in self.discovery.workspaces if space.membership],
            [space for space in described if space.get("id") in chosen],
        )

    def is_deleted(self, row: Row) -> bool:
        """Whether a complete list, of the place that a row is of, does not show it."""
        if self.is_other_user and self.entity.table in {"workspaces", "organizations"}:
            return False
        if self.entity.table == "workspaces":
            return not self.discovery.left_out and row["id"] not in {
                role.get("workspaceId") for role in self.discovery.roles
            }
        if not self.entity.detect_deletes or _key_of(self.table, row) in self._keys:
            return False
        if not self.entity.parent:
            return _partition_key(self.entity.scope, row) in self._complete
        parent_id = row[self.entity.parent_column]
        if parent_id in self._read_parents:
            return True
        return (
            _partition_key(self.entity.scope, row) in self._complete
            and parent_id not in self._parents
        )

    @cached_property
    def absent(self) -> set[object]:
        """Keys of the items whose details were requested and are not there."""
        return set(list_absent(self.results))

    @cached_property
    def _keys(self) -> set[Key]:
        return {_key_of(self.table, row) for row in self.rows.select(self.table.key).to_pylist()}

    @cached_property
    def _complete(self) -> set[str]:
        """Places whose list is complete; of a child, those of the list of its parents."""
        responses = self.parents if self.entity.parent else self.results
        return {response.partition.key for response in responses if response.complete}

    @cached_property
    def _read_parents(self) -> set[int | str | None]:
        """Parents whose own list is complete."""
        return {
            response.partition.scope.parent_id for response in self.results if response.complete
        }

    @cached_property
    def _parents(self) -> set[object]:
        return {
            item.get(response.entity.endpoint.id_field)
            for response in self.parents
            for item in response.items
        }


def build_entity_rows(
    harvest: EntitySnapshot,
    store: DestinationState,
    wanted: frozenset[str],
    now: datetime,
    column_policy: ColumnPolicy,
) -> dict[str, pa.Table]:
    """What is to be written of one entity: its rows, and their versions, as far as wanted."""
    table, found = harvest.table, harvest.rows
    if table.name == "workspaces":
        found = _skip_undescribed(harvest, store)
    if harvest.absent:
        found = _keep_details(harvest, store)
    written = {}
    if table.name in wanted:
        gone = [
            row | {"missing_since": now}
            for row in (store.read_table(table.name) if harvest.entity.detect_deletes else ())
            if row["missing_since"] is None and harvest.is_deleted(row)
        ]
        missing = pa.Table.from_pylist(gone, store.table_schema(table.name))
        written[table.name] = pa.concat_tables([found, missing], promote_options="default")
    versions = HISTORY_TABLES.get(table.name)
    if versions and versions.name in wanted:
        stored = store.read_table(versions.name)
        fresh = build_history_rows(harvest, found.to_pylist(), stored, now, column_policy)
        written[versions.name] = pa.Table.from_pylist(fresh, store.table_schema(versions.name))
    return written


def build_history_rows(
    harvest: EntitySnapshot,
    found: list[Row],
    stored: list[Row],
    now: datetime,
    column_policy: ColumnPolicy,
) -> list[Row]:
    """Versions to be written: those that end, and those that begin.

    A version never begins before the one that it follows ended, whatever the clock says, so that no
    key is used twice and no two versions hold at once. Rows are compared as they may be seen: what
    is stored has no secret and nothing that users keep out. A version from before they wished so
    is written again, to be treated.
    """
    table, latest = harvest.table, _index_latest(harvest.table, stored)
    detailed = _add_details(harvest, latest, found)
    known = dict(zip(detailed, _describe(table, [*detailed.values()], column_policy), strict=True))
    written = []
    for row, says in zip(found, _describe(table, found, column_policy), strict=True):
        key = _key_of(table, row)
        last = latest.get(key)
        if last and last["valid_to"] is None and says == known[key]:
            written += [detailed[key]] if _tracked_values(table, last) != says else []
            continue
        begins = now if last is None else max(now, (last["valid_to"] or last["valid_from"]) + _TICK)
        if last and last["valid_to"] is None:
            written.append(last | {"valid_to": begins})
        written.append(_without_deletion(row) | {"valid_from": begins, "valid_to": None})
    ended = [
        last for last in latest.values() if last["valid_to"] is None and harvest.is_deleted(last)
    ]
    ends = [last | {"valid_to": max(now, last["valid_from"] + _TICK)} for last in ended]
    return [*written, *ends]


def _index_latest(table: TableSpec, stored: Iterable[Row]) -> dict[Key, Row]:
    ordered = sorted(stored, key=lambda row: row["valid_from"])
    return {_key_of(table, row): row for row in ordered}


def _describe(table: TableSpec, rows: list[Row], column_policy: ColumnPolicy) -> list[Key]:
    """What rows of an entity, or versions of them, say when they are treated."""
    versions = HISTORY_TABLES[table.name]
    built = pa.Table.from_pylist(rows, versions.arrow_schema)
    treated = column_policy.apply({versions.name: built})[versions.name]
    return [_tracked_values(table, row) for row in treated.to_pylist()]


def _tracked_values(table: TableSpec, row: Row) -> Key:
    return tuple(_plain(row[c.name], is_json=c.is_json) for c in tracked_columns(table))


def _plain(value: Any, *, is_json: bool) -> object:  # noqa: ANN401 - any cell
    """JSON compares as what it says: some destinations write it their own way."""
    return load_json(value) if is_json and value is not None else value


def _without_deletion(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "missing_since"}


def _key_of(table: TableSpec, row: Row) -> Key:
    return tuple(row[name] for name in table.key)


def _partition_key(scope: EntityScope, row: Row) -> str:
    """The key of the place that a row of a table is of."""
    if scope is EntityScope.SERVER:
        return "server"
    if scope is EntityScope.ORGANIZATION:
        return f"org:{row['org_id']}"
    return PERSONAL if row["workspace_id"] is None else str(row["workspace_id"])


def _owning_workspace(item: Item, place: Partition, discovery: Discovery) -> int | None:
    """The workspace that a thing is of: lists of a workspace show what others share, too."""
    asked = place.scope.workspace_id
    named = parse_id(item.get("workspaceId"))
    if named is not None:
        return named
    name = item.get("workspaceName")
    if not place.workspace or not isinstance(name, str) or name == place.workspace:
        return asked
    homes = [
        role.get("workspaceId")
        for role in discovery.roles
        if role.get("orgId") == place.scope.org_id and role.get("workspaceName") == name
    ]
    return homes[0] if homes else asked


def _build(table: TableSpec, items: list[Item], place: Partition, home: int | None) -> pa.Table:
    """The rows of one place and one home, which fill the columns that no field fills."""
    given: Mapping[str, object] = {
        "workspace_id": home,
        "org_id": place.scope.org_id,
        "team_id": place.scope.parent_id,
        "listed_in": place.key,
    }
    ours = {c.name: given[c.name] for c in table.columns if not c.path and c.name in given}
    if "workspace_id" not in ours and home is not None:
        items = [{"workspaceId": home, **_without_null(item)} for item in items]
    return table.build(items, **ours)


def _without_null(item: Item) -> Item:
    """An older server may not say of which workspace a thing is."""
    if item.get("workspaceId") is not None:
        return item
    return {name: value for name, value in item.items() if name != "workspaceId"}


def _skip_undescribed(harvest: EntitySnapshot, store: DestinationState) -> pa.Table:
    """The workspaces, but those that are stored and that their organisation did not describe."""
    answered = {
        response.partition.scope.org_id for response in harvest.results if response.complete
    }
    known = {row["id"] for row in store.read_table("workspaces", ("id",))}
    kept = [
        row["org_id"] in answered or row["id"] not in known
        for row in harvest.rows.select(["id", "org_id"]).to_pylist()
    ]
    return harvest.rows.filter(pa.array(kept, pa.bool_()))


def _keep_details(harvest: EntitySnapshot, store: DestinationState) -> pa.Table:
    """The rows, with the stored details of those whose details did not come."""
    key, names = harvest.table.key[0], [column.name for column in COMPUTE_ENV_DETAILS]
    stored = {row[key]: row for row in store.read_table(harvest.table.name, (key, *names))}
    rows = [
        row | (stored.get(row[key], {}) if row[key] in harvest.absent else {})
        for row in harvest.rows.to_pylist()
    ]
    return pa.Table.from_pylist(rows, harvest.rows.schema)


def _add_details(
    harvest: EntitySnapshot, latest: Mapping[Key, Row], found: Iterable[Row]
) -> dict[Key, Row]:
    """The latest versions, with details where they are from before details were fetched.

    That a version becomes complete is no change of the thing: it opens no other version.
    """
    if harvest.entity.detail is None:
        return dict(latest)
    names = [column.name for column in COMPUTE_ENV_DETAILS]
    details = {_key_of(harvest.table, row): {name: row[name] for name in names} for row in found}
    return {
        key: last | (details.get(key, {}) if all(last[name] is None for name in names) else {})
        for key, last in latest.items()
    }

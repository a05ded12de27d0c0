"""Rows to write of reference entities: current rows, deletions, and versions (SCD type 2)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tower_etl.extract.entity_snapshot import key_of
from tower_etl.lossless import load_json
from tower_etl.schema import HISTORY_TABLES, tracked_columns

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping
    from datetime import datetime

    from tower_etl.extract.destination_state import DestinationState
    from tower_etl.extract.entity_snapshot import EntitySnapshot, Key, Row
    from tower_etl.schema import TableSpec
    from tower_etl.transform import ColumnPolicy

_TICK = timedelta(microseconds=1)


def build_entity_rows(
    snapshot: EntitySnapshot,
    destination_state: DestinationState,
    selected: frozenset[str],
    started_at: datetime,
    column_policy: ColumnPolicy,
) -> dict[str, pa.Table]:
    """Return the rows to write of an entity and of its history, if these tables are selected.

    Rows that the destination already has are not written again.
    """
    listed = _select_listed(snapshot, destination_state)
    table, history_table = snapshot.table, HISTORY_TABLES.get(snapshot.table.name)
    built = {}
    if table.name in selected:
        built[table.name] = _build_current_rows(
            snapshot, listed, destination_state, started_at, column_policy
        )
    if history_table and history_table.name in selected:
        versions = build_versions(
            snapshot,
            listed.to_pylist(),
            destination_state.read_table(history_table.name),
            started_at,
            column_policy,
        )
        schema = destination_state.table_schema(history_table.name)
        built[history_table.name] = pa.Table.from_pylist(versions, schema)
    return built


def _select_listed(snapshot: EntitySnapshot, destination_state: DestinationState) -> pa.Table:
    """Return the listed rows; stored values replace those that could not be fetched."""
    if snapshot.keys_without_details:
        return _keep_details(snapshot, destination_state)
    if snapshot.table.name == "workspaces":
        return _skip_undescribed(snapshot, destination_state)
    return snapshot.rows


def _build_current_rows(
    snapshot: EntitySnapshot,
    listed: pa.Table,
    destination_state: DestinationState,
    started_at: datetime,
    column_policy: ColumnPolicy,
) -> pa.Table:
    """Return the listed rows that differ from the stored ones, and the rows of deleted items."""
    table, stored_rows = snapshot.table, destination_state.read_table(snapshot.table.name)
    columns = column_policy.specs[table.name].arrow_schema.names
    if stored_rows and destination_state.is_complete(table.name, columns):
        listed = _select_changed(listed, stored_rows, table, column_policy)
    deleted_rows = [
        row | {"missing_since": started_at}
        for row in (stored_rows if snapshot.entity.detect_deletes else ())
        if row["missing_since"] is None and snapshot.is_deleted(row)
    ]
    deleted = pa.Table.from_pylist(deleted_rows, destination_state.table_schema(table.name))
    return pa.concat_tables([listed, deleted], promote_options="default")


def _select_changed(
    listed: pa.Table, stored_rows: Iterable[Row], table: TableSpec, column_policy: ColumnPolicy
) -> pa.Table:
    """Return the rows that differ from the stored ones, which are masked by the column policy."""
    stored_by_key: dict[Key, Row | None] = {}
    for row in stored_rows:
        key = key_of(table, row)
        # A row that is stored twice is written again.
        stored_by_key[key] = None if key in stored_by_key else row
    json_columns = {c.name for c in column_policy.specs[table.name].columns if c.is_json}
    masked = column_policy.apply({table.name: listed})[table.name].to_pylist()
    has_changed = [
        _differs(row, stored_by_key.get(key_of(table, row)), json_columns) for row in masked
    ]
    return listed.filter(pa.array(has_changed, pa.bool_()))


def _differs(row: Row, stored: Row | None, json_columns: Container[str]) -> bool:
    """Return whether a row differs from the stored one; a column that one lacks is null there."""
    return stored is None or any(
        _plain(row.get(name), is_json=name in json_columns)
        != _plain(stored.get(name), is_json=name in json_columns)
        for name in row.keys() | stored.keys()
    )


def build_versions(
    snapshot: EntitySnapshot,
    listed_rows: list[Row],
    stored_versions: list[Row],
    started_at: datetime,
    column_policy: ColumnPolicy,
) -> list[Row]:
    """Return the versions to write: versions that end, and versions that begin.

    A version never begins before the end of its predecessor, even if the clock moves back, so that
    keys are unique and validity periods do not overlap. Rows are compared after the column policy,
    because stored versions are masked. A version that was stored before the current policy is
    written again to apply it.
    """
    table = snapshot.table
    ordered = sorted(stored_versions, key=lambda row: row["valid_from"])
    latest = {key_of(table, row): row for row in ordered}
    detailed = _add_new_details(snapshot, latest, listed_rows)
    stored_values = dict(
        zip(detailed, _mask_tracked(table, [*detailed.values()], column_policy), strict=True)
    )
    versions = []
    masked_values = _mask_tracked(table, listed_rows, column_policy)
    for row, values in zip(listed_rows, masked_values, strict=True):
        key = key_of(table, row)
        last = latest.get(key)
        if last and last["valid_to"] is None and values == stored_values[key]:
            versions += [detailed[key]] if _tracked_values(table, last) != values else []
            continue
        begins = started_at
        if last:
            begins = max(begins, (last["valid_to"] or last["valid_from"]) + _TICK)
        if last and last["valid_to"] is None:
            versions.append(last | {"valid_to": begins})
        content = {name: value for name, value in row.items() if name != "missing_since"}
        versions.append(content | {"valid_from": begins, "valid_to": None})
    deleted = [
        last for last in latest.values() if last["valid_to"] is None and snapshot.is_deleted(last)
    ]
    ends = [last | {"valid_to": max(started_at, last["valid_from"] + _TICK)} for last in deleted]
    return [*versions, *ends]


def _mask_tracked(table: TableSpec, rows: list[Row], column_policy: ColumnPolicy) -> list[Key]:
    """Return the tracked values of rows after the column policy."""
    history_table = HISTORY_TABLES[table.name]
    built = pa.Table.from_pylist(rows, history_table.arrow_schema)
    masked = column_policy.apply({history_table.name: built})[history_table.name]
    return [_tracked_values(table, row) for row in masked.to_pylist()]


def _tracked_values(table: TableSpec, row: Row) -> Key:
    return tuple(_plain(row[c.name], is_json=c.is_json) for c in tracked_columns(table))


def _plain(value: Any, *, is_json: bool) -> object:  # noqa: ANN401 - any cell
    """Parse JSON for comparison, because destinations may reformat it."""
    return _mark_booleans(load_json(value)) if is_json and value is not None else value


def _mark_booleans(value: Any) -> object:  # noqa: ANN401 - any JSON value
    """Return a JSON value whose booleans equal no number, as they do in Python."""
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, list):
        return [_mark_booleans(item) for item in value]
    if isinstance(value, dict):
        return {name: _mark_booleans(item) for name, item in value.items()}
    return value


def _skip_undescribed(snapshot: EntitySnapshot, destination_state: DestinationState) -> pa.Table:
    """Return the workspaces without stored ones whose organization's list failed."""
    described_orgs = {
        result.partition.path_scope.org_id for result in snapshot.results if result.complete
    }
    stored_ids = {row["id"] for row in destination_state.read_table("workspaces", ("id",))}
    kept = [
        row["org_id"] in described_orgs or row["id"] not in stored_ids
        for row in snapshot.rows.select(["id", "org_id"]).to_pylist()
    ]
    return snapshot.rows.filter(pa.array(kept, pa.bool_()))


def _keep_details(snapshot: EntitySnapshot, destination_state: DestinationState) -> pa.Table:
    """Return the rows with stored details for those that could not be fetched."""
    key, names = snapshot.table.key[0], snapshot.entity.detail_columns
    stored = {
        row[key]: row for row in destination_state.read_table(snapshot.table.name, (key, *names))
    }
    rows = [
        row | (stored.get(row[key], {}) if row[key] in snapshot.keys_without_details else {})
        for row in snapshot.rows.to_pylist()
    ]
    return pa.Table.from_pylist(rows, snapshot.rows.schema)


def _add_new_details(
    snapshot: EntitySnapshot, latest: Mapping[Key, Row], listed_rows: Iterable[Row]
) -> dict[Key, Row]:
    """Return the latest versions, with details added to those stored before details existed.

    Adding details to a version is not a change of the item, and starts no new version.
    """
    if snapshot.entity.detail is None:
        return dict(latest)
    names = snapshot.entity.detail_columns
    details = {
        key_of(snapshot.table, row): {name: row[name] for name in names} for row in listed_rows
    }
    return {
        key: last | (details.get(key, {}) if all(last[name] is None for name in names) else {})
        for key, last in latest.items()
    }

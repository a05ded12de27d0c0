"""Rows to write of reference entities: current rows, deletions, and versions (SCD type 2)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tower_etl.extract.entity_snapshot import key_of
from tower_etl.lossless import load_json
from tower_etl.schema import COMPUTE_ENV_DETAILS, HISTORY_TABLES, tracked_columns

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
    now: datetime,
    column_policy: ColumnPolicy,
) -> dict[str, pa.Table]:
    """Return the rows to write of an entity and of its history, if these tables are selected.

    Rows that the destination already has are not written again.
    """
    table, found = snapshot.table, snapshot.rows
    if table.name == "workspaces":
        found = _skip_undescribed(snapshot, destination_state)
    if snapshot.keys_without_details:
        found = _keep_details(snapshot, destination_state)
    written = {}
    if table.name in selected:
        stored = destination_state.read_table(table.name)
        changed = found
        if stored and destination_state.is_complete(
            table.name, column_policy.specs[table.name].arrow_schema.names
        ):
            changed = _select_changed(found, stored, table, column_policy)
        deleted = [
            row | {"missing_since": now}
            for row in (stored if snapshot.entity.detect_deletes else ())
            if row["missing_since"] is None and snapshot.is_deleted(row)
        ]
        missing = pa.Table.from_pylist(deleted, destination_state.table_schema(table.name))
        written[table.name] = pa.concat_tables([changed, missing], promote_options="default")
    versions = HISTORY_TABLES.get(table.name)
    if versions and versions.name in selected:
        stored = destination_state.read_table(versions.name)
        changed = build_history_rows(snapshot, found.to_pylist(), stored, now, column_policy)
        written[versions.name] = pa.Table.from_pylist(
            changed, destination_state.table_schema(versions.name)
        )
    return written


def _select_changed(
    found: pa.Table, stored: Iterable[Row], table: TableSpec, column_policy: ColumnPolicy
) -> pa.Table:
    """Return the rows that differ from the stored ones, which are masked by the column policy."""
    known: dict[Key, Row | None] = {}
    for row in stored:
        key = key_of(table, row)
        known[key] = None if key in known else row  # a row that is stored twice is written again
    json_columns = {c.name for c in column_policy.specs[table.name].columns if c.is_json}
    masked = column_policy.apply({table.name: found})[table.name].to_pylist()
    changed = [_differs(row, known.get(key_of(table, row)), json_columns) for row in masked]
    return found.filter(pa.array(changed, pa.bool_()))


def _differs(row: Row, stored: Row | None, json_columns: Container[str]) -> bool:
    """Return whether a row differs from the stored one; a column that one lacks is null there."""
    return stored is None or any(
        _plain(row.get(name), is_json=name in json_columns)
        != _plain(stored.get(name), is_json=name in json_columns)
        for name in row.keys() | stored.keys()
    )


def build_history_rows(
    snapshot: EntitySnapshot,
    found: list[Row],
    stored: list[Row],
    now: datetime,
    column_policy: ColumnPolicy,
) -> list[Row]:
    """Return the versions to write: versions that end, and versions that begin.

    A version never begins before the end of its predecessor, even if the clock moves back, so that
    keys are unique and validity periods do not overlap. Rows are compared after the column policy,
    because stored versions are masked. A version that was stored before the current policy is
    written again to apply it.
    """
    table, ordered = snapshot.table, sorted(stored, key=lambda row: row["valid_from"])
    latest = {key_of(table, row): row for row in ordered}
    detailed = _add_details(snapshot, latest, found)
    known = dict(zip(detailed, _describe(table, [*detailed.values()], column_policy), strict=True))
    written = []
    for row, values in zip(found, _describe(table, found, column_policy), strict=True):
        key = key_of(table, row)
        last = latest.get(key)
        if last and last["valid_to"] is None and values == known[key]:
            written += [detailed[key]] if _tracked_values(table, last) != values else []
            continue
        begins = now if last is None else max(now, (last["valid_to"] or last["valid_from"]) + _TICK)
        if last and last["valid_to"] is None:
            written.append(last | {"valid_to": begins})
        content = {name: value for name, value in row.items() if name != "missing_since"}
        written.append(content | {"valid_from": begins, "valid_to": None})
    ended = [
        last for last in latest.values() if last["valid_to"] is None and snapshot.is_deleted(last)
    ]
    ends = [last | {"valid_to": max(now, last["valid_from"] + _TICK)} for last in ended]
    return [*written, *ends]


def _describe(table: TableSpec, rows: list[Row], column_policy: ColumnPolicy) -> list[Key]:
    """Return the tracked values of rows after the column policy."""
    versions = HISTORY_TABLES[table.name]
    built = pa.Table.from_pylist(rows, versions.arrow_schema)
    masked = column_policy.apply({versions.name: built})[versions.name]
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
    answered = {
        result.partition.path_scope.org_id for result in snapshot.results if result.complete
    }
    known = {row["id"] for row in destination_state.read_table("workspaces", ("id",))}
    kept = [
        row["org_id"] in answered or row["id"] not in known
        for row in snapshot.rows.select(["id", "org_id"]).to_pylist()
    ]
    return snapshot.rows.filter(pa.array(kept, pa.bool_()))


def _keep_details(snapshot: EntitySnapshot, destination_state: DestinationState) -> pa.Table:
    """Return the rows with stored details for those that could not be fetched."""
    key, names = snapshot.table.key[0], [column.name for column in COMPUTE_ENV_DETAILS]
    stored = {
        row[key]: row for row in destination_state.read_table(snapshot.table.name, (key, *names))
    }
    rows = [
        row | (stored.get(row[key], {}) if row[key] in snapshot.keys_without_details else {})
        for row in snapshot.rows.to_pylist()
    ]
    return pa.Table.from_pylist(rows, snapshot.rows.schema)


def _add_details(
    snapshot: EntitySnapshot, latest: Mapping[Key, Row], found: Iterable[Row]
) -> dict[Key, Row]:
    """Return the latest versions, with details added to those stored before details existed.

    Adding details to a version is not a change of the item, and starts no new version.
    """
    if snapshot.entity.detail is None:
        return dict(latest)
    names = [column.name for column in COMPUTE_ENV_DETAILS]
    details = {key_of(snapshot.table, row): {name: row[name] for name in names} for row in found}
    return {
        key: last | (details.get(key, {}) if all(last[name] is None for name in names) else {})
        for key, last in latest.items()
    }

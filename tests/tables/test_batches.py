"""Tables that are not fetched run by run: labels, workspaces, metrics of new kinds, sync runs."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tower_etl.schema import (
    TABLES,
    label_link_tombstones,
    label_links,
    label_rows,
    sync_run_rows,
    workspace_rows,
)
from tower_etl.transform import build_run


def test_a_tombstone_names_the_run_and_no_label() -> None:
    """It has the schema of the links, so that both can travel in one batch."""
    batch = label_link_tombstones(["a", "b"], workspace_id=None)
    row = {"label_id": 0, "workspace_id": None, "_removed": True}
    assert [{"workflow_id": "a"} | row, {"workflow_id": "b"} | row] == batch.to_pylist()
    assert TABLES["workflow_labels"].arrow_schema == batch.schema
    assert label_link_tombstones([], workspace_id=1).num_rows == 0


def test_links_and_labels_are_unique() -> None:
    """A label named twice is one label and one link."""
    labels = [{"id": 1, "name": "old"}, {"id": 1, "name": "new"}]
    assert label_rows(labels, workspace_id=1)["name"].to_pylist() == ["new"]
    assert label_links(labels, workflow_id="r", workspace_id=1)["label_id"].to_pylist() == [1]


def test_workspaces_join_what_two_calls_know() -> None:
    """The membership knows the organisation and roles, the organisation the description."""
    seen = [
        {"orgId": 5, "orgName": "o", "workspaceId": None},
        {"orgId": 5, "orgName": "o", "workspaceId": 6, "workspaceName": "w", "roles": ["owner"]},
    ]
    described = [{"id": 6, "name": "w", "fullName": "o/w", "description": "d"}, {"id": 7}]
    rows = workspace_rows(seen, described).to_pylist()
    names = ("id", "workspace_id", "name", "full_name", "description", "org_id", "roles")
    expected = [
        (6, 6, "w", "o/w", "d", 5, '["owner"]'),
        (7, 7, None, None, None, None, None),
    ]
    assert expected == [tuple(row[name] for name in names) for row in rows]


def test_a_quantity_that_nobody_documents_is_a_metric_too() -> None:
    """New quantities appear without notice; a null one is no row."""
    metrics = [{"id": 3, "process": "P", "diskSpace": {"mean": 2}, "cpu": None, "mem": "?"}]
    batch = build_run(
        {"workflow": {"id": "r"}}, workspace_id=1, starred=None, tasks=[], metrics=metrics
    )["process_metrics"]
    rows = {row["metric"]: row for row in batch.to_pylist()}
    assert {name: row["mean"] for name, row in rows.items()} == {"disk_space": 2.0, "mem": None}
    assert rows["mem"]["undocumented"] == '{"figures":"?"}'
    assert rows["mem"]["metric_id"] == 3


def test_a_sync_writes_its_row() -> None:
    """Times as times, counts per table and outcomes as JSON."""
    start = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
    batch = sync_run_rows(
        id="s", started_at=start, calls=3, rows={"tasks": 2}, workspaces=[{"id": 1}]
    )
    (row,) = batch.to_pylist()
    assert ("s", start, 3, None) == (row["id"], row["started_at"], row["calls"], row["seconds"])
    assert (row["rows"], row["workspaces"]) == ('{"tasks":2}', '[{"id":1}]')


def test_a_sync_without_an_identifier_is_refused() -> None:
    """The key must be given."""
    with pytest.raises(TypeError, match="'id'"):
        sync_run_rows(calls=1)

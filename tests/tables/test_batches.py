"""Rows that are not built run by run: label links, labels, workspaces, new metrics, sync runs."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.run_tables import build_run
from tower_etl.schema import (
    TABLES,
    label_link_tombstones,
    label_links,
    workspace_rows,
)


def test_a_tombstone_of_label_links_has_the_run_and_label_id_0() -> None:
    """It has the schema of label links, so that both can be in one batch."""
    batch = label_link_tombstones(["a", "b"], workspace_id=None)
    row = {"label_id": 0, "workspace_id": None, "_removed": True}
    assert [{"workflow_id": "a"} | row, {"workflow_id": "b"} | row] == batch.to_pylist()
    assert TABLES["workflow_labels"].arrow_schema == batch.schema
    assert label_link_tombstones([], workspace_id=1).num_rows == 0


def test_a_label_named_twice_is_one_label_and_one_label_link() -> None:
    labels = [{"id": 1, "name": "old"}, {"id": 1, "name": "new"}]
    assert TABLES["labels"].build(labels, workspace_id=1)["name"].to_pylist() == ["new"]
    assert label_links(labels, workflow_id="r", workspace_id=1)["label_id"].to_pylist() == [1]


def test_workspace_rows_join_memberships_and_descriptions() -> None:
    """The membership has organization and roles; the description has the other fields."""
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


def test_an_undocumented_metric_gets_a_row() -> None:
    """The platform adds metrics without notice. A metric that is null has no row."""
    metrics = [{"id": 3, "process": "P", "diskSpace": {"mean": 2}, "cpu": None, "mem": "?"}]
    batch = build_run(
        {"workflow": {"id": "r"}}, workspace_id=1, starred=None, tasks=[], metrics=metrics
    )["process_metrics"]
    rows = {row["metric"]: row for row in batch.to_pylist()}
    assert {name: row["mean"] for name, row in rows.items()} == {"disk_space": 2.0, "mem": None}
    assert rows["mem"]["undocumented"] == '{"figures":"?"}'
    assert rows["mem"]["metric_id"] == 3


def test_a_sync_run_row_has_times_counts_and_json() -> None:
    start = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
    batch = TABLES["sync_runs"].build(
        [{}], id="s", started_at=start, calls=3, rows={"tasks": 2}, workspaces=[{"id": 1}]
    )
    (row,) = batch.to_pylist()
    assert ("s", start, 3, None) == (row["id"], row["started_at"], row["calls"], row["seconds"])
    assert (row["rows"], row["workspaces"]) == ('{"tasks":2}', '[{"id":1}]')


def test_a_sync_run_row_without_an_id_is_refused() -> None:
    with pytest.raises(TypeError, match="'id'"):
        TABLES["sync_runs"].build([{}], calls=1)

"""Labels and the runs that carry them: `labels` and `workflow_labels`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from tower_etl.tables.column import (
    BOOLEAN,
    INTEGER,
    ApiObject,
    ColumnSpec,
    local_column,
    missing_since,
    undocumented,
    workflow_id,
    workspace_id,
)
from tower_etl.tables.table import TableSpec

if TYPE_CHECKING:
    from collections.abc import Iterable

LABEL = ApiObject("LabelDbDto")

LABELS = TableSpec(
    name="labels",
    key=("id",),
    columns=(
        LABEL.integer("id", "Identifier of the label.", key=True),
        workspace_id("Workspace of the label (`workspaces.id`); null is the personal workspace."),
        LABEL.text("name", "Name of the label."),
        LABEL.text("value", "Value of a resource label; null for a plain one."),
        LABEL.boolean(
            "resource", "Whether it is a resource label, which goes onto cloud resources."
        ),
        LABEL.boolean("isDefault", "Whether new pipelines and runs get it by default."),
        LABEL.boolean("isDynamic", "Whether its value holds variables of the run."),
        LABEL.boolean("isInterpolated", "Whether the variables in its value have been filled in."),
        LABEL.timestamp("dateCreated", "When the label was created."),
        missing_since(),
        undocumented(),
    ),
    description="Labels.",
    grain="One row per label.",
    source="GET /labels, and GET /workflow/{workflowId}?attributes=labels",
)

WORKFLOW_LABELS = TableSpec(
    name="workflow_labels",
    key=("workflow_id", "label_id"),
    columns=(
        workflow_id(),
        ColumnSpec(
            "label_id",
            INTEGER,
            ("id",),
            "Label that the run carries (`labels.id`).",
            unit=None,
            source="LabelDbDto.id",
            nullable=False,
        ),
        workspace_id(),
        local_column(
            "_removed",
            BOOLEAN,
            "Tombstone by which a load drops links; true in no row, but in Iceberg tables of a dlt "
            "pipeline, which keep removed links.",
        ),
    ),
    description="Which run carries which label.",
    grain="One row per run and label.",
    source="GET /workflow/{workflowId}?attributes=labels",
    merge_key=("workflow_id",),
)


def label_rows(labels: Iterable[object], *, workspace_id: int | None) -> pa.Table:
    """Build `labels` from LabelDbDto objects of one workspace."""
    return LABELS.build(labels, workspace_id=workspace_id)


def label_links(
    labels: Iterable[object], *, workflow_id: str, workspace_id: int | None
) -> pa.Table:
    """Build `workflow_labels` from the LabelDbDto objects of one run; no label gives no row."""
    return WORKFLOW_LABELS.build(
        labels, workflow_id=workflow_id, workspace_id=workspace_id, _removed=False
    )


def label_link_tombstones(workflow_ids: Iterable[str], *, workspace_id: int | None) -> pa.Table:
    """Build the tombstones of runs that carry no label any more: one row a run, `label_id` 0."""
    ids = list(workflow_ids)
    columns = {
        "workflow_id": pa.array(ids, pa.string()),
        "label_id": pa.repeat(pa.scalar(0, INTEGER), len(ids)),
        "workspace_id": pa.array([workspace_id] * len(ids), INTEGER),
        "_removed": pa.repeat(pa.scalar(value=True), len(ids)),
    }
    return pa.table(columns, schema=WORKFLOW_LABELS.arrow_schema)

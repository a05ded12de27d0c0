"""Lines of cloud bills: `bill_lines`, which `tower-etl bill load` fills and no sync touches."""

from __future__ import annotations

from tower_etl.schema.table import TableSpec
from tower_etl.schema.types import (
    BOOLEAN,
    INTEGER,
    NUMBER,
    TEXT,
    TIMESTAMP,
    local_column,
    workspace_id,
)

BILL_LINES = TableSpec(
    name="bill_lines",
    key=("provider", "billing_account", "billing_period", "line_number"),
    columns=(
        local_column("provider", TEXT, "Format of the export: aws (CUR) or focus.", key=True),
        local_column(
            "billing_account",
            TEXT,
            "Account that pays the bill; `unknown` where the export does not name it.",
            key=True,
        ),
        local_column("billing_period", TEXT, "Month of the bill, as YYYY-MM.", key=True),
        local_column(
            "line_number", INTEGER, "Number of the line in the load of its period.", key=True
        ),
        workspace_id("Always null: a bill belongs to a cloud account, not to a workspace."),
        local_column("line_id", TEXT, "Identifier of the line in the export."),
        local_column("account", TEXT, "Account, subscription or project that used the resource."),
        local_column(
            "usage_start", TIMESTAMP, "Start of the hour or day that the line is for.", "UTC"
        ),
        local_column("usage_end", TIMESTAMP, "End of the hour or day that the line is for.", "UTC"),
        local_column("charge_type", TEXT, "Kind of the charge, such as Usage, Tax or Credit."),
        local_column("service", TEXT, "Service of the cloud, such as AmazonEC2."),
        local_column("resource_type", TEXT, "Kind of the resource, such as Compute Instance."),
        local_column("resource_id", TEXT, "Identifier of the resource in the cloud."),
        local_column("parent_id", TEXT, "Machine that a split line is a part of, such as i-0123."),
        local_column("machine_type", TEXT, "Machine type, such as m6id.24xlarge."),
        local_column("region", TEXT, "Region of the cloud, such as eu-west-1."),
        local_column(
            "is_split", BOOLEAN, "Whether the line is the share of one task in a machine's cost."
        ),
        local_column("cost", NUMBER, "Cost after discounts: used_cost + unused_cost.", "currency"),
        local_column("used_cost", NUMBER, "Cost of what was used.", "currency"),
        local_column(
            "unused_cost", NUMBER, "Cost of capacity that was paid for and not used.", "currency"
        ),
        local_column("currency", TEXT, "Currency of the costs, such as USD."),
        local_column("run_id", TEXT, "Value of the tag that names the run (`workflows.id`)."),
        local_column(
            "task_hash", TEXT, "Value of the tag that names the task's hash, without `/`."
        ),
        local_column(
            "compute_env", TEXT, "Value of the tag that names a compute environment or queue."
        ),
        local_column(
            "tags", TEXT, "All tags of the line, a JSON object: key -> value.", is_json=True
        ),
        local_column("other", TEXT, "All other fields of the line, a JSON object.", is_json=True),
        local_column("source_file", TEXT, "File of the export that the line was read from."),
    ),
    description="Lines of cloud bills, as `tower-etl bill load` read them.",
    grain="One row per line of an export.",
    source="a cloud bill",
    merge_key=("provider", "billing_account", "billing_period"),
)

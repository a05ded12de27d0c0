"""SQL expressions over the columns of FOCUS 1.x, exported by AWS, Azure and Google Cloud.

FOCUS does not report how much of a machine was used, so only unused commitments count as unused
cost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tower_etl.billing.columns import ExportColumns

REQUIRED = ("charge_period_start", "billing_currency")
TITLE = "a FOCUS export"
TAGS = "tags"


def select_columns(columns: ExportColumns) -> Mapping[str, str]:
    """Return an expression for each column of `bill_lines`, apart from those read from tags."""
    cost = f"coalesce({columns.number('effective_cost', 'billed_cost')}, 0)"
    is_unused = f"lower({columns.text('commitment_discount_status')}) = 'unused'"
    unused = f"CASE WHEN {is_unused} THEN {cost} ELSE 0 END"
    start = columns.time("charge_period_start")
    period = f"coalesce({columns.time('billing_period_start')}, {start})"
    return {
        "provider": "'focus'",
        "billing_account": f"coalesce({columns.text('billing_account_id')}, 'unknown')",
        "billing_period": f"strftime({period} AT TIME ZONE 'UTC', '%Y-%m')",
        "line_id": "NULL",
        "account": columns.text("sub_account_id"),
        "usage_start": start,
        "usage_end": columns.time("charge_period_end"),
        "charge_type": columns.text("charge_category"),
        "service": columns.text("service_name"),
        "resource_type": columns.text("resource_type"),
        "resource_id": columns.text("resource_id"),
        "parent_id": "NULL",
        "machine_type": _machine_type(columns),
        "region": columns.text("region_id", "region"),
        "is_split": "FALSE",
        "cost": cost,
        "used_cost": f"{cost} - {unused}",
        "unused_cost": unused,
        "currency": columns.text("billing_currency"),
    }


def _machine_type(columns: ExportColumns) -> str:
    """Return the machine type, which FOCUS 1.1 and later put into the price details."""
    details = columns.raw("sku_price_details")
    if details is None:
        return columns.text("x_instance_type")
    kind = columns.type_of("sku_price_details") or ""
    if kind.startswith("MAP"):
        return f"{details}['InstanceType']"
    text = f"nullif(CAST({details} AS VARCHAR), '')"
    return f"json_extract_string(CAST({text} AS JSON), '$.InstanceType')"

"""SQL expressions over the columns of AWS cost and usage reports (legacy and 2.0).

Costs are amortized by the rules that AWS documents. Usage covered by a savings plan or a
reservation has its effective cost; the fee of the plan or reservation has only its unused part.
Net columns (prices after private discounts) have priority where they have a value. Split lines
divide the hourly cost of a machine among its ECS tasks: the used cost of each task, and its share
of the unused cost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tower_etl.billing.columns import ExportColumns

REQUIRED = ("line_item_unblended_cost", "line_item_usage_start_date")
TITLE = "an AWS cost and usage report"
TAGS = "resource_tags"


def select_columns(columns: ExportColumns) -> Mapping[str, str]:
    """Return an expression for each column of `bill_lines`, apart from those read from tags."""
    used, unused, is_split = _costs(columns)
    zone = columns.text("line_item_availability_zone")
    start = columns.time("line_item_usage_start_date")
    period = columns.time("bill_billing_period_start_date")
    return {
        "provider": "'aws'",
        "billing_account": f"coalesce({columns.text('bill_payer_account_id')}, 'unknown')",
        "billing_period": f"strftime(coalesce({period}, {start}) AT TIME ZONE 'UTC', '%Y-%m')",
        "line_id": columns.text("identity_line_item_id"),
        "account": columns.text("line_item_usage_account_id"),
        "usage_start": start,
        "usage_end": columns.time("line_item_usage_end_date"),
        "charge_type": columns.text("line_item_line_item_type"),
        "service": columns.text("line_item_product_code"),
        "resource_type": _product(columns, "product_family"),
        "resource_id": columns.text("line_item_resource_id"),
        "parent_id": _last_part(columns.text("split_line_item_parent_resource_id")),
        "machine_type": _product(columns, "instance_type"),
        "region": f"coalesce({_product(columns, 'region_code', 'region')}, "
        f"regexp_extract({zone}, '^[a-z-]+-[0-9]+'))",
        "is_split": is_split,
        "cost": f"{used} + {unused}",
        "used_cost": used,
        "unused_cost": unused,
        "currency": f"coalesce({columns.text('line_item_currency_code')}, 'USD')",
    }


def _product(columns: ExportColumns, *names: str) -> str:
    """Return a product attribute from its own column or from the `product` map of CUR 2.0."""
    found = columns.text(*(f"product_{name}" for name in names))
    product = columns.raw("product")
    if product is None or not (columns.type_of("product") or "").startswith("MAP"):
        return found
    columns.used.discard("product")  # its other attributes go to the column `other`
    values = ", ".join(f"{product}['{name}']" for name in names)
    return f"coalesce({found}, {values})"


def _costs(columns: ExportColumns) -> tuple[str, str, str]:
    """Return expressions for the used cost, the unused cost and the flag of split lines."""
    split = columns.number("split_line_item_net_split_cost", "split_line_item_split_cost")
    idle = columns.number("split_line_item_net_unused_cost", "split_line_item_unused_cost")
    parent = columns.text("split_line_item_parent_resource_id")
    is_split = f"({parent} IS NOT NULL OR coalesce({split}, 0) <> 0 OR coalesce({idle}, 0) <> 0)"
    used, unused = _amortized(columns)
    return (
        f"coalesce(CASE WHEN {is_split} THEN {split} ELSE {used} END, 0)",
        f"coalesce(CASE WHEN {is_split} THEN {idle} ELSE {unused} END, 0)",
        is_split,
    )


def _amortized(columns: ExportColumns) -> tuple[str, str]:
    """Return expressions for the used and the unused cost of lines that are not split."""
    plain = columns.number("line_item_net_unblended_cost", "line_item_unblended_cost")
    plan = columns.number(
        "savings_plan_net_savings_plan_effective_cost", "savings_plan_savings_plan_effective_cost"
    )
    reserved = columns.number("reservation_net_effective_cost", "reservation_effective_cost")
    kind = columns.text("line_item_line_item_type")
    used = (
        f"CASE {kind} WHEN 'SavingsPlanCoveredUsage' THEN coalesce({plan}, {plain}) "
        f"WHEN 'DiscountedUsage' THEN coalesce({reserved}, {plain}) "
        f"WHEN 'SavingsPlanNegation' THEN {_zero_if(plan, plain)} "
        f"WHEN 'SavingsPlanRecurringFee' THEN {_zero_if(plan, plain)} "
        f"WHEN 'RIFee' THEN {_zero_if(reserved, plain)} ELSE {plain} END"
    )
    committed = columns.number("savings_plan_total_commitment_to_date")
    used_commitment = columns.number("savings_plan_used_commitment")
    upfront = columns.number(
        "reservation_net_unused_amortized_upfront_fee_for_billing_period",
        "reservation_unused_amortized_upfront_fee_for_billing_period",
    )
    recurring = columns.number(
        "reservation_net_unused_recurring_fee", "reservation_unused_recurring_fee"
    )
    unused = (
        f"CASE {kind} WHEN 'SavingsPlanRecurringFee' THEN {committed} - {used_commitment} "
        f"WHEN 'RIFee' THEN coalesce({upfront}, 0) + coalesce({recurring}, 0) ELSE 0 END"
    )
    return used, unused


def _zero_if(effective: str, plain: str) -> str:
    """Return 0 if the export has effective costs, which already include the plain cost."""
    return "0" if effective != "NULL" else plain


def _last_part(text: str) -> str:
    return "NULL" if text == "NULL" else f"regexp_extract({text}, '[^/]+$')"

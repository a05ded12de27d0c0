"""Costs by the values of a label key: one page, and a CSV of runs for each value."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tower_etl.errors import ConfigurationError
from tower_etl.report.render import render_template, write_page
from tower_etl.warehouse.filters import apply_filter
from tower_etl.warehouse.reader import open_reader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from tower_etl.warehouse.filters import RunFilter

    Query = Callable[[str], list[tuple[Any, ...]]]

COLUMNS = (
    "run_id",
    "run_name",
    "pipeline",
    "revision",
    "user_name",
    "workspace",
    "submitted_at",
    "status",
    "platform_usd",
    "used_usd",
    "unused_usd",
    "bill_usd",
)

_RUNS = """
SELECT coalesce(v.label_value, '(none)'), b.run_id, b.run_name, b.pipeline, b.revision,
  b.user_name, b.workspace, b.submitted_at, r.status, b.platform_usd, b.used_usd, b.unused_usd,
  b.bill_usd
FROM bill_by_run AS b
INNER JOIN stg_runs AS r ON r.run_id = b.run_id
LEFT JOIN stg_run_label_values AS v ON v.run_id = b.run_id AND v.label_key = '{key}'
ORDER BY 1, b.submitted_at, b.run_id
"""
_VALUES = """
SELECT value, runs, cpu_hours, cost_usd, billed_runs, billed_platform_usd, bill_usd
FROM cost_by_label_key WHERE key = '{key}' ORDER BY cost_usd DESC NULLS LAST, value
"""
_FIRST_MONEY = COLUMNS.index("platform_usd")


@dataclass(frozen=True)
class LabelCost:
    """What the runs with one value of the key cost.

    Attributes:
        value: The value; `(none)` for runs without the key.
        runs: Number of runs.
        cpu_hours: Their CPU hours.
        cost_usd: Their cost by the platform.
        billed_runs: Those with lines of a bill.
        billed_platform_usd: Cost of these by the platform.
        bill_usd: What the cloud billed for them.
    """

    value: str
    runs: int
    cpu_hours: float | None
    cost_usd: float | None
    billed_runs: int
    billed_platform_usd: float | None
    bill_usd: float | None


def write_invoices(
    path: str | Path, output: str, key: str, made_at: datetime, scope: RunFilter
) -> list[Path]:
    """Write the page, and beside it a CSV for each value.

    Args:
        path: A synced file or folder.
        output: The HTML file; the CSV files have its name, the key and the value in theirs.
        key: Key of labels `key=value`.
        made_at: Now (UTC).
        scope: Which runs it is about.

    Returns:
        The files, the page first.

    Raises:
        ConfigurationError: No run has a label with the key.
        OSError: A file cannot be written.
    """
    with open_reader(path) as connection:
        apply_filter(connection, scope)
        values, runs = _read(lambda sql: connection.execute(sql).fetchall(), key)
    page = render_template(
        "invoices.html", key=key, values=values, made_at=made_at, scope=scope, total=_add_up(values)
    )
    written = [write_page(output, page)]
    stem = str(Path(output).with_suffix(""))
    names = _name_files([value.value for value in values])
    for value, name in names.items():
        lines = [row[1:] for row in runs if row[0] == value]
        written.append(write_page(f"{stem}-{_slug(key)}-{name}.csv", _write_csv(lines)))
    return written


def _read(query: Query, key: str) -> tuple[list[LabelCost], list[tuple[Any, ...]]]:
    quoted = key.replace("'", "''")
    values = [LabelCost(*row) for row in query(_VALUES.format(key=quoted))]
    if not values:
        known = ", ".join(row[0] for row in query("SELECT DISTINCT key FROM cost_by_label_key"))
        msg = f"No run has a label with the key {key!r}. There are: {known or 'none'}."
        raise ConfigurationError(msg)
    return values, query(_RUNS.format(key=quoted))


def _add_up(values: Sequence[LabelCost]) -> LabelCost:
    sums = {
        name: sum(getattr(value, name) or 0 for value in values)
        for name in ("runs", "cpu_hours", "cost_usd", "billed_runs", "billed_platform_usd")
    }
    billed = [value.bill_usd for value in values if value.bill_usd is not None]
    return LabelCost("All", **sums, bill_usd=sum(billed) if billed else None)


def _name_files(values: Sequence[str]) -> dict[str, str]:
    """Return a file name for each value; values that differ only in odd characters are numbered."""
    names: dict[str, str] = {}
    for value in values:
        slug = _slug(value)
        number = sum(_slug(other) == slug for other in names)
        names[value] = f"{slug}-{number + 1}" if number else slug
    return names


def _slug(text: str) -> str:
    return re.sub(r"[^\w.-]+", "-", text).strip("-.") or "none"


def _write_csv(rows: Sequence[Sequence[Any]]) -> str:
    """Return the lines of an invoice, with a last one that adds them up."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([["" if value is None else value for value in row] for row in rows])
    sums = [
        round(sum(row[index] or 0 for row in rows), 6)
        for index in range(_FIRST_MONEY, len(COLUMNS))
    ]
    writer.writerow(["total", *[""] * (_FIRST_MONEY - 1), *sums])
    return file.getvalue()

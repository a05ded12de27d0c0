"""Exports beside the report: invoices by label, and a folder of the marts for other programs.

An invoice is an HTML page with the costs by label value, and a CSV of runs per value. The folder
has a CSV file per mart and a JSON index.
"""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tower_etl.errors import ConfigurationError
from tower_etl.report.render import render_template, write_page
from tower_etl.text import quote_text
from tower_etl.views.definitions import iter_views
from tower_etl.warehouse.filters import apply_filter
from tower_etl.warehouse.reader import open_reader

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tower_etl.views.definitions import View
    from tower_etl.warehouse.filters import RunFilter
    from tower_etl.warehouse.reader import Connection
    from tower_etl.warehouse.status import Query

COLUMNS = (
    "run_id",
    "run_name",
    "pipeline",
    "revision",
    "user_name",
    "workspace",
    "submitted_at",
    "status",
    "currency",
    "cost_source",
    "cost_usd",
    "used_usd",
    "unused_usd",
    "bill_usd",
)

# A run has several rows if its tasks have several currencies; only its first row has the bill.
_RUNS = """
SELECT coalesce(v.label_value, '(none)'), s.run_id, r.run_name, s.pipeline, s.revision,
  s.user_name, s.workspace, r.submitted_at, s.status, s.currency, s.cost_source,
  round(s.cost_usd, 6), b.used_usd, b.unused_usd, b.bill_usd
FROM stg_run_spend AS s
INNER JOIN stg_runs AS r ON r.run_id = s.run_id
LEFT JOIN bill_by_run AS b ON b.run_id = s.run_id AND s.is_first
LEFT JOIN stg_run_label_values AS v ON v.run_id = s.run_id AND v.label_key = {key}
ORDER BY 1, r.submitted_at, s.run_id, s.currency, s.cost_source
"""
_VALUES = """
SELECT value, currency, cost_source, runs, cpu_hours, cost_usd, billed_runs, billed_platform_usd,
  bill_usd
FROM cost_by_label_key WHERE key = {key}
ORDER BY cost_usd DESC NULLS LAST, value, currency, cost_source
"""
_RUN_ID, _CURRENCY = COLUMNS.index("run_id"), COLUMNS.index("currency")
_FIRST_MONEY = COLUMNS.index("cost_usd")
_SUMS = ("runs", "cpu_hours", "cost_usd", "billed_runs", "billed_platform_usd")

INDEX = "index.json"


@dataclass(frozen=True)
class LabelValueCost:
    """Cost of the runs with one value of the key, in one currency and from one source.

    Attributes:
        value: Value of the label; `(none)` for runs without the key.
        currency: Currency of `cost_usd`.
        cost_source: Source of `cost_usd`: platform or price_list.
        runs: Number of runs.
        cpu_hours: CPU hours of these runs.
        cost_usd: Estimated cost of these runs, in the currency.
        billed_runs: Number of runs with lines of a bill.
        billed_platform_usd: Estimated cost of the runs with a bill, in USD.
        bill_usd: Cost of these runs by the bill of the cloud, in USD.
    """

    value: str
    currency: str
    cost_source: str
    runs: int
    cpu_hours: float | None
    cost_usd: float | None
    billed_runs: int
    billed_platform_usd: float | None
    bill_usd: float | None


def write_invoices(
    path: str | Path, output: str, key: str, made_at: datetime, scope: RunFilter
) -> list[Path]:
    """Write the page, and a CSV file for each value into the same folder.

    Args:
        path: DuckDB file or lake folder.
        output: HTML file. The names of the CSV files consist of its name, the key and the value.
        key: Key of labels `key=value`.
        made_at: Current time (UTC).
        scope: Filter of the runs.

    Returns:
        The written files, the page first.

    Raises:
        ConfigurationError: No run has a label with the key.
        OSError: A file cannot be written.
    """
    with open_reader(path) as connection:
        apply_filter(connection, scope)
        values, runs = _read_invoice(lambda sql: connection.execute(sql).fetchall(), key)
    page = render_template(
        "invoices.html",
        key=key,
        values=[*values, *_total_by_source(values)],
        runs=len({row[1 + _RUN_ID] for row in runs}),
        made_at=made_at,
        scope=scope,
    )
    written = [write_page(output, page)]
    stem = str(Path(output).with_suffix(""))
    names = _name_files(list(dict.fromkeys(value.value for value in values)))
    for value, name in names.items():
        lines = [row[1:] for row in runs if row[0] == value]
        written.append(write_page(f"{stem}-{_slug(key)}-{name}.csv", _write_csv(lines)))
    return written


def _read_invoice(query: Query, key: str) -> tuple[list[LabelValueCost], list[tuple[Any, ...]]]:
    quoted = quote_text(key)
    values = [LabelValueCost(*row) for row in query(_VALUES.format(key=quoted))]
    if not values:
        keys = query("SELECT DISTINCT key FROM cost_by_label_key ORDER BY key")
        label_keys = ", ".join(key for (key,) in keys)
        msg = f"No run has a label with the key {key!r}. There are: {label_keys or 'none'}."
        raise ConfigurationError(msg)
    return values, query(_RUNS.format(key=quoted))


def _total_by_source(values: Sequence[LabelValueCost]) -> list[LabelValueCost]:
    kinds = dict.fromkeys((value.currency, value.cost_source) for value in values)
    return [
        _total([value for value in values if (value.currency, value.cost_source) == kind])
        for kind in kinds
    ]


def _total(values: Sequence[LabelValueCost]) -> LabelValueCost:
    sums: dict[str, Any] = {n: sum(getattr(value, n) or 0 for value in values) for n in _SUMS}
    billed = [value.bill_usd for value in values if value.bill_usd is not None]
    total = sum(billed) if billed else None
    return replace(values[0], value="All", **sums, bill_usd=total)


def _name_files(values: Sequence[str]) -> dict[str, str]:
    """Return a file name part for each value; equal ones are numbered."""
    names: dict[str, str] = {}
    for value in values:
        slug = _slug(value)
        number = sum(_slug(other) == slug for other in names)
        names[value] = f"{slug}-{number + 1}" if number else slug
    return names


def _slug(text: str) -> str:
    return re.sub(r"[^\w.-]+", "-", text).strip("-.") or "none"


def _write_csv(rows: Sequence[Sequence[Any]]) -> str:
    """Return the CSV of an invoice, with a total line for each currency."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    for currency in sorted({row[_CURRENCY] for row in rows}):
        in_currency = [row for row in rows if row[_CURRENCY] == currency]
        sums = [
            round(sum(row[index] or 0 for row in in_currency), 6)
            for index in range(_FIRST_MONEY, len(COLUMNS))
        ]
        writer.writerow(["total", *[""] * (_CURRENCY - 1), currency, "", *sums])
    return file.getvalue()


def write_data(path: str | Path, folder: Path, now: datetime, scope: RunFilter) -> int:
    """Write every mart into a folder, and return the number of files.

    Args:
        path: DuckDB file or lake folder of the tables.
        folder: Folder, which is created if it does not exist; files of other names are kept.
        now: Time of the report (UTC).
        scope: Filter of the runs, as for the report.

    Raises:
        ConfigurationError: No sync has written to the path, or the filter matches no run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open_reader(path) as connection:
        apply_filter(connection, scope)
        marts = [_write_mart(connection, view, folder) for view in iter_views("marts")]
    index = {
        "made_at": now.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "filter": scope.condition if scope else None,
        "files": sorted(marts, key=lambda mart: str(mart["file"])),
    }
    (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    return len(marts)


def _write_mart(connection: Connection, view: View, folder: Path) -> dict[str, Any]:
    file = folder / f"{view.name}.csv"
    copy = f'COPY (FROM "{view.name}") TO {quote_text(str(file))} (FORMAT csv, HEADER)'
    connection.execute(copy)
    return {
        "file": file.name,
        "description": view.comment,
        "columns": view.docs.column_comments,
    }

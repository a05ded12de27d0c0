"""Rows as a table on a terminal, or in a format for other programs."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence


def as_table(names: Sequence[str], rows: Sequence[Sequence[object]], title: str = "") -> str:
    """A table for people, numbers to the right; not cut to a width where it is no terminal."""
    table = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD)
    for index, name in enumerate(names):
        number = any(isinstance(row[index], int | float) for row in rows)
        table.add_column(name, justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_show(value, name) for value, name in zip(row, names, strict=True)))
    console = Console(highlight=False, markup=False)
    wide = console if console.is_terminal else Console(width=10_000, highlight=False, markup=False)
    with wide.capture() as captured:
        wide.print(table)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()).strip("\n")


def as_csv(names: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Comma-separated values with a header; null is an empty field."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)
    return text.getvalue().rstrip("\n")


def as_json(names: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A JSON list of objects; times in ISO 8601."""
    objects = [dict(zip(names, row, strict=True)) for row in rows]
    return json.dumps(objects, default=_plain)


def as_markdown(names: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table for a wiki or a pull request, numbers to the right."""
    numbers = [any(isinstance(row[n], int | float) for row in rows) for n in range(len(names))]
    shown = [[_show(value, name) for value, name in zip(row, names, strict=True)] for row in rows]
    rule = ["---:" if number else "---" for number in numbers]
    return "\n".join("| " + " | ".join(map(_escape, row)) + " |" for row in (names, rule, *shown))


def _escape(cell: str) -> str:
    return " ".join(cell.replace("\\", "\\\\").replace("|", "\\|").split())


def _plain(value: object) -> str:
    isoformat = getattr(value, "isoformat", None)
    return isoformat() if isoformat else str(value)


def _show(value: object, name: str) -> str:
    """Thousands apart, but in an identifier, which is there to be copied."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.4f}".rstrip("0").rstrip(".")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if name == "id" or name.endswith("_id") else f"{value:,}"
    return str(value)

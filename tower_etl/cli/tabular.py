"""Rows as a table on a terminal, or in a format for other programs."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from typing import TYPE_CHECKING, Literal

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

_ENDLESS = 10_000  # no terminal
_SHORTEST = 16  # a column of text is not folded below that
_TIGHT = 2  # what a column takes beside its cells where space is short
_FEW_DECIMALS, _MANY_DECIMALS, _SMALL = 4, 6, 0.001
_CONTROLS = dict.fromkeys(
    (*range(9), *range(11, 32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A)),
    "\N{REPLACEMENT CHARACTER}",
)


def as_table(
    names: Sequence[str],
    rows: Sequence[Sequence[object]],
    title: str = "",
    width: int | None = None,
) -> str:
    """A table for people, numbers to the right; where it is too narrow, a record for each row.

    Args:
        names: Of the columns.
        rows: Values in their order.
        title: What stands above it.
        width: Characters of a line; None is that of the terminal, endless where there is none.
    """
    console = Console(highlight=False, markup=False, emoji=False)
    console.width = width or (console.width if console.is_terminal else _ENDLESS)
    shown = [[_show(value, name) for value, name in zip(row, names, strict=True)] for row in rows]
    columns = [[row[index] for row in shown] for index in range(len(names))]
    numbers = [_has_numbers(rows, index) for index in range(len(names))]
    table = _draw(names, columns, numbers, title)
    if _measure_table(console, table) > console.width:
        floors = [_find_floor(*column) for column in zip(names, columns, numbers, strict=True)]
        if rows and sum(floors) + _TIGHT * len(floors) > console.width:
            return _write_records(names, shown, title)
        heads = [_fold_name(name, floor) for name, floor in zip(names, floors, strict=True)]
        table = _draw(heads, columns, numbers, title, tight=True)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()).strip("\n")


def _draw(
    heads: Sequence[str],
    columns: Sequence[Sequence[str]],
    numbers: Sequence[bool],
    title: str,
    *,
    tight: bool = False,
) -> Table:
    """A table in which text is folded where it must be, and numbers never."""
    table = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD)
    table.collapse_padding, table.pad_edge = tight, not tight
    for head, number in zip(heads, numbers, strict=True):
        justify: Literal["left", "right"] = "right" if number else "left"
        table.add_column(head, justify=justify, overflow="fold", no_wrap=number)
    for row in zip(*columns, strict=True):
        table.add_row(*row)
    return table


def _measure_table(console: Console, table: Table) -> int:
    endless = console.options.update(max_width=_ENDLESS)
    return Measurement.get(console, endless, table).maximum


def _write_records(names: Sequence[str], shown: Sequence[Sequence[str]], title: str) -> str:
    """Each row as lines of name and value, an empty line between two."""
    widest = max(map(len, names), default=0)
    records = (
        "\n".join(
            f"{name:<{widest}}  {value}".rstrip() for name, value in zip(names, row, strict=True)
        )
        for row in shown
    )
    return "\n\n".join(filter(None, (title, *records)))


def _has_numbers(rows: Sequence[Sequence[object]], index: int) -> bool:
    return any(isinstance(row[index], int | float) for row in rows)


def _find_floor(name: str, cells: Sequence[str], number: bool) -> int:  # noqa: FBT001 zipped
    """What a column needs at least: its numbers whole, its name in parts, of text a few words."""
    widest = max((cell_len(line) for cell in cells for line in cell.splitlines()), default=0)
    return max(*map(len, _split_name(name)), widest if number else min(widest, _SHORTEST))


def _split_name(name: str) -> list[str]:
    """Its words, each with the underscore behind it."""
    return re.findall("[^_]*_|[^_]+", name) or [""]


def _fold_name(name: str, width: int) -> str:
    """A name in as few lines of that width as hold its words."""
    lines = [""]
    for word in _split_name(name):
        if len(lines[-1]) + len(word) <= width:
            lines[-1] += word
        else:
            lines.append(word)
    return "\n".join(lines)


def as_csv(names: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Comma-separated values with a header; null is an empty field."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)
    return text.getvalue().rstrip("\n")


def as_json(names: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A JSON list of objects; times in ISO 8601, null for what is no number or infinite."""
    objects = [dict(zip(names, map(_finite, row), strict=True)) for row in rows]
    return json.dumps(objects, default=_plain)


def as_markdown(names: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table for a wiki or a pull request, numbers to the right."""
    numbers = [_has_numbers(rows, index) for index in range(len(names))]
    shown = [[_show(value, name) for value, name in zip(row, names, strict=True)] for row in rows]
    rule = ["---:" if number else "---" for number in numbers]
    return "\n".join("| " + " | ".join(map(_escape, row)) + " |" for row in (names, rule, *shown))


def _escape(cell: str) -> str:
    return " ".join(cell.replace("\\", "\\\\").replace("|", "\\|").split())


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain(value: object) -> str:
    isoformat = getattr(value, "isoformat", None)
    return isoformat() if isoformat else str(value)


def _show(value: object, name: str) -> str:
    """Thousands apart, but in an identifier, which is there to be copied."""
    if value is None:
        return ""
    if isinstance(value, float):
        return _show_float(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if name == "id" or name.endswith("_id") else f"{value:,}"
    return str(value).translate(_CONTROLS)


def _show_float(value: float) -> str:
    """Four decimals, or the six that marts have where it is small; never `-0`."""
    if not math.isfinite(value):
        return str(value)
    decimals = _MANY_DECIMALS if abs(value) < _SMALL else _FEW_DECIMALS
    rounded = round(value, decimals) or 0.0
    return f"{rounded:,.{decimals}f}".rstrip("0").rstrip(".")

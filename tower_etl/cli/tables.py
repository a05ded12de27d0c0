"""Rows as a table on a terminal, or in a format for other programs."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from types import SimpleNamespace
from typing import TYPE_CHECKING, Literal

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from tower_etl.cli.output import replace_controls

if TYPE_CHECKING:
    from collections.abc import Sequence

_UNBOUNDED = 10_000  # no terminal
_SHORTEST = 16  # a column of text is not folded below that
_TIGHT = 2  # what a column takes beside its cells where space is short
_RULED = box.SIMPLE_HEAD
_RULED_IN_ASCII = box.Box(str(_RULED).replace("\u2500", "-"), ascii=True)
_FEW_DECIMALS, _MANY_DECIMALS, _SMALL = 4, 6, 0.001

# Excel takes a cell that begins so for a formula (OWASP, CSV injection); some locales take the
# wide forms too. A number is none, whatever its sign.
_FORMULA = re.compile(r"\s*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


def format_table(
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
    terminal = Console()
    width = width or (terminal.width if terminal.is_terminal else _UNBOUNDED)
    paper = io.StringIO()
    console = Console(file=paper, width=width, highlight=False, markup=False, emoji=False)
    shown = [
        [_escape_lacking(_show(*cell), terminal.encoding) for cell in zip(row, names, strict=True)]
        for row in rows
    ]
    columns = [[row[index] for row in shown] for index in range(len(names))]
    numbers = [_has_numbers(rows, index) for index in range(len(names))]
    table = _draw(names, columns, numbers, title)
    if _measure_table(console, table) > console.width:
        floors = [_min_width(*column) for column in zip(names, columns, numbers, strict=True)]
        if rows and sum(floors) + _TIGHT * len(floors) > console.width:
            return _write_records(names, shown, title)
        heads = [_fold_name(name, floor) for name, floor in zip(names, floors, strict=True)]
        table = _draw(heads, columns, numbers, title, tight=True)
    table.box = _RULED if terminal.encoding.startswith("utf") else _RULED_IN_ASCII
    console.print(table)
    return "\n".join(line.rstrip() for line in paper.getvalue().split("\n")).strip("\n")


def _draw(
    heads: Sequence[str],
    columns: Sequence[Sequence[str]],
    numbers: Sequence[bool],
    title: str,
    *,
    tight: bool = False,
) -> Table:
    """A table in which text is folded where it must be, and numbers never."""
    table = Table(title=title or None, title_justify="left", box=_RULED)
    table.collapse_padding, table.pad_edge = tight, not tight
    for head, number in zip(heads, numbers, strict=True):
        justify: Literal["left", "right"] = "right" if number else "left"
        table.add_column(head, justify=justify, overflow="fold", no_wrap=number)
    for row in zip(*columns, strict=True):
        table.add_row(*row)
    return table


def _measure_table(console: Console, table: Table) -> int:
    endless = console.options.update(max_width=_UNBOUNDED)
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


def _min_width(name: str, cells: Sequence[str], number: bool) -> int:  # noqa: FBT001 zipped
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
    """Comma-separated values with a header, each character as it is; null is an empty field.

    Lists and structures are JSON.
    """
    return _write_csv([names, *([_flatten(value) for value in row] for row in rows)])


def as_excel_csv(names: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """The same for Excel: text that it would take for a formula begins with an apostrophe."""
    lines = [names, *([_flatten(value) for value in row] for row in rows)]
    return _write_csv([[_disarm(value) for value in line] for line in lines])


def _write_csv(lines: Sequence[Sequence[object]]) -> str:
    """Return rows as text; csv quotes a carriage return only if it is part of the line end."""
    written: list[str] = []
    csv.writer(SimpleNamespace(write=written.append), lineterminator="\r\n").writerows(lines)
    return "\n".join(line.removesuffix("\r\n") for line in written)


def _flatten(value: object) -> object:
    return _dump(value) if isinstance(value, list | tuple | dict | bytes) else value


def _disarm(value: object) -> object:
    """Put an apostrophe before what Excel would run, and nothing before a number."""
    text = "" if value is None else str(value)
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else value


def as_json(names: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A JSON list of objects; times in ISO 8601, null for what is no number or infinite."""
    objects = [dict(zip(names, map(_as_json_value, row), strict=True)) for row in rows]
    return json.dumps(objects, default=_plain)


def as_markdown(names: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table for a wiki or a pull request, numbers to the right."""
    numbers = [_has_numbers(rows, index) for index in range(len(names))]
    shown = [[_show(value, name) for value, name in zip(row, names, strict=True)] for row in rows]
    rule = ["---:" if number else "---" for number in numbers]
    return "\n".join("| " + " | ".join(map(_escape, row)) + " |" for row in (names, rule, *shown))


def _escape(cell: str) -> str:
    return " ".join(cell.replace("\\", "\\\\").replace("|", "\\|").split())


def _dump(value: object) -> str:
    """A list, a structure or bytes as they stand in JSON, but for the quotes around bytes."""
    if isinstance(value, bytes):
        return value.hex()
    return json.dumps(_as_json_value(value), default=_plain, ensure_ascii=False)


def _as_json_value(value: object) -> object:
    """The value with nothing in it, however deep, that JSON has no word for."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _as_json_value(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json_value(part) for part in value]
    return value


def _plain(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex()
    isoformat = getattr(value, "isoformat", None)
    return isoformat() if isoformat else str(value)


def _escape_lacking(text: str, encoding: str) -> str:
    """Escape what an encoding lacks before columns are aligned: an escape is wider."""
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _show(value: object, name: str) -> str:
    """Thousands apart, but in an identifier, which is there to be copied."""
    if value is None:
        return ""
    if isinstance(value, float):
        return _show_float(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if name == "id" or name.endswith("_id") else f"{value:,}"
    return replace_controls(str(_flatten(value)))


def _show_float(value: float) -> str:
    """Four decimals, or the six that marts have where it is small; never `-0`."""
    if not math.isfinite(value):
        return str(value)
    decimals = _MANY_DECIMALS if abs(value) < _SMALL else _FEW_DECIMALS
    rounded = round(value, decimals) or 0.0
    return f"{rounded:,.{decimals}f}".rstrip("0").rstrip(".")

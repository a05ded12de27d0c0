"""Formats of rows: a table for a terminal, CSV, JSON and Markdown."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from tower_etl.cli.output import replace_controls
from tower_etl.errors import ConfigurationError
from tower_etl.text import install_command

if TYPE_CHECKING:
    from collections.abc import Sequence

    Rows = Sequence[Sequence[object]]

_UNBOUNDED = 10_000  # width without a terminal
_MIN_TEXT_WIDTH = 16  # text columns are not folded to fewer characters
_TIGHT_PADDING = 2  # padding of a column in a folded table
_RULED = box.SIMPLE_HEAD
_RULED_IN_ASCII = box.Box(str(_RULED).replace("\u2500", "-"), ascii=True)
_SHEET_ROWS, _CELL_CHARACTERS = 1_048_576, 32_767  # the limits of Excel
_EXACT_INTEGER = 2**53  # Excel keeps numbers as floating-point numbers
_FIRST_YEAR = 1900  # of Excel's calendar
_MAX_PIXELS = 400  # width of a column
_FEW_DECIMALS, _MANY_DECIMALS, _SMALL = 4, 6, 0.001

# Excel runs a cell that starts with one of these characters as a formula (OWASP, CSV injection), in
# some locales also with the full-width forms. A signed number is not a formula.
_FORMULA = re.compile(r"\s*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


def format_table(
    names: Sequence[str],
    rows: Rows,
    title: str = "",
    width: int | None = None,
) -> str:
    """Return rows as a table, or as records of name and value if the terminal is too narrow.

    Args:
        names: Names of the columns.
        rows: Values in the order of the columns.
        title: Heading of the table.
        width: Characters per line; None for the width of the terminal, unbounded without one.
    """
    terminal = Console()
    width = width or (terminal.width if terminal.is_terminal else _UNBOUNDED)
    buffer = io.StringIO()
    console = Console(file=buffer, width=width, highlight=False, markup=False, emoji=False)
    shown = [
        [_escape_lacking(_show(*cell), terminal.encoding) for cell in zip(row, names, strict=True)]
        for row in rows
    ]
    columns = [[row[index] for row in shown] for index in range(len(names))]
    are_numbers = [_has_numbers(rows, index) for index in range(len(names))]
    table = _build_table(names, columns, are_numbers, title)
    if _measure_table(console, table) > console.width:
        widths = [_min_width(*column) for column in zip(names, columns, are_numbers, strict=True)]
        if rows and sum(widths) + _TIGHT_PADDING * len(widths) > console.width:
            return _write_records(names, shown, title)
        heads = [_fold_name(name, least) for name, least in zip(names, widths, strict=True)]
        table = _build_table(heads, columns, are_numbers, title, tight=True)
    table.box = _RULED if terminal.encoding.startswith("utf") else _RULED_IN_ASCII
    console.print(table)
    return "\n".join(line.rstrip() for line in buffer.getvalue().split("\n")).strip("\n")


def _build_table(
    heads: Sequence[str],
    columns: Sequence[Sequence[str]],
    are_numbers: Sequence[bool],
    title: str,
    *,
    tight: bool = False,
) -> Table:
    """Build a table that folds text to the width of its column, and never folds numbers."""
    table = Table(title=title or None, title_justify="left", box=_RULED)
    table.collapse_padding, table.pad_edge = tight, not tight
    for head, is_number in zip(heads, are_numbers, strict=True):
        justify: Literal["left", "right"] = "right" if is_number else "left"
        table.add_column(head, justify=justify, overflow="fold", no_wrap=is_number)
    for row in zip(*columns, strict=True):
        table.add_row(*row)
    return table


def _measure_table(console: Console, table: Table) -> int:
    unbounded = console.options.update(max_width=_UNBOUNDED)
    return Measurement.get(console, unbounded, table).maximum


def _write_records(names: Sequence[str], shown: Sequence[Sequence[str]], title: str) -> str:
    """Return each row as lines of name and value, separated by empty lines."""
    widest = max(map(len, names), default=0)
    records = (
        "\n".join(
            f"{name:<{widest}}  {value}".rstrip() for name, value in zip(names, row, strict=True)
        )
        for row in shown
    )
    return "\n\n".join(filter(None, (title, *records)))


def _has_numbers(rows: Rows, index: int) -> bool:
    return any(isinstance(row[index], int | float) for row in rows)


def _min_width(name: str, cells: Sequence[str], is_number: bool) -> int:  # noqa: FBT001 zipped
    """Return the least width of a column: unfolded numbers, words of its name, 16 of text."""
    widest = max((cell_len(line) for cell in cells for line in cell.splitlines()), default=0)
    return max(*map(len, _split_name(name)), widest if is_number else min(widest, _MIN_TEXT_WIDTH))


def _split_name(name: str) -> list[str]:
    """Return the words of a name, each with its trailing underscore."""
    return re.findall("[^_]*_|[^_]+", name) or [""]


def _fold_name(name: str, width: int) -> str:
    """Fold a name at underscores into as few lines of a width as possible."""
    lines = [""]
    for word in _split_name(name):
        if len(lines[-1]) + len(word) <= width:
            lines[-1] += word
        else:
            lines.append(word)
    return "\n".join(lines)


def as_csv(names: Sequence[str], rows: Rows) -> str:
    """Return rows as CSV with a header and unchanged text; null is an empty field.

    Lists and structs are written as JSON.
    """
    return _write_csv(_flatten_lines(names, rows))


def as_tsv(names: Sequence[str], rows: Rows) -> str:
    """Return rows as lines of values separated by tabs; white space in text becomes spaces."""
    return "\n".join(
        "\t".join("" if value is None else " ".join(str(value).split()) for value in line)
        for line in _flatten_lines(names, rows)
    )


def as_excel_csv(names: Sequence[str], rows: Rows) -> bytes:
    """Return rows as CSV for Excel, with a byte-order mark.

    Text that Excel would run as a formula is prefixed with an apostrophe.
    """
    lines = [[_disarm(value) for value in line] for line in _flatten_lines(names, rows)]
    text = _write_csv(lines)
    return f"{text}\n".encode("utf-8-sig")


def as_xlsx(names: Sequence[str], rows: Rows) -> bytes:
    """Return rows as an Excel workbook with one table; times are UTC.

    Excel cuts texts at 32,767 characters.

    Raises:
        ConfigurationError: The package XlsxWriter is missing, or the rows exceed a sheet.
    """
    try:
        import xlsxwriter  # noqa: PLC0415 an extra
    except ImportError:
        msg = f"--format xlsx needs XlsxWriter. Run: {install_command('xlsx')}"
        raise ConfigurationError(msg) from None
    if len(rows) >= _SHEET_ROWS:
        msg = (
            f"{len(rows):,} rows do not fit into a sheet of {_SHEET_ROWS:,}. Use --limit, or "
            "--format csv or parquet."
        )
        raise ConfigurationError(msg)
    buffer = io.BytesIO()
    # Written as text: XlsxWriter otherwise converts text to formulas, links and numbers.
    plain = {"strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(
        buffer, {"in_memory": True, "nan_inf_to_errors": True} | plain
    ) as book:
        sheet = book.add_worksheet("rows")
        time_format = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        date_format = book.add_format({"num_format": "yyyy-mm-dd"})
        sheet.write_row(0, 0, names, book.add_format({"bold": True}))
        for number, row in enumerate(rows, 1):
            for column, value in enumerate(row):
                _write_cell(sheet, (number, column), value, time_format, date_format)
        sheet.freeze_panes(1, 0)
        sheet.autofilter(0, 0, len(rows), max(0, len(names) - 1))
        sheet.autofit(_MAX_PIXELS)
    return buffer.getvalue()


def _write_cell(
    sheet: Any,  # noqa: ANN401 XlsxWriter, an extra
    cell: tuple[int, int],
    value: object,
    time_format: object,
    date_format: object,
) -> None:
    if isinstance(value, date) and value.year < _FIRST_YEAR:
        sheet.write_string(*cell, value.isoformat())
    elif isinstance(value, datetime):
        utc = value.astimezone(UTC) if value.tzinfo else value
        sheet.write_datetime(*cell, utc.replace(tzinfo=None), time_format)
    elif isinstance(value, date):
        sheet.write_datetime(*cell, value, date_format)
    elif isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        is_exact = isinstance(value, float | Decimal) or abs(value) <= _EXACT_INTEGER
        sheet.write(*cell, value) if is_exact else sheet.write_string(*cell, str(value))
    elif value is None or isinstance(value, bool):
        sheet.write(*cell, value)
    else:
        sheet.write_string(*cell, str(_flatten(value))[:_CELL_CHARACTERS])


def as_json_lines(names: Sequence[str], rows: Rows) -> str:
    """Return rows as one JSON object per line, with values as in `as_json`."""
    objects = (dict(zip(names, map(_as_json_value, row), strict=True)) for row in rows)
    return "\n".join(json.dumps(item, default=_plain) for item in objects)


def _write_csv(lines: Sequence[Sequence[object]]) -> str:
    """Return lines as CSV.

    The csv module quotes a carriage return only if the line terminator contains one.
    """
    written: list[str] = []
    csv.writer(SimpleNamespace(write=written.append), lineterminator="\r\n").writerows(lines)
    return "\n".join(line.removesuffix("\r\n") for line in written)


def _flatten_lines(names: Sequence[str], rows: Rows) -> list[Sequence[object]]:
    """Return the header and the rows, without lists, structs and bytes."""
    return [names, *([_flatten(value) for value in row] for row in rows)]


def _flatten(value: object) -> object:
    """Return a list or struct as JSON, and bytes as hexadecimal digits without quotes."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list | tuple | dict):
        return json.dumps(_as_json_value(value), default=_plain, ensure_ascii=False)
    return value


def _disarm(value: object) -> object:
    """Prefix text that Excel would run as a formula with an apostrophe; keep numbers."""
    text = "" if value is None else str(value)
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else value


def as_json(names: Sequence[str], rows: Rows) -> str:
    """Return rows as a JSON list of objects; times are ISO 8601, NaN and infinity are null."""
    objects = [dict(zip(names, map(_as_json_value, row), strict=True)) for row in rows]
    return json.dumps(objects, default=_plain)


def as_markdown(names: Sequence[str], rows: Rows) -> str:
    """Return rows as a Markdown table with right-aligned numbers."""
    are_numbers = [_has_numbers(rows, index) for index in range(len(names))]
    shown = [[_show(value, name) for value, name in zip(row, names, strict=True)] for row in rows]
    rule = ["---:" if is_number else "---" for is_number in are_numbers]
    return "\n".join("| " + " | ".join(map(_escape, row)) + " |" for row in (names, rule, *shown))


def _escape(cell: str) -> str:
    return " ".join(cell.replace("\\", "\\\\").replace("|", "\\|").split())


def _as_json_value(value: object) -> object:
    """Replace NaN and infinity by null at any depth, because JSON cannot represent them."""
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
    """Escape characters that an encoding lacks; done before the layout, since escapes are wider."""
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _show(value: object, name: str) -> str:
    """Format a value for display, with thousands separators except in identifiers."""
    if value is None:
        return ""
    if isinstance(value, float):
        return _show_float(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if name == "id" or name.endswith("_id") else f"{value:,}"
    return replace_controls(str(_flatten(value)))


def _show_float(value: float) -> str:
    """Format a float with four decimals, or six (as in marts) below 0.001; never as `-0`."""
    if not math.isfinite(value):
        return str(value)
    decimals = _MANY_DECIMALS if abs(value) < _SMALL else _FEW_DECIMALS
    rounded = round(value, decimals) or 0.0
    return f"{rounded:,.{decimals}f}".rstrip("0").rstrip(".")

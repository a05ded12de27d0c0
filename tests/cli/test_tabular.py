"""Formats of rows: tables that fit the terminal, JSON, CSV, and CSV for Excel."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from tower_etl.cli.tables import (
    as_csv,
    as_excel_csv,
    as_json,
    format_table,
)

NAMES = ("pipeline", "succeeded_runs", "cost_usd")
ROWS = [("nf-core/a-pipeline-of-a-long-name", 12, 11794.83), ("own/b", 3, 0.5)]


def test_a_table_without_a_width_has_one_line_per_row() -> None:
    lines = format_table(NAMES, ROWS).splitlines()
    assert len(lines) == 4
    assert lines[0].split() == list(NAMES)
    assert lines[2].split() == ["nf-core/a-pipeline-of-a-long-name", "12", "11,794.83"]


@pytest.mark.parametrize("width", [46, 50, 60])
def test_a_narrow_table_folds_text_but_no_number(width: int) -> None:
    """Column names are folded at their underscores."""
    table = format_table(NAMES, ROWS, width=width)
    assert "11,794.83" in table
    assert "succeeded_" in table
    assert max(map(len, table.splitlines())) <= width


def test_a_table_too_narrow_to_fold_becomes_a_record_per_row() -> None:
    title, first, second = format_table(NAMES, ROWS, "Costs", width=30).split("\n\n")
    assert title == "Costs"
    assert first.splitlines() == [
        "pipeline        nf-core/a-pipeline-of-a-long-name",
        "succeeded_runs  12",
        "cost_usd        11,794.83",
    ]
    assert second.split() == ["pipeline", "own/b", "succeeded_runs", "3", "cost_usd", "0.5"]


def test_a_narrow_table_without_rows_has_its_column_names() -> None:
    assert "cost" in format_table(NAMES, [], width=20)


def test_emoji_codes_and_markup_are_printed_literally() -> None:
    """Rich would replace `:X:` in the name of a process by an emoji, and `[red]` by a colour."""
    assert "NF:X:HEART:B" in format_table(("process",), [("NF:X:HEART:B [red]",)])


@pytest.mark.parametrize("steering", ["\x1b[2J", "\x07", "\x9b2J", "\u202e", "\x7f"])
@pytest.mark.parametrize("width", [None, 3])
def test_control_characters_are_replaced_in_a_table(steering: str, width: int | None) -> None:
    """The replacement character shows that the name contains one."""
    table = format_table(("run_name", "runs"), [(f"a{steering}b", 1)], width=width)
    assert steering[0] not in table
    assert f"a\N{REPLACEMENT CHARACTER}{steering[1:]}b" in table


@pytest.mark.parametrize(
    ("value", "shown"),
    [(-1e-9, "0"), (0.000031, "0.000031"), (0.12345, "0.1235"), (-1234.5, "-1,234.5")],
)
def test_numbers_have_four_decimals_or_six_if_they_are_small(value: float, shown: str) -> None:
    """A negative number that rounds to zero has no sign."""
    assert format_table(("n",), [(value,)]).splitlines()[-1].strip() == shown


def test_nan_and_infinity_are_null_in_json() -> None:
    rows = [(float("nan"), float("inf"), 1.5)]
    assert json.loads(as_json(("a", "b", "c"), rows), parse_constant=pytest.fail) == [
        {"a": None, "b": None, "c": 1.5}
    ]


def test_nested_values_are_valid_json() -> None:
    """NaN and infinity become null, keys text, and bytes hexadecimal."""
    rows = [({"a": [float("nan"), {"b": float("inf")}], 1: b"\xaa\x00"},)]
    assert json.loads(as_json(("a",), rows), parse_constant=pytest.fail) == [
        {"a": {"a": [None, {"b": None}], "1": "aa00"}}
    ]


ODD_TEXTS = [
    "a\rb",
    "a\nb",
    "a\r\nb",
    "\r",
    "\n",
    '"',
    "a,b",
    "\0",
    " a ",
    "\x1b[2J",
    "\u2028",
    "",
    "'",
]


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_csv_round_trips_any_text(text: str) -> None:
    """The text is in the header and in several positions of a row."""
    rows = [("x", text, "y"), (text, "x", text)]
    read = csv.reader(io.StringIO(as_csv(("a", "b", text), rows), newline=""))
    assert list(read) == [["a", "b", text], *map(list, rows)]


def test_csv_has_json_for_lists_and_objects() -> None:
    """Only Python could parse Python's representation of a list."""
    rows = [([1, None], {"at": datetime(2026, 3, 1, tzinfo=UTC)}, b"\xaa", None)]
    (read,) = csv.DictReader(io.StringIO(as_csv(("a", "b", "c", "d"), rows)))
    assert read == {
        "a": "[1, null]",
        "b": '{"at": "2026-03-01T00:00:00+00:00"}',
        "c": "aa",
        "d": "",
    }
    assert "[1, null]" in format_table(("a", "b", "c", "d"), rows)


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1+1", "-1+1", "@SUM(1)", "\t=1", "\r=1", " =1", "\uff1d1", "\uff20x", "-inf", "+"],
)
def test_excel_csv_escapes_text_that_looks_like_a_formula(text: str) -> None:
    """Excel reads a cell with a leading apostrophe as text; headers are escaped as well."""
    (line,) = csv.reader(io.StringIO(as_excel_csv((text,), []).decode("utf-8-sig"), newline=""))
    assert line == [f"'{text}"]


@pytest.mark.parametrize(
    "value",
    [-1, -1.5, -1e-9, Decimal("-1.50"), "-1", "+1.5e3", "-.5", "1-1", "a=b", "", date(2026, 3, 1)],
)
def test_excel_csv_does_not_change_numbers_and_harmless_text(value: object) -> None:
    """A negative number is not a formula, even as text: exit codes are text."""
    (_, line) = csv.reader(io.StringIO(as_excel_csv(("a", "b"), [(value, 1)]).decode("utf-8-sig")))
    assert line == [str(value), "1"]


def test_excel_csv_escapes_negative_intervals_and_infinity() -> None:
    """They begin with a minus sign, but Excel does not read them as numbers."""
    rows = [(timedelta(days=-1), float("-inf"))]
    (_, line) = csv.reader(io.StringIO(as_excel_csv(("a", "b"), rows).decode("utf-8-sig")))
    assert line == ["'-1 day, 0:00:00", "'-inf"]

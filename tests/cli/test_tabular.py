"""Rows for people: numbers whole on narrow terminals, names as they are, nothing that steers."""

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


def test_a_table_is_as_wide_as_it_needs() -> None:
    """One line a row, where nothing limits it."""
    lines = format_table(NAMES, ROWS).splitlines()
    assert len(lines) == 4
    assert lines[0].split() == list(NAMES)
    assert lines[2].split() == ["nf-core/a-pipeline-of-a-long-name", "12", "11,794.83"]


@pytest.mark.parametrize("width", [46, 50, 60])
def test_a_narrow_table_folds_text_and_no_number(width: int) -> None:
    """Names of columns are folded at their underscores."""
    table = format_table(NAMES, ROWS, width=width)
    assert "11,794.83" in table
    assert "succeeded_" in table
    assert max(map(len, table.splitlines())) <= width


def test_what_is_narrower_still_is_a_record_for_each_row() -> None:
    """With names and values in two columns."""
    title, first, second = format_table(NAMES, ROWS, "Costs", width=30).split("\n\n")
    assert title == "Costs"
    assert first.splitlines() == [
        "pipeline        nf-core/a-pipeline-of-a-long-name",
        "succeeded_runs  12",
        "cost_usd        11,794.83",
    ]
    assert second.split() == ["pipeline", "own/b", "succeeded_runs", "3", "cost_usd", "0.5"]


def test_no_rows_have_their_names_above_them() -> None:
    """On a terminal of any width."""
    assert "cost" in format_table(NAMES, [], width=20)


def test_names_are_no_pictures() -> None:
    """What stands between colons in the name of a process is part of it."""
    assert "NF:X:HEART:B" in format_table(("process",), [("NF:X:HEART:B [red]",)])


@pytest.mark.parametrize("steering", ["\x1b[2J", "\x07", "\x9b2J", "\u202e", "\x7f"])
@pytest.mark.parametrize("width", [None, 3])
def test_nothing_steers_the_terminal(steering: str, width: int | None) -> None:
    """A name with control characters shows that they are there."""
    table = format_table(("run_name", "runs"), [(f"a{steering}b", 1)], width=width)
    assert steering[0] not in table
    assert f"a\N{REPLACEMENT CHARACTER}{steering[1:]}b" in table


@pytest.mark.parametrize(
    ("value", "shown"),
    [(-1e-9, "0"), (0.000031, "0.000031"), (0.12345, "0.1235"), (-1234.5, "-1,234.5")],
)
def test_numbers_have_the_decimals_that_say_something(value: float, shown: str) -> None:
    """Four, or six where a cost is that small; nothing is less than nothing."""
    assert format_table(("n",), [(value,)]).splitlines()[-1].strip() == shown


def test_json_has_no_numbers_that_json_has_not() -> None:
    """They are null."""
    rows = [(float("nan"), float("inf"), 1.5)]
    assert json.loads(as_json(("a", "b", "c"), rows), parse_constant=pytest.fail) == [
        {"a": None, "b": None, "c": 1.5}
    ]


def test_json_is_sound_however_deep() -> None:
    """Numbers that JSON lacks, keys that are no text, and bytes."""
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
def test_csv_reads_back_as_it_was(text: str) -> None:
    """Whatever is in a field, and wherever the field stands."""
    rows = [("x", text, "y"), (text, "x", text)]
    read = csv.reader(io.StringIO(as_csv(("a", "b", text), rows), newline=""))
    assert list(read) == [["a", "b", text], *map(list, rows)]


def test_csv_has_json_in_the_place_of_lists() -> None:
    """As no program but Python reads what Python shows."""
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
def test_excel_runs_no_text(text: str) -> None:
    """An apostrophe in front makes it text; names of columns are as bad."""
    (line,) = csv.reader(io.StringIO(as_excel_csv((text,), []).decode("utf-8-sig"), newline=""))
    assert line == [f"'{text}"]


@pytest.mark.parametrize(
    "value",
    [-1, -1.5, -1e-9, Decimal("-1.50"), "-1", "+1.5e3", "-.5", "1-1", "a=b", "", date(2026, 3, 1)],
)
def test_excel_has_numbers_and_plain_text_as_they_are(value: object) -> None:
    """A negative number is no formula, even where it is text, as exit codes are."""
    (_, line) = csv.reader(io.StringIO(as_excel_csv(("a", "b"), [(value, 1)]).decode("utf-8-sig")))
    assert line == [str(value), "1"]


def test_excel_runs_no_span_of_time_and_no_infinity() -> None:
    """They begin with a minus, and are no numbers to it."""
    rows = [(timedelta(days=-1), float("-inf"))]
    (_, line) = csv.reader(io.StringIO(as_excel_csv(("a", "b"), rows).decode("utf-8-sig")))
    assert line == ["'-1 day, 0:00:00", "'-inf"]

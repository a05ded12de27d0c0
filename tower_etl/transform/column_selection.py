"""From the names of columns that users write to columns, and why some of them cannot be had."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from tower_etl.errors import ConfigurationError
from tower_etl.schema.types import LOCAL, TEXT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tower_etl.schema.table import TableSpec
    from tower_etl.schema.types import ColumnSpec

    Chosen = frozenset[tuple[str, str]]

STATE_COLUMNS = frozenset(
    {"id", "submit", "date_created", "status", "last_updated", "complete", "starred"}
)
"""Columns of `workflows` by which a sync tells what changed."""

_HISTORY = "_history"


def select_columns(names: Iterable[str], tables: Mapping[str, TableSpec]) -> Chosen:
    """The columns that names stand for: `table.column`, or `column` in every table that has it.

    What holds for a table holds for its history.

    Raises:
        ConfigurationError: There is no such column, or a sync cannot do without it.
    """
    chosen = [_check(pair, tables) for name in names for pair in _find(name, tables)]
    return frozenset(chosen)


def check_hashable(chosen: Chosen, tables: Mapping[str, TableSpec]) -> None:
    """Only text has a digest that fits its column; `undocumented` is looked through again.

    Raises:
        ConfigurationError: One of the columns cannot be hashed.
    """
    for table, name in sorted(chosen):
        kind = find_column(tables[table], name).type
        if kind != TEXT or name == "undocumented":
            why = "" if kind == TEXT else f" is no text ({kind}) and"
            msg = f"{table}.{name}{why} cannot be hashed: exclude it instead."
            raise ConfigurationError(msg)


def find_column(table: TableSpec, name: str) -> ColumnSpec:
    """The column of that name."""
    return next(column for column in table.columns if column.name == name)


def is_required(table: TableSpec, column: ColumnSpec) -> bool:
    """Whether a sync needs the column as it is: keys, what is ours, what it reads back."""
    ours = column.source == LOCAL and column.name != "undocumented"
    read_back = table.name == "workflows" and column.name in STATE_COLUMNS
    return ours or read_back or column.name in {*table.key, "workspace_id"}


def _find(name: str, tables: Mapping[str, TableSpec]) -> list[tuple[str, str]]:
    within, _, column = name.strip().rpartition(".")
    places = {within, within + _HISTORY} if within else tables.keys()
    found = [(place, column) for place in places & tables.keys() if _has(tables[place], column)]
    if not found:
        raise ConfigurationError(_unknown_message(name, tables))
    return found


def _has(table: TableSpec, name: str) -> bool:
    return name in table.arrow_schema.names


def _check(pair: tuple[str, str], tables: Mapping[str, TableSpec]) -> tuple[str, str]:
    table = tables[pair[0]]
    if is_required(table, find_column(table, pair[1])):
        msg = (
            f"{'.'.join(pair)} can be neither excluded nor hashed: it is a key, or the sync needs "
            "it to tell what changed. Name the columns of single tables as table.column."
        )
        raise ConfigurationError(msg)
    return pair


def _unknown_message(name: str, tables: Mapping[str, TableSpec]) -> str:
    full = [f"{table.name}.{column.name}" for table in tables.values() for column in table.columns]
    known = full if "." in name else sorted({name.partition(".")[2] for name in full})
    close = get_close_matches(name, known, n=4, cutoff=0.5)
    hint = f"Did you mean {' or '.join(close)}?" if close else "See docs/data-dictionary.md."
    return f"No column {name!r}. {hint}"

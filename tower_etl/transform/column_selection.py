"""Resolution of column names in settings, and validation that the columns may be changed."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from tower_etl.errors import ConfigurationError
from tower_etl.schema.types import TEXT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tower_etl.schema.table import TableSpec
    from tower_etl.schema.types import ColumnSpec

    ColumnSet = frozenset[tuple[str, str]]

STATE_COLUMNS = frozenset(
    {"id", "submit", "date_created", "status", "last_updated", "complete", "starred"}
)
"""Columns of `workflows` that a reconciliation reads to detect changed runs."""

_HISTORY = "_history"


def select_columns(names: Iterable[str], tables: Mapping[str, TableSpec]) -> ColumnSet:
    """Return the columns with the given names: `table.column`, or `column` in all tables.

    The name of a column in a table also selects it in the table's history.

    Raises:
        ConfigurationError: A column does not exist, or a sync requires its values.
    """
    chosen = [_check(pair, tables) for name in names for pair in _find(name, tables)]
    return frozenset(chosen)


def check_hashable(chosen: ColumnSet, tables: Mapping[str, TableSpec]) -> None:
    """Check that columns can hold digests: text columns except `undocumented`, which is parsed.

    Raises:
        ConfigurationError: One of the columns cannot be hashed.
    """
    for table, name in sorted(chosen):
        kind = find_column(tables[table], name).type
        if kind != TEXT or name == "undocumented":
            reason = "" if kind == TEXT else f": expected a text column, but its type is {kind}"
            msg = f"{table}.{name} cannot be hashed{reason}. Exclude it instead."
            raise ConfigurationError(msg)


def find_column(table: TableSpec, name: str) -> ColumnSpec:
    """Return the column with a name."""
    return next(column for column in table.columns if column.name == name)


def is_required(table: TableSpec, column: ColumnSpec) -> bool:
    """Return whether a sync requires the column's values: keys, local columns, state columns."""
    is_local = not column.path and column.name != "undocumented"
    is_state = table.name == "workflows" and column.name in STATE_COLUMNS
    return is_local or is_state or column.name in {*table.key, "workspace_id"}


def _find(name: str, tables: Mapping[str, TableSpec]) -> list[tuple[str, str]]:
    table, _, column = name.strip().rpartition(".")
    candidates = {table, table + _HISTORY} if table else tables.keys()
    found = [(one, column) for one in candidates & tables.keys() if _has(tables[one], column)]
    if not found:
        raise ConfigurationError(_unknown_message(name, tables))
    return found


def _has(table: TableSpec, name: str) -> bool:
    return name in table.arrow_schema.names


def _check(pair: tuple[str, str], tables: Mapping[str, TableSpec]) -> tuple[str, str]:
    table = tables[pair[0]]
    if is_required(table, find_column(table, pair[1])):
        msg = (
            f"{'.'.join(pair)} can be neither excluded nor hashed: it is a key, or syncs need it "
            "to detect changes. To select a column of one table, use the form table.column."
        )
        raise ConfigurationError(msg)
    return pair


def _unknown_message(name: str, tables: Mapping[str, TableSpec]) -> str:
    full = [f"{table.name}.{column.name}" for table in tables.values() for column in table.columns]
    known = full if "." in name else sorted({name.partition(".")[2] for name in full})
    close = get_close_matches(name, known, n=4, cutoff=0.5)
    hint = f"Did you mean {' or '.join(close)}?" if close else "See docs/data-dictionary.md."
    return f"No column {name!r}. {hint}"

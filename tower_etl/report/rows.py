"""Query results as dataclasses, without values that a page cannot show."""

from __future__ import annotations

import math
from dataclasses import fields
from datetime import date, datetime
from typing import TYPE_CHECKING, TypeVar

from tower_etl.report.formats import EMPTY
from tower_etl.warehouse.reader import run_query

if TYPE_CHECKING:
    from tower_etl.warehouse.reader import Connection

Fact = TypeVar("Fact")

MANY, FEW = 25, 10  # rows of a table in the report
DRAWN = "isfinite({0}) AND abs({0}) < 1e300"  # so that sums stay finite
_LONGEST = 250  # characters of a name, which may be repeated in every bar of a chart
_LONGEST_BY_NAME = {"message": 500, "example": 500}


def select_rows(
    connection: Connection, kind: type[Fact], source: str, **renamed: str
) -> tuple[Fact, ...]:
    """Select the fields of a dataclass from a mart; `renamed` maps fields to expressions."""
    names = (field.name for field in fields(kind))  # type: ignore[arg-type] # a dataclass
    columns = ", ".join(renamed.get(name, name) for name in names)
    return query_rows(connection, kind, f"SELECT {columns} FROM {source}")  # noqa: S608 constants


def query_rows(connection: Connection, kind: type[Fact], sql: str) -> tuple[Fact, ...]:
    """Return the rows of a SELECT, whose columns are in the order of the dataclass's fields.

    Rows without a required value are skipped.
    """
    _, rows = run_query(connection, sql)
    types = {field.name: str(field.type) for field in fields(kind)}  # type: ignore[arg-type] # a dataclass
    needed = [name for name, type_name in types.items() if "None" not in type_name]
    cleaned = (
        {name: _clean(value, name, types[name]) for name, value in zip(types, row, strict=True)}
        for row in rows
    )
    return tuple(kind(**row) for row in cleaned if all(row[name] is not None for name in needed))


def order_by(amount: str) -> str:
    """Return an ORDER BY clause: largest first, infinite and NaN last."""
    return f"ORDER BY CASE WHEN {DRAWN.format(amount)} THEN {amount} END DESC NULLS LAST"


def sum_drawn(column: str) -> str:
    """Return an expression that sums a column, without values that are infinite or NaN."""
    return f"sum({column}) FILTER ({DRAWN.format(column)})"


def _clean(value: object, name: str, type_name: str) -> object:
    """Return a value that the report can show, or None.

    DuckDB returns timestamps outside of the years 1 to 9999 as text, and infinite ones without a
    time zone.
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if "date" in type_name:
        infinite = isinstance(value, datetime) and value.tzinfo is None
        return None if infinite or not isinstance(value, date) else value
    return _cut(value, _LONGEST_BY_NAME.get(name, _LONGEST)) if isinstance(value, str) else value


def _cut(text: str, longest: int) -> str:
    if not any(letter.isprintable() and not letter.isspace() for letter in text[:longest]):
        return EMPTY
    return text if len(text) <= longest else f"{text[: longest - 1]}\u2026"

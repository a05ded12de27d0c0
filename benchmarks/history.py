"""A long history: copies of the runs of a short one with other names, times and figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from tower_etl.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tower_etl.schema import TableSpec

COPIED = (
    "workflows",
    "tasks",
    "process_metrics",
    "workflow_progress",
    "process_progress",
    "workflow_labels",
)
_DAYS = 3 * 365
_COPIES_AT_ONCE = 50
_UNIQUE = frozenset({"hash", "native_id", "workdir", "run_name", "session_id"})
_SUMMED = frozenset({"cost", "net_cost"})  # progress tables have the sums over the tasks of a run
_MEASURED = frozenset(
    {"duration", "realtime", "rss", "vmem", "peak_rss", "peak_vmem", "rchar", "wchar"}
    | {"read_bytes", "write_bytes", "syscr", "syscw", "vol_ctxt", "inv_ctxt"}
)


def enlarge(path: Path, tasks: int, tables: Sequence[str] = COPIED) -> int:
    """Copy the runs of a file until it has about `tasks` tasks; return the number of tasks."""
    with duckdb.connect(str(path)) as connection:
        connection.execute("USE tower")
        copies = max(tasks // _count(connection), 1)
        for name in tables:
            connection.execute(f'CREATE TEMP TABLE "seed_{name}" AS FROM "{name}"')
            for first in range(1, copies, _COPIES_AT_ONCE):
                last = min(first + _COPIES_AT_ONCE, copies)
                connection.execute(write_copies(TABLES[name], copies, first, last))
        return _count(connection)


def _count(connection: duckdb.DuckDBPyConnection) -> int:
    found = connection.execute("SELECT count(*) FROM tasks").fetchone()
    return int(found[0]) if found else 0


def write_copies(table: TableSpec, copies: int, first: int, last: int) -> str:
    """Return a statement that adds copies to a table; each copy is some days older."""
    days = f"to_days(CAST(n * {_DAYS} // {copies} AS INTEGER))"
    changed = ", ".join(
        f'{made} AS "{field.name}"'
        for field in table.arrow_schema
        if (made := _vary(table.name, field, days))
    )
    return (
        f'INSERT INTO "{table.name}" BY NAME SELECT s.* REPLACE ({changed}) '  # noqa: S608 constants
        f'FROM "seed_{table.name}" AS s, range({first}, {last}) AS copied(n)'
    )


def _vary(table: str, field: pa.Field, days: str) -> str | None:
    """Return the SQL of a column of a copy; None if the value is unchanged."""
    column = f's."{field.name}"'
    if field.name == "workflow_id" or (table, field.name) == ("workflows", "id"):
        return f"{column} || '-' || n"
    if pa.types.is_timestamp(field.type):
        return f"{column} - {days}"
    if field.name in _UNIQUE:
        return f"left(md5({column} || n), length({column}))"
    if pa.types.is_float64(field.type) and field.name not in _SUMMED:
        return f"{column} * (0.5 + random())"
    if field.name in _MEASURED:
        return f"CAST({column} * (0.5 + random()) AS BIGINT)"
    return None

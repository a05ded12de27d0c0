"""Reading a target: always the published file, always read-only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from tower_etl.errors import UsageError
from tower_etl.load.target import DATASET, is_duckdb_file
from tower_etl.load.views import iter_views

if TYPE_CHECKING:
    from tower_etl.load.views import View


def open_reader(path: str | Path) -> duckdb.DuckDBPyConnection:
    """A read-only connection in which the tables go by their bare names.

    It neither stops a sync nor is stopped by one: a sync puts a new file in the place of this one.

    Raises:
        UsageError: There is no such file, or it holds no synced tables.
    """
    resolved = Path(path).expanduser().resolve()
    if not resolved.exists():
        msg = f"{resolved} does not exist yet: run `tower-etl sync --path {path}` first."
        raise UsageError(msg)
    if not is_duckdb_file(resolved):
        msg = f"{resolved} is no DuckDB file: give another --path."
        raise UsageError(msg)
    connection = duckdb.connect(str(resolved), read_only=True)
    try:
        connection.execute(f"SET schema = '{DATASET}'")
        connection.execute("SET TimeZone = 'UTC'")
    except duckdb.CatalogException:
        connection.close()
        msg = f"{resolved} has no schema {DATASET!r}: no sync has written to it."
        raise UsageError(msg) from None
    return connection


def find_view(name: str) -> View | None:
    """The mart of that name, None if there is none."""
    return next((view for view in iter_views("marts") if view.name == name), None)


def run_query(connection: duckdb.DuckDBPyConnection, sql: str) -> duckdb.DuckDBPyRelation:
    """The result of one SELECT.

    Raises:
        UsageError: DuckDB does not understand it, or it is no query.
    """
    try:
        relation: duckdb.DuckDBPyRelation | None = connection.sql(sql)
    except duckdb.Error as error:
        msg = f"The query failed: {' '.join(str(error).split())}"
        raise UsageError(msg) from None
    if relation is None:
        msg = "That statement returns no rows; `query` takes a SELECT."
        raise UsageError(msg)
    return relation

"""Read-only access to a destination, always in its published state."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import duckdb

from tower_etl.config.settings import DATASET
from tower_etl.destinations.config import is_bucket
from tower_etl.destinations.duckdb_files import explain_unreadable
from tower_etl.destinations.path_checks import explain_unpublished
from tower_etl.errors import ConfigurationError
from tower_etl.files import is_duckdb_file
from tower_etl.text import quote_name
from tower_etl.views.definitions import iter_views
from tower_etl.warehouse.filters import apply_filter

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    from tower_etl.views.definitions import View
    from tower_etl.warehouse.filters import RunFilter

T = TypeVar("T")

Connection = duckdb.DuckDBPyConnection  # for modules that do not import duckdb


def open_reader(path: str | Path) -> duckdb.DuckDBPyConnection:
    """Return a read-only connection with unqualified table names.

    Readers and syncs do not block each other, because a sync renames a new file over this one. A
    lake is read in its current snapshot; it may be in a bucket: `s3://bucket/folder`.

    Raises:
        ConfigurationError: The file does not exist, or contains no tables of tower-etl.
    """
    if is_bucket(path):
        return _open_lake(str(path).rstrip("/"))
    if str(path).startswith(("postgresql://", "postgres://")):
        msg = "PostgreSQL contains the views. Query it with psql or another SQL client."
        raise ConfigurationError(msg)
    resolved = Path(path).expanduser().resolve()
    if not resolved.exists():
        advice = explain_unpublished(path) or f"Run `tower-etl sync --path {path}` first."
        msg = f"{resolved} does not exist. {advice}"
        raise ConfigurationError(msg)
    if resolved.is_dir():
        return _open_lake(resolved)
    if not is_duckdb_file(resolved):
        msg = f"{resolved} is not a DuckDB file. Check it, or choose another --path."
        raise ConfigurationError(msg)
    connection = _connect(resolved)
    try:
        _enter_schema(connection)
    except duckdb.CatalogException:
        connection.close()
        msg = (
            f"{resolved} contains no tables of tower-etl. Run `tower-etl sync --path {path}`, "
            "or choose another --path."
        )
        raise ConfigurationError(msg) from None
    return connection


def _open_lake(path: Path | str) -> duckdb.DuckDBPyConnection:
    from tower_etl.destinations.lake.reader import open_lake_reader  # noqa: PLC0415 formats are extras

    return open_lake_reader(path)


def _connect(path: Path) -> duckdb.DuckDBPyConnection:
    try:
        return duckdb.connect(str(path), read_only=True)
    except duckdb.Error as error:
        raise explain_unreadable(path, error) from None


def _enter_schema(connection: duckdb.DuckDBPyConnection) -> None:
    """Set the schema for unqualified names, and UTC as the time zone.

    The catalog is explicit, because `tower` would match the catalog of a file `tower.duckdb` that
    lacks the schema.
    """
    (catalog,) = connection.execute("SELECT current_catalog()").fetchone() or ("",)
    connection.execute(f'USE {quote_name(catalog)}."{DATASET}"')
    connection.execute("DESCRIBE sync_runs")  # fails unless a sync has written the schema
    connection.execute("SET TimeZone = 'UTC'")


def find_view(name: str) -> View | None:
    """Return the mart or staging view of a name, or None if there is none."""
    return next((view for view in iter_views() if view.name == name), None)


def view_query(connection: duckdb.DuckDBPyConnection, view: View, scope: RunFilter) -> str:
    """Apply a filter for a view, and return the SELECT that reads the view.

    The stored view is used if there is no filter and it exists; a file of an earlier version may
    lack it.

    Raises:
        ConfigurationError: A workspace or pipeline of the filter has no run.
    """
    if scope or not _has_view(connection, view.name):
        apply_filter(connection, scope, [view.name])
    return f'FROM "{view.name}"'


def _has_view(connection: duckdb.DuckDBPyConnection, name: str) -> bool:
    counts = connection.execute(
        "SELECT count(*) FROM duckdb_views() WHERE schema_name = ? AND view_name = ?",
        [DATASET, name],
    ).fetchall()  # an unread result would block the next query
    return counts != [(0,)]


def run_query(
    connection: duckdb.DuckDBPyConnection, sql: str
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Return the column names and the rows of a SELECT.

    Raises:
        ConfigurationError: The query fails, or the statement returns no rows.
    """
    return _execute(connection, sql, lambda relation: (relation.columns, relation.fetchall()))


def query_arrow(connection: duckdb.DuckDBPyConnection, sql: str) -> pa.Table:
    """Return the rows of a SELECT as an Arrow table.

    Raises:
        ConfigurationError: The query fails, or the statement returns no rows.
    """
    return _execute(connection, sql, lambda relation: relation.to_arrow_table())


def _execute(
    connection: duckdb.DuckDBPyConnection,
    sql: str,
    fetch: Callable[[duckdb.DuckDBPyRelation], T],
) -> T:
    try:
        relation: duckdb.DuckDBPyRelation | None = connection.sql(sql)
        if relation is not None:
            return fetch(_disambiguate_columns(relation))
    except duckdb.Error as error:
        msg = f"The query failed: {' '.join(str(error).split())}"
        raise ConfigurationError(msg) from None
    msg = "The statement returns no rows: expected a SELECT."
    raise ConfigurationError(msg)


def _disambiguate_columns(relation: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """Let DuckDB number columns of the same name, which would be merged in JSON."""
    has_duplicates = len(set(relation.columns)) < len(relation.columns)
    return relation.select("*") if has_duplicates else relation

"""Reading a target: always the published file, always read-only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import duckdb

from tower_etl.config.settings import DATASET
from tower_etl.destinations.config import is_bucket
from tower_etl.destinations.duckdb_paths import is_duckdb_file
from tower_etl.destinations.duckdb_storage import explain_unreadable
from tower_etl.errors import ConfigurationError
from tower_etl.views.definitions import iter_views
from tower_etl.warehouse.filters import apply_filter

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    from tower_etl.views.definitions import View
    from tower_etl.warehouse.filters import RunFilter

T = TypeVar("T")

Connection = duckdb.DuckDBPyConnection  # for those who only pass it on


def open_reader(path: str | Path) -> duckdb.DuckDBPyConnection:
    """A read-only connection in which the tables go by their bare names.

    It neither stops a sync nor is stopped by one: a sync puts a new file in the place of this one.
    A folder of Parquet files, Delta or Iceberg tables is read as it is at this moment; it may be in
    a bucket: `s3://bucket/folder`.

    Raises:
        ConfigurationError: There is no such file, or it holds no synced tables.
    """
    if is_bucket(path):
        return _open_lake(str(path).rstrip("/"))
    if str(path).startswith(("postgresql://", "postgres://")):
        msg = "PostgreSQL has the views itself: ask it with psql or any SQL client."
        raise ConfigurationError(msg)
    resolved = Path(path).expanduser().resolve()
    if not resolved.exists():
        msg = f"{resolved} does not exist yet: run `tower-etl sync --path {path}` first."
        raise ConfigurationError(msg)
    if resolved.is_dir():
        return _open_lake(resolved)
    if not is_duckdb_file(resolved):
        msg = f"{resolved} is no DuckDB file: give another --path."
        raise ConfigurationError(msg)
    connection = _connect(resolved)
    try:
        _enter_schema(connection)
    except duckdb.CatalogException:
        connection.close()
        msg = (
            f"{resolved} has no tables of a sync: run `tower-etl sync --path {path}` first, or "
            "give another --path."
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
    """Let the tables go by their bare names; times in UTC.

    The catalog is named, because a file `tower.duckdb` without our schema is a catalog `tower`.
    """
    (catalog,) = connection.execute("SELECT current_catalog()").fetchone() or ("",)
    quoted = catalog.replace('"', '""')
    connection.execute(f'USE "{quoted}"."{DATASET}"')
    connection.execute("DESCRIBE sync_runs")
    connection.execute("SET TimeZone = 'UTC'")


def find_view(name: str) -> View | None:
    """The mart or staging view of that name, None if there is none."""
    return next((view for view in iter_views() if view.name == name), None)


def view_query(connection: duckdb.DuckDBPyConnection, view: View, scope: RunFilter) -> str:
    """Make a view ready to be asked about some of the runs; the SELECT that asks it.

    The file's own view answers where it can: a file that an older version wrote may lack it.

    Raises:
        ConfigurationError: No run is of a workspace or pipeline that the scope names.
    """
    if scope or not _has_view(connection, view.name):
        apply_filter(connection, scope)
    return f'FROM "{view.name}"'


def _has_view(connection: duckdb.DuckDBPyConnection, name: str) -> bool:
    found = connection.execute(
        "SELECT count(*) FROM duckdb_views() WHERE schema_name = ? AND view_name = ?",
        [DATASET, name],
    ).fetchall()  # a result that is not read to its end bars the next query
    return found != [(0,)]


def run_query(
    connection: duckdb.DuckDBPyConnection, sql: str
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """The column names and the rows of one SELECT.

    Raises:
        ConfigurationError: DuckDB does not understand it, fails on the way, or it is no query.
    """
    return _execute(connection, sql, lambda relation: (relation.columns, relation.fetchall()))


def query_arrow(connection: duckdb.DuckDBPyConnection, sql: str) -> pa.Table:
    """The rows of one SELECT as an Arrow table.

    Raises:
        ConfigurationError: As for `run_query`.
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
    msg = "That statement returns no rows; `query` takes a SELECT."
    raise ConfigurationError(msg)


def _disambiguate_columns(relation: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """Columns of one name, as a join has them, numbered by DuckDB: in JSON they would be one."""
    twice = len(set(relation.columns)) < len(relation.columns)
    return relation.select("*") if twice else relation

"""DuckDB files through dlt: the staging copy, kept open for a package that is merged directly."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import dlt
import duckdb
from dlt.destinations.impl.duckdb.duck import DuckDbClient

from tower_etl.destinations.direct_merge import DirectMergeClient
from tower_etl.destinations.dlt_pipeline import PIPELINE, cache_capabilities, make_pipeline
from tower_etl.destinations.duckdb_storage import create_file
from tower_etl.destinations.errors import unwrap_cause
from tower_etl.text import quote_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tower_etl.destinations.duckdb_paths import DuckDBPaths

_CLOSING_MEMORY = "150MB"  # limit of DuckDB during the checkpoint at the end of a package


class DirectMergeDuckDBClient(DirectMergeClient, DuckDbClient):
    """dlt client that merges a package from its Parquet files."""

    def read_files(self, name: str, paths: Sequence[str]) -> str:
        """Return the expression that reads Parquet files."""
        del name
        listed = ", ".join(map(quote_text, paths))
        # Without `hive_partitioning`, DuckDB reads a parent folder `a=1` as a column.
        return f"read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"

    def select_last(self, rows: str, key: Sequence[str]) -> str:
        """Return a query of the last row of each key; a plain one if no key is repeated."""
        names = ", ".join(key)
        repeated = f"SELECT 1 FROM {rows} GROUP BY {names} HAVING count(*) > 1 LIMIT 1"  # noqa: S608 names of this package
        if not self.sql_client.execute_sql(repeated):
            return f"SELECT * FROM {rows}"  # noqa: S608 names of this package
        numbered = f"SELECT *, row_number() OVER () AS _number FROM {rows}"  # noqa: S608 names of this package
        last = f"row_number() OVER (PARTITION BY {names} ORDER BY _number DESC) = 1"
        return f"SELECT * EXCLUDE (_number) FROM ({numbered}) QUALIFY {last}"  # noqa: S608 names of this package

    def insert(self, target: str, columns: str, query: str) -> None:
        """Insert the rows of a query into a table, matching columns by name."""
        del columns
        self.sql_client.execute_sql(f"INSERT INTO {target} BY NAME {query}")


class DirectMergeDuckDB(dlt.destinations.duckdb):
    """dlt's DuckDB destination with `DirectMergeDuckDBClient` and cached capabilities."""

    capabilities = cache_capabilities(dlt.destinations.duckdb.capabilities)

    @property
    def client_class(self) -> type[DirectMergeDuckDBClient]:
        """Class of the client."""
        return DirectMergeDuckDBClient


@contextmanager
def shared_connection(target: DuckDBPaths, memory: str | None = None) -> Iterator[None]:
    """Keep the staging copy open while a package is loaded: closing it after each job is slow.

    dlt opens and closes the file for each job. Within one process, DuckDB shares the database that
    is open. The context lasts for one package, because rows stay in memory until the checkpoint.

    Args:
        target: Paths of the file; the staging copy is created if it does not exist.
        memory: `memory_limit` of DuckDB; None for its default.

    Raises:
        TowerEtlError: The staging copy cannot be opened.
    """
    try:
        if not target.staging.exists():
            create_file(target.staging)
        connection = duckdb.connect(str(target.staging))
    except duckdb.Error as error:
        raise unwrap_cause(error, str(target.staging)) from error
    with connection:
        if memory:
            connection.execute(f"SET memory_limit = '{memory}'")
            # Rows that are buffered to keep their order, or by other threads, would not fit.
            connection.execute("SET preserve_insertion_order = false")
            connection.execute("SET threads = 1")
        yield
        # The checkpoint merges small row groups; without a limit, all of them are read into memory.
        with suppress(duckdb.Error):
            connection.execute(f"SET memory_limit = '{_CLOSING_MEMORY}'")


def open_pipeline(
    target: DuckDBPaths,
    name: str = PIPELINE,
    destination: type[DirectMergeDuckDB] = DirectMergeDuckDB,
) -> dlt.Pipeline:
    """Return the pipeline that loads into the staging copy of a DuckDB file."""
    copy = destination(str(target.staging), destination_name="duckdb")
    return make_pipeline(name, target.pipelines, copy)

"""The default destination: a DuckDB file that each sync replaces atomically.

The staging copy is kept open for a load package that is merged directly.
"""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dlt
import duckdb
from dlt.destinations.impl.duckdb.duck import DuckDbClient

from tower_etl.clock import SYSTEM_CLOCK
from tower_etl.destinations.direct_merge import DirectMergeClient
from tower_etl.destinations.dlt_pipeline import PIPELINE, CachedCapabilities, make_pipeline
from tower_etl.destinations.duckdb_files import (
    create_file,
    explain_unreadable,
    find_error,
    is_usable,
)
from tower_etl.destinations.errors import unwrap_cause
from tower_etl.destinations.foreign_tables import check_foreign_tables
from tower_etl.destinations.locks import file_lock
from tower_etl.destinations.staging_file import StagingFile
from tower_etl.errors import ConfigurationError
from tower_etl.schema import TABLES
from tower_etl.text import quote_text
from tower_etl.views.definitions import apply_views

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    from tower_etl.clock import Clock
    from tower_etl.destinations.duckdb_files import DuckDBPaths
    from tower_etl.schema import TableSpec

_CLOSING_MEMORY = "150MB"  # limit of DuckDB during the checkpoint at the end of a package


@dataclass(frozen=True)
class DuckDBDestination:
    """DuckDB file, written as a staging copy in a folder beside it.

    Attributes:
        paths: Paths of the file and of the folder.
        dialect: SQL dialect of the file.
    """

    paths: DuckDBPaths
    dialect: str = "duckdb"

    @property
    def title(self) -> str:
        """Path of the file."""
        return str(self.paths.path)

    @property
    def exists(self) -> bool:
        """Whether the folder of the staging copy exists."""
        return self.paths.work_dir.is_dir()

    def validate(self) -> None:
        """Reject a file that DuckDB cannot open or that has foreign tables.

        A file that another program has open for writing is not checked. A write-ahead log beside
        the file may belong to a program that still writes to a file which a sync has replaced. If
        the file can be opened only without the log, the log is renamed.

        Raises:
            ConfigurationError: The file is damaged, encrypted, or of a newer DuckDB, or has a table
                or view with a reserved name that tower-etl did not write.
        """
        path, inspect = self.paths.path, _make_foreign_table_check(self.paths.path)
        error = find_error(path, inspect)
        log = path.with_name(f"{path.name}.wal")
        if error and log.exists():
            # Renamed rather than deleted: the log may contain committed rows of the other program.
            aside = log.with_name(f"{log.name}.orphan-{time.time_ns()}")
            log.rename(aside)
            error = find_error(path, inspect)
            if error:
                aside.rename(log)
        if error:
            raise explain_unreadable(path, error)

    def lock(self, clock: Clock) -> AbstractContextManager[None]:
        """Return a context that locks the folder of the staging copy."""
        return file_lock(self.paths.work_dir, str(self.paths.path), clock.now())

    def package_context(self, memory: str | None = None) -> AbstractContextManager[None]:
        """Return a context that keeps the staging copy open."""
        return shared_connection(self.paths, memory)

    def prepare(self) -> None:
        """Create or resume the staging copy; replace one that DuckDB cannot open."""
        staging = StagingFile(self.paths)
        staging.prepare()
        # Inspected again, because `validate` skips a file that is open for writing.
        if not is_usable(self.paths.staging, _make_foreign_table_check(self.paths.path)):
            staging.reset()

    def reset(self) -> None:
        """Replace the staging copy by a new one."""
        StagingFile(self.paths).reset()

    def open_pipeline(self, name: str = PIPELINE) -> dlt.Pipeline:
        """Return the pipeline that loads into the staging copy."""
        return open_pipeline(self.paths, name)

    def publish(self, published_at: datetime, specs: Mapping[str, TableSpec] = TABLES) -> None:
        """Refresh views and comments, and rename the staging copy over the file."""
        del published_at
        staging = StagingFile(self.paths)
        staging.publish(apply_views(self.paths.staging, specs, staging.views))

    def refresh_views(self, clock: Clock = SYSTEM_CLOCK) -> None:
        """Create or replace the views of the published file atomically.

        Raises:
            ConfigurationError: A sync was interrupted.
            DestinationLockedError: A sync has locked the file.
        """
        with self.lock(clock):
            if self.paths.staging.exists():
                msg = (
                    f"A sync into {self.title} was interrupted. Run `tower-etl sync` to resume it."
                )
                raise ConfigurationError(msg)
            staging = StagingFile(self.paths)
            staging.prepare()
            staging.publish(apply_views(self.paths.staging))


def _make_foreign_table_check(path: Path) -> Callable[[duckdb.DuckDBPyConnection], None]:
    """Return a function that rejects tables and views with reserved names of other programs.

    Args:
        path: File that the message names.
    """

    def inspect(connection: duckdb.DuckDBPyConnection) -> None:
        check_foreign_tables(lambda sql: connection.execute(sql).fetchall(), "duckdb", str(path))

    return inspect


class DirectMergeDuckDBClient(DirectMergeClient, DuckDbClient):
    """dlt client that merges a package from its Parquet files."""

    def read_files(self, name: str, paths: Sequence[str]) -> str:
        """Return the expression that reads Parquet files."""
        del name
        listed = ", ".join(map(quote_text, paths))
        # Without `hive_partitioning`, DuckDB reads a parent folder `a=1` as a column.
        return f"read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"

    def select_last(self, row_source: str, key: Sequence[str]) -> str:
        """Return a query of the last row of each key; a plain one if no key is repeated."""
        names = ", ".join(key)
        repeated = f"SELECT 1 FROM {row_source} GROUP BY {names} HAVING count(*) > 1 LIMIT 1"  # noqa: S608 names of this package
        if not self.sql_client.execute_sql(repeated):
            return f"SELECT * FROM {row_source}"  # noqa: S608 names of this package
        numbered = f"SELECT *, row_number() OVER () AS _number FROM {row_source}"  # noqa: S608 names of this package
        last = f"row_number() OVER (PARTITION BY {names} ORDER BY _number DESC) = 1"
        return f"SELECT * EXCLUDE (_number) FROM ({numbered}) QUALIFY {last}"  # noqa: S608 names of this package

    def insert(self, qualified_name: str, columns: str, query: str) -> None:
        """Insert the rows of a query into a table, matching columns by name."""
        del columns
        self.sql_client.execute_sql(f"INSERT INTO {qualified_name} BY NAME {query}")


class DirectMergeDuckDB(CachedCapabilities, dlt.destinations.duckdb):
    """dlt's DuckDB destination with `DirectMergeDuckDBClient` and cached capabilities."""

    client_class = DirectMergeDuckDBClient


@contextmanager
def shared_connection(paths: DuckDBPaths, memory: str | None = None) -> Iterator[None]:
    """Keep the staging copy open while a package is loaded: closing it after each job is slow.

    dlt opens and closes the file for each job. Within one process, DuckDB shares the database that
    is open. The context lasts for one package, because rows stay in memory until the checkpoint.

    Args:
        paths: Paths of the file; the staging copy is created if it does not exist.
        memory: `memory_limit` of DuckDB; None for its default.

    Raises:
        TowerEtlError: The staging copy cannot be opened.
    """
    try:
        if not paths.staging.exists():
            create_file(paths.staging)
        connection = duckdb.connect(str(paths.staging))
    except duckdb.Error as error:
        raise unwrap_cause(error, str(paths.staging)) from error
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
    paths: DuckDBPaths,
    name: str = PIPELINE,
    destination: type[DirectMergeDuckDB] = DirectMergeDuckDB,
) -> dlt.Pipeline:
    """Return the pipeline that loads into the staging copy of a DuckDB file."""
    copy = destination(str(paths.staging), destination_name="duckdb")
    return make_pipeline(name, paths.pipelines, copy)

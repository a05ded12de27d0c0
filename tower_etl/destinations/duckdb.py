"""The default destination: a DuckDB file that each sync replaces atomically."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tower_etl.destinations.dlt_pipeline import PIPELINE
from tower_etl.destinations.duckdb_client import open_pipeline, shared_connection
from tower_etl.destinations.duckdb_storage import explain_unreadable, find_error, is_usable
from tower_etl.destinations.foreign_tables import refuse_foreign
from tower_etl.destinations.locks import file_lock
from tower_etl.destinations.staging_file import StagingFile
from tower_etl.schema import TABLES
from tower_etl.views.definitions import apply_views

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    import dlt
    import duckdb

    from tower_etl.clock import Clock
    from tower_etl.destinations.duckdb_paths import DuckDBPaths
    from tower_etl.schema import TableSpec


@dataclass(frozen=True)
class DuckDBDestination:
    """DuckDB file, written as a staging copy in a folder beside it.

    Attributes:
        target: Paths of the file and of the folder.
        dialect: SQL dialect of the file.
    """

    target: DuckDBPaths
    dialect: str = "duckdb"

    @property
    def title(self) -> str:
        """Path of the file."""
        return str(self.target.path)

    @property
    def exists(self) -> bool:
        """Whether the folder of the staging copy exists."""
        return self.target.work_dir.is_dir()

    def validate(self) -> None:
        """Reject a file that DuckDB cannot open, or with foreign tables under reserved names."""
        probe(self.target)

    def lock(self, clock: Clock) -> AbstractContextManager[None]:
        """Return a context that locks the folder of the staging copy."""
        return file_lock(self.target.work_dir, str(self.target.path), clock.now())

    def package_context(self, memory: str | None = None) -> AbstractContextManager[None]:
        """Return a context that keeps the staging copy open."""
        return shared_connection(self.target, memory)

    def prepare(self) -> None:
        """Create or resume the staging copy; replace one that DuckDB cannot open."""
        staging = StagingFile(self.target)
        staging.prepare()
        # Inspected again, because `validate` skips a file that is open for writing.
        if not is_usable(self.target.staging, _refuse_foreign(self.target.path)):
            staging.reset()

    def reset(self) -> None:
        """Replace the staging copy by a new one."""
        StagingFile(self.target).reset()

    def open_pipeline(self, name: str = PIPELINE) -> dlt.Pipeline:
        """Return the pipeline that loads into the staging copy."""
        return open_pipeline(self.target, name)

    def publish(self, now: datetime, specs: Mapping[str, TableSpec] = TABLES) -> None:
        """Refresh views and comments, and rename the staging copy over the file."""
        del now
        staging = StagingFile(self.target)
        staging.publish(apply_views(self.target.staging, specs, staging.views))


def probe(target: DuckDBPaths) -> None:
    """Reject a file that DuckDB cannot open or that has foreign tables, before anything is created.

    A file that another program has open for writing is not checked. A write-ahead log beside the
    file may belong to a program that still writes to a file which a sync has replaced. If the file
    can be opened only without the log, the log is renamed.

    Raises:
        ConfigurationError: The file is damaged, encrypted, or of a newer DuckDB, or has a table or
            view with a reserved name that tower-etl did not write.
    """
    inspect = _refuse_foreign(target.path)
    error = find_error(target.path, inspect)
    log = target.path.with_name(target.path.name + ".wal")
    if error and log.exists():
        # Renamed rather than deleted: the log may contain committed rows of the other program.
        aside = log.with_name(f"{log.name}.orphan-{time.time_ns()}")
        log.rename(aside)
        error = find_error(target.path, inspect)
        if error:
            aside.rename(log)
    if error:
        raise explain_unreadable(target.path, error)


def _refuse_foreign(path: Path) -> Callable[[duckdb.DuckDBPyConnection], None]:
    """Return a function that rejects tables and views with reserved names of other programs.

    Args:
        path: File that the message names.
    """

    def inspect(connection: duckdb.DuckDBPyConnection) -> None:
        refuse_foreign(lambda sql: connection.execute(sql).fetchall(), "duckdb", str(path))

    return inspect

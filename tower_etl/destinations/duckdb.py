"""The default destination: a DuckDB file that every sync replaces as a whole."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from tower_etl.destinations.dlt_pipeline import PIPELINE, open_pipeline, shared_connection
from tower_etl.destinations.duckdb_storage import explain_unreadable, find_error, is_usable
from tower_etl.destinations.foreign_tables import refuse_foreign
from tower_etl.destinations.locks import file_lock
from tower_etl.destinations.staging_file import StagingFile
from tower_etl.schema import TABLES
from tower_etl.views.definitions import apply_views

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    import dlt

    from tower_etl.clock import Clock
    from tower_etl.destinations.duckdb_paths import DuckDBPaths
    from tower_etl.schema import TableSpec


@dataclass(frozen=True)
class DuckDBDestination:
    """A DuckDB file, with the folder beside it in which it is written.

    Attributes:
        target: Both.
    """

    target: DuckDBPaths
    dialect: str = "duckdb"

    @property
    def title(self) -> str:
        """The file."""
        return str(self.target.path)

    @property
    def exists(self) -> bool:
        """Whether the folder is there."""
        return self.target.work_dir.is_dir()

    def validate(self) -> None:
        """Refuse a file that DuckDB cannot open, or with a table of a user in the place of ours."""
        probe(self.target)
        _refuse_foreign(self.target.path)

    def lock(self, clock: Clock) -> AbstractContextManager[None]:
        """Lock the folder."""
        return file_lock(self.target.work_dir, str(self.target.path), clock.now())

    def package_context(self, memory: str | None = None) -> AbstractContextManager[None]:
        """Keep the draft open; the lock is held until its process ends."""
        return shared_connection(self.target, memory)

    def prepare(self) -> None:
        """Take a draft of the published file; a draft that cannot be opened is taken again."""
        publisher = StagingFile(self.target)
        publisher.prepare()
        if not is_usable(self.target.staging):
            publisher.reset()
        _refuse_foreign(self.target.staging)  # the file may have been open in another program

    def reset(self) -> None:
        """Take a new draft."""
        StagingFile(self.target).reset()

    def open_pipeline(self, name: str = PIPELINE) -> dlt.Pipeline:
        """It writes to the draft."""
        return open_pipeline(self.target, name)

    def publish(self, now: datetime, specs: Mapping[str, TableSpec] = TABLES) -> None:
        """Apply views and comments, and rename the draft over the file."""
        del now
        publisher = StagingFile(self.target)
        publisher.publish(apply_views(self.target.staging, specs, publisher.views))


def probe(target: DuckDBPaths) -> None:
    """Refuse a file that DuckDB cannot open, before anything is made beside it.

    A file that another program has open to write cannot be looked into, and is none the worse. A
    log beside it may be of a program that goes on writing to a file that was replaced: what
    cannot be opened with such a log, but without it, loses the log.

    Raises:
        ConfigurationError: The file is damaged, encrypted, or of a newer DuckDB.
    """
    error = find_error(target.path)
    log = target.path.with_name(target.path.name + ".wal")
    if error and log.exists():
        aside = log.with_name(f"{log.name}.orphan-{time.time_ns()}")
        log.rename(aside)
        error = find_error(target.path)
        if error:
            aside.rename(log)
    if error:
        raise explain_unreadable(target.path, error)


def _refuse_foreign(path: Path) -> None:
    """Refuse a file with a table or view of a user that has a name of ours.

    Raises:
        ConfigurationError: There is one. A file that another program writes is not looked into.
    """
    if not path.exists():
        return
    try:
        connection = duckdb.connect(str(path), read_only=True)
    except duckdb.Error:
        return
    with connection:
        refuse_foreign(lambda sql: connection.execute(sql).fetchall(), "duckdb", str(path))

"""Load sessions for real: through dlt and a staging copy into a published DuckDB file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb

from tests.semantics.expected import index
from tests.semantics.in_memory import CrashError
from tower_etl.destinations.dlt_pipeline import (
    declare_schema,
    dlt_defaults,
    load_package,
    load_pending_packages,
)
from tower_etl.destinations.duckdb import open_pipeline
from tower_etl.destinations.duckdb_files import resolve_duckdb_paths
from tower_etl.destinations.staging_file import StagingFile
from tower_etl.schema import TABLES
from tower_etl.source.resources import build_source
from tower_etl.views.definitions import apply_views

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

    from tests.semantics.expected import Rows
    from tower_etl.config.settings import PackageLimits
    from tower_etl.extract.session import SyncSession


@dataclass
class Crashing:
    """Simulate a session that is killed before the nth batch that it yields.

    Attributes:
        session: The session.
        left: The number of batches until the crash.
    """

    session: SyncSession
    left: int

    @property
    def is_done(self) -> bool:
        """Return whether the session is done."""
        return self.session.is_done

    @property
    def has_started(self) -> bool:
        """Return whether the session has started."""
        return self.session.has_started

    def close(self) -> None:
        """Close the session."""
        self.session.close()

    def extract_package(self, *args: Any) -> Iterator[dict[str, pa.Table]]:
        """Yield the batches of the session until the crash."""
        for batch in self.session.extract_package(*args):
            self.left -= 1
            if self.left == 0:
                raise CrashError
            yield batch


class DuckDBTestDestination:
    """Load sessions as `tower-etl sync` does.

    Attributes:
        tables: Rows by key for each table, as read from the published file.
        state: The state of the source after the last load.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.target = resolve_duckdb_paths(folder / "tower.duckdb")
        self.target.work_dir.mkdir()
        self.tables: dict[str, Rows] = {}
        self.state: dict[str, Any] = {}

    def load(
        self, session: SyncSession, limits: PackageLimits, crash_at: int | None = None
    ) -> None:
        """Load every package of a session and publish; with `crash_at`, crash before that batch."""
        publisher = StagingFile(self.target)
        publisher.prepare()
        feed: Any = Crashing(session, crash_at) if crash_at else session
        with dlt_defaults():
            pipeline = open_pipeline(self.target)
            assert load_pending_packages(pipeline) is None
            while not session.is_done:
                source = build_source(feed, TABLES, limits)
                is_new = declare_schema(pipeline, source, TABLES)
                load_package(pipeline, source, makes_tables=is_new)
        apply_views(self.target.staging)
        publisher.publish()
        self.tables = {name: self._read(name) for name in TABLES}
        self.state = pipeline.state["sources"]["tower"]

    def rows_of(self, table: str, run_id: str) -> Rows:
        """Return the rows of one run in a table."""
        column = "id" if table == "workflows" else "workflow_id"
        return {key: row for key, row in self.tables[table].items() if row[column] == run_id}

    def _read(self, name: str) -> Rows:
        with duckdb.connect(str(self.target.path), read_only=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            found = connection.execute(f"SELECT * FROM tower.tower.{name}")  # noqa: S608 a name of TABLES
            names = [column[0] for column in found.description or ()]
            rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
        keyed = index(name, rows)
        assert len(keyed) == len(rows), f"{name} has a key twice"
        return keyed

"""Lakes: dlt loads into a local staging database, whose changes are then written to the lake.

Thus every format has the semantics of the DuckDB file, with one commit per table and sync. The
reasons against dlt's file destinations are in docs/decisions/0010-lakes-are-mirrors.md.
"""

from __future__ import annotations

import json
import shutil
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import duckdb

from tower_etl.config.resolver import SettingSources
from tower_etl.config.settings import DATASET
from tower_etl.destinations.config import find_working, resolve_local_folder
from tower_etl.destinations.dlt_pipeline import PIPELINE
from tower_etl.destinations.duckdb import open_pipeline, shared_connection
from tower_etl.destinations.duckdb_files import DuckDBPaths, create_file, is_usable
from tower_etl.destinations.lake.changes import (
    RecordingDuckDB,
    clear_changes,
    is_data_table,
    read_changes,
)
from tower_etl.destinations.lake.manifest import (
    Manifest,
    ManifestDiff,
    ManifestStore,
    PartitionEntry,
    TableEntry,
)
from tower_etl.destinations.lake.parquet import ParquetLake, new_snapshot_name
from tower_etl.destinations.lake.partitions import (
    MONTH,
    PartitionReader,
    empty_partitions,
    list_tables,
    partition_scheme,
    scan_months,
    scan_partitions,
)
from tower_etl.destinations.local_folder import LocalFolder, replace_text
from tower_etl.destinations.locks import ObjectStoreLease, WriterLock, file_lock
from tower_etl.destinations.path_checks import check_characters
from tower_etl.errors import ConfigurationError
from tower_etl.schema import TABLES
from tower_etl.text import install_command
from tower_etl.views.definitions import create_local_tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    import dlt

    from tower_etl.clock import Clock
    from tower_etl.destinations.config import DestinationConfig
    from tower_etl.destinations.lake.base import LakeFormat
    from tower_etl.destinations.lake.partitions import PartitionStats
    from tower_etl.destinations.object_store import ObjectStore
    from tower_etl.schema import TableSpec

# DuckDB otherwise caches up to 80 % of RAM, and buffers whole row groups of Parquet files to
# preserve the insertion order.
_SETTINGS = (
    "SET memory_limit = '400MB'",
    "SET preserve_insertion_order = false",
    "SET TimeZone = 'UTC'",
)


@dataclass(frozen=True)
class LakeDestination:
    """Lake that mirrors a local staging database, which is never published as a file.

    Attributes:
        kind: Format of the lake.
        lake: Tables that readers use.
        paths: Paths of the staging database.
        writer_lock: Lock against syncs of other machines, if the lake is remote.
        dialect: SQL dialect of the staging database.
    """

    kind: str
    lake: LakeFormat
    paths: DuckDBPaths
    writer_lock: WriterLock = field(default_factory=WriterLock)
    dialect: str = "duckdb"

    @property
    def title(self) -> str:
        """Folder or URL of the lake."""
        return self.lake.title

    @property
    def exists(self) -> bool:
        """Whether a sync of this or another machine has written to the lake."""
        return self.paths.work_dir.is_dir() or self.lake.read_manifest() is not None

    def validate(self) -> None:
        """Reject a folder that contains other files."""
        self.lake.read_manifest()

    @contextmanager
    def lock(self, clock: Clock) -> Iterator[None]:
        """Lock the folder of the staging database, and then the lake."""
        folder = self.paths.work_dir
        with file_lock(folder, self.title, clock.now()), self.writer_lock.hold(clock):
            yield

    def package_context(self, memory: str | None = None) -> AbstractContextManager[None]:
        """Verify the lock, and return a context that keeps the staging database open."""
        self.writer_lock.check()
        return shared_connection(self.paths, memory)

    def prepare(self) -> None:
        """Resume the staging database if it belongs to the lake's snapshot; else rebuild it."""
        manifest = self.lake.read_manifest()
        snapshot = manifest.snapshot if manifest else None
        is_current = self.paths.staging.exists() and snapshot in self._read_snapshots()
        if is_current and is_usable(self.paths.staging):
            return
        self._delete()
        if manifest is not None:
            part = self.paths.staging.with_name("restored.duckdb")
            part.unlink(missing_ok=True)
            _rebuild_from_lake(part, self.lake, manifest)
            self.record_snapshots(snapshot)
            part.replace(self.paths.staging)
        self.record_snapshots(snapshot)

    def reset(self) -> None:
        """Rebuild the staging database from the lake."""
        self._delete()
        self.prepare()

    def open_pipeline(self, name: str = PIPELINE) -> dlt.Pipeline:
        """Return the pipeline that loads into the staging database."""
        return open_pipeline(self.paths, name, RecordingDuckDB)

    def publish(
        self,
        published_at: datetime,
        specs: Mapping[str, TableSpec] = TABLES,
        *,
        verify: bool = False,
    ) -> None:
        """Write the changed partitions to the lake; the formats store no column comments.

        Args:
            published_at: Time of the publication (UTC).
            specs: Ignored, because the formats store no comments.
            verify: Whether to compare all rows, instead of those that packages changed.
        """
        del specs
        old = self.lake.read_manifest()
        snapshot = new_snapshot_name(published_at, uuid.uuid4().hex[:8])
        self.record_snapshots(old.snapshot if old else None, snapshot)
        with connect(self.paths.staging) as connection:
            _create_missing(connection)
            changes = read_changes(connection, published_at) if old and not verify else None
            reader, manifest = scan_staging(connection, self.kind, snapshot, old, changes)
            self.lake.write(reader, ManifestDiff(old, manifest), published_at)
            clear_changes(connection, published_at if changes is None else None)
        self.record_snapshots(snapshot)

    def record_snapshots(self, *snapshots: str | None) -> None:
        """Record the snapshots of the lake that the staging database may be the state of.

        During a publication there are two, because an interruption may leave either in the lake.
        """
        replace_text(self._snapshots_path, json.dumps(snapshots))

    def _read_snapshots(self) -> Sequence[str | None]:
        with suppress(OSError, ValueError):
            stored = json.loads(self._snapshots_path.read_text(encoding="utf-8"))
            if isinstance(stored, list):
                return stored
        return ()

    @property
    def _snapshots_path(self) -> Path:
        return self.paths.work_dir / "copy.json"

    def _delete(self) -> None:
        """Delete the staging database and dlt's working folder."""
        staging = self.paths.staging
        for path in (staging, staging.with_name(f"{staging.name}.wal")):
            path.unlink(missing_ok=True)
        for folder in (staging.with_name(f"{staging.name}.tmp"), self.paths.pipelines):
            shutil.rmtree(folder, ignore_errors=True)


def _create_missing(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the tables that no sync fills, so that a lake has every table of the views."""
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {DATASET}")
    (before,) = connection.execute("SELECT current_schema()").fetchone() or ("main",)
    connection.execute(f"USE {DATASET}")
    create_local_tables(connection)
    connection.execute(f"USE {before}")


def scan_staging(
    connection: duckdb.DuckDBPyConnection,
    kind: str,
    snapshot: str,
    old: Manifest | None = None,
    changes: Mapping[str, frozenset[str]] | None = None,
) -> tuple[PartitionReader, Manifest]:
    """Return a reader of the staging database's partitions, and its content as a manifest.

    Args:
        connection: Connection to the staging database.
        kind: Format of the lake.
        snapshot: Name of the new snapshot.
        old: Manifest of the lake.
        changes: Months that differ from the manifest by table; None to read everything.
    """
    ddls = list_tables(connection)
    schemes = {name: partition_scheme(name) for name in ddls}
    partitions, tables = {}, {}
    for name, ddl in ddls.items():
        known_tables = old.tables if old and changes is not None and is_data_table(name) else {}
        before = known_tables.get(name)
        if before is None or before.ddl != ddl:
            partitions[name] = scan_partitions(connection, schemes[name])
            entries = _partition_entries(partitions[name])
        else:
            changed = changes.get(name, frozenset[str]()) if changes else frozenset[str]()
            partitions[name] = scan_months(connection, schemes[name], changed)
            kept = {m: entry for m, entry in before.partitions.items() if m not in changed}
            entries = kept | _partition_entries(partitions[name])
            entries = entries or _partition_entries(empty_partitions(schemes[name]))
        tables[name] = TableEntry(ddl, entries)
    return PartitionReader(connection, schemes, partitions), Manifest(kind, snapshot, tables)


def _partition_entries(partitions: Mapping[str, PartitionStats]) -> dict[str, PartitionEntry]:
    return {month: PartitionEntry(stats.fingerprint) for month, stats in partitions.items()}


def open_mirror(config: DestinationConfig) -> LakeDestination:
    """Return a lake with its staging database: beside a local lake, else in the state folder.

    Raises:
        ConfigurationError: The lake is unusable, or the library of its format is missing.
    """
    if not config.is_remote:
        folder = resolve_local_folder(config.path)
        working = find_working(config.kind, folder)
        return LakeDestination(config.kind, open_lake(config), DuckDBPaths(folder, working))
    working = config.find_state(config.path)
    with _explain_missing(config):
        writer_lock = ObjectStoreLease(_open_bucket(config), working)
    return LakeDestination(
        config.kind, open_lake(config, writer_lock), DuckDBPaths(working, working), writer_lock
    )


def open_lake(config: DestinationConfig, writer_lock: WriterLock | None = None) -> LakeFormat:
    """Return a lake without a staging database; writing to a remote one requires a lock.

    Raises:
        ConfigurationError: The lake is unusable, or the library of its format is missing.
    """
    if config.kind == "parquet":
        return ParquetLake(resolve_local_folder(config.path))
    with _explain_missing(config):
        open_tables = _open_delta if config.kind == "delta" else _open_iceberg
        return open_tables(config, writer_lock or WriterLock())


@contextmanager
def _explain_missing(config: DestinationConfig) -> Iterator[None]:
    extras = f"{config.kind},s3" if config.is_remote else config.kind
    try:
        yield
    except ImportError as error:
        msg = (
            f"{config.kind} needs the module {error.name}, which is missing. "
            f"Run: {install_command(extras)}"
        )
        raise ConfigurationError(msg) from None


def _open_delta(config: DestinationConfig, writer_lock: WriterLock) -> LakeFormat:
    from tower_etl.destinations.lake.delta import DeltaLake  # noqa: PLC0415 an extra

    return DeltaLake(ManifestStore(_open_files(config), "delta"), writer_lock)


def _open_iceberg(config: DestinationConfig, writer_lock: WriterLock) -> LakeFormat:
    from tower_etl.destinations.lake.iceberg import IcebergLake  # noqa: PLC0415 an extra
    from tower_etl.destinations.lake.iceberg_tables import locate_tables  # noqa: PLC0415 an extra

    files = _open_files(config)
    location = locate_tables(files, SettingSources().environ)
    return IcebergLake(location, ManifestStore(files, "iceberg"), writer_lock)


def _open_files(config: DestinationConfig) -> LocalFolder | ObjectStore:
    if config.is_remote:
        return _open_bucket(config)
    folder = resolve_local_folder(config.path)
    check_characters(config.kind, folder)
    return LocalFolder(folder)


def _open_bucket(config: DestinationConfig) -> ObjectStore:
    from tower_etl.destinations.object_store import open_bucket  # noqa: PLC0415 an extra

    return open_bucket(config.path)


def connect(path: Path) -> duckdb.DuckDBPyConnection:
    """Open a staging database in UTC, with settings that limit the memory of full scans."""
    connection = duckdb.connect(str(path))
    for setting in _SETTINGS:
        connection.execute(setting)
    return connection


def _rebuild_from_lake(path: Path, lake: LakeFormat, manifest: Manifest) -> None:
    """Create a DuckDB file with all tables of a lake, including dlt's internal tables."""
    tables = lake.open_datasets(manifest)
    create_file(path)
    with connect(path) as connection:
        connection.execute(f"CREATE SCHEMA {DATASET}")
        for name, contents in manifest.tables.items():
            connection.execute(contents.ddl)
            connection.register("lake_rows", tables[name])
            # Earlier versions of tower-etl wrote some tables without months.
            columns = f"* EXCLUDE ({MONTH})" if MONTH in tables[name].schema.names else "*"
            insert = f'INSERT INTO {DATASET}."{name}" BY NAME SELECT {columns} FROM lake_rows'  # noqa: S608 known names
            connection.execute(insert)
            connection.unregister("lake_rows")

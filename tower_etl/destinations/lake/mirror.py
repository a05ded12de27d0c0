"""Lakes: dlt loads into a working copy, and what changed in it is written to the lake.

So every format has the semantics that the DuckDB file has, and one commit a table and sync. Why not
dlt's own file destinations: docs/decisions/0010-lakes-are-mirrors.md.
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
from tower_etl.destinations.dlt_pipeline import PIPELINE, open_pipeline, shared_connection
from tower_etl.destinations.duckdb_paths import DuckDBPaths
from tower_etl.destinations.duckdb_storage import create_file, is_usable
from tower_etl.destinations.lake.manifest import (
    FileManifestStore,
    Manifest,
    ManifestDiff,
    ObjectManifestStore,
    PartitionEntry,
    TableEntry,
)
from tower_etl.destinations.lake.parquet import ParquetLake, new_snapshot_name
from tower_etl.destinations.lake.partitions import (
    MONTH,
    PartitionReader,
    list_tables,
    partition_scheme,
    scan_partitions,
)
from tower_etl.destinations.locks import NoLock, ObjectStoreLease, file_lock
from tower_etl.destinations.path_checks import check_characters
from tower_etl.errors import ConfigurationError
from tower_etl.schema import TABLES
from tower_etl.views.local_tables import create_local_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    import dlt

    from tower_etl.clock import Clock
    from tower_etl.destinations.config import DestinationConfig
    from tower_etl.destinations.lake.base import LakeFormat
    from tower_etl.destinations.lake.partitions import PartitionStats
    from tower_etl.destinations.locks import WriterLock
    from tower_etl.schema import TableSpec


@dataclass(frozen=True)
class LakeDestination:
    """A lake and the working copy that it mirrors.

    Attributes:
        kind: Its format.
        lake: What readers read.
        target: The working copy is its draft.
        guard: Keeps out the syncs of other machines, where there may be some.
    """

    kind: str
    lake: LakeFormat
    target: DuckDBPaths
    guard: WriterLock = field(default_factory=NoLock)
    dialect: str = "duckdb"

    @property
    def title(self) -> str:
        """The folder of the lake."""
        return self.lake.display_name

    @property
    def exists(self) -> bool:
        """Whether a sync was here, or elsewhere, before."""
        return self.target.work_dir.is_dir() or self.lake.read_manifest() is not None

    def validate(self) -> None:
        """Refuse a folder that holds something else."""
        self.lake.read_manifest()

    @contextmanager
    def lock(self, clock: Clock) -> Iterator[None]:
        """Lock the folder of the working copy, and then the lake."""
        folder = self.target.work_dir
        with file_lock(folder, self.lake.display_name, clock.now()), self.guard.hold(clock):
            yield

    def package_context(self, memory: str | None = None) -> AbstractContextManager[None]:
        """Keep the draft open."""
        self.guard.check()
        return shared_connection(self.target, memory)

    def prepare(self) -> None:
        """Go on with the working copy, or make it anew out of the lake."""
        StagingDatabase(self.target).open(self.lake)

    def reset(self) -> None:
        """Make the working copy anew."""
        StagingDatabase(self.target).delete()
        self.prepare()

    def open_pipeline(self, name: str = PIPELINE) -> dlt.Pipeline:
        """It writes to the working copy."""
        return open_pipeline(self.target, name)

    def publish(self, now: datetime, specs: Mapping[str, TableSpec] = TABLES) -> None:
        """Write the months that changed; files have no comments."""
        del specs
        old = self.lake.read_manifest()
        generation = new_snapshot_name(now, uuid.uuid4().hex[:8])
        copy = StagingDatabase(self.target)
        copy.record_snapshots(old.snapshot if old else None, generation)
        with connect(self.target.staging) as connection:
            _create_missing(connection)
            export, manifest = scan_staging(connection, self.kind, generation)
            self.lake.write(export, ManifestDiff(old, manifest), now)
        copy.record_snapshots(generation)


def _create_missing(connection: duckdb.DuckDBPyConnection) -> None:
    """Let a lake hold every table that the views read, also those that no sync fills."""
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {DATASET}")
    (before,) = connection.execute("SELECT current_schema()").fetchone() or ("main",)
    connection.execute(f"USE {DATASET}")
    create_local_tables(connection)
    connection.execute(f"USE {before}")


def scan_staging(
    connection: duckdb.DuckDBPyConnection, kind: str, generation: str
) -> tuple[PartitionReader, Manifest]:
    """What the working copy holds, and how it is taken out of it."""
    ddls = list_tables(connection)
    cuts = {name: partition_scheme(name) for name in ddls}
    stretches = {name: scan_partitions(connection, cut) for name, cut in cuts.items()}
    tables = {name: TableEntry(ddl, _mark_parts(stretches[name])) for name, ddl in ddls.items()}
    return PartitionReader(connection, cuts, stretches), Manifest(kind, generation, tables)


def _mark_parts(stretches: Mapping[str, PartitionStats]) -> dict[str, PartitionEntry]:
    return {month: PartitionEntry(stretch.fingerprint) for month, stretch in stretches.items()}


def open_mirror(place: DestinationConfig) -> LakeDestination:
    """The lake at a place, and its working copy: beside it, or with the state of this machine.

    Raises:
        ConfigurationError: It cannot be used, or what its format needs is not installed.
    """
    if not place.is_remote:
        folder = resolve_local_folder(place.path)
        working = find_working(place.kind, folder)
        return LakeDestination(place.kind, open_lake(place), DuckDBPaths(folder, working))
    working = place.find_state(place.path)
    with _explain_missing(place):
        from tower_etl.destinations.object_store import open_bucket  # noqa: PLC0415 an extra

        guard = ObjectStoreLease(open_bucket(place.path), working)
    return LakeDestination(
        place.kind, open_lake(place, guard), DuckDBPaths(working, working), guard
    )


def open_lake(place: DestinationConfig, guard: WriterLock | None = None) -> LakeFormat:
    """The lake itself, without a working copy; a guard is needed to write to it.

    Raises:
        ConfigurationError: It cannot be used, or what its format needs is not installed.
    """
    with _explain_missing(place):
        return _LAKES[place.kind](place, guard or NoLock())


@contextmanager
def _explain_missing(place: DestinationConfig) -> Iterator[None]:
    extras = f"{place.kind},s3" if place.is_remote else place.kind
    try:
        yield
    except ImportError as error:
        msg = (
            f"{place.kind} needs more ({error.name} is missing): pip install 'tower-etl[{extras}]'"
        )
        raise ConfigurationError(msg) from None


def _open_parquet(place: DestinationConfig, _guard: WriterLock) -> LakeFormat:
    return ParquetLake(resolve_local_folder(place.path))


def _open_delta(place: DestinationConfig, guard: WriterLock) -> LakeFormat:
    from tower_etl.destinations.lake.delta import DeltaLake  # noqa: PLC0415 an extra

    if place.is_remote:
        from tower_etl.destinations.object_store import open_bucket  # noqa: PLC0415 an extra

        return DeltaLake(place.path, ObjectManifestStore(open_bucket(place.path), "delta"), guard)
    folder = resolve_local_folder(place.path)
    check_characters("delta", folder)
    return DeltaLake(str(folder), FileManifestStore(folder, "delta"), guard)


def _open_iceberg(place: DestinationConfig, guard: WriterLock) -> LakeFormat:
    from tower_etl.destinations.lake.iceberg import IcebergLake  # noqa: PLC0415 an extra
    from tower_etl.destinations.lake.iceberg_location import (  # noqa: PLC0415
        LocalLocation,
        ObjectStoreLocation,
        s3_properties,
    )

    if place.is_remote:
        from tower_etl.destinations.object_store import open_bucket  # noqa: PLC0415 an extra

        bucket = open_bucket(place.path)
        where = ObjectStoreLocation(bucket, s3_properties(SettingSources().environ))
        return IcebergLake(where, ObjectManifestStore(bucket, "iceberg"), guard)
    folder = resolve_local_folder(place.path)
    check_characters("iceberg", folder)
    return IcebergLake(LocalLocation(folder), FileManifestStore(folder, "iceberg"), guard)


_LAKES: Mapping[str, Callable[[DestinationConfig, WriterLock], LakeFormat]] = {
    "parquet": _open_parquet,
    "delta": _open_delta,
    "iceberg": _open_iceberg,
}


# DuckDB would keep what it read, up to 80 % of the machine; and a group of rows of a Parquet file
# whole, if it had to keep them in order.
_SETTINGS = (
    "SET memory_limit = '400MB'",
    "SET preserve_insertion_order = false",
    "SET TimeZone = 'UTC'",
)


@dataclass(frozen=True)
class StagingDatabase:
    """The draft of a target that is never published as a file.

    Attributes:
        target: Its draft and dlt's folder are used.
    """

    target: DuckDBPaths

    def open(self, lake: LakeFormat) -> None:
        """Go on with the copy if it is of what the lake holds; else make it anew out of that."""
        manifest = lake.read_manifest()
        generation = manifest.snapshot if manifest else None
        is_known = self.target.staging.exists() and generation in self._read_note()
        if is_known and is_usable(self.target.staging):
            return
        self.delete()
        if manifest is not None:
            part = self.target.staging.with_name("restored.duckdb")
            part.unlink(missing_ok=True)
            rebuild_from_lake(part, lake, manifest)
            self.record_snapshots(generation)
            part.replace(self.target.staging)
        self.record_snapshots(generation)

    def delete(self) -> None:
        """Throw it away, with all that dlt knows of it."""
        for name in ("draft.duckdb", "draft.duckdb.wal"):
            (self.target.work_dir / name).unlink(missing_ok=True)
        for folder in (self.target.staging.with_name("draft.duckdb.tmp"), self.target.pipelines):
            shutil.rmtree(folder, ignore_errors=True)

    def record_snapshots(self, *generations: str | None) -> None:
        """Write down which states of the lake the copy is of, or ahead of."""
        part = self._note_path.with_suffix(".part")
        part.write_text(json.dumps(generations), encoding="utf-8")
        part.replace(self._note_path)

    def _read_note(self) -> Sequence[str | None]:
        with suppress(OSError, ValueError):
            found = json.loads(self._note_path.read_text(encoding="utf-8"))
            if isinstance(found, list):
                return found
        return ()

    @property
    def _note_path(self) -> Path:
        return self.target.work_dir / "copy.json"


def connect(path: Path) -> duckdb.DuckDBPyConnection:
    """Open a copy, in UTC, to go through the whole of it without keeping it in memory."""
    connection = duckdb.connect(str(path))
    for setting in _SETTINGS:
        connection.execute(setting)
    return connection


def rebuild_from_lake(path: Path, lake: LakeFormat, manifest: Manifest) -> None:
    """Make a DuckDB file out of what a lake holds, dlt's own tables included."""
    tables = lake.open_tables(manifest)
    create_file(path)
    with connect(path) as connection:
        connection.execute(f"CREATE SCHEMA {DATASET}")
        for name, contents in manifest.tables.items():
            connection.execute(contents.ddl)
            connection.register("arrived", tables[name])
            # An older version may have written the table without months.
            has_months = MONTH in tables[name].schema.names
            columns = f"* EXCLUDE ({MONTH})" if has_months else "*"
            insert = f'INSERT INTO {DATASET}."{name}" BY NAME SELECT {columns} FROM arrived'  # noqa: S608 ours
            connection.execute(insert)
            connection.unregister("arrived")

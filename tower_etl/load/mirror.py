"""Lakes: dlt loads into a working copy, and what changed in it is written to the lake.

So every format has the semantics that the DuckDB file has, and one commit a table and sync. Why not
dlt's own file destinations: docs/decisions/0010-lakes-are-mirrors.md.
"""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tower_etl.configuration import SettingSources
from tower_etl.errors import ConfigurationError
from tower_etl.load.access import check_characters
from tower_etl.load.export import PartitionReader
from tower_etl.load.lease import NoLock, ObjectStoreLease
from tower_etl.load.lock import file_lock
from tower_etl.load.manifest import Manifest, ManifestDiff, PartitionEntry, TableEntry
from tower_etl.load.months import list_tables, partition_scheme, scan_partitions
from tower_etl.load.notes import FileManifestStore, ObjectManifestStore
from tower_etl.load.parquet import ParquetLake, new_snapshot_name
from tower_etl.load.pipeline import open_pipeline, shared_connection
from tower_etl.load.place import find_working, resolve_local_folder
from tower_etl.load.target import DuckDBPaths
from tower_etl.load.working import StagingDatabase, connect
from tower_etl.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from datetime import datetime

    import dlt
    import duckdb

    from tower_etl.clock import Clock
    from tower_etl.load.lake import LakeFormat
    from tower_etl.load.lease import WriterLock
    from tower_etl.load.months import PartitionStats
    from tower_etl.load.place import DestinationConfig
    from tower_etl.tables import TableSpec


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

    def package_context(self) -> AbstractContextManager[None]:
        """Keep the draft open."""
        self.guard.check()
        return shared_connection(self.target)

    def prepare(self) -> None:
        """Go on with the working copy, or make it anew out of the lake."""
        StagingDatabase(self.target).open(self.lake)

    def reset(self) -> None:
        """Make the working copy anew."""
        StagingDatabase(self.target).delete()
        self.prepare()

    def open_pipeline(self) -> dlt.Pipeline:
        """It writes to the working copy."""
        return open_pipeline(self.target)

    def publish(self, now: datetime, specs: Mapping[str, TableSpec] = TABLES) -> None:
        """Write the months that changed; files have no comments."""
        del specs
        old = self.lake.read_manifest()
        generation = new_snapshot_name(now, uuid.uuid4().hex[:8])
        copy = StagingDatabase(self.target)
        copy.record_snapshots(old.snapshot if old else None, generation)
        with connect(self.target.staging) as connection:
            export, manifest = scan_staging(connection, self.kind, generation)
            self.lake.write(export, ManifestDiff(old, manifest), now)
        copy.record_snapshots(generation)


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
        UsageError: It cannot be used, or what its format needs is not installed.
    """
    if not place.is_remote:
        folder = resolve_local_folder(place.path)
        working = find_working(place.kind, folder)
        return LakeDestination(place.kind, open_lake(place), DuckDBPaths(folder, working))
    working = place.find_state(place.path)
    with _explain_missing(place):
        from tower_etl.load.bucket import open_bucket  # noqa: PLC0415 an extra

        guard = ObjectStoreLease(open_bucket(place.path), working)
    return LakeDestination(
        place.kind, open_lake(place, guard), DuckDBPaths(working, working), guard
    )


def open_lake(place: DestinationConfig, guard: WriterLock | None = None) -> LakeFormat:
    """The lake itself, without a working copy; a guard is needed to write to it.

    Raises:
        UsageError: It cannot be used, or what its format needs is not installed.
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
    from tower_etl.load.delta import DeltaLake  # noqa: PLC0415 an extra

    if place.is_remote:
        from tower_etl.load.bucket import open_bucket  # noqa: PLC0415 an extra

        return DeltaLake(place.path, ObjectManifestStore(open_bucket(place.path), "delta"), guard)
    folder = resolve_local_folder(place.path)
    check_characters("delta", folder)
    return DeltaLake(str(folder), FileManifestStore(folder, "delta"), guard)


def _open_iceberg(place: DestinationConfig, guard: WriterLock) -> LakeFormat:
    from tower_etl.load.iceberg import IcebergLake  # noqa: PLC0415 an extra
    from tower_etl.load.icefolder import LocalLocation, ObjectStoreLocation, s3_properties  # noqa: PLC0415

    if place.is_remote:
        from tower_etl.load.bucket import open_bucket  # noqa: PLC0415 an extra

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

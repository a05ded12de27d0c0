"""Lakes: dlt loads into a working copy, and what changed in it is written to the lake.

So every format has the semantics that the DuckDB file has, and one commit a table and sync. Why not
dlt's own file destinations: docs/decisions/0010-lakes-are-mirrors.md.
"""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tower_etl.configuration import Sources
from tower_etl.errors import UsageError
from tower_etl.load.access import check_characters
from tower_etl.load.export import Export
from tower_etl.load.lease import Lease, Unshared
from tower_etl.load.lock import hold_lock
from tower_etl.load.manifest import Contents, Manifest, Part, Step
from tower_etl.load.months import cut_table, list_tables, read_stretches
from tower_etl.load.notes import NoteFile, NoteObject
from tower_etl.load.parquet import ParquetFolder, name_generation
from tower_etl.load.pipeline import keep_open, open_pipeline
from tower_etl.load.place import find_working, resolve_folder
from tower_etl.load.target import Target
from tower_etl.load.working import WorkingCopy, connect
from tower_etl.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from datetime import datetime

    import dlt
    import duckdb

    from tower_etl.clock import Clock
    from tower_etl.load.lake import Lake
    from tower_etl.load.lease import Guard
    from tower_etl.load.months import Stretch
    from tower_etl.load.place import Place
    from tower_etl.tables import Table


@dataclass(frozen=True)
class Mirror:
    """A lake and the working copy that it mirrors.

    Attributes:
        kind: Its format.
        lake: What readers read.
        target: The working copy is its draft.
        guard: Keeps out the syncs of other machines, where there may be some.
    """

    kind: str
    lake: Lake
    target: Target
    guard: Guard = field(default_factory=Unshared)
    dialect: str = "duckdb"

    @property
    def title(self) -> str:
        """The folder of the lake."""
        return self.lake.title

    @property
    def is_begun(self) -> bool:
        """Whether a sync was here, or elsewhere, before."""
        return self.target.folder.is_dir() or self.lake.read_manifest() is not None

    def probe(self) -> None:
        """Refuse a folder that holds something else."""
        self.lake.read_manifest()

    @contextmanager
    def hold(self, clock: Clock) -> Iterator[None]:
        """Lock the folder of the working copy, and then the lake."""
        folder = self.target.folder
        with hold_lock(folder, self.lake.title, clock.now()), self.guard.hold(clock):
            yield

    def keep(self) -> AbstractContextManager[None]:
        """Keep the draft open."""
        self.guard.check()
        return keep_open(self.target)

    def prepare(self) -> None:
        """Go on with the working copy, or make it anew out of the lake."""
        WorkingCopy(self.target).open(self.lake)

    def start_over(self) -> None:
        """Make the working copy anew."""
        WorkingCopy(self.target).discard()
        self.prepare()

    def open_pipeline(self) -> dlt.Pipeline:
        """It writes to the working copy."""
        return open_pipeline(self.target)

    def publish(self, now: datetime, specs: Mapping[str, Table] = TABLES) -> None:
        """Write the months that changed; files have no comments."""
        del specs
        old = self.lake.read_manifest()
        generation = name_generation(now, uuid.uuid4().hex[:8])
        copy = WorkingCopy(self.target)
        copy.note(old.generation if old else None, generation)
        with connect(self.target.draft) as connection:
            export, manifest = survey(connection, self.kind, generation)
            self.lake.write(export, Step(old, manifest), now)
        copy.note(generation)


def survey(
    connection: duckdb.DuckDBPyConnection, kind: str, generation: str
) -> tuple[Export, Manifest]:
    """What the working copy holds, and how it is taken out of it."""
    ddls = list_tables(connection)
    cuts = {name: cut_table(name) for name in ddls}
    stretches = {name: read_stretches(connection, cut) for name, cut in cuts.items()}
    tables = {name: Contents(ddl, _mark_parts(stretches[name])) for name, ddl in ddls.items()}
    return Export(connection, cuts, stretches), Manifest(kind, generation, tables)


def _mark_parts(stretches: Mapping[str, Stretch]) -> dict[str, Part]:
    return {month: Part(stretch.fingerprint) for month, stretch in stretches.items()}


def open_mirror(place: Place) -> Mirror:
    """The lake at a place, and its working copy: beside it, or with the state of this machine.

    Raises:
        UsageError: It cannot be used, or what its format needs is not installed.
    """
    if not place.is_remote:
        folder = resolve_folder(place.path)
        working = find_working(place.kind, folder)
        return Mirror(place.kind, open_lake(place), Target(folder, working))
    working = place.find_state(place.path)
    with _explain_missing(place):
        from tower_etl.load.bucket import open_bucket  # noqa: PLC0415 an extra

        guard = Lease(open_bucket(place.path), working)
    return Mirror(place.kind, open_lake(place, guard), Target(working, working), guard)


def open_lake(place: Place, guard: Guard | None = None) -> Lake:
    """The lake itself, without a working copy; a guard is needed to write to it.

    Raises:
        UsageError: It cannot be used, or what its format needs is not installed.
    """
    with _explain_missing(place):
        return _LAKES[place.kind](place, guard or Unshared())


@contextmanager
def _explain_missing(place: Place) -> Iterator[None]:
    extras = f"{place.kind},s3" if place.is_remote else place.kind
    try:
        yield
    except ImportError as error:
        msg = (
            f"{place.kind} needs more ({error.name} is missing): pip install 'tower-etl[{extras}]'"
        )
        raise UsageError(msg) from None


def _open_parquet(place: Place, _guard: Guard) -> Lake:
    return ParquetFolder(resolve_folder(place.path))


def _open_delta(place: Place, guard: Guard) -> Lake:
    from tower_etl.load.delta import DeltaLake  # noqa: PLC0415 an extra

    if place.is_remote:
        from tower_etl.load.bucket import open_bucket  # noqa: PLC0415 an extra

        return DeltaLake(place.path, NoteObject(open_bucket(place.path), "delta"), guard)
    folder = resolve_folder(place.path)
    check_characters("delta", folder)
    return DeltaLake(str(folder), NoteFile(folder, "delta"), guard)


def _open_iceberg(place: Place, guard: Guard) -> Lake:
    from tower_etl.load.iceberg import IcebergLake  # noqa: PLC0415 an extra
    from tower_etl.load.icefolder import BucketFolder, LocalFolder, find_access  # noqa: PLC0415

    if place.is_remote:
        from tower_etl.load.bucket import open_bucket  # noqa: PLC0415 an extra

        bucket = open_bucket(place.path)
        where = BucketFolder(bucket, find_access(Sources().environ))
        return IcebergLake(where, NoteObject(bucket, "iceberg"), guard)
    folder = resolve_folder(place.path)
    check_characters("iceberg", folder)
    return IcebergLake(LocalFolder(folder), NoteFile(folder, "iceberg"), guard)


_LAKES: Mapping[str, Callable[[Place, Guard], Lake]] = {
    "parquet": _open_parquet,
    "delta": _open_delta,
    "iceberg": _open_iceberg,
}

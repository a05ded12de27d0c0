"""Lakes: dlt loads into a working copy, and what changed in it is written to the lake.

So every format has the semantics that the DuckDB file has, and one commit a table and sync. Why not
dlt's own file destinations: docs/decisions/0010-lakes-are-mirrors.md.
"""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from tower_etl.errors import UsageError
from tower_etl.load.export import Export
from tower_etl.load.lock import hold_lock
from tower_etl.load.manifest import Contents, Manifest, Part, compare
from tower_etl.load.months import cut_table, list_tables, read_fingerprints
from tower_etl.load.parquet import ParquetFolder, name_generation
from tower_etl.load.pipeline import keep_open, open_pipeline
from tower_etl.load.place import resolve_folder
from tower_etl.load.target import Target
from tower_etl.load.working import WorkingCopy
from tower_etl.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    import dlt

    from tower_etl.clock import Clock
    from tower_etl.load.lake import Lake
    from tower_etl.load.place import Place
    from tower_etl.tables import Table


@dataclass(frozen=True)
class Mirror:
    """A lake and the working copy that it mirrors.

    Attributes:
        kind: Its format.
        lake: What readers read.
        target: The working copy is its draft.
    """

    kind: str
    lake: Lake
    target: Target

    @property
    def is_begun(self) -> bool:
        """Whether there is a folder of the working copy."""
        return self.target.folder.is_dir()

    def probe(self) -> None:
        """Refuse a folder that holds something else."""
        self.lake.read_manifest()

    @contextmanager
    def hold(self, clock: Clock) -> Iterator[None]:
        """Lock the folder of the working copy."""
        with hold_lock(self.target.folder, self.lake.title, clock.now()):
            yield

    def keep(self) -> AbstractContextManager[None]:
        """Keep the draft open; the lock is held until its process ends."""
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
        with duckdb.connect(str(self.target.draft)) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            export, manifest = survey(connection, self.kind, generation)
            known = old.tables if old else {}
            changes = [compare(t, known.get(t), new) for t, new in manifest.tables.items()]
            self.lake.write(export, manifest, changes, now)
        copy.note(generation)


def survey(
    connection: duckdb.DuckDBPyConnection, kind: str, generation: str
) -> tuple[Export, Manifest]:
    """What the working copy holds, and how it is taken out of it."""
    ddls = list_tables(connection)
    cuts = {name: cut_table(name) for name in ddls}
    tables = {name: Contents(ddl, _mark_parts(connection, name)) for name, ddl in ddls.items()}
    return Export(connection, cuts), Manifest(kind, generation, tables)


def _mark_parts(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, Part]:
    found = read_fingerprints(connection, cut_table(table))
    return {month: Part(fingerprint) for month, fingerprint in found.items()}


def open_mirror(place: Place) -> Mirror:
    """The lake at a place.

    Raises:
        UsageError: It cannot be used, or what its format needs is not installed.
    """
    folder = resolve_folder(place.path)
    working = folder.with_name(f"{folder.name}.sync")
    return Mirror(place.kind, open_lake(place), Target(folder, working))


def open_lake(place: Place) -> Lake:
    """The lake itself, without a working copy.

    Raises:
        UsageError: It cannot be used, or what its format needs is not installed.
    """
    try:
        return _LAKES[place.kind](resolve_folder(place.path))
    except ImportError as error:
        msg = (
            f"{place.kind} needs more ({error.name} is missing): "
            f"pip install 'tower-etl[{place.kind}]'"
        )
        raise UsageError(msg) from None


def _open_delta(folder: Path) -> Lake:
    from tower_etl.load.delta import DeltaLake  # noqa: PLC0415 an extra

    return DeltaLake(folder)


def _open_iceberg(folder: Path) -> Lake:
    from tower_etl.load.iceberg import IcebergLake  # noqa: PLC0415 an extra

    return IcebergLake(folder)


_LAKES: Mapping[str, Callable[[Path], Lake]] = {
    "parquet": ParquetFolder,
    "delta": _open_delta,
    "iceberg": _open_iceberg,
}

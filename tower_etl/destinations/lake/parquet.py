"""A folder of Parquet files that any program reads as it stands.

`tasks` in the folder is a symbolic link into `.snapshots/current`, which is one to the newest
snapshot: one rename of that link shows all tables of a sync at once. A snapshot never changes, and
no file name comes twice: who has listed old files reads old files or none, never a mixture. Months
that did not change are hard links to the files of the snapshot before.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from pyarrow import dataset

from tower_etl.destinations.lake.manifest import PartitionEntry, load_manifest
from tower_etl.destinations.lake.partitions import MONTH
from tower_etl.errors import ConfigurationError
from tower_etl.files import fsync_file, fsync_tree

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pyarrow as pa

    from tower_etl.destinations.lake.manifest import (
        Manifest,
        ManifestDiff,
        TableDiff,
        TableEntry,
    )
    from tower_etl.destinations.lake.partitions import PartitionReader

RETENTION = timedelta(hours=2)
SNAPSHOTS = ".snapshots"


def name_folder(month: str, *, has_months: bool) -> str:
    """The folder of a month, with its slash; none where a table has no months."""
    return f"{MONTH}={month}/" if has_months else ""


@dataclass(frozen=True)
class ParquetLake:
    """A local folder.

    Attributes:
        folder: The folder.
        grace: How long a snapshot is kept after the next one took its place.
    """

    folder: Path
    retention: timedelta = RETENTION

    @property
    def display_name(self) -> str:
        """The folder."""
        return str(self.folder)

    @property
    def current(self) -> Path:
        """The link to the newest snapshot."""
        return self.folder / SNAPSHOTS / "current"

    def read_manifest(self) -> Manifest | None:
        """That of the newest snapshot.

        Raises:
            ConfigurationError: The folder holds something else.
        """
        with suppress(FileNotFoundError):
            return load_manifest((self.current / "manifest.json").read_text(encoding="utf-8"))
        if self.folder.is_dir() and any(p.name != SNAPSHOTS for p in self.folder.iterdir()):
            msg = f"{self.folder} holds other things: give another --path. It was not touched."
            raise ConfigurationError(msg)
        return None

    def write(self, rows: PartitionReader, step: ManifestDiff, now: datetime) -> None:
        """Make a snapshot, and let the link name it."""
        draft = self.folder / SNAPSHOTS / "draft"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        tables = {}
        for change in step.changes:
            contents = self._assign_files(rows, step, change)
            tables[change.table] = contents
            self._write_table(draft / change.table, change, rows, contents)
        whole = replace(step.new, tables=tables)
        (draft / "manifest.json").write_text(whole.dump(), encoding="utf-8")
        fsync_tree(draft)
        draft.rename(draft.with_name(whole.snapshot))
        self._activate(whole.snapshot)
        self._link_tables(whole)
        self._prune(now)

    def open_tables(self, manifest: Manifest) -> Mapping[str, pa.RecordBatchReader]:
        """All tables of the snapshot of a manifest."""
        opened = self.open_datasets(manifest)
        return {name: table.scanner().to_reader() for name, table in opened.items()}

    def open_datasets(self, manifest: Manifest) -> Mapping[str, dataset.Dataset]:
        """The same, to be read as often as wanted."""
        snapshot = self._find_snapshot(manifest)
        return {name: open_folder(str(snapshot / name)) for name in manifest.tables}

    def list_files(self, manifest: Manifest) -> Mapping[str, list[str]]:
        """The files of that snapshot, which stay while it is kept."""
        snapshot = self._find_snapshot(manifest)
        return {
            name: [str(snapshot / name / part.file) for part in table.partitions.values()]
            for name, table in manifest.tables.items()
        }

    def maintain(self, now: datetime) -> list[str]:
        """Remove snapshots past their time."""
        return [f"removed snapshot {name}" for name in self._prune(now)]

    def _find_snapshot(self, manifest: Manifest) -> Path:
        return (self.folder / SNAPSHOTS / manifest.snapshot).resolve()

    def _assign_files(
        self, rows: PartitionReader, step: ManifestDiff, change: TableDiff
    ) -> TableEntry:
        """Say of each month of a table in which file it is."""
        new = step.new.tables[change.table]
        known = step.known[change.table].partitions if change.table in step.known else {}
        split = rows.has_months(change.table)
        parts = {
            month: PartitionEntry(
                part.fingerprint,
                f"{name_folder(month, has_months=split)}{step.new.snapshot}.parquet"
                if month in change.written
                else known[month].file,
            )
            for month, part in new.partitions.items()
        }
        return replace(new, partitions=parts)

    def _write_table(
        self, table: Path, change: TableDiff, rows: PartitionReader, contents: TableEntry
    ) -> None:
        for month, part in contents.partitions.items():
            path = table / part.file
            path.parent.mkdir(parents=True, exist_ok=True)
            if month in change.written:
                rows.write_file(change.table, month, path)
            else:
                _link(self.current / change.table / part.file, path)

    def _activate(self, generation: str) -> None:
        _replace_link(self.current, generation)
        fsync_file(self.current.parent)

    def _link_tables(self, manifest: Manifest) -> None:
        for table in manifest.tables:
            link = self.folder / table
            wanted = f"{SNAPSHOTS}/current/{table}"
            if table.startswith("_") or (link.is_symlink() and str(link.readlink()) == wanted):
                continue
            _replace_link(link, wanted)

    def _prune(self, now: datetime) -> list[str]:
        """Remove snapshots whose successor has been there for the time of grace."""
        kept = self.current.resolve()
        aged = sorted((p for p in self.current.parent.iterdir() if _is_snapshot(p)), key=_made_at)
        removed = []
        for snapshot, successor in pairwise(aged):
            if snapshot != kept and now - _made_at(successor) > self.retention:
                shutil.rmtree(snapshot, ignore_errors=True)
                removed.append(snapshot.name)
        return removed


def new_snapshot_name(now: datetime, tag: str) -> str:
    """A name for a state of the lake, that tells when it was made."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%S%f}-{tag}"


def _made_at(snapshot: Path) -> datetime:
    stamp, _, _ = snapshot.name.partition("-")
    return datetime.strptime(stamp, "%Y%m%dT%H%M%S%f").replace(tzinfo=UTC)


def _is_snapshot(path: Path) -> bool:
    return "-" in path.name and path.is_dir() and not path.is_symlink()


def open_folder(path: str, filesystem: object = None) -> dataset.Dataset:
    """A table in a folder of Parquet files."""
    parted = dataset.partitioning(flavor="hive")
    return dataset.dataset(path, format="parquet", partitioning=parted, filesystem=filesystem)


def _link(source: Path, path: Path) -> None:
    """A hard link, or a copy where the file system has none."""
    try:
        os.link(source, path)
    except OSError:
        shutil.copyfile(source, path)


def _replace_link(link: Path, wanted: str) -> None:
    """Let a symbolic link name something else, at one stroke."""
    fresh = link.with_name(f".{link.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(wanted)
    fresh.replace(link)

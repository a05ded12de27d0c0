"""A folder of Parquet files that any program can read directly.

`tasks` in the folder is a symbolic link into `.snapshots/current`, which is a symbolic link to the
newest snapshot: renaming that link publishes all tables of a sync atomically. A snapshot never
changes and file names are never reused, so a reader that has listed old files reads old files or
none, never a mixture. Unchanged partitions are hard links to the files of the previous snapshot.
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

from tower_etl.destinations.lake.manifest import foreign_files_error, load_manifest
from tower_etl.destinations.lake.partitions import MONTH
from tower_etl.files import fsync_file, fsync_tree

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tower_etl.destinations.lake.manifest import (
        Manifest,
        ManifestDiff,
        TableDiff,
        TableEntry,
    )
    from tower_etl.destinations.lake.partitions import PartitionReader

RETENTION = timedelta(hours=2)  # of a snapshot after its successor was published
SNAPSHOTS = ".snapshots"


@dataclass(frozen=True)
class ParquetLake:
    """Parquet files in a local folder.

    Attributes:
        folder: Path of the folder.
    """

    folder: Path

    @property
    def title(self) -> str:
        """Path of the folder."""
        return str(self.folder)

    @property
    def current(self) -> Path:
        """Symbolic link to the newest snapshot."""
        return self.folder / SNAPSHOTS / "current"

    def read_manifest(self) -> Manifest | None:
        """Return the manifest of the newest snapshot, or None if there is none.

        Raises:
            ConfigurationError: The folder contains other files.
        """
        with suppress(FileNotFoundError):
            return load_manifest((self.current / "manifest.json").read_text(encoding="utf-8"))
        if self.folder.is_dir() and any(p.name != SNAPSHOTS for p in self.folder.iterdir()):
            raise foreign_files_error(self.folder)
        return None

    def write(self, reader: PartitionReader, diff: ManifestDiff, now: datetime) -> None:
        """Write a new snapshot, and point the link to it."""
        staging = self.folder / SNAPSHOTS / "draft"
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        tables = {}
        for change in diff.changes:
            contents = self._assign_files(reader, diff, change)
            tables[change.table] = contents
            self._write_table(staging / change.table, change, reader, contents)
        manifest = replace(diff.new, tables=tables)
        (staging / "manifest.json").write_text(manifest.dump(), encoding="utf-8")
        fsync_tree(staging)  # before the rename, so that a published snapshot survives a power loss
        staging.rename(staging.with_name(manifest.snapshot))
        self._activate(manifest.snapshot)
        self._link_tables(manifest)
        self._prune(now)

    def open_datasets(self, manifest: Manifest) -> Mapping[str, dataset.Dataset]:
        """Return datasets of all tables in the snapshot of a manifest."""
        snapshot = self._find_snapshot(manifest)
        return {
            name: dataset.dataset(str(snapshot / name), format="parquet", partitioning="hive")
            for name in manifest.tables
        }

    def list_files(self, manifest: Manifest) -> Mapping[str, list[str]]:
        """Return the files of all tables in the snapshot of a manifest; kept until pruned."""
        snapshot = self._find_snapshot(manifest)
        return {
            name: [str(snapshot / name / part.file) for part in table.partitions.values()]
            for name, table in manifest.tables.items()
        }

    def maintain(self, now: datetime) -> list[str]:
        """Delete snapshots past their retention."""
        return [f"deleted snapshot {name}" for name in self._prune(now)]

    def _find_snapshot(self, manifest: Manifest) -> Path:
        return (self.folder / SNAPSHOTS / manifest.snapshot).resolve()

    def _assign_files(
        self, reader: PartitionReader, diff: ManifestDiff, change: TableDiff
    ) -> TableEntry:
        """Return the table's entry with the file of each partition."""
        new = diff.new.tables[change.table]
        old = diff.current_tables.get(change.table)
        old_partitions = old.partitions if old else {}
        file = f"{diff.new.snapshot}.parquet"
        partitions = {}
        for month, part in new.partitions.items():
            written = f"{MONTH}={month}/{file}" if reader.has_months(change.table) else file
            file_path = written if month in change.written else old_partitions[month].file
            partitions[month] = replace(part, file=file_path)
        return replace(new, partitions=partitions)

    def _write_table(
        self, table: Path, change: TableDiff, reader: PartitionReader, contents: TableEntry
    ) -> None:
        for month, part in contents.partitions.items():
            path = table / part.file
            path.parent.mkdir(parents=True, exist_ok=True)
            if month in change.written:
                reader.write_file(change.table, month, path)
            else:
                _link(self.current / change.table / part.file, path)

    def _activate(self, snapshot: str) -> None:
        _replace_link(self.current, snapshot)
        fsync_file(self.current.parent)

    def _link_tables(self, manifest: Manifest) -> None:
        for table in manifest.tables:
            link = self.folder / table
            target = f"{SNAPSHOTS}/current/{table}"
            # dlt's internal tables are not for readers.
            if table.startswith("_") or (link.is_symlink() and str(link.readlink()) == target):
                continue
            _replace_link(link, target)

    def _prune(self, now: datetime) -> list[str]:
        """Delete snapshots whose successor is older than the retention, and return their names."""
        kept = self.current.resolve()
        snapshots = sorted(
            (p for p in self.current.parent.iterdir() if _is_snapshot(p)), key=_created_at
        )
        removed = []
        for snapshot, successor in pairwise(snapshots):
            if snapshot != kept and now - _created_at(successor) > RETENTION:
                shutil.rmtree(snapshot, ignore_errors=True)
                removed.append(snapshot.name)
        return removed


def new_snapshot_name(now: datetime, tag: str) -> str:
    """Return a name for a snapshot that starts with its time (UTC)."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%S%f}-{tag}"


def _created_at(snapshot: Path) -> datetime:
    stamp, _, _ = snapshot.name.partition("-")
    return datetime.strptime(stamp, "%Y%m%dT%H%M%S%f").replace(tzinfo=UTC)


def _is_snapshot(path: Path) -> bool:
    return "-" in path.name and path.is_dir() and not path.is_symlink()


def _link(source: Path, path: Path) -> None:
    """Create a hard link, or a copy if the file system has no hard links."""
    try:
        os.link(source, path)
    except OSError:  # for example exFAT, and some network and container file systems
        shutil.copyfile(source, path)


def _replace_link(link: Path, target: str) -> None:
    """Replace the target of a symbolic link atomically, by a rename."""
    new = link.with_name(f".{link.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(link)

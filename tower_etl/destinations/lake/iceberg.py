"""Iceberg tables: changed partitions are replaced in one commit per table.

The tables are registered in a catalog: `tower` of PyIceberg's configuration, else a SQLite file in
the folder. A bucket cannot hold a SQLite file; there, version hints are the only catalog
(`iceberg_tables.py`).
"""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache, partial
from typing import TYPE_CHECKING, TypeVar

from pyarrow import dataset
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.expressions import AlwaysTrue

from tower_etl.config.settings import DATASET
from tower_etl.destinations.lake.commits import commit_tables, explained_commit
from tower_etl.destinations.lake.iceberg_tables import (
    expired_snapshots,
    find_catalog,
    find_table,
    has_snapshot,
    list_data,
    load_or_register_table,
    open_catalog,
    referenced_files,
    snapshot_id,
    strip_scheme,
)
from tower_etl.destinations.lake.partitions import MONTH, month_predicate
from tower_etl.destinations.locks import WriterLock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from pyarrow.dataset import Dataset
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table, Transaction

    from tower_etl.destinations.lake.commits import TableCommit
    from tower_etl.destinations.lake.iceberg_tables import IcebergLocation, VersionHint
    from tower_etl.destinations.lake.manifest import Manifest, ManifestDiff, ManifestStore
    from tower_etl.destinations.lake.partitions import PartitionReader

T = TypeVar("T")

RETENTION = timedelta(days=7)
_READERS = 8
_SUFFIXES = (".parquet", ".avro", ".metadata.json")


@dataclass(frozen=True)
class IcebergLake:
    """Iceberg tables in a local folder or a bucket.

    Attributes:
        folder: Location of the lake.
        manifests: Store of the manifest in the folder.
        writer_lock: Lock that is verified before each commit.
    """

    folder: IcebergLocation
    manifests: ManifestStore
    writer_lock: WriterLock = field(default_factory=WriterLock)

    @property
    def title(self) -> str:
        """Folder or URL of the lake."""
        return str(self.folder.files)

    def read_manifest(self) -> Manifest | None:
        """Return the manifest of the last sync."""
        return self.manifests.read()

    def write(self, reader: PartitionReader, diff: ManifestDiff, now: datetime) -> None:
        """Commit each changed table, `workflows` last."""
        del now

        @cache
        def get_catalog() -> Catalog:
            # Opened lazily: opening creates a file, and the in-progress mark must be the first.
            return open_catalog(self.folder)

        write = partial(self._write_table, get_catalog, reader)
        commit_tables(diff, self.manifests, self.writer_lock, write)

    def open_datasets(self, manifest: Manifest) -> Mapping[str, Dataset]:
        """Return datasets of all tables in the snapshots of a manifest."""
        return self._read_all(manifest, self._open_dataset)

    def list_files(self, manifest: Manifest) -> Mapping[str, list[str]]:
        """Return the files of all tables in the snapshots of a manifest; kept until expiry."""
        return self._read_all(
            manifest, lambda *read: [strip_scheme(file) for file in list_data(*read)]
        )

    def maintain(self, now: datetime) -> list[str]:
        """Expire snapshots older than seven days, and delete files that no other snapshot uses."""
        manifest = self.read_manifest()
        if manifest is None or self.manifests.is_in_progress:
            return ["Skipped: an interrupted sync must be resumed first. Run `tower-etl sync`."]
        catalog = open_catalog(self.folder)
        messages = []
        for name, contents in manifest.tables.items():
            with explained_commit(name, self.title, CommitFailedException):
                removed = self._maintain_table(catalog, name, contents.state, now - RETENTION)
            messages.append(f"{name}: {removed} old files deleted")
        return messages

    def _read_all(self, manifest: Manifest, read: Callable[[Table, str], T]) -> dict[str, T]:
        """Read each table in the snapshot of a manifest, eight at a time."""
        catalog = find_catalog(self.folder)

        def read_table(name: str) -> T:
            state = manifest.tables[name].state
            return read(find_table(catalog, self.folder, name, state), state)

        with ThreadPoolExecutor(_READERS) as pool:
            return dict(zip(manifest.tables, pool.map(read_table, manifest.tables), strict=True))

    def _open_dataset(self, table: Table, state: str) -> Dataset:
        if files := list_data(table, state):
            return self.folder.open_dataset(files)
        return dataset.dataset(table.schema().as_arrow().empty_table())

    def _write_table(
        self, get_catalog: Callable[[], Catalog], reader: PartitionReader, task: TableCommit
    ) -> str:
        """Commit the changed partitions, and return the resulting snapshot of the table."""
        if task.is_done:
            return task.committed_version
        catalog, name = get_catalog(), task.change.table
        hint = self.folder.read_hint(name)
        with explained_commit(name, self.title, CommitFailedException):
            table = load_or_register_table(catalog, name, hint)
            self.writer_lock.check()
            if table is None:
                table = self._create_table(catalog, reader, task)
            else:
                _change_table(table, reader, task)
            self._update_version_hint(name, table, hint)
        return snapshot_id(table)

    def _create_table(self, catalog: Catalog, reader: PartitionReader, task: TableCommit) -> Table:
        name = task.change.table
        key, location = (DATASET, name), f"{self.folder.url}/{name}"
        schema = reader.read_schema(name)
        with catalog.create_table_transaction(key, schema=schema, location=location) as commit:
            if reader.has_months(name):
                commit.update_spec().add_identity(MONTH).commit()
            _append(commit, reader, name, task.months)
        return catalog.load_table(key)

    def _update_version_hint(self, name: str, table: Table, hint: VersionHint | None) -> None:
        if hint is None or hint.metadata != table.metadata_location:
            self.folder.update_version_hint(name, table.metadata_location, hint)

    def _maintain_table(self, catalog: Catalog, name: str, state: str, before: datetime) -> int:
        """Expire snapshots, delete unreferenced files, and return the number of deleted files.

        A table at another location, or without the snapshot of the manifest, is skipped: its
        metadata does not tell which files in this folder are referenced.
        """
        self.writer_lock.check()
        hint = self.folder.read_hint(name)
        table = load_or_register_table(catalog, name, hint)
        if table is None or table.location() != f"{self.folder.url}/{name}":
            return 0
        if not has_snapshot(table, state):
            return 0
        if expired := expired_snapshots(table, state, before):
            table.maintenance.expire_snapshots().by_ids(expired).commit()
            self._update_version_hint(name, table, hint)
        orphans = list(self._iter_orphans(name, table, before))
        for file in orphans:
            self.folder.remove(file)
        return len(orphans)

    def _iter_orphans(self, name: str, table: Table, before: datetime) -> Iterator[str]:
        """Iterate over unreferenced files; newer ones are kept, as a commit may be pending."""
        kept = set(referenced_files(table))
        for file, written_at in self.folder.iter_files(name):
            if file.endswith(_SUFFIXES) and written_at < before and file not in kept:
                yield file


def _change_table(table: Table, reader: PartitionReader, task: TableCommit) -> None:
    """Replace the changed partitions, or all rows, in one transaction.

    A table without the snapshot of the manifest is not the table of the last sync, so all rows are
    replaced.
    """
    change = task.change
    is_ahead = task.was_interrupted and snapshot_id(table) != task.committed_version
    replaces_all = change.is_new or is_ahead or not has_snapshot(table, task.committed_version)
    if not (replaces_all or task.is_due):
        return
    with table.transaction() as commit:
        if change.is_new:
            commit.update_schema().union_by_name(reader.read_schema(change.table)).commit()
        split = reader.has_months(change.table)
        if split and table.spec().is_unpartitioned():
            commit.update_spec().add_identity(MONTH).commit()
        _delete(commit, [*change.written, *change.removed] if split and not replaces_all else None)
        _append(commit, reader, change.table, task.months if replaces_all else change.written)


def _delete(commit: Transaction, months: Sequence[str] | None) -> None:
    """Delete the rows of some months, or all rows."""
    with warnings.catch_warnings():
        # A partition may exist without a manifest entry, or the reverse, after an interrupted sync;
        # PyIceberg warns if a delete matches no rows.
        warnings.filterwarnings("ignore", message="Delete operation did not match")
        commit.delete(AlwaysTrue() if months is None else month_predicate(months))


def _append(commit: Transaction, reader: PartitionReader, name: str, months: Iterable[str]) -> None:
    for month in months:
        batch = reader.read(name, [month]).read_all()
        if batch.num_rows:
            commit.append(batch)

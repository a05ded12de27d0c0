"""Iceberg tables: the months that changed are replaced in one commit a table.

They are named in a catalog: that which PyIceberg's configuration calls `tower`, or else a SQLite
file in the folder. A bucket holds no such file: there the hints are the catalog (`icefolder.py`).
"""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from pyarrow import dataset
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.expressions import AlwaysTrue

from tower_etl.config.settings import DATASET
from tower_etl.destinations.lake.commits import commit_tables, explain_commit
from tower_etl.destinations.lake.iceberg_location import strip_scheme
from tower_etl.destinations.lake.iceberg_tables import (
    create_table_transaction,
    expired_snapshots,
    find_catalog,
    find_table,
    has_snapshot,
    list_data,
    load_or_register_table,
    open_catalog,
    referenced_files,
    scan_snapshot,
    snapshot_id,
)
from tower_etl.destinations.lake.partitions import MONTH, month_predicate
from tower_etl.destinations.locks import NoLock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    import pyarrow as pa
    from pyarrow.dataset import Dataset
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table, Transaction

    from tower_etl.destinations.lake.commits import TableCommit
    from tower_etl.destinations.lake.iceberg_location import IcebergLocation, VersionHint
    from tower_etl.destinations.lake.manifest import Manifest, ManifestDiff, ManifestStore
    from tower_etl.destinations.lake.partitions import PartitionReader
    from tower_etl.destinations.locks import WriterLock

T = TypeVar("T")

KEEP = timedelta(days=7)
_READERS = 8
_WRITTEN = (".parquet", ".avro", ".metadata.json")


@dataclass(frozen=True)
class IcebergLake:
    """A folder, here or in a bucket, with an Iceberg table for each of ours.

    Attributes:
        folder: The folder.
        notes: The manifest in it.
        guard: Is asked before each commit.
    """

    folder: IcebergLocation
    manifests: ManifestStore
    guard: WriterLock = field(default_factory=NoLock)

    @property
    def display_name(self) -> str:
        """The folder."""
        return self.folder.title

    def read_manifest(self) -> Manifest | None:
        """That of the last sync."""
        return self.manifests.read()

    def write(self, rows: PartitionReader, step: ManifestDiff, now: datetime) -> None:
        """One commit for each table that changed, runs last."""
        del now

        @cache
        def open_once() -> Catalog:
            """Not before the folder is marked as ours."""
            return open_catalog(self.folder)

        def write_table(task: TableCommit) -> str:
            return self._write_table(open_once, rows, task)

        commit_tables(step, self.manifests, self.guard, write_table)

    def open_tables(self, manifest: Manifest) -> Mapping[str, pa.RecordBatchReader]:
        """All tables in the snapshots that a manifest names."""
        return self._read_all(manifest, lambda *read: scan_snapshot(*read).to_arrow_batch_reader())

    def open_datasets(self, manifest: Manifest) -> Mapping[str, Dataset]:
        """Their files, to be read as often as wanted."""
        return self._read_all(manifest, self._open_dataset)

    def list_files(self, manifest: Manifest) -> Mapping[str, list[str]]:
        """Their files, which stay until they are expired."""
        return self._read_all(
            manifest, lambda *read: [strip_scheme(file) for file in list_data(*read)]
        )

    def maintain(self, now: datetime) -> list[str]:
        """Forget snapshots of more than a week ago, and remove files that no other one reads."""
        manifest = self.read_manifest()
        if manifest is None or self.manifests.is_in_progress:
            return ["nothing done: a sync was interrupted, and the next one comes first"]
        catalog = open_catalog(self.folder)
        done = []
        for name, contents in manifest.tables.items():
            with self._explain(name):
                removed = self._maintain_table(catalog, name, contents.state, now - KEEP)
            done.append(f"{name}: {removed} old files removed")
        return done

    def _read_all(self, manifest: Manifest, read: Callable[[Table, str], T]) -> dict[str, T]:
        """Read each table in the snapshot that the manifest names, some at a time."""
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
        self, open_once: Callable[[], Catalog], rows: PartitionReader, task: TableCommit
    ) -> str:
        """Commit what changed; the snapshot of the table that holds it."""
        if task.is_done:
            return task.committed_version
        catalog, name = open_once(), task.change.table
        seen = self.folder.read_hint(name)
        with self._explain(name):
            table = load_or_register_table(catalog, name, seen)
            self.guard.check()
            if table is None:
                table = self._create_table(catalog, rows, task)
            else:
                _change_table(table, rows, task)
            self._update_version_hint(name, table, seen)
        return snapshot_id(table)

    def _create_table(self, catalog: Catalog, rows: PartitionReader, task: TableCommit) -> Table:
        name = task.change.table
        schema, split = rows.read_schema(name), rows.has_months(name)
        with create_table_transaction(catalog, self.folder, name, schema, split=split) as commit:
            _append(commit, rows, name, task.months)
        return catalog.load_table((DATASET, name))

    def _update_version_hint(self, name: str, table: Table, seen: VersionHint | None) -> None:
        if seen is None or seen.metadata != table.metadata_location:
            self.folder.update_version_hint(name, table.metadata_location, seen)

    def _maintain_table(self, catalog: Catalog, name: str, state: str, before: datetime) -> int:
        """Expire, and then remove; how many files.

        What refers to files by other addresses, or to others, says nothing of those that are here.
        """
        self.guard.check()
        seen = self.folder.read_hint(name)
        table = load_or_register_table(catalog, name, seen)
        if table is None or not self._is_here(table, name) or not has_snapshot(table, state):
            return 0
        if outlived := expired_snapshots(table, state, before):
            table.maintenance.expire_snapshots().by_ids(outlived).commit()
            self._update_version_hint(name, table, seen)
        orphans = list(self._iter_orphans(name, table, before))
        for file in orphans:
            self.folder.remove(file)
        return len(orphans)

    def _is_here(self, table: Table, name: str) -> bool:
        return table.location() == f"{self.folder.url}/{name}"

    def _iter_orphans(self, name: str, table: Table, before: datetime) -> Iterator[str]:
        """What no snapshot refers to, and is not of a commit under way."""
        kept = set(referenced_files(table))
        for file, written_at in self.folder.iter_files(name):
            if file.endswith(_WRITTEN) and written_at < before and file not in kept:
                yield file

    @contextmanager
    def _explain(self, name: str) -> Iterator[None]:
        try:
            yield
        except (CommitFailedException, OSError) as error:
            raise explain_commit(error, name, self.display_name) from error


def _change_table(table: Table, rows: PartitionReader, task: TableCommit) -> None:
    """Put the rows of some months, or all rows, in the place of those that are there.

    A table that does not know the noted snapshot is another one than that of the last sync.
    """
    change = task.change
    is_ahead = task.was_interrupted and snapshot_id(table) != task.committed_version
    whole = change.is_new or is_ahead or not has_snapshot(table, task.committed_version)
    if not (whole or task.is_due):
        return
    with table.transaction() as commit:
        if change.is_new:
            commit.update_schema().union_by_name(rows.read_schema(change.table)).commit()
        split = rows.has_months(change.table)
        if split and table.spec().is_unpartitioned():
            commit.update_spec().add_identity(MONTH).commit()
        _delete(commit, [*change.written, *change.removed] if split and not whole else None)
        _append(commit, rows, change.table, task.months if whole else change.written)


def _delete(commit: Transaction, months: Sequence[str] | None) -> None:
    """Take away the rows of some months, or all."""
    with warnings.catch_warnings():
        # A month may be there without our note of it: a killed sync wrote it.
        warnings.filterwarnings("ignore", message="Delete operation did not match")
        commit.delete(AlwaysTrue() if months is None else month_predicate(months))


def _append(commit: Transaction, rows: PartitionReader, name: str, months: Iterable[str]) -> None:
    for month in months:
        arrived = rows.read(name, [month]).read_all()
        if arrived.num_rows:
            commit.append(arrived)

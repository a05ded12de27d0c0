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

from tower_etl.load.commits import explain_commit, write_tables
from tower_etl.load.icefolder import strip
from tower_etl.load.icetables import (
    adopt_table,
    find_catalog,
    find_table,
    has_snapshot,
    iter_referred,
    list_data,
    list_outlived,
    name_snapshot,
    open_catalog,
    scan_snapshot,
    start_table,
)
from tower_etl.load.lease import Unshared
from tower_etl.load.months import MONTH, match_months
from tower_etl.load.target import DATASET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    import pyarrow as pa
    from pyarrow.dataset import Dataset
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table, Transaction

    from tower_etl.load.commits import Task
    from tower_etl.load.export import Export
    from tower_etl.load.icefolder import Hint, IceFolder
    from tower_etl.load.lease import Guard
    from tower_etl.load.manifest import Manifest, Step
    from tower_etl.load.notes import Notes

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

    folder: IceFolder
    notes: Notes
    guard: Guard = field(default_factory=Unshared)

    @property
    def title(self) -> str:
        """The folder."""
        return self.folder.title

    def read_manifest(self) -> Manifest | None:
        """That of the last sync."""
        return self.notes.read()

    def write(self, rows: Export, step: Step, now: datetime) -> None:
        """One commit for each table that changed, runs last."""
        del now

        @cache
        def open_once() -> Catalog:
            """Not before the folder is marked as ours."""
            return open_catalog(self.folder)

        def write_table(task: Task) -> str:
            return self._write_table(open_once, rows, task)

        write_tables(step, self.notes, self.guard, write_table)

    def open_tables(self, manifest: Manifest) -> Mapping[str, pa.RecordBatchReader]:
        """All tables in the snapshots that a manifest names."""
        return self._read_all(manifest, lambda *read: scan_snapshot(*read).to_arrow_batch_reader())

    def open_datasets(self, manifest: Manifest) -> Mapping[str, Dataset]:
        """Their files, to be read as often as wanted."""
        return self._read_all(manifest, self._open_dataset)

    def list_files(self, manifest: Manifest) -> Mapping[str, list[str]]:
        """Their files, which stay until they are expired."""
        return self._read_all(manifest, lambda *read: [strip(file) for file in list_data(*read)])

    def maintain(self, now: datetime) -> list[str]:
        """Forget snapshots of more than a week ago, and remove files that no other one reads."""
        manifest = self.read_manifest()
        if manifest is None or self.notes.is_begun:
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

    def _write_table(self, open_once: Callable[[], Catalog], rows: Export, task: Task) -> str:
        """Commit what changed; the snapshot of the table that holds it."""
        if task.is_done:
            return task.noted
        catalog, name = open_once(), task.change.table
        seen = self.folder.read_hint(name)
        with self._explain(name):
            table = adopt_table(catalog, name, seen)
            self.guard.check()
            if table is None:
                table = self._create_table(catalog, rows, task)
            else:
                _change_table(table, rows, task)
            self._move_hint(name, table, seen)
        return name_snapshot(table)

    def _create_table(self, catalog: Catalog, rows: Export, task: Task) -> Table:
        name = task.change.table
        schema, split = rows.read_schema(name), rows.has_months(name)
        with start_table(catalog, self.folder, name, schema, split=split) as commit:
            _append(commit, rows, name, task.months)
        return catalog.load_table((DATASET, name))

    def _move_hint(self, name: str, table: Table, seen: Hint | None) -> None:
        if seen is None or seen.metadata != table.metadata_location:
            self.folder.move_hint(name, table.metadata_location, seen)

    def _maintain_table(self, catalog: Catalog, name: str, state: str, before: datetime) -> int:
        """Expire, and then remove; how many files.

        What refers to files by other addresses, or to others, says nothing of those that are here.
        """
        self.guard.check()
        seen = self.folder.read_hint(name)
        table = adopt_table(catalog, name, seen)
        if table is None or not self._is_here(table, name) or not has_snapshot(table, state):
            return 0
        if outlived := list_outlived(table, state, before):
            table.maintenance.expire_snapshots().by_ids(outlived).commit()
            self._move_hint(name, table, seen)
        orphans = list(self._iter_orphans(name, table, before))
        for file in orphans:
            self.folder.remove(file)
        return len(orphans)

    def _is_here(self, table: Table, name: str) -> bool:
        return table.location() == f"{self.folder.url}/{name}"

    def _iter_orphans(self, name: str, table: Table, before: datetime) -> Iterator[str]:
        """What no snapshot refers to, and is not of a commit under way."""
        kept = set(iter_referred(table))
        for file, written_at in self.folder.iter_files(name):
            if file.endswith(_WRITTEN) and written_at < before and file not in kept:
                yield file

    @contextmanager
    def _explain(self, name: str) -> Iterator[None]:
        try:
            yield
        except (CommitFailedException, OSError) as error:
            raise explain_commit(error, name, self.title) from error


def _change_table(table: Table, rows: Export, task: Task) -> None:
    """Put the rows of some months, or all rows, in the place of those that are there.

    A table that does not know the noted snapshot is another one than that of the last sync.
    """
    change = task.change
    is_ahead = task.torn and name_snapshot(table) != task.noted
    whole = change.is_new or is_ahead or not has_snapshot(table, task.noted)
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
        commit.delete(AlwaysTrue() if months is None else match_months(months))


def _append(commit: Transaction, rows: Export, name: str, months: Iterable[str]) -> None:
    for month in months:
        arrived = rows.read(name, [month]).read_all()
        if arrived.num_rows:
            commit.append(arrived)

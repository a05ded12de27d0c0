"""Delta tables: the months that changed are replaced in one commit a table."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError, TableNotFoundError

from tower_etl.destinations.lake.commits import commit_tables, explain_commit
from tower_etl.destinations.lake.partitions import MONTH, month_predicate
from tower_etl.destinations.locks import NoLock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    import pyarrow as pa
    from pyarrow.dataset import Dataset

    from tower_etl.destinations.lake.commits import TableCommit
    from tower_etl.destinations.lake.manifest import (
        Manifest,
        ManifestDiff,
        ManifestStore,
        TableDiff,
    )
    from tower_etl.destinations.lake.partitions import PartitionReader
    from tower_etl.destinations.locks import WriterLock

KEEP_HOURS = 7 * 24
_MONTHS_AT_ONCE = 3


@dataclass(frozen=True)
class DeltaLake:
    """A folder, here or in a bucket, with a Delta table for each of ours.

    Attributes:
        root: The folder.
        notes: The manifest in it.
        guard: Is asked before each commit.
    """

    root: str
    manifests: ManifestStore
    guard: WriterLock = field(default_factory=NoLock)

    @property
    def display_name(self) -> str:
        """The folder."""
        return self.root

    def read_manifest(self) -> Manifest | None:
        """That of the last sync."""
        return self.manifests.read()

    def write(self, rows: PartitionReader, step: ManifestDiff, now: datetime) -> None:
        """One commit for each table that changed, runs last; more where it is written first."""
        del now

        def write_table(task: TableCommit) -> str:
            return self._write_table(rows, task)

        commit_tables(step, self.manifests, self.guard, write_table)

    def open_tables(self, manifest: Manifest) -> Mapping[str, pa.RecordBatchReader]:
        """All tables in the versions that a manifest names."""
        opened = self.open_datasets(manifest)
        return {name: rows.scanner().to_reader() for name, rows in opened.items()}

    def open_datasets(self, manifest: Manifest) -> Mapping[str, Dataset]:
        """The same, to be read as often as wanted."""
        return {name: table.to_pyarrow_dataset() for name, table in self._iter_tables(manifest)}

    def list_files(self, manifest: Manifest) -> Mapping[str, list[str]]:
        """Their files, which stay until they are vacuumed.

        The library gives the path of a local file with its unusual characters percent-encoded.
        """
        return {
            name: [unquote(uri) for uri in table.file_uris()]
            for name, table in self._iter_tables(manifest)
        }

    def maintain(self, now: datetime) -> list[str]:
        """Put small files together, and remove those that no version of the last week reads."""
        del now
        manifest = self.read_manifest()
        if manifest is None or self.manifests.is_in_progress:
            return ["nothing done: a sync was interrupted, and the next one comes first"]
        self.manifests.mark_in_progress()
        done, tables = [], {}
        for name, contents in manifest.tables.items():
            self.guard.check()
            table = DeltaTable(self._locate(name))
            with self._explain(name):
                table.optimize.compact()
                table.create_checkpoint()
                removed = table.vacuum(retention_hours=KEEP_HOURS, dry_run=False)
            tables[name] = replace(contents, state=str(DeltaTable(self._locate(name)).version()))
            done.append(f"{name}: {len(removed)} old files removed")
        self.manifests.write(replace(manifest, tables=tables), manifest)
        return done

    def _iter_tables(self, manifest: Manifest) -> Iterator[tuple[str, DeltaTable]]:
        for name, contents in manifest.tables.items():
            version = int(contents.state) if contents.state else None
            yield name, DeltaTable(self._locate(name), version=version)

    def _locate(self, table: str) -> str:
        return f"{self.root}/{table}"

    def _find_table(self, name: str) -> DeltaTable | None:
        try:
            return DeltaTable(self._locate(name))
        except TableNotFoundError:
            return None

    def _write_table(self, rows: PartitionReader, task: TableCommit) -> str:
        """Commit what changed; the version of the table that holds it.

        The table is opened before the lease is checked: should another sync commit after that, the
        log of the table refuses this commit.
        """
        if task.is_done:
            return task.committed_version
        change = task.change
        table = self._find_table(change.table)
        is_ahead = (
            task.was_interrupted
            and table is not None
            and str(table.version()) != task.committed_version
        )
        self.guard.check()
        with self._explain(change.table):
            if change.is_new and not task.committed_version:
                self._begin(rows, change, sorted(task.months), table)
            elif change.is_new or is_ahead:
                self._replace_all(rows, change.table, task.months, table)
            elif task.is_due:
                self._replace_months(rows, change, table)
        return str((table or DeltaTable(self._locate(change.table))).version())

    def _begin(
        self,
        rows: PartitionReader,
        change: TableDiff,
        months: Sequence[str],
        table: DeltaTable | None,
    ) -> None:
        """Write a table that no sync has noted yet, some months a commit.

        The writer keeps a file for each month of a commit open, and much of each in memory.
        """
        self._replace_all(rows, change.table, months[:_MONTHS_AT_ONCE], table)
        begun = table or DeltaTable(self._locate(change.table))
        for first in range(_MONTHS_AT_ONCE, len(months), _MONTHS_AT_ONCE):
            written = tuple(months[first : first + _MONTHS_AT_ONCE])
            self.guard.check()
            self._replace_months(rows, replace(change, written=written, removed=()), begun)

    def _replace_all(
        self, rows: PartitionReader, name: str, months: Iterable[str], table: DeltaTable | None
    ) -> None:
        write_deltalake(
            table or self._locate(name),
            rows.read(name, months),
            mode="overwrite",
            schema_mode="overwrite",
            partition_by=[MONTH] if rows.has_months(name) else None,
        )

    def _replace_months(
        self, rows: PartitionReader, change: TableDiff, table: DeltaTable | None
    ) -> None:
        months = [*change.written, *change.removed]
        write_deltalake(
            table or self._locate(change.table),
            rows.read(change.table, change.written),
            mode="overwrite",
            predicate=month_predicate(months) if rows.has_months(change.table) else None,
        )

    @contextmanager
    def _explain(self, name: str) -> Iterator[None]:
        try:
            yield
        except (DeltaError, OSError) as error:
            raise explain_commit(error, name, self.root) from error

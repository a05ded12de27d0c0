"""Delta tables: changed partitions are replaced in one commit per table."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import unquote

from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError, TableNotFoundError

from tower_etl.destinations.lake.commits import commit_tables, explained_commit
from tower_etl.destinations.lake.partitions import MONTH, month_predicate
from tower_etl.destinations.locks import WriterLock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from pyarrow.dataset import Dataset

    from tower_etl.destinations.lake.commits import TableCommit
    from tower_etl.destinations.lake.manifest import (
        Manifest,
        ManifestDiff,
        ManifestStore,
        TableDiff,
    )
    from tower_etl.destinations.lake.partitions import PartitionReader

RETENTION_HOURS = 7 * 24  # the minimum that deltalake allows by default
_MONTHS_PER_COMMIT = 3  # the writer buffers a file per month


@dataclass(frozen=True)
class DeltaLake:
    """Delta tables in a local folder or a bucket.

    Attributes:
        manifests: Store of the manifest in the folder.
        writer_lock: Lock that is verified before each commit.
    """

    manifests: ManifestStore
    writer_lock: WriterLock = field(default_factory=WriterLock)

    @property
    def title(self) -> str:
        """Folder or URL of the lake."""
        return str(self.manifests.files)

    def read_manifest(self) -> Manifest | None:
        """Return the manifest of the last sync."""
        return self.manifests.read()

    def write(self, reader: PartitionReader, diff: ManifestDiff, now: datetime) -> None:
        """Commit each changed table, `workflows` last; a new table takes several commits."""
        del now
        write = partial(self._write_table, reader)
        commit_tables(diff, self.manifests, self.writer_lock, write)

    def open_datasets(self, manifest: Manifest) -> Mapping[str, Dataset]:
        """Return datasets of all tables in the versions of a manifest."""
        return {name: table.to_pyarrow_dataset() for name, table in self._iter_tables(manifest)}

    def list_files(self, manifest: Manifest) -> Mapping[str, list[str]]:
        """Return the files of all tables in the versions of a manifest; they exist until a vacuum.

        deltalake percent-encodes unusual characters in the path of a local file.
        """
        return {
            name: [unquote(uri) for uri in table.file_uris()]
            for name, table in self._iter_tables(manifest)
        }

    def maintain(self, now: datetime) -> list[str]:
        """Compact small files, and delete files that no version of the last seven days uses."""
        del now
        manifest = self.read_manifest()
        if manifest is None or self.manifests.is_in_progress:
            return ["Skipped: an interrupted sync must be resumed first. Run `tower-etl sync`."]
        self.manifests.mark_in_progress()
        messages, tables = [], {}
        for name, contents in manifest.tables.items():
            self.writer_lock.check()
            table = DeltaTable(self._table_path(name))
            with explained_commit(name, self.title, DeltaError):
                table.optimize.compact()
                table.create_checkpoint()  # readers otherwise replay the whole transaction log
                removed = table.vacuum(retention_hours=RETENTION_HOURS, dry_run=False)
            tables[name] = replace(
                contents, state=str(DeltaTable(self._table_path(name)).version())
            )
            messages.append(f"{name}: {len(removed)} old files deleted")
        self.manifests.write(replace(manifest, tables=tables), manifest)
        return messages

    def _iter_tables(self, manifest: Manifest) -> Iterator[tuple[str, DeltaTable]]:
        for name, contents in manifest.tables.items():
            version = int(contents.state) if contents.state else None
            yield name, DeltaTable(self._table_path(name), version=version)

    def _table_path(self, table: str) -> str:
        return f"{self.manifests.files}/{table}"

    def _find_table(self, name: str) -> DeltaTable | None:
        try:
            return DeltaTable(self._table_path(name))
        except TableNotFoundError:
            return None

    def _write_table(self, reader: PartitionReader, task: TableCommit) -> str:
        """Commit the changed partitions, and return the resulting version of the table.

        The table is opened before the lock is verified. If another sync commits after that, the
        transaction log of the table rejects this commit.
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
        self.writer_lock.check()
        with explained_commit(change.table, self.title, DeltaError):
            if change.is_new and not task.committed_version:
                self._create(reader, change, sorted(task.months), table)
            elif change.is_new or is_ahead:
                self._replace_all(reader, change.table, task.months, table)
            elif task.is_due:
                self._replace_months(reader, change, table)
        return str((table or DeltaTable(self._table_path(change.table))).version())

    def _create(
        self,
        reader: PartitionReader,
        change: TableDiff,
        months: Sequence[str],
        table: DeltaTable | None,
    ) -> None:
        """Write a table that is not in the manifest, three partitions per commit.

        The writer keeps a file per partition of a commit open, and much of each in memory.
        """
        self._replace_all(reader, change.table, months[:_MONTHS_PER_COMMIT], table)
        created = table or DeltaTable(self._table_path(change.table))
        for first in range(_MONTHS_PER_COMMIT, len(months), _MONTHS_PER_COMMIT):
            written = tuple(months[first : first + _MONTHS_PER_COMMIT])
            self.writer_lock.check()
            self._replace_months(reader, replace(change, written=written, removed=()), created)

    def _replace_all(
        self, reader: PartitionReader, name: str, months: Iterable[str], table: DeltaTable | None
    ) -> None:
        write_deltalake(
            table or self._table_path(name),
            reader.read(name, months),
            mode="overwrite",
            schema_mode="overwrite",
            partition_by=[MONTH] if reader.has_months(name) else None,
        )

    def _replace_months(
        self, reader: PartitionReader, change: TableDiff, table: DeltaTable | None
    ) -> None:
        months = [*change.written, *change.removed]
        write_deltalake(
            table or self._table_path(change.table),
            reader.read(change.table, change.written),
            mode="overwrite",
            predicate=month_predicate(months) if reader.has_months(change.table) else None,
        )

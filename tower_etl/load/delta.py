"""Delta tables: the months that changed are replaced in one commit a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deltalake import DeltaTable, write_deltalake

from tower_etl.load.months import MONTH, match_months
from tower_etl.load.notes import NoteFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    import pyarrow as pa

    from tower_etl.load.export import Export
    from tower_etl.load.manifest import Change, Manifest

KEEP_HOURS = 7 * 24


@dataclass(frozen=True)
class DeltaLake:
    """A folder with a Delta table for each of ours.

    Attributes:
        root: The folder.
    """

    root: Path

    @property
    def title(self) -> str:
        """The folder."""
        return str(self.root)

    def read_manifest(self) -> Manifest | None:
        """That of the last sync."""
        return self._notes.read()

    def write(
        self, rows: Export, manifest: Manifest, changes: Sequence[Change], now: datetime
    ) -> None:
        """One commit for each table that changed, runs last."""
        del now
        self._notes.begin()
        for change in changes:
            if change.is_new:
                self._replace_all(rows, change)
            elif change.written or change.removed:
                self._replace_months(rows, change)
        self._notes.write(manifest)

    def open_tables(self) -> Mapping[str, pa.RecordBatchReader]:
        """All tables as they are now."""
        found = {name: table.to_pyarrow_dataset() for name, table in self._iter_tables()}
        return {name: rows.scanner().to_reader() for name, rows in found.items()}

    def list_files(self) -> Mapping[str, list[str]]:
        """Their files, which stay until they are vacuumed."""
        return {name: table.file_uris() for name, table in self._iter_tables()}

    def _iter_tables(self) -> Iterator[tuple[str, DeltaTable]]:
        manifest = self.read_manifest()
        for name in manifest.tables if manifest else ():
            yield name, DeltaTable(self._locate(name))

    def maintain(self, now: datetime) -> list[str]:
        """Put small files together, and remove those that no version of the last week reads."""
        del now
        done = []
        for name, table in self._iter_tables():
            table.optimize.compact()
            table.create_checkpoint()
            removed = table.vacuum(retention_hours=KEEP_HOURS, dry_run=False)
            done.append(f"{name}: {len(removed)} old files removed")
        return done

    @property
    def _notes(self) -> NoteFile:
        return NoteFile(self.root, "delta")

    def _locate(self, table: str) -> str:
        return str(self.root / table)

    def _replace_all(self, rows: Export, change: Change) -> None:
        write_deltalake(
            self._locate(change.table),
            rows.read(change.table, change.written),
            mode="overwrite",
            schema_mode="overwrite",
            partition_by=[MONTH] if rows.has_months(change.table) else None,
        )

    def _replace_months(self, rows: Export, change: Change) -> None:
        months = [*change.written, *change.removed]
        write_deltalake(
            self._locate(change.table),
            rows.read(change.table, change.written),
            mode="overwrite",
            predicate=match_months(months) if rows.has_months(change.table) else None,
        )

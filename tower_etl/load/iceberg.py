"""Iceberg tables: the months that changed are replaced in one commit a table.

They are named in a catalog: that which PyIceberg's configuration calls `tower`, or else a SQLite
file in the folder. `metadata/version-hint.text` serves programs that read a table without one.
"""

from __future__ import annotations

import warnings
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pyarrow import dataset
from pyiceberg.catalog import load_catalog
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import NamespaceAlreadyExistsError, NoSuchTableError
from pyiceberg.expressions import AlwaysFalse, AlwaysTrue
from pyiceberg.utils.config import Config

from tower_etl.load.commits import write_tables
from tower_etl.load.lease import Unshared
from tower_etl.load.months import MONTH, match_months
from tower_etl.load.notes import NoteFile
from tower_etl.load.target import DATASET

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    import pyarrow as pa
    from pyarrow.dataset import Dataset
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import DataScan, Table, Transaction

    from tower_etl.load.commits import Task
    from tower_etl.load.export import Export
    from tower_etl.load.manifest import Change, Manifest

CATALOG = "tower"
KEEP = timedelta(days=7)
_NO_SNAPSHOT = "none"


@dataclass(frozen=True)
class IcebergLake:
    """A folder with an Iceberg table for each of ours.

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

        @cache
        def open_writable() -> Catalog:
            """Not before the folder is marked as ours."""
            catalog = open_catalog(self.root)
            with suppress(NamespaceAlreadyExistsError):
                catalog.create_namespace(DATASET)
            return catalog

        def write_table(task: Task) -> str:
            return _write_table(open_writable(), self.root, rows, task)

        write_tables(manifest, changes, self._notes, Unshared(), write_table)

    def open_tables(self) -> Mapping[str, pa.RecordBatchReader]:
        """All tables as the last sync left them."""
        return {name: scan.to_arrow_batch_reader() for name, scan in self._iter_scans()}

    def list_files(self) -> Mapping[str, list[str]]:
        """Their files, which stay until they are expired."""
        return {
            name: [task.file.file_path.removeprefix("file://") for task in scan.plan_files()]
            for name, scan in self._iter_scans()
        }

    def open_datasets(self) -> Mapping[str, Dataset]:
        """Those files, to be read as often as wanted."""
        return {name: dataset.dataset(files) for name, files in self.list_files().items()}

    def maintain(self, now: datetime) -> list[str]:
        """Forget snapshots of more than a week, and remove local files that no other one reads."""
        if self._notes.is_begun:
            return ["nothing done: a sync was interrupted, and the next one comes first"]
        done = []
        for name, table, _ in self._iter_tables():
            table.maintenance.expire_snapshots().older_than(now - KEEP).commit()
            removed = list(_remove_orphans(table.refresh(), now))
            done.append(f"{name}: {len(removed)} old files removed")
        return done

    @property
    def _notes(self) -> NoteFile:
        return NoteFile(self.root, "iceberg")

    def _iter_scans(self) -> Iterator[tuple[str, DataScan]]:
        for name, table, state in self._iter_tables():
            if state == _NO_SNAPSHOT:
                yield name, table.scan(row_filter=AlwaysFalse())
            else:
                yield name, table.scan(snapshot_id=int(state) if state else None)

    def _iter_tables(self) -> Iterator[tuple[str, Table, str]]:
        """Each table, and the snapshot of it that the note names."""
        manifest = self.read_manifest()
        if manifest is None:
            return
        catalog = open_catalog(self.root)
        for name, contents in manifest.tables.items():
            yield name, catalog.load_table((DATASET, name)), contents.state


def open_catalog(root: Path) -> Catalog:
    """The catalog `tower` of PyIceberg's configuration, or the SQLite file in a folder."""
    if Config().get_catalog_config(CATALOG):
        return load_catalog(CATALOG)
    return SqlCatalog(CATALOG, uri=f"sqlite:///{root}/catalog.db", warehouse=f"file://{root}")


def _write_table(catalog: Catalog, root: Path, rows: Export, task: Task) -> str:
    """Commit what changed; the snapshot of the table that holds it."""
    if task.is_done:
        return task.noted
    change = task.change
    schema = rows.read_schema(change.table)
    split = rows.has_months(change.table)
    table = _find_table(catalog, f"file://{root / change.table}", change.table, schema, split=split)
    whole = change.is_new or (task.torn and _name_snapshot(table) != task.noted)
    if whole or task.is_due:
        with table.transaction() as commit:
            if change.is_new:
                commit.update_schema().union_by_name(schema).commit()
            months = task.months if whole else change.written
            _replace(commit, rows, change, months, whole=whole or not split)
        _hint_version(table)
    return _name_snapshot(table)


def _find_table(
    catalog: Catalog, where: str, name: str, schema: pa.Schema, *, split: bool
) -> Table:
    try:
        return catalog.load_table((DATASET, name))
    except NoSuchTableError:
        table = catalog.create_table((DATASET, name), schema=schema, location=where)
        if split:
            with table.update_spec() as spec:
                spec.add_identity(MONTH)
        return table


def _replace(
    commit: Transaction, rows: Export, change: Change, months: Iterable[str], *, whole: bool
) -> None:
    """Put the rows of some months, or all rows, in the place of those that are there."""
    with warnings.catch_warnings():
        # A month may be there without our note of it: a killed sync wrote it.
        warnings.filterwarnings("ignore", message="Delete operation did not match")
        commit.delete(AlwaysTrue() if whole else match_months([*change.written, *change.removed]))
    for month in months:
        arrived = rows.read(change.table, [month]).read_all()
        if arrived.num_rows:
            commit.append(arrived)


def _name_snapshot(table: Table) -> str:
    """What tells this state of a table from others."""
    snapshot = table.refresh().current_snapshot()
    return str(snapshot.snapshot_id) if snapshot else _NO_SNAPSHOT


def _hint_version(table: Table) -> None:
    """Name the newest metadata for programs that come without a catalog."""
    path = Path(table.metadata_location.removeprefix("file://"))
    if not path.is_file():
        return
    draft = path.with_name("version-hint.text.new")
    draft.write_text(path.name.removesuffix(".metadata.json"), encoding="utf-8")
    draft.replace(path.with_name("version-hint.text"))


def _remove_orphans(table: Table, now: datetime) -> Iterator[Path]:
    """Remove what no snapshot refers to, and is not of a commit under way."""
    root = Path(table.location().removeprefix("file://"))
    kept = set(_iter_referred(table))
    for path in root.rglob("*"):
        if path.suffix not in {".parquet", ".avro"} or str(path) in kept:
            continue
        if now.timestamp() - path.stat().st_mtime > KEEP.total_seconds():
            path.unlink()
            yield path


def _iter_referred(table: Table) -> Iterator[str]:
    for snapshot in table.snapshots():
        yield snapshot.manifest_list.removeprefix("file://")
        for manifest in snapshot.manifests(table.io):
            yield manifest.manifest_path.removeprefix("file://")
            for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
                yield entry.data_file.file_path.removeprefix("file://")

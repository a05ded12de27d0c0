"""Iceberg tables by name: in a catalog, or where a hint says that they are."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING

from pyiceberg.catalog import load_catalog
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import (
    NamespaceAlreadyExistsError,
    NoSuchNamespaceError,
    NoSuchTableError,
)
from pyiceberg.expressions import AlwaysFalse
from pyiceberg.table import StaticTable
from pyiceberg.utils.config import Config

from tower_etl.config.settings import DATASET
from tower_etl.destinations.lake.partitions import MONTH
from tower_etl.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    import pyarrow as pa
    from pyiceberg.catalog import Catalog
    from pyiceberg.manifest import ManifestFile
    from pyiceberg.table import DataScan, Table, Transaction

    from tower_etl.destinations.lake.iceberg_location import IcebergLocation, VersionHint

CATALOG = "tower"
NO_SNAPSHOT = "none"
_IN_MEMORY = "sqlite:///:memory:"


def find_catalog(folder: IcebergLocation) -> Catalog | None:
    """The catalog `tower` of PyIceberg's configuration, or that of the folder, if it has one."""
    if Config().get_catalog_config(CATALOG):
        return load_catalog(CATALOG)
    return _open_sql(folder, folder.catalog) if folder.catalog else None


def open_catalog(folder: IcebergLocation) -> Catalog:
    """The same, with room for our tables; where there is none, one that lasts as long as a sync."""
    catalog = find_catalog(folder) or _open_sql(folder, _IN_MEMORY)
    with suppress(NamespaceAlreadyExistsError):
        catalog.create_namespace(DATASET)
    return catalog


def _open_sql(folder: IcebergLocation, uri: str) -> SqlCatalog:
    return SqlCatalog(CATALOG, uri=uri, warehouse=folder.url, **folder.access)


def find_table(catalog: Catalog | None, folder: IcebergLocation, name: str, state: str) -> Table:
    """A table that knows a state of it, to be read; nothing is written, into a catalog neither.

    Raises:
        ConfigurationError: Neither the catalog nor a hint knows it.
    """
    with suppress(NoSuchTableError, NoSuchNamespaceError):
        table = catalog.load_table((DATASET, name)) if catalog else None
        if table and has_snapshot(table, state):
            return table
    hint = folder.read_hint(name)
    if hint is None:
        msg = (
            f"{folder.title} has lost its table {name}: neither a catalog nor a hint names it. "
            "Restore the folder from a backup, or choose another --path."
        )
        raise ConfigurationError(msg)
    return StaticTable.from_metadata(hint.metadata, dict(folder.access))


def load_or_register_table(catalog: Catalog, name: str, hint: VersionHint | None) -> Table | None:
    """A table to be written; one that a hint names becomes known to the catalog."""
    with suppress(NoSuchTableError):
        return catalog.load_table((DATASET, name))
    return catalog.register_table((DATASET, name), hint.metadata) if hint else None


def create_table_transaction(
    catalog: Catalog, folder: IcebergLocation, name: str, schema: pa.Schema, *, split: bool
) -> Transaction:
    """A new table, by months or not, which is there when it is committed with its rows."""
    where = f"{folder.url}/{name}"
    commit = catalog.create_table_transaction((DATASET, name), schema=schema, location=where)
    if split:
        with commit.update_spec() as spec:
            spec.add_identity(MONTH)
    return commit


def snapshot_id(table: Table) -> str:
    """What tells this state of a table from others."""
    snapshot = table.current_snapshot()
    return str(snapshot.snapshot_id) if snapshot else NO_SNAPSHOT


def has_snapshot(table: Table, state: str) -> bool:
    """Whether a table knows a state: not if another catalog did, or it was expired since."""
    return state in ("", NO_SNAPSHOT) or table.snapshot_by_id(int(state)) is not None


def scan_snapshot(table: Table, state: str) -> DataScan:
    """All rows of a state of a table; of the newest where none is named."""
    if state == NO_SNAPSHOT:
        return table.scan(row_filter=AlwaysFalse())
    return table.scan(snapshot_id=int(state) if state else None)


def list_data(table: Table, state: str) -> list[str]:
    """The addresses of the files that hold these rows."""
    return [task.file.file_path for task in scan_snapshot(table, state).plan_files()]


def expired_snapshots(table: Table, state: str, before: datetime) -> list[int]:
    """Snapshots in whose place another one was already at some time, but for that of a state."""
    spared = {state, *(str(ref.snapshot_id) for ref in table.refs().values())}
    limit = before.timestamp() * 1000
    outlived = [old for old, new in pairwise(table.snapshots()) if new.timestamp_ms < limit]
    return [old.snapshot_id for old in outlived if str(old.snapshot_id) not in spared]


def referenced_files(table: Table) -> Iterator[str]:
    """The addresses of all files that any snapshot consists of, metadata included."""
    yield table.metadata_location
    yield from (entry.metadata_file for entry in table.metadata.metadata_log)
    manifests: dict[str, ManifestFile] = {}
    for snapshot in table.snapshots():
        yield snapshot.manifest_list
        manifests |= {manifest.manifest_path: manifest for manifest in snapshot.manifests(table.io)}
    yield from manifests
    for manifest in manifests.values():
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
            yield entry.data_file.file_path

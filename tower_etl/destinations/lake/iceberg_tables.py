"""Iceberg tables by name, found in a catalog or by a version hint, and their snapshots."""

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
    """Return the catalog `tower` of PyIceberg's configuration, else that of the folder, if any."""
    # `.pyiceberg.yaml` or variables such as PYICEBERG_CATALOG__TOWER__URI.
    if Config().get_catalog_config(CATALOG):
        return load_catalog(CATALOG)
    return _open_sql(folder, folder.catalog) if folder.catalog else None


def open_catalog(folder: IcebergLocation) -> Catalog:
    """Return the catalog with the namespace of the tables; in memory if the folder has none."""
    catalog = find_catalog(folder) or _open_sql(folder, _IN_MEMORY)
    with suppress(NamespaceAlreadyExistsError):
        catalog.create_namespace(DATASET)
    return catalog


def _open_sql(folder: IcebergLocation, uri: str) -> SqlCatalog:
    return SqlCatalog(CATALOG, uri=uri, warehouse=folder.url, **folder.access)


def find_table(catalog: Catalog | None, folder: IcebergLocation, name: str, state: str) -> Table:
    """Return a table with a snapshot for reading; nothing is written, not even to a catalog.

    Raises:
        ConfigurationError: Neither the catalog nor a version hint refers to the table.
    """
    with suppress(NoSuchTableError, NoSuchNamespaceError):
        table = catalog.load_table((DATASET, name)) if catalog else None
        if table and has_snapshot(table, state):
            return table
    hint = folder.read_hint(name)
    if hint is None:
        msg = (
            f"{folder.title} has lost its table {name}: neither a catalog nor a hint refers to it. "
            "Restore the folder from a backup, or choose another --path."
        )
        raise ConfigurationError(msg)
    return StaticTable.from_metadata(hint.metadata, dict(folder.access))


def load_or_register_table(catalog: Catalog, name: str, hint: VersionHint | None) -> Table | None:
    """Return a table for writing, registered in the catalog from its hint if need be."""
    with suppress(NoSuchTableError):
        return catalog.load_table((DATASET, name))
    return catalog.register_table((DATASET, name), hint.metadata) if hint else None


def create_table_transaction(
    catalog: Catalog, folder: IcebergLocation, name: str, schema: pa.Schema, *, split: bool
) -> Transaction:
    """Return a transaction that creates a table, partitioned by month if `split`."""
    location = f"{folder.url}/{name}"
    commit = catalog.create_table_transaction((DATASET, name), schema=schema, location=location)
    if split:
        with commit.update_spec() as spec:
            spec.add_identity(MONTH)
    return commit


def snapshot_id(table: Table) -> str:
    """Return the id of the current snapshot of a table, or `none`."""
    snapshot = table.current_snapshot()
    return str(snapshot.snapshot_id) if snapshot else NO_SNAPSHOT


def has_snapshot(table: Table, state: str) -> bool:
    """Return whether a table has a snapshot: not if it expired, or belongs to another catalog."""
    return state in ("", NO_SNAPSHOT) or table.snapshot_by_id(int(state)) is not None


def scan_snapshot(table: Table, state: str) -> DataScan:
    """Return a scan of all rows of a snapshot; of the current one if `state` is empty."""
    if state == NO_SNAPSHOT:
        return table.scan(row_filter=AlwaysFalse())
    return table.scan(snapshot_id=int(state) if state else None)


def list_data(table: Table, state: str) -> list[str]:
    """Return the URLs of the data files of a snapshot."""
    return [task.file.file_path for task in scan_snapshot(table, state).plan_files()]


def expired_snapshots(table: Table, state: str, before: datetime) -> list[int]:
    """Return the ids of snapshots that were replaced before a time, except the one of `state`."""
    kept = {state, *(str(ref.snapshot_id) for ref in table.refs().values())}
    limit = before.timestamp() * 1000
    replaced = [old for old, new in pairwise(table.snapshots()) if new.timestamp_ms < limit]
    return [old.snapshot_id for old in replaced if str(old.snapshot_id) not in kept]


def referenced_files(table: Table) -> Iterator[str]:
    """Iterate over the URLs of all files of all snapshots, including metadata."""
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

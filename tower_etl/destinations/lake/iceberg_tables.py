"""Iceberg tables by name, local or in a bucket, found in a catalog or by a version hint.

`metadata/version-hint.text` names the newest metadata of a table for programs without a catalog. In
a bucket, hints are the only catalog, and are replaced by conditional writes.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from pyarrow import dataset, fs
from pyiceberg.catalog import load_catalog
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import (
    NamespaceAlreadyExistsError,
    NoSuchNamespaceError,
    NoSuchTableError,
)
from pyiceberg.table import StaticTable
from pyiceberg.utils.config import Config

from tower_etl.config.settings import DATASET
from tower_etl.destinations.local_folder import LocalFolder, replace_text
from tower_etl.errors import ConfigurationError, DestinationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from pyarrow.dataset import Dataset
    from pyiceberg.catalog import Catalog
    from pyiceberg.manifest import ManifestFile
    from pyiceberg.table import Table

    from tower_etl.destinations.object_store import ObjectStore

HINT = "metadata/version-hint.text"
_METADATA = ".metadata.json"
_AMAZON = "https://s3.amazonaws.com"
_REGION = "us-east-1"

CATALOG = "tower"
NO_SNAPSHOT = "none"
_IN_MEMORY = "sqlite:///:memory:"


@dataclass(frozen=True)
class VersionHint:
    """Reference to the newest metadata of a table.

    Attributes:
        metadata: URL of the metadata file.
        etag: ETag of the hint, empty for a local file.
    """

    metadata: str
    etag: str


@dataclass(frozen=True)
class IcebergLocation:
    """Local folder or folder in a bucket, with a folder for each Iceberg table.

    Attributes:
        files: Files of the location; printed, its name in messages.
        url: URL as PyIceberg writes it, without percent-encoding.
        catalog: URL of the catalog in the location; None in a bucket, where a SQLite file cannot be
            changed.
        access: Properties that PyIceberg needs to access a bucket, without credentials.
    """

    files: LocalFolder | ObjectStore
    url: str
    catalog: str | None = None
    access: Mapping[str, str] = field(default_factory=dict)

    def read_hint(self, table: str) -> VersionHint | None:
        """Return the version hint of a table, None if it has none."""
        stored = self.files.read(f"{table}/{HINT}")
        if stored is None:
            return None
        metadata = f"{self.url}/{table}/metadata/{stored.text.strip()}{_METADATA}"
        return VersionHint(metadata, stored.etag)

    def update_version_hint(self, table: str, metadata: str, hint: VersionHint | None) -> None:
        """Set the version hint of a table, unless its metadata is outside the bucket.

        Args:
            table: Name of the table.
            metadata: URL of the new metadata.
            hint: Result of `read_hint` before the commit.

        Raises:
            DestinationError: Another sync of a lake in a bucket changed the hint in between.
        """
        folder, _, newest = metadata.rpartition("/")
        name = newest.removesuffix(_METADATA)
        if isinstance(self.files, LocalFolder):
            path = Path(strip_scheme(metadata))
            if path.is_file():  # a catalog of the user may place tables elsewhere
                replace_text(path.with_name(Path(HINT).name), name)
            return
        if folder != f"{self.url}/{table}/metadata":
            return
        # Conditional, so that a sync without lease undoes no commit.
        if self.files.put_if_match(f"{table}/{HINT}", name, hint.etag if hint else None) is None:
            msg = f"Another sync wrote {table} into {self.url} in the meantime. Run again."
            raise DestinationError(msg)

    def open_dataset(self, files: Sequence[str]) -> Dataset:
        """Return a dataset of one or more Parquet files, given by their URLs."""
        paths = [strip_scheme(file) for file in files]
        return dataset.dataset(paths, format="parquet", filesystem=self._open_file_system())

    def _open_file_system(self) -> fs.FileSystem | None:
        """Return pyarrow's S3 file system, which PyIceberg uses too; None for local files."""
        if not self.access:
            return None
        return fs.S3FileSystem(
            region=self.access["s3.region"],
            endpoint_override=self.access.get("s3.endpoint"),
            proxy_options=self.access.get("s3.proxy-uri"),
        )

    def iter_files(self, table: str) -> Iterator[tuple[str, datetime]]:
        """Iterate over the URLs and modification times (UTC) of all files of a table."""
        for name, modified in self.files.iter_objects(table):
            yield f"{self.url}/{name}", modified

    def remove(self, file: str) -> None:
        """Delete a file, given by its URL."""
        self.files.remove(file.removeprefix(f"{self.url}/"))


def locate_tables(files: LocalFolder | ObjectStore, environ: Mapping[str, str]) -> IcebergLocation:
    """Return the location of the Iceberg tables in a folder or bucket.

    Args:
        files: Files of the location.
        environ: Environment variables, with the settings of an object store.
    """
    if isinstance(files, LocalFolder):
        return IcebergLocation(files, f"file://{files}", f"sqlite:///{files}/catalog.db")
    return IcebergLocation(files, files.url, access=s3_properties(environ))


def s3_properties(environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return endpoint, region and proxy as properties, which PyIceberg does not read itself.

    Credentials are omitted: pyarrow reads them from the same variables as obstore.
    """
    endpoint = environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL")
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or _REGION
    properties = {
        "s3.endpoint": endpoint,
        "s3.region": region,
        "s3.proxy-uri": _find_proxy(endpoint),
    }
    return {name: value for name, value in properties.items() if value}


def _find_proxy(endpoint: str | None) -> str | None:
    """Return the proxy of the environment, which obstore uses by default and pyarrow does not."""
    parts = urlsplit(endpoint or _AMAZON)
    # proxy_bypass evaluates NO_PROXY.
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)


def strip_scheme(url: str) -> str:
    """Return the path in a URL as pyarrow expects it: with the bucket as its first part."""
    _, _, path = url.rpartition("://")
    return path


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
            f"{folder.files} has lost its table {name}: neither a catalog nor a hint refers to it. "
            "Restore the folder from a backup, or choose another --path."
        )
        raise ConfigurationError(msg)
    return StaticTable.from_metadata(hint.metadata, dict(folder.access))


def load_or_register_table(catalog: Catalog, name: str, hint: VersionHint | None) -> Table | None:
    """Return a table for writing, registered in the catalog from its hint if need be."""
    with suppress(NoSuchTableError):
        return catalog.load_table((DATASET, name))
    return catalog.register_table((DATASET, name), hint.metadata) if hint else None


def snapshot_id(table: Table) -> str:
    """Return the id of the current snapshot of a table, or `none`."""
    snapshot = table.current_snapshot()
    return str(snapshot.snapshot_id) if snapshot else NO_SNAPSHOT


def has_snapshot(table: Table, state: str) -> bool:
    """Return whether a table has a snapshot: not if it expired, or belongs to another catalog."""
    return state in ("", NO_SNAPSHOT) or table.snapshot_by_id(int(state)) is not None


def list_data(table: Table, state: str) -> list[str]:
    """Return the URLs of the data files of a snapshot; of the current one if `state` is empty."""
    if state == NO_SNAPSHOT:
        return []
    scan = table.scan(snapshot_id=int(state) if state else None)
    return [task.file.file_path for task in scan.plan_files()]


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

"""Manifest of a lake: its tables, partitions and versions as the last sync left them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tower_etl.errors import ConfigurationError, DestinationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tower_etl.destinations.object_store import ObjectStore

VERSION = 1


@dataclass(frozen=True)
class PartitionEntry:
    """Partition of a table: the rows of one month.

    Attributes:
        fingerprint: Hash of all rows of the partition.
        file: Path of its file relative to the table, for Parquet lakes; else empty.
    """

    fingerprint: str
    file: str = ""


@dataclass(frozen=True)
class TableEntry:
    """Table in a manifest.

    Attributes:
        ddl: Statement that creates the table in DuckDB.
        partitions: Partitions by month.
        state: Version of the table (Delta) or id of the snapshot (Iceberg); else empty.
    """

    ddl: str
    partitions: Mapping[str, PartitionEntry]
    state: str = ""


@dataclass(frozen=True)
class Manifest:
    """State of a lake after a sync.

    Attributes:
        kind: Format of the lake.
        snapshot: Name of this state.
        tables: Tables by name, in the order in which they are written.
        etag: ETag of the object that the manifest was read from, None if not from an object store.
    """

    kind: str
    snapshot: str
    tables: Mapping[str, TableEntry] = field(default_factory=dict)
    etag: str | None = field(default=None, compare=False)

    def dump(self) -> str:
        """Return the manifest as JSON, without the ETag.

        The keys are those of version 1, so that earlier and later versions of tower-etl can read
        each other's folders.
        """
        tables = {
            name: {
                "ddl": table.ddl,
                "parts": {month: asdict(entry) for month, entry in table.partitions.items()},
                "state": table.state,
            }
            for name, table in self.tables.items()
        }
        stored = {"kind": self.kind, "generation": self.snapshot, "tables": tables}
        return json.dumps({"version": VERSION, **stored})


def load_manifest(text: str) -> Manifest:
    """Parse the output of `Manifest.dump`.

    Raises:
        ConfigurationError: The text is not a manifest, or was written by a newer version.
    """
    try:
        stored = json.loads(text)
        version = int(stored["version"])
        tables = {
            name: TableEntry(
                table["ddl"],
                {month: PartitionEntry(**part) for month, part in table["parts"].items()},
                table.get("state", ""),
            )
            for name, table in stored["tables"].items()
        }
        manifest = Manifest(stored["kind"], stored["generation"], tables)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"The manifest of the lake cannot be read ({error}). Choose another --path."
        raise ConfigurationError(msg) from None
    if version > VERSION:  # this version would drop entries that it does not know
        msg = "A newer tower-etl wrote this folder. Install that version here (README, Install)."
        raise ConfigurationError(msg)
    return manifest


@dataclass(frozen=True)
class TableDiff:
    """Difference between two states of a table.

    Attributes:
        table: Name of the table.
        written: Months of new and changed partitions.
        removed: Months of partitions that no longer exist.
        is_new: Whether the table is new, or its columns changed.
    """

    table: str
    written: tuple[str, ...]
    removed: tuple[str, ...]
    is_new: bool


@dataclass(frozen=True)
class ManifestDiff:
    """Difference between two states of a lake.

    Attributes:
        old: Current manifest; None if the lake is new.
        new: Manifest after the sync.
    """

    old: Manifest | None
    new: Manifest

    @property
    def changes(self) -> list[TableDiff]:
        """Differences per table, in the order in which tables are written."""
        known = self.known
        return [compare(name, known.get(name), table) for name, table in self.new.tables.items()]

    @property
    def known(self) -> Mapping[str, TableEntry]:
        """Tables of the current manifest."""
        return self.old.tables if self.old else {}


def compare(table: str, old: TableEntry | None, new: TableEntry) -> TableDiff:
    """Return the difference between two states of a table; changed columns affect all months."""
    if old is None or old.ddl != new.ddl:
        gone = set(old.partitions) - set(new.partitions) if old else set()
        return TableDiff(table, tuple(sorted(new.partitions)), tuple(sorted(gone)), is_new=True)
    written = [
        month
        for month, part in sorted(new.partitions.items())
        if month not in old.partitions or old.partitions[month].fingerprint != part.fingerprint
    ]
    gone = set(old.partitions) - set(new.partitions)
    return TableDiff(table, tuple(written), tuple(sorted(gone)), is_new=False)


_MANIFEST = "_tower_etl.json"
_IN_PROGRESS = "_tower_etl.begun"
_PREFIX = "_tower_etl."


class ManifestStore(Protocol):
    """Storage of the manifest of a lake."""

    @property
    def is_in_progress(self) -> bool:
        """Whether an interrupted sync may have left tables newer than the manifest."""
        ...

    def read(self) -> Manifest | None:
        """Return the manifest that was written last; None if the location is empty.

        Raises:
            ConfigurationError: The location contains other files.
        """
        ...

    def mark_in_progress(self) -> bool:
        """Write the in-progress marker, before anything else is written to the lake.

        Returns:
            Whether the marker existed, that is, `is_in_progress` before the call.
        """
        ...

    def write(self, manifest: Manifest, old: Manifest | None) -> None:
        """Replace the manifest atomically, and remove the in-progress marker.

        Args:
            manifest: New manifest.
            old: Manifest that `read` returned before.
        """
        ...


@dataclass(frozen=True)
class FileManifestStore:
    """Manifest as a file in the root of a local lake.

    Attributes:
        root: Folder of the lake.
        kind: Format of the lake.
    """

    root: Path
    kind: str

    @property
    def is_in_progress(self) -> bool:
        """Whether the marker exists."""
        return (self.root / _IN_PROGRESS).exists()

    def read(self) -> Manifest | None:
        """Return the manifest of the folder; see `ManifestStore`."""
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            if self.root.is_dir() and any(self.root.iterdir()) and not self.is_in_progress:
                raise _foreign_files_error(str(self.root)) from None
            return None
        return _load(text, self.kind, str(self.root))

    def mark_in_progress(self) -> bool:
        """Create the folder and the marker, and return whether the marker existed."""
        self.root.mkdir(exist_ok=True)
        was_interrupted = self.is_in_progress
        (self.root / _IN_PROGRESS).touch()
        return was_interrupted

    def write(self, manifest: Manifest, old: Manifest | None) -> None:
        """Rename a new file over the manifest, and remove the marker."""
        del old
        new = self._path.with_suffix(".new")
        new.write_text(manifest.dump(), encoding="utf-8")
        new.replace(self._path)
        (self.root / _IN_PROGRESS).unlink(missing_ok=True)

    @property
    def _path(self) -> Path:
        return self.root / _MANIFEST


@dataclass(frozen=True)
class ObjectManifestStore:
    """Manifest as an object in the root of a lake in a bucket.

    Attributes:
        bucket: Objects below the root of the lake.
        kind: Format of the lake.
    """

    bucket: ObjectStore
    kind: str

    @property
    def is_in_progress(self) -> bool:
        """Whether the marker exists."""
        return self.bucket.read(_IN_PROGRESS) is not None

    def read(self) -> Manifest | None:
        """Return the manifest of the folder in the bucket; see `ManifestStore`."""
        found = self.bucket.read(_MANIFEST)
        if found is not None:
            return replace(_load(found.text, self.kind, self.bucket.url), etag=found.etag)
        others = [name for name in self.bucket.list_names() if not name.startswith(_PREFIX)]
        if others and not self.is_in_progress:
            raise _foreign_files_error(self.bucket.url)
        return None

    def mark_in_progress(self) -> bool:
        """Create the marker unless it exists, and return whether it existed."""
        return self.bucket.put_if_match(_IN_PROGRESS, "", None) is None

    def write(self, manifest: Manifest, old: Manifest | None) -> None:
        """Replace the manifest if it is still the one that was read, and remove the marker.

        Raises:
            DestinationError: Another sync wrote a manifest in between.
        """
        if self.bucket.put_if_match(_MANIFEST, manifest.dump(), old.etag if old else None) is None:
            msg = f"Another sync wrote into {self.bucket.url} in the meantime. Run again."
            raise DestinationError(msg)
        self.bucket.remove(_IN_PROGRESS)


def detect_format(root: Path | ObjectStore) -> str | None:
    """Return the format of the lake in a folder or bucket; None if it has no manifest."""
    text = _read_file(root / _MANIFEST) if isinstance(root, Path) else _read_object(root)
    return load_manifest(text).kind if text else None


def _read_file(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _read_object(bucket: ObjectStore) -> str | None:
    found = bucket.read(_MANIFEST)
    return found.text if found else None


def _load(text: str, kind: str, root: str) -> Manifest:
    manifest = load_manifest(text)
    if manifest.kind != kind:
        msg = f"{root} contains {manifest.kind} tables, not {kind}. Choose another --path."
        raise ConfigurationError(msg)
    return manifest


def _foreign_files_error(root: str) -> ConfigurationError:
    return ConfigurationError(
        f"{root} contains other files. Choose another --path. Nothing was changed."
    )

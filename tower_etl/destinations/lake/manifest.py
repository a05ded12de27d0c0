"""Manifest of a lake: its tables, partitions and versions as the last sync left them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from tower_etl.errors import ConfigurationError, DestinationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tower_etl.destinations.local_folder import LocalFolder
    from tower_etl.destinations.object_store import ObjectStore

VERSION = 1
_MANIFEST = "_tower_etl.json"
_IN_PROGRESS = "_tower_etl.begun"
_PREFIX = "_tower_etl."


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
        etag: ETag of the object that the manifest was read from, None if it was not read.
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
        return [
            compare(name, self.current_tables.get(name), table)
            for name, table in self.new.tables.items()
        ]

    @property
    def current_tables(self) -> Mapping[str, TableEntry]:
        """Tables of the current manifest."""
        return self.old.tables if self.old else {}


def compare(table: str, old: TableEntry | None, new: TableEntry) -> TableDiff:
    """Return the difference between two states of a table; changed columns affect all months."""
    is_new = old is None or old.ddl != new.ddl
    old_partitions = old.partitions if old else {}
    written = [
        month
        for month, part in sorted(new.partitions.items())
        if is_new
        or month not in old_partitions
        or old_partitions[month].fingerprint != part.fingerprint
    ]
    removed = sorted(old_partitions.keys() - new.partitions.keys())
    return TableDiff(table, tuple(written), tuple(removed), is_new)


@dataclass(frozen=True)
class ManifestStore:
    """Manifest in the root of a lake, and the mark of a sync that is writing to it.

    Attributes:
        files: Files of the lake.
        kind: Format of the lake.
    """

    files: LocalFolder | ObjectStore
    kind: str

    @property
    def is_in_progress(self) -> bool:
        """Whether an interrupted sync may have left tables newer than the manifest."""
        return self.files.read(_IN_PROGRESS) is not None

    def read(self) -> Manifest | None:
        """Return the manifest that was written last; None if the location is empty.

        Raises:
            ConfigurationError: The location contains other files, or tables of another format.
        """
        stored = self.files.read(_MANIFEST)
        if stored is None:
            others = [name for name in self.files.list_names() if not name.startswith(_PREFIX)]
            if others and not self.is_in_progress:
                raise foreign_files_error(self.files)
            return None
        manifest = load_manifest(stored.text)
        if manifest.kind != self.kind:
            msg = (
                f"{self.files} contains {manifest.kind} tables, not {self.kind}. "
                "Choose another --path."
            )
            raise ConfigurationError(msg)
        return replace(manifest, etag=stored.etag)

    def mark_in_progress(self) -> bool:
        """Write the in-progress mark, before anything else is written to the lake.

        Returns:
            Whether the mark existed, that is, `is_in_progress` before the call.
        """
        return self.files.put_if_match(_IN_PROGRESS, "", None) is None

    def write(self, manifest: Manifest, old: Manifest | None) -> None:
        """Replace the manifest atomically, and remove the in-progress mark.

        Args:
            manifest: New manifest.
            old: Manifest that `read` returned before.

        Raises:
            DestinationError: Another sync wrote a manifest in between.
        """
        if self.files.put_if_match(_MANIFEST, manifest.dump(), old.etag if old else None) is None:
            msg = f"Another sync wrote into {self.files} in the meantime. Run again."
            raise DestinationError(msg)
        self.files.remove(_IN_PROGRESS)


def detect_format(files: LocalFolder | ObjectStore) -> str | None:
    """Return the format of the lake in a folder or bucket; None if it has no manifest."""
    stored = files.read(_MANIFEST)
    return load_manifest(stored.text).kind if stored else None


def foreign_files_error(root: object) -> ConfigurationError:
    """Return the error for a folder or bucket with files of other programs."""
    return ConfigurationError(
        f"{root} contains other files. Choose another --path. Nothing was changed."
    )

"""What a lake holds, as its last sync left it: the note that the next sync starts from."""

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
    """One month of a table.

    Attributes:
        fingerprint: Changes when a row does.
        file: Its file, where the lake keeps one; relative to the table.
    """

    fingerprint: str
    file: str = ""


@dataclass(frozen=True)
class TableEntry:
    """One table.

    Attributes:
        ddl: The statement that makes it in DuckDB.
        parts: By month.
        state: Which version of the table in the lake holds them, where the lake has versions.
    """

    ddl: str
    partitions: Mapping[str, PartitionEntry]
    state: str = ""


@dataclass(frozen=True)
class Manifest:
    """All tables.

    Attributes:
        kind: Of the lake.
        generation: Names this state of it.
        tables: By name, in the order in which they are written.
        tag: Names the version of the object that it was read from, where it was one.
    """

    kind: str
    snapshot: str
    tables: Mapping[str, TableEntry] = field(default_factory=dict)
    tag: str | None = field(default=None, compare=False)

    def dump(self) -> str:
        """Return the manifest as JSON, without the tag, which the store gives.

        The keys are those of version 1: folders of earlier versions stay readable, and these too.
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
    """What `dump` wrote.

    Raises:
        ConfigurationError: It is no such thing, or was written by a newer version.
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
        msg = f"The folder's manifest cannot be read ({error}): give another --path."
        raise ConfigurationError(msg) from None
    if version > VERSION:
        msg = "A newer tower-etl wrote this folder: `pip install --upgrade tower-etl`."
        raise ConfigurationError(msg)
    return manifest


@dataclass(frozen=True)
class TableDiff:
    """What has become different in one table.

    Attributes:
        table: Its name.
        written: Months whose rows are others, or new.
        removed: Months that are no more.
        is_new: Whether its columns are others, or it was not there.
    """

    table: str
    written: tuple[str, ...]
    removed: tuple[str, ...]
    is_new: bool


@dataclass(frozen=True)
class ManifestDiff:
    """From one state of a lake to the next.

    Attributes:
        old: What the lake holds; None where it is new.
        new: What it is to hold.
    """

    old: Manifest | None
    new: Manifest

    @property
    def changes(self) -> list[TableDiff]:
        """What is different, table by table, in the order in which they are written."""
        known = self.known
        return [compare(name, known.get(name), table) for name, table in self.new.tables.items()]

    @property
    def known(self) -> Mapping[str, TableEntry]:
        """The tables that the lake holds."""
        return self.old.tables if self.old else {}


def compare(table: str, old: TableEntry | None, new: TableEntry) -> TableDiff:
    """Which months must be written; all of them where columns changed."""
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


_NAME = "_tower_etl.json"
_BEGUN = "_tower_etl.begun"
_OURS = "_tower_etl."


class ManifestStore(Protocol):
    """Where the manifest of a lake is kept."""

    @property
    def is_in_progress(self) -> bool:
        """Whether a program was killed while it wrote to the lake: tables may be ahead of it."""
        ...

    def read(self) -> Manifest | None:
        """What was written last; None where there is nothing at all.

        Raises:
            ConfigurationError: Something else is there.
        """
        ...

    def mark_in_progress(self) -> bool:
        """Mark the place as ours and under way, before anything else is written there.

        Returns:
            Whether it was marked before, as `is_begun` says.
        """
        ...

    def write(self, manifest: Manifest, old: Manifest | None) -> None:
        """Replace it at one stroke, and take the mark away.

        Args:
            manifest: The new one.
            old: What `read` gave before.
        """
        ...


@dataclass(frozen=True)
class FileManifestStore:
    """A file in the root of a local lake.

    Attributes:
        root: The folder.
        kind: Of the lake.
    """

    root: Path
    kind: str

    @property
    def is_in_progress(self) -> bool:
        """Whether the mark is there."""
        return (self.root / _BEGUN).exists()

    def read(self) -> Manifest | None:
        """The manifest of a folder."""
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            if self.root.is_dir() and any(self.root.iterdir()) and not self.is_in_progress:
                raise _refuse(str(self.root)) from None
            return None
        return _load(text, self.kind, str(self.root))

    def mark_in_progress(self) -> bool:
        """Make the folder if need be."""
        self.root.mkdir(exist_ok=True)
        was_begun = self.is_in_progress
        (self.root / _BEGUN).touch()
        return was_begun

    def write(self, manifest: Manifest, old: Manifest | None) -> None:
        """Rename the new file over the old one."""
        del old
        draft = self._path.with_suffix(".new")
        draft.write_text(manifest.dump(), encoding="utf-8")
        draft.replace(self._path)
        (self.root / _BEGUN).unlink(missing_ok=True)

    @property
    def _path(self) -> Path:
        return self.root / _NAME


@dataclass(frozen=True)
class ObjectManifestStore:
    """An object in the root of a lake in a bucket.

    Attributes:
        bucket: The root.
        kind: Of the lake.
    """

    bucket: ObjectStore
    kind: str

    @property
    def is_in_progress(self) -> bool:
        """Whether the mark is there."""
        return self.bucket.read(_BEGUN) is not None

    def read(self) -> Manifest | None:
        """The manifest of a folder in a bucket."""
        found = self.bucket.read(_NAME)
        if found is not None:
            return replace(_load(found.text, self.kind, self.bucket.url), tag=found.etag)
        others = [name for name in self.bucket.list_names() if not name.startswith(_OURS)]
        if others and not self.is_in_progress:
            raise _refuse(self.bucket.url)
        return None

    def mark_in_progress(self) -> bool:
        """The store refuses to make what is there."""
        return self.bucket.put_if_match(_BEGUN, "", None) is None

    def write(self, manifest: Manifest, old: Manifest | None) -> None:
        """Put the new one in the place of the one that was read, and of no other.

        Raises:
            DestinationError: Another sync wrote one in between.
        """
        if self.bucket.put_if_match(_NAME, manifest.dump(), old.tag if old else None) is None:
            msg = f"Another sync has written into {self.bucket.url} meanwhile: run again."
            raise DestinationError(msg)
        self.bucket.remove(_BEGUN)


def detect_format(root: Path | ObjectStore) -> str | None:
    """Of which kind a lake in a folder is, here or in a bucket; None where it has no note."""
    text = _read_file(root / _NAME) if isinstance(root, Path) else _read_object(root)
    return load_manifest(text).kind if text else None


def _read_file(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _read_object(bucket: ObjectStore) -> str | None:
    found = bucket.read(_NAME)
    return found.text if found else None


def _load(text: str, kind: str, root: str) -> Manifest:
    manifest = load_manifest(text)
    if manifest.kind != kind:
        msg = f"{root} holds {manifest.kind}, not {kind}: give another --path."
        raise ConfigurationError(msg)
    return manifest


def _refuse(root: str) -> ConfigurationError:
    return ConfigurationError(
        f"{root} holds other things: give another --path. It was not touched."
    )

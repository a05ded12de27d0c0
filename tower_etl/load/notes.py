"""The manifest of a lake whose tables carry no note of ours: a file or an object beside them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tower_etl.errors import ConfigurationError, DestinationError
from tower_etl.load.manifest import load_manifest

if TYPE_CHECKING:
    from tower_etl.load.bucket import ObjectStore
    from tower_etl.load.manifest import Manifest

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
            UsageError: Something else is there.
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

"""Text files in a local folder, with the methods of `ObjectStore` for the same lake in a bucket."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class StoredObject:
    """Object or file as it was read.

    Attributes:
        text: Content of the object.
        etag: ETag of this version, empty for a local file.
    """

    text: str
    etag: str = ""


@dataclass(frozen=True)
class LocalFolder:
    """Files below a local folder, whose file lock excludes other syncs.

    Attributes:
        path: Path of the folder, which may not exist yet.
    """

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def read(self, name: str) -> StoredObject | None:
        """Return a file, or None if it does not exist."""
        try:
            return StoredObject((self.path / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None

    def put_if_match(self, name: str, text: str, etag: str | None) -> str | None:
        """Write a file; return None, and write nothing, if it exists although `etag` is None."""
        path = self.path / name
        if etag is None and path.exists():
            return None
        path.parent.mkdir(exist_ok=True)
        replace_text(path, text)
        return ""

    def remove(self, name: str) -> None:
        """Delete a file; do nothing if it does not exist."""
        (self.path / name).unlink(missing_ok=True)

    def list_names(self) -> list[str]:
        """Return the names of the files and folders at the top level."""
        return [entry.name for entry in self.path.iterdir()] if self.path.is_dir() else []

    def iter_objects(self, folder: str) -> Iterator[tuple[str, datetime]]:
        """Iterate over the names and modification times (UTC) of all files below a folder."""
        for entry in (self.path / folder).rglob("*"):
            if entry.is_file():
                name = entry.relative_to(self.path).as_posix()
                yield name, datetime.fromtimestamp(entry.stat().st_mtime, UTC)


def replace_text(path: Path, text: str) -> None:
    """Write a text file atomically, by renaming a new file over it."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)

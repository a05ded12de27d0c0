"""The manifest of a lake whose tables carry no note of ours: a file beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tower_etl.errors import UsageError
from tower_etl.load.manifest import load_manifest

if TYPE_CHECKING:
    from pathlib import Path

    from tower_etl.load.manifest import Manifest

_NAME = "_tower_etl.json"
_BEGUN = "_tower_etl.begun"


@dataclass(frozen=True)
class NoteFile:
    """A file in the root of a lake.

    Attributes:
        root: The folder.
        kind: Of the lake.
    """

    root: Path
    kind: str

    def read(self) -> Manifest | None:
        """What was written last; None for a folder that is empty or not there.

        Raises:
            UsageError: The folder holds something else.
        """
        try:
            manifest = load_manifest(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            if self.root.is_dir() and any(self.root.iterdir()) and not self._is_begun:
                msg = f"{self.root} holds other things: give another --path. It was not touched."
                raise UsageError(msg) from None
            return None
        if manifest.kind != self.kind:
            msg = f"{self.root} holds {manifest.kind}, not {self.kind}: give another --path."
            raise UsageError(msg)
        return manifest

    def begin(self) -> None:
        """Mark the folder as ours, before anything else is written there."""
        self.root.mkdir(exist_ok=True)
        (self.root / _BEGUN).touch()

    def write(self, manifest: Manifest) -> None:
        """Replace it at one stroke."""
        draft = self._path.with_suffix(".new")
        draft.write_text(manifest.dump(), encoding="utf-8")
        draft.replace(self._path)

    @property
    def _path(self) -> Path:
        return self.root / _NAME

    @property
    def _is_begun(self) -> bool:
        """Whether a first sync was killed before it wrote the note."""
        return (self.root / _BEGUN).exists()

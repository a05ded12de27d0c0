"""One writer, many readers: a sync writes to a draft, which then takes the place of the file.

DuckDB lets no process write to a file that another has open, even to read. So no sync ever opens
the published file to write: it copies it, writes to the copy, and renames the copy over it at the
end. A reader keeps the file that it opened and sees the new one when it opens it again. The cost
is the disk and time of one copy for each sync (none where the file system shares blocks).

A draft that a killed sync left behind is gone on with, as long as it was taken from the file that
stands there now. dlt's working folder is kept only while it speaks of that file, too.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from tower_etl.load.disk import sync_file

if TYPE_CHECKING:
    from pathlib import Path

    from tower_etl.load.target import Target

Identity = list[int] | None  # None: there is no file

_FICLONE = 0x40049409  # Linux: make one file share the blocks of another


@dataclass(frozen=True)
class Note:
    """What the draft and dlt's working folder speak of; kept beside them.

    Attributes:
        taken_from: The published file that the draft was taken from.
        published: The file that was published last, and that dlt's working folder agrees with; from
            the moment when a draft is taken until it is published, it agrees with none.
        views: What `apply_views` gave for those in the published file; empty where it is not known.
    """

    taken_from: Identity = field(default_factory=list)
    published: Identity = field(default_factory=list)
    views: str = ""


@dataclass(frozen=True)
class Publisher:
    """Takes a draft of the published file, and puts it in its place.

    Attributes:
        target: The file and the folder beside it.
    """

    target: Target

    def open_draft(self) -> None:
        """Make the draft ready to be written to."""
        published = _identify(self.target.path)
        note = self._read_note()
        if self.target.draft.exists() and note.taken_from == published:
            return
        self._discard_draft()
        if note.published != published:
            shutil.rmtree(self.target.pipelines, ignore_errors=True)
        is_ours = note.published == published and not _log_of(self.target.path).exists()
        self._write_note(Note(published, views=note.views if is_ours else ""))
        if published:
            # The log comes first: a draft that is there is whole.
            _copy_log(self.target.path, self.target.draft)
            _copy(self.target.path, self.target.draft)

    def start_over(self) -> None:
        """Throw the draft away, with all that dlt knows of it, and take a new one."""
        self._discard_draft()
        self._write_note(Note())
        self.open_draft()

    @property
    def views(self) -> str:
        """What is known of the views in the draft."""
        return self._read_note().views

    def publish(self, views: str = "") -> None:
        """Let the draft, closed and without a log, take the place of the file.

        Args:
            views: What `apply_views` gave for those in the draft.
        """
        taken_from = self._read_note().taken_from
        sync_file(self.target.draft)
        self._write_note(Note(taken_from, _identify(self.target.draft), views))
        self.target.draft.replace(self.target.path)
        _log_of(self.target.path).unlink(missing_ok=True)  # it belongs to the file replaced
        sync_file(self.target.path.parent)

    def _discard_draft(self) -> None:
        for path in (self.target.draft, _log_of(self.target.draft)):
            path.unlink(missing_ok=True)

    @property
    def _note_path(self) -> Path:
        return self.target.folder / "draft.json"

    def _read_note(self) -> Note:
        try:
            return Note(**json.loads(self._note_path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return Note()

    def _write_note(self, note: Note) -> None:
        part = self._note_path.with_suffix(".part")
        part.write_text(json.dumps(asdict(note)), encoding="utf-8")
        sync_file(part)
        part.replace(self._note_path)


def _identify(path: Path) -> Identity:
    """What tells a file from any other that may stand at its path; renaming does not change it."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return [found.st_ino, found.st_size, found.st_mtime_ns]


def _log_of(path: Path) -> Path:
    return path.with_name(path.name + ".wal")


def _copy_log(source: Path, copy: Path) -> None:
    """A program that wrote to the published file may have left part of it in a log."""
    if _log_of(source).exists():
        shutil.copyfile(_log_of(source), _log_of(copy))


def _copy(source: Path, copy: Path) -> None:
    """Copy a file, sharing its blocks where the file system can."""
    part = copy.with_name(copy.name + ".part")
    with source.open("rb") as reading, part.open("wb") as writing:
        try:
            fcntl.ioctl(writing.fileno(), _FICLONE, reading.fileno())
        except OSError:
            shutil.copyfileobj(reading, writing, 1 << 24)
    shutil.copymode(source, part)
    part.replace(copy)

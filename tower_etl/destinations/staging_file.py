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
import logging
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tower_etl.files import fsync_file

if TYPE_CHECKING:
    from pathlib import Path

    from tower_etl.destinations.duckdb_paths import DuckDBPaths

_logger = logging.getLogger(__name__)

FileIdentity = list[int] | None  # None: there is no file

_FICLONE = 0x40049409  # Linux: make one file share the blocks of another


@dataclass(frozen=True)
class StagingRecord:
    """What the draft and dlt's working folder speak of; kept beside them.

    Attributes:
        taken_from: The published file that the draft was taken from.
        published: The file that was published last, and that dlt's working folder agrees with; from
            the moment when a draft is taken until it is published, it agrees with none.
        views: What `apply_views` gave for those in the published file; empty where it is not known.
    """

    source: FileIdentity = field(default_factory=list)
    published: FileIdentity = field(default_factory=list)
    views: str = ""


@dataclass(frozen=True)
class StagingFile:
    """Takes a draft of the published file, and puts it in its place.

    Attributes:
        target: The file and the folder beside it.
    """

    target: DuckDBPaths

    def prepare(self) -> None:
        """Make the draft ready to be written to."""
        published = _identify(self.target.path)
        note = self._read_record()
        if self.target.staging.exists() and note.source == published:
            return
        self._discard()
        if note.published != published:
            shutil.rmtree(self.target.pipelines, ignore_errors=True)
        is_ours = note.published == published and not _wal_path(self.target.path).exists()
        self._write_record(StagingRecord(published, views=note.views if is_ours else ""))
        if published:
            # The log comes first: a draft that is there is whole.
            _copy_wal(self.target.path, self.target.staging)
            _copy(self.target.path, self.target.staging)

    def reset(self) -> None:
        """Throw the draft away, with all that dlt knows of it, and take a new one."""
        self._discard()
        self._write_record(StagingRecord())
        self.prepare()

    @property
    def views(self) -> str:
        """What is known of the views in the draft."""
        return self._read_record().views

    def publish(self, views: str = "") -> None:
        """Let the draft, closed and without a log, take the place of the file.

        Args:
            views: What `apply_views` gave for those in the draft.
        """
        taken_from = self._read_record().source
        fsync_file(self.target.staging)
        self._write_record(StagingRecord(taken_from, _identify(self.target.staging), views))
        self.target.staging.replace(self.target.path)
        _logger.info("Published %s", self.target.path)
        _wal_path(self.target.path).unlink(missing_ok=True)  # it belongs to the file replaced
        fsync_file(self.target.path.parent)

    def _discard(self) -> None:
        for path in (self.target.staging, _wal_path(self.target.staging)):
            path.unlink(missing_ok=True)

    @property
    def _record_path(self) -> Path:
        return self.target.work_dir / "draft.json"

    def _read_record(self) -> StagingRecord:
        try:
            found = json.loads(self._record_path.read_text(encoding="utf-8"))
            return StagingRecord(found["taken_from"], found["published"], found["views"])
        except (OSError, ValueError, TypeError, KeyError):
            return StagingRecord()

    def _write_record(self, note: StagingRecord) -> None:
        part = self._record_path.with_suffix(".part")
        stored = {"taken_from": note.source, "published": note.published, "views": note.views}
        part.write_text(json.dumps(stored), encoding="utf-8")
        fsync_file(part)
        part.replace(self._record_path)


def _identify(path: Path) -> FileIdentity:
    """What tells a file from any other that may stand at its path; renaming does not change it."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return [found.st_ino, found.st_size, found.st_mtime_ns]


def _wal_path(path: Path) -> Path:
    return path.with_name(path.name + ".wal")


def _copy_wal(source: Path, copy: Path) -> None:
    """A program that wrote to the published file may have left part of it in a log."""
    if _wal_path(source).exists():
        shutil.copyfile(_wal_path(source), _wal_path(copy))


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

"""One writer and many readers: a sync writes to a staging copy, then renames it over the file.

DuckDB does not allow a process to write to a file that another process has open, even read-only.
Therefore no sync opens the published file for writing: it copies the file, writes to the copy, and
renames the copy over the file at the end. A reader keeps the file that it opened, and sees the new
one when it reopens it. The cost is the disk space and time of one copy per sync, or none on file
systems with reflinks.

The staging copy of an interrupted sync is resumed if it was made from the currently published file.
dlt's working folder is kept only if it belongs to that file too.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tower_etl.errors import DestinationLockedError
from tower_etl.files import fsync_file, is_held_open

if TYPE_CHECKING:
    from pathlib import Path

    from tower_etl.destinations.duckdb_files import DuckDBPaths

_logger = logging.getLogger(__name__)

FileIdentity = list[int] | None  # inode, bytes, mtime in ns; None if there is no file

_ATTEMPTS, _WAIT_SECONDS = 5, 0.5  # a reader on Windows may just be ending
_COPIED_BYTES = 1 << 26  # per system call


@dataclass(frozen=True)
class StagingRecord:
    """Files that the staging copy and dlt's working folder belong to; stored beside them.

    Attributes:
        source: Published file from which the staging copy was made.
        published: File that was published last, to which dlt's working folder belongs; empty from
            the creation of a staging copy to its publication.
        views: Digest of the views in the published file, as returned by `apply_views`; empty if
            unknown.
    """

    source: FileIdentity = field(default_factory=list)
    published: FileIdentity = field(default_factory=list)
    views: str = ""


@dataclass(frozen=True)
class StagingFile:
    """Staging copy of a published DuckDB file.

    Attributes:
        paths: Paths of the file and of the folder beside it.
    """

    paths: DuckDBPaths

    def prepare(self) -> None:
        """Create the staging copy, or keep that of an interrupted sync."""
        published = identify_file(self.paths.path)
        record = self._read_record()
        if self.paths.staging.exists() and record.source == published:
            return
        self._discard()
        if record.published != published:
            shutil.rmtree(self.paths.pipelines, ignore_errors=True)
        log = _wal_path(self.paths.path)
        is_unchanged = record.published == published and not log.exists()
        self._write_record(StagingRecord(published, views=record.views if is_unchanged else ""))
        if published:
            # The write-ahead log is copied first: a staging copy that exists is then complete.
            if log.exists():  # another program has left it
                shutil.copyfile(log, _wal_path(self.paths.staging))
            _copy(self.paths.path, self.paths.staging)

    def reset(self) -> None:
        """Replace the staging copy and dlt's working folder by new ones."""
        self._discard()
        self._write_record(StagingRecord())
        self.prepare()

    @property
    def views(self) -> str:
        """Digest of the views in the staging copy, empty if unknown."""
        return self._read_record().views

    def publish(self, views: str = "") -> None:
        """Rename the staging copy, which must be closed and have no log, over the published file.

        Args:
            views: Digest of the views in the staging copy, as returned by `apply_views`.

        Raises:
            DestinationLockedError: On Windows, another program has the published file open.
        """
        source = self._read_record().source
        fsync_file(self.paths.staging)
        self._write_record(StagingRecord(source, identify_file(self.paths.staging), views))
        # The record is written first: after an interruption here, the staging copy is resumed.
        self._replace_published()
        _logger.info("Published %s", self.paths.path)
        _wal_path(self.paths.path).unlink(missing_ok=True)  # it belongs to the replaced file
        fsync_file(self.paths.path.parent)

    def _replace_published(self) -> None:
        """Rename the staging copy over the published file.

        Raises:
            DestinationLockedError: Windows does not allow it while a reader has the file open.
        """
        for attempt in range(_ATTEMPTS):
            try:
                self.paths.staging.replace(self.paths.path)
            except PermissionError as error:
                if not is_held_open(error):
                    raise
                time.sleep(attempt * _WAIT_SECONDS)
            else:
                return
        msg = (
            f"{self.paths.path} is open in another program, and Windows does not replace an open "
            "file. The rows of this sync are kept beside it. Close that program and run the same "
            "command again, which publishes them."
        )
        raise DestinationLockedError(msg)

    def _discard(self) -> None:
        for path in (self.paths.staging, _wal_path(self.paths.staging)):
            path.unlink(missing_ok=True)

    @property
    def _record_path(self) -> Path:
        return self.paths.work_dir / "draft.json"

    def _read_record(self) -> StagingRecord:
        try:
            stored = json.loads(self._record_path.read_text(encoding="utf-8"))
            return StagingRecord(stored["taken_from"], stored["published"], stored["views"])
        except (OSError, ValueError, TypeError, KeyError):
            return StagingRecord()

    def _write_record(self, record: StagingRecord) -> None:
        part = self._record_path.with_suffix(".part")
        stored = {"taken_from": record.source, "published": record.published, "views": record.views}
        part.write_text(json.dumps(stored), encoding="utf-8")
        fsync_file(part)
        part.replace(self._record_path)


def identify_file(path: Path) -> FileIdentity:
    """Return the identity of a file at a path, which renaming the file does not change."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return [status.st_ino, status.st_size, status.st_mtime_ns]


def _wal_path(path: Path) -> Path:
    return path.with_name(path.name + ".wal")


def _copy(source: Path, copy: Path) -> None:
    """Copy a file, with shared blocks if the file system supports reflinks."""
    part = copy.with_name(copy.name + ".part")
    with source.open("rb") as reading, part.open("wb") as writing:
        if not _copy_in_kernel(reading.fileno(), writing.fileno()):
            reading.seek(0)
            writing.seek(0)
            shutil.copyfileobj(reading, writing, _COPIED_BYTES)
    shutil.copymode(source, part)
    part.replace(copy)


def _copy_in_kernel(source: int, copy: int) -> bool:
    """Copy a file by descriptor within the kernel; return False if that is not supported."""
    if not hasattr(os, "copy_file_range"):
        return False
    try:
        while os.copy_file_range(source, copy, _COPIED_BYTES):
            pass
    except OSError:
        return False
    return True

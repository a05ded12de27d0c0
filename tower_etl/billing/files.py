"""Discovery of export files: local or in S3, given as files, folders or patterns.

An export that keeps earlier versions of a period has a subfolder for each version. Only the newest
version is read, because reading several would count the same costs more than once.
"""

from __future__ import annotations

import glob
import re
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tower_etl.errors import ConfigurationError
from tower_etl.text import install_command

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tower_etl.destinations.object_store import ObjectStore

SUFFIXES = (".parquet", ".csv", ".csv.gz")

_PERIODS = (
    re.compile(r"(?:^|/)billing_period=(\d{4}-\d{2})(?:/|$)", re.IGNORECASE),
    re.compile(r"(?:^|/)(\d{4})(\d{2})\d{2}-\d{8}(?:/|$)"),
    re.compile(r"(?:^|/)year=(\d{4})/month=(\d{1,2})(?:/|$)"),
)


@dataclass(frozen=True)
class ExportFile:
    """A file of an export.

    Attributes:
        name: Path or URL.
        written_at: Modification time (UTC).
    """

    name: str
    written_at: datetime

    @property
    def is_local(self) -> bool:
        """Whether the file is in the file system, not in S3."""
        return not self.name.startswith("s3://")

    @property
    def period(self) -> str | None:
        """Billing period in the path, or None if the path has none."""
        match = self._find_period()
        if match is None:
            return None
        year, _, month = "-".join(match.groups()).partition("-")
        return f"{year}-{int(month):02}"

    @property
    def version(self) -> tuple[str, str]:
        """Folder of the period, and the version subfolder below it (empty if there is none)."""
        folder, _, _ = self.name.rpartition("/")
        match = self._find_period()
        if match is None:
            return folder, ""
        return self.name[: match.end()], folder[match.end() :]

    def _find_period(self) -> re.Match[str] | None:
        return next((m for pattern in _PERIODS if (m := pattern.search(self.name))), None)


def list_files(sources: Iterable[str]) -> tuple[list[ExportFile], list[str]]:
    """Return the files to read, and warnings about those that are skipped.

    Args:
        sources: Files, folders (read recursively) and patterns, local or `s3://bucket/folder`.

    Raises:
        ConfigurationError: A source contains no export file.
    """
    found: dict[str, ExportFile] = {}
    for source in sources:
        files = list(_list_bucket(source) if source.startswith("s3://") else _list_local(source))
        if not files:
            kinds = ", ".join(SUFFIXES)
            msg = f"{source} has no file of an export: expected {kinds}. Check the path."
            raise ConfigurationError(msg)
        found |= {file.name: file for file in files}
    return _drop_old_versions(sorted(found.values(), key=lambda file: file.name))


@contextmanager
def open_file(file: ExportFile) -> Iterator[Path]:
    """Yield a local path of the file; a file in S3 is downloaded to a temporary folder."""
    if file.is_local:
        yield Path(file.name)
        return
    folder, _, name = file.name.rpartition("/")
    with tempfile.TemporaryDirectory(prefix="tower-etl-bill-") as temporary:
        path = Path(temporary) / name
        _open_bucket(folder).download(name, path)
        yield path


def _list_local(source: str) -> Iterator[ExportFile]:
    path = Path(source).expanduser()
    if path.is_dir():
        paths = [entry for entry in path.rglob("*") if not _is_hidden(entry.relative_to(path))]
    else:
        paths = [path] if path.exists() else [Path(p) for p in glob.glob(str(path))]  # noqa: PTH207 absolute patterns
    for entry in paths:
        if entry.is_file() and entry.name.endswith(SUFFIXES):
            written_at = datetime.fromtimestamp(entry.stat().st_mtime, UTC)
            yield ExportFile(str(entry.absolute()), written_at)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.parts)


def _list_bucket(source: str) -> Iterator[ExportFile]:
    if source.endswith(SUFFIXES):
        folder, _, name = source.rpartition("/")
        objects = [o for o in _open_bucket(folder).iter_objects("") if o[0] == name]
        yield from (ExportFile(source, written_at) for _, written_at in objects)
        return
    root = source.rstrip("/")
    for name, written_at in _open_bucket(root).iter_objects(""):
        if name.endswith(SUFFIXES):
            yield ExportFile(f"{root}/{name}", written_at)


def _open_bucket(url: str) -> ObjectStore:
    try:
        from tower_etl.destinations.object_store import open_bucket  # noqa: PLC0415 an extra
    except ImportError as error:
        msg = f"Reading S3 needs the package {error.name}. Run: {install_command('s3')}"
        raise ConfigurationError(msg) from None
    return open_bucket(url)


def _drop_old_versions(files: list[ExportFile]) -> tuple[list[ExportFile], list[str]]:
    versions: dict[str, dict[str, datetime]] = {}
    for file in files:
        period, version = file.version
        times = versions.setdefault(period, {})
        times[version] = max(file.written_at, times.get(version, file.written_at))
    newest = {period: max(times, key=times.__getitem__) for period, times in versions.items()}
    warnings = [
        f"{period}: {len(times)} versions of one billing period; only the newest is read "
        f"({newest[period] or 'the folder itself'})."
        for period, times in versions.items()
        if len(times) > 1
    ]
    return [file for file in files if file.version[1] == newest[file.version[0]]], warnings

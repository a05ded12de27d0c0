"""Checks of a path before anything is written or requested."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from tower_etl.errors import ConfigurationError
from tower_etl.files import may_access, refused_path_error, user_id

if TYPE_CHECKING:
    from collections.abc import Mapping

# Characters that were found to break DuckDB or dlt, and additional ones per lake format.
_UNSUPPORTED = "%?\\"
_UNSUPPORTED_BY_FORMAT: Mapping[str, str] = {
    "delta": f"{_UNSUPPORTED}[]|^",
    "iceberg": f"{_UNSUPPORTED}#",
}
_PARTITIONED = frozenset({"parquet", "delta", "iceberg"})
# Control characters, and surrogates, which stand for invalid UTF-8.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def check_characters(kind: str, path: Path | str) -> None:
    """Reject a path with a character that DuckDB, dlt or the library of a format does not support.

    Args:
        kind: Type of the destination.
        path: Absolute path, because the characters of parent folders matter too.

    Raises:
        ConfigurationError: The path has such a character, which the message names.
    """
    unsupported = _UNSUPPORTED_BY_FORMAT.get(kind, _UNSUPPORTED)
    for character in str(path).replace(os.sep, "/"):  # Windows separates folders by a backslash
        if character in unsupported or _UNPRINTABLE.match(character):
            msg = (
                f"Unsupported character {character!r} in the path {str(path)!r}: a {kind} "
                f"destination does not support it. Choose a --path without control characters and "
                f"without any of {' '.join(unsupported)}."
            )
            raise ConfigurationError(msg)
    if kind in _PARTITIONED and (match := re.search(r"[^/=]+=[^/]*", str(path))):
        msg = (
            f"Unsupported folder name {match[0]!r} in the path {str(path)!r}: programs that read a "
            "folder of tables take it for a column. Choose a --path without `=`."
        )
        raise ConfigurationError(msg)


def check_parent(parent: Path) -> None:
    """Reject a folder that does not exist.

    Raises:
        ConfigurationError: The folder does not exist.
        FileAccessError: The path is a file.
    """
    try:
        mode = parent.stat().st_mode
    except FileNotFoundError:
        msg = f"The folder {parent} does not exist. Create it, or choose another --path."
        raise ConfigurationError(msg) from None
    if not stat.S_ISDIR(mode):
        raise refused_path_error(errno.ENOTDIR, parent)


def check_readable(path: Path) -> None:
    """Reject a file that this user may not read.

    Raises:
        FileAccessError: The file is not readable.
    """
    if not may_access(path, os.R_OK):
        raise refused_path_error(errno.EACCES, path)


def check_writable(folder: Path) -> None:
    """Reject a folder in which this user may not create files.

    Raises:
        FileAccessError: The folder is not writable, or its file system is read-only.
    """
    if hasattr(os, "statvfs") and os.statvfs(folder).f_flag & os.ST_RDONLY:
        raise refused_path_error(errno.EROFS, folder)
    if not may_access(folder, os.W_OK | os.X_OK):
        raise refused_path_error(errno.EACCES, folder)


def check_working(folder: Path) -> None:
    """Reject a working folder that is a file or not writable.

    Raises:
        FileAccessError: The path is a file, or the folder is not writable.
    """
    if folder.is_dir():
        check_writable(folder)
    elif os.path.lexists(folder):
        raise refused_path_error(errno.EEXIST, folder)


def check_replaceable(path: Path) -> None:
    """Reject a file of another user in a folder with the sticky bit, such as `/tmp`.

    Raises:
        FileAccessError: A sync could not rename a new file over it.
    """
    folder = path.parent.stat()
    owners = {path.stat().st_uid, folder.st_uid, 0}
    if folder.st_mode & stat.S_ISVTX and user_id() not in owners:
        raise refused_path_error(errno.EPERM, path)


def explain_unpublished(path: Path | str) -> str:
    """Return why a destination may lack tables although a sync was started; empty if none was.

    The folder of the staging copy exists before the first tables are published.
    """
    given = Path(path).expanduser()
    if any(Path(f"{resolved}.sync").exists() for resolved in (given.absolute(), given.resolve())):
        return (
            "A sync into it was started: it is running or was interrupted, or the tables were "
            "removed. Unless it is running, run the same `tower-etl sync` command again."
        )
    return ""

"""Whether a path can be written to, as far as that shows before anything is written or called."""

from __future__ import annotations

import errno
import os
import re
import stat
from typing import TYPE_CHECKING

from tower_etl.errors import ConfigurationError
from tower_etl.os_errors import refuse_path

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# Each was tried: what breaks in DuckDB or dlt, and then in the library of a format.
_WORKING = "%?\\"
_REFUSED: Mapping[str, str] = {
    "delta": f"{_WORKING}[]|^",
    "iceberg": f"{_WORKING}#",
}
_PARTITIONED = frozenset({"parquet", "delta", "iceberg"})
_FIRST_PRINTABLE = " "
_DELETE = "\x7f"


def check_characters(kind: str, path: Path | str) -> None:
    """Refuse a path with a character that some library between it and the disk cannot take.

    Args:
        kind: Of the destination.
        path: Absolute, because the folders above count as well.

    Raises:
        ConfigurationError: It has one; the message names it.
    """
    refused = _REFUSED.get(kind, _WORKING)
    for character in str(path):
        if character in refused or not _is_printable(character):
            msg = (
                f"Unsupported character {character!r} in the path {str(path)!r}: a {kind} "
                f"destination cannot be in it. Choose a --path without control characters and "
                f"without any of {' '.join(refused)}."
            )
            raise ConfigurationError(msg)
    if kind in _PARTITIONED and (found := re.search(r"[^/=]+=[^/]*", str(path))):
        msg = (
            f"Unsupported folder name {found[0]!r} in the path {str(path)!r}: programs that read a "
            "folder of tables take it for a column. Choose a --path without `=`."
        )
        raise ConfigurationError(msg)


def _is_printable(character: str) -> bool:
    """Whether it is neither a control character nor half of one that is not UTF-8."""
    is_surrogate = "\ud800" <= character <= "\udfff"
    return character >= _FIRST_PRINTABLE and character != _DELETE and not is_surrogate


def check_parent(parent: Path) -> None:
    """Refuse a folder that is not there.

    Raises:
        ConfigurationError: It does not exist.
        FileAccessError: It is a file.
    """
    try:
        mode = parent.stat().st_mode
    except FileNotFoundError:
        msg = f"The folder {parent} does not exist: create it, or give another --path."
        raise ConfigurationError(msg) from None
    if not stat.S_ISDIR(mode):
        raise refuse_path(errno.ENOTDIR, parent)


def check_readable(path: Path) -> None:
    """Refuse a file that this user may not read.

    Raises:
        FileAccessError: They may not.
    """
    if not os.access(path, os.R_OK):
        raise refuse_path(errno.EACCES, path)


def check_writable(folder: Path) -> None:
    """Refuse a folder in which this user may make no file.

    Raises:
        FileAccessError: They may not, or the file system is read-only.
    """
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        raise refuse_path(errno.EROFS, folder)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise refuse_path(errno.EACCES, folder)


def check_working(folder: Path) -> None:
    """Refuse a working folder that is a file, or of another user.

    Raises:
        FileAccessError: It is.
    """
    if folder.is_dir():
        check_writable(folder)
    elif os.path.lexists(folder):
        raise refuse_path(errno.EEXIST, folder)


def check_replaceable(path: Path) -> None:
    """Refuse a file of another user in a folder with the sticky bit, as `/tmp` has it.

    Raises:
        FileAccessError: A sync could not put a new file in its place.
    """
    folder = path.parent.stat()
    owners = {path.stat().st_uid, folder.st_uid, 0}
    if folder.st_mode & stat.S_ISVTX and os.geteuid() not in owners:
        raise refuse_path(errno.EPERM, path)

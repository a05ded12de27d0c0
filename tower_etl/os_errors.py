"""What errors of the operating system mean to a user: the file, the cause and the remedy."""

from __future__ import annotations

import errno
import os
import re
from typing import TYPE_CHECKING

from tower_etl.errors import FileAccessError, StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping

_AGAIN = "then run the same command again; committed data is safe"
_OWNER = "Change its owner or mode (chown, chmod), or choose another path"
_FREE = f"Free disk space, {_AGAIN}"

# Numbers that stay until somebody changes something, with the remedy.
_REFUSALS: Mapping[int, str] = {
    errno.EACCES: _OWNER,
    errno.EPERM: _OWNER,
    errno.EROFS: "Mount it writable, or choose another path",
    errno.ENOENT: "Create its folder, or choose another path",
    errno.EEXIST: "Move it away, or choose another path",
    errno.ENOTDIR: "A part of the path is a file: move that away, or choose another path",
    errno.EISDIR: "Move the folder away, or choose another path",
    errno.ENAMETOOLONG: "Choose a shorter path: most file systems allow 255 bytes for a name",
    errno.ELOOP: "Mend the symbolic links, or choose another path",
    errno.EINVAL: "Choose another path or another file system",
    errno.EILSEQ: "Choose a path without unusual characters",
    errno.EXDEV: "Choose a path that is on one file system",
    errno.EOPNOTSUPP: "Choose a path on another file system",
    errno.ENOSYS: "Choose a path on another file system",
}
# Numbers that tell of the state of the machine, with the remedy.
_SHORTAGES: Mapping[int, str] = {
    errno.ENOSPC: _FREE,
    errno.EDQUOT: f"Free disk space or have the quota raised, {_AGAIN}",
    errno.EFBIG: f"Raise the limit of file sizes (ulimit -f), {_AGAIN}",
    errno.ENOMEM: f"Free memory or raise its limit, {_AGAIN}",
    errno.EMFILE: f"Raise the limit of open files (ulimit -n), {_AGAIN}",
    errno.ENFILE: f"Raise the limit of open files of the machine, {_AGAIN}",
    errno.EIO: f"Look at the device and at the system log, {_AGAIN}",
    errno.ESTALE: f"Mount the file system again, {_AGAIN}",
    errno.ENOTCONN: f"Mount the file system again, {_AGAIN}",
    errno.EBUSY: f"Close the program that uses it, {_AGAIN}",
    errno.ENOLCK: f"Use a file system with locks, {_AGAIN}",
}
_NUMBER = re.compile(r"\[errno (\d+)\]|\(os error (\d+)\)|\berrno:? (\d+)", re.IGNORECASE)
_PHRASES: Mapping[str, int] = {
    os.strerror(number).lower(): number
    for number in (
        *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EMFILE, errno.ENFILE, errno.ENOMEM),
        *(errno.EROFS, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EIO),
    )
}
_PATH = re.compile(r"[\"'](/[^\"'\\]+)")


def explain_os_error(
    error: BaseException, place: str = ""
) -> FileAccessError | StorageError | None:
    """Return the error of the tree for an error of the operating system.

    Libraries that are not written in Python pass such errors on as text, which is searched for the
    number or the words of the system.

    Args:
        error: Any exception.
        place: What is named where the error names no file.

    Returns:
        None where it is no error of a file, as a broken pipe or a lost connection.
    """
    number = find_number(error)
    if number is None:
        return None
    where = _find_path(error) or place or "a file"
    if number in _REFUSALS:
        return refuse_path(number, where)
    if number in _SHORTAGES:
        return StorageError(f"{os.strerror(number)}: {where}. {_SHORTAGES[number]}.")
    return None


def refuse_path(number: int, path: object) -> FileAccessError:
    """Return the error for a path that the system refuses, or will refuse.

    Args:
        number: Of the system's error.
        path: The file or folder.
    """
    user = f" (user id {os.geteuid()})" if _REFUSALS[number] is _OWNER else ""
    return FileAccessError(f"{os.strerror(number)}: {path}{user}. {_REFUSALS[number]}.")


def find_number(error: BaseException) -> int | None:
    """Return the number of the system's error in an exception, None where there is none."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    if isinstance(error, MemoryError):
        return errno.ENOMEM
    if type(error).__module__ == "builtins" and not isinstance(error, OSError):
        return None
    text = str(error)
    if found := _NUMBER.search(text):
        return int(next(digits for digits in found.groups() if digits))
    lowered = text.lower()
    return next((number for phrase, number in _PHRASES.items() if phrase in lowered), None)


def _find_path(error: BaseException) -> str | None:
    if isinstance(error, OSError) and error.filename is not None:
        return (
            os.fsdecode(error.filename)
            if isinstance(error.filename, bytes)
            else str(error.filename)
        )
    found = _PATH.search(str(error))
    return found[1] if found else None

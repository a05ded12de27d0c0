"""Files: flushing to disk, differences of Windows, and errors of the operating system explained."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from tower_etl.errors import FileAccessError, StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAGIC_AT, _MAGIC = 8, b"DUCK"  # signature of a DuckDB file, after the checksum of its header
_HELD_OPEN = frozenset({5, 32})  # ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION

_AGAIN = "then run the same command again; committed data is safe"
_OWNER = "Change its owner or mode (chown, chmod), or choose another path"
_FREE = f"Free disk space, {_AGAIN}"
# Error numbers that recur until somebody changes the file or path, with the remedy.
_REFUSALS: Mapping[int, str] = {
    errno.EACCES: _OWNER,
    errno.EPERM: _OWNER,
    errno.EROFS: "Mount the file system writable, or choose another path",
    errno.ENOENT: "Create the folder of the path, or choose another path",
    errno.EEXIST: "Move the existing file or folder, or choose another path",
    errno.ENOTDIR: "A part of the path is a file: move that file, or choose another path",
    errno.EISDIR: "Move the folder, or choose another path",
    errno.ENAMETOOLONG: "Choose a shorter path: most file systems allow 255 bytes for a name",
    errno.ELOOP: "Repair the symbolic links, or choose another path",
    errno.EINVAL: "Choose another path or another file system",
    errno.EILSEQ: "Choose a path without unusual characters",
    errno.EXDEV: "Choose a path that is on one file system",
    errno.EOPNOTSUPP: "Choose a path on another file system",
    errno.ENOSYS: "Choose a path on another file system",
}
# Error numbers that depend on the state of the machine, with the remedy.
_SHORTAGES: Mapping[int, str] = {
    errno.ENOSPC: _FREE,
    errno.EDQUOT: f"Free disk space or raise the quota, {_AGAIN}",
    errno.EFBIG: f"Raise the limit of file sizes (ulimit -f), {_AGAIN}",
    errno.ENOMEM: f"Free memory or raise the memory limit, {_AGAIN}",
    errno.EMFILE: f"Raise the limit of open files (ulimit -n), {_AGAIN}",
    errno.ENFILE: f"Raise the machine's limit of open files, {_AGAIN}",
    errno.EIO: f"Check the device and the system log, {_AGAIN}",
    errno.ESTALE: f"Mount the file system again, {_AGAIN}",
    errno.ENOTCONN: f"Mount the file system again, {_AGAIN}",
    errno.EBUSY: f"Close the program that uses the file, {_AGAIN}",
    errno.ENOLCK: f"Use a file system that supports locks, {_AGAIN}",
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


def fsync_file(path: Path) -> None:
    """Flush a file, or the directory entries of a folder, to disk.

    Windows cannot open a folder, and needs no flush of one.
    """
    if os.name == "nt" and path.is_dir():
        return
    # A rename is durable only after the fsync of its folder, not after that of the file alone.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_tree(folder: Path) -> None:
    """Flush all files and folders below a folder to disk, deepest first, then the folder."""
    for root, _, names in os.walk(folder, topdown=False):
        for name in names:
            fsync_file(Path(root) / name)
        fsync_file(Path(root))


def may_access(path: Path, mode: int) -> bool:
    """Return whether this process may access a path in the ways of `mode`, such as `os.W_OK`.

    `os.access` alone asks for the real user, without the capabilities of the process.
    """
    has_effective_ids = os.access in os.supports_effective_ids
    return os.access(path, mode, effective_ids=has_effective_ids)


def user_id() -> int | None:
    """Return the effective id of the user, None on Windows."""
    return os.geteuid() if hasattr(os, "geteuid") else None


def is_held_open(error: OSError) -> bool:
    """Return whether Windows refused to replace a file because another program has it open."""
    return getattr(error, "winerror", None) in _HELD_OPEN


def is_duckdb_file(path: Path) -> bool:
    """Return whether a file is readable and starts with the signature of DuckDB.

    A named pipe is not opened: that would wait for a writer.
    """
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(_MAGIC_AT + len(_MAGIC))[_MAGIC_AT:] == _MAGIC
    except OSError:
        return False


def explain_os_error(
    error: BaseException, default_path: str = ""
) -> FileAccessError | StorageError | None:
    """Return the package's error for an error of the operating system.

    Libraries that are not written in Python (DuckDB, Arrow, delta-rs) report such errors as text
    only, so the text is searched for the system's error number or message.

    Args:
        error: Any exception.
        default_path: Path to name in the message if the error names none.

    Returns:
        None for any error that does not concern a file, such as a broken pipe or a lost connection.
    """
    number = find_number(error)
    if number is None:
        return None
    path = _find_path(error) or default_path or "a file"
    if number in _REFUSALS:
        return refused_path_error(number, path)
    if number in _SHORTAGES:
        return StorageError(f"{os.strerror(number)}: {path}. {_SHORTAGES[number]}.")
    return None


def refused_path_error(number: int, path: object) -> FileAccessError:
    """Return the error for a path that the operating system refuses, or is going to refuse.

    Args:
        number: `errno` of the refusal.
        path: File or folder.
    """
    user = f" (user id {user_id()})" if _REFUSALS[number] is _OWNER else ""
    return FileAccessError(f"{os.strerror(number)}: {path}{user}. {_REFUSALS[number]}.")


def find_number(error: BaseException) -> int | None:
    """Return the `errno` that an exception carries or quotes, None without one."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    if isinstance(error, MemoryError):
        return errno.ENOMEM
    if type(error).__module__ == "builtins" and not isinstance(error, OSError):
        return None
    text = str(error)
    if match := _NUMBER.search(text):
        return int(next(digits for digits in match.groups() if digits))
    lowered = text.lower()
    return next((number for phrase, number in _PHRASES.items() if phrase in lowered), None)


def _find_path(error: BaseException) -> str | None:
    if isinstance(error, OSError) and error.filename is not None:
        return (
            os.fsdecode(error.filename)
            if isinstance(error.filename, bytes)
            else str(error.filename)
        )
    match = _PATH.search(str(error))
    return match[1] if match else None

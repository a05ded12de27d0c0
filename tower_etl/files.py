"""Files: flushing to disk, so that they survive a power failure, and what Windows does not have."""

from __future__ import annotations

import os
from pathlib import Path

_HELD_OPEN = frozenset({5, 32})  # ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION


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

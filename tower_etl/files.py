"""Flushing of files and folders to disk, so that they survive a power failure."""

from __future__ import annotations

import os
from pathlib import Path


def fsync_file(path: Path) -> None:
    """Flush a file, or the directory entries of a folder, to disk."""
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

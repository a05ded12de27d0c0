"""Making sure that what was written outlasts a power cut."""

from __future__ import annotations

import os
from pathlib import Path


def fsync_file(path: Path) -> None:
    """Have the disk hold a file, or the names in a folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def fsync_tree(folder: Path) -> None:
    """Have it hold all below a folder, deepest first."""
    for root, _, names in os.walk(folder, topdown=False):
        for name in names:
            fsync_file(Path(root) / name)
        fsync_file(Path(root))

"""Progress of a running sync, stored next to its destination for `tower-etl status`.

A destination shows nothing before its first sync is published, which may take hours.
"""

from __future__ import annotations

import json
import os
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tower_etl.destinations.local_folder import replace_text

if TYPE_CHECKING:
    from pathlib import Path

    from tower_etl.destinations.config import DestinationConfig

_NAME = "progress.json"
_OUTDATED_SECONDS = 90.0  # the writer was killed, since it writes every few seconds


@dataclass(frozen=True)
class RunningSync:
    """Sync that is writing to a destination.

    Attributes:
        pid: Id of its process.
        host: Machine that it runs on.
        progress: Runs, tasks and calls so far, and the estimated time left.
    """

    pid: int
    host: str
    progress: str

    def as_json(self) -> dict[str, Any]:
        """Return the object `running` of `status --json`."""
        return {"pid": self.pid, "host": self.host, "progress": self.progress}


def write_progress(folder: Path, progress: str) -> None:
    """Record the progress of this process; a folder that cannot be written is ignored."""
    record = RunningSync(os.getpid(), socket.gethostname(), progress).as_json()
    with suppress(OSError):
        replace_text(folder / _NAME, json.dumps(record))


def clear_progress(folder: Path) -> None:
    """Delete the record at the end of a sync."""
    with suppress(OSError):
        (folder / _NAME).unlink(missing_ok=True)


def read_progress(config: DestinationConfig) -> RunningSync | None:
    """Return the sync that is writing to a local destination, None if there is none."""
    if config.work_dir is None:
        return None
    path = config.work_dir / _NAME
    try:
        if time.time() - path.stat().st_mtime > _OUTDATED_SECONDS:
            return None
        running = RunningSync(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return None if running.host == socket.gethostname() and _has_ended(running.pid) else running


def _has_ended(pid: int) -> bool:
    """Return whether a process of this machine has ended; Windows offers no harmless check."""
    if os.name == "nt":
        return False
    try:
        os.kill(pid, 0)
    except OSError as error:  # PermissionError: the process of another user
        return isinstance(error, ProcessLookupError)
    return False

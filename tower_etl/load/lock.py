"""One sync per target: a lock of the operating system, which dies with its holder."""

from __future__ import annotations

import json
import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from tower_etl.errors import DestinationLockedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path


@contextmanager
def file_lock(folder: Path, target: str, now: datetime) -> Iterator[None]:
    """Hold the lock of a target's folder, which is made if need be.

    The holder's name stands in a file of its own: the lock file is emptied by whoever tries it.

    Raises:
        TargetBusyError: Another sync holds it; the message names that one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        msg = (
            f"Another sync is writing into {target}: {_read_holder(folder)}. "
            "This one changed nothing; run it again when the other is done."
        )
        raise DestinationLockedError(msg) from None
    try:
        _write_holder(folder, now)
        yield
    finally:
        lock.release()


def _write_holder(folder: Path, now: datetime) -> None:
    holder = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": f"{now:%Y-%m-%dT%H:%M:%SZ}",
    }
    draft = folder / "holder.json.new"
    draft.write_text(json.dumps(holder), encoding="utf-8")
    draft.replace(folder / "holder.json")


def _read_holder(folder: Path) -> str:
    try:
        holder = json.loads((folder / "holder.json").read_text(encoding="utf-8"))
        return f"process {holder['pid']} on {holder['host']}, since {holder['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "a process that has just started"

"""Where the ledger of calls is kept: in memory, or in a file that all processes of a machine share.

A shared ledger tells wall-clock time: it is the one clock that processes, and machines with a
common home, agree on. Nobody holds the ledger while waiting, so that one who crashes, or is stopped
in the middle, leaves nothing behind but the call that was under way.
"""

from __future__ import annotations

import logging
import os
import threading
from io import FileIO
from typing import TYPE_CHECKING, Protocol, TypeVar

import orjson
from filelock import FileLock

from tower_etl.clock import SYSTEM_CLOCK
from tower_etl.errors import UnreachableError
from tower_etl.http.rate import Ledger, forget_future

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tower_etl.clock import Clock

Result = TypeVar("Result")

_UNSHARED = (
    "The budget of calls is not shared with other syncs of this machine: %s cannot be used (%s)."
)
_POLL_SECONDS = 0.001
_MOST_BYTES = 8192  # of a ledger in a file


class LedgerStore(Protocol):
    """Keeps a ledger for all who share it, and changes it for one of them at a time.

    Attributes:
        one_way: Whether all who share it take the same way to the server.
    """

    one_way: bool

    def change(self, change: Callable[[Ledger, float], tuple[Ledger, Result]]) -> Result:
        """Change the ledger, given it and the present moment in seconds of its clock."""
        ...


class MemoryLedger:
    """Shared by the threads of one process; tells monotonic time."""

    one_way = True

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._ledger = Ledger()

    def change(self, change: Callable[[Ledger, float], tuple[Ledger, Result]]) -> Result:
        """Change the ledger; see `LedgerStore`."""
        with self._lock:
            self._ledger, result = change(self._ledger, self._clock.monotonic())
            return result


class FileLedger:
    """Shared by the processes of one user on one machine; tells wall-clock time."""

    one_way = True

    def __init__(self, path: Path, clock: Clock = SYSTEM_CLOCK) -> None:
        """Keep the ledger in that file, which is made, with its folder, for its owner alone.

        Raises:
            OSError: The folder or the file cannot be made.
            NotImplementedError: The file system knows no locks.
        """
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = path
        self._clock = clock
        self._turn = threading.Lock()
        self._lock = FileLock(f"{path}.lock", mode=0o600, poll_interval=_POLL_SECONDS)
        with self._lock, self._open():
            pass  # both can be had

    def change(self, change: Callable[[Ledger, float], tuple[Ledger, Result]]) -> Result:
        """Change the ledger; see `LedgerStore`.

        Raises:
            UnreachableError: The file cannot be read or written.
        """
        try:
            with self._turn, self._lock:
                return self._change_locked(change)
        except OSError as error:
            msg = (
                f"The ledger of calls {self._path} cannot be used ({error.strerror}). "
                "Free its disk, or set TOWER_ETL_BUDGET=process."
            )
            raise UnreachableError(msg) from error

    def _change_locked(self, change: Callable[[Ledger, float], tuple[Ledger, Result]]) -> Result:
        now = self._clock.now().timestamp()
        with self._open() as file:
            before = forget_future(decode_ledger(file.read()), now)
            after, result = change(before, now)
            if after is not before:
                file.seek(0)
                file.write(encode_ledger(after).ljust(_MOST_BYTES))  # over whatever was longer
        return result

    def _open(self) -> FileIO:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
        return FileIO(os.open(self._path, flags, 0o600), "r+")


def open_ledger(place: Path | str | None, name: str, clock: Clock) -> LedgerStore:
    """The ledger of that name, kept in a folder, at the address of a Redis, or (None) in memory.

    Where the folder cannot be used, the sync goes on with a ledger of its own, and says so.

    Raises:
        UsageError: The address cannot be used.
    """
    if place is None:
        return MemoryLedger(clock)
    if isinstance(place, str):
        from tower_etl.http.fleet import RedisLedger  # noqa: PLC0415 an extra

        return RedisLedger(place, name)
    try:
        return FileLedger(place / name, clock)
    except (OSError, NotImplementedError) as error:
        logging.getLogger("tower_etl").warning(_UNSHARED, place, error)
        return MemoryLedger(clock)


def encode_ledger(ledger: Ledger) -> bytes:
    """The ledger as JSON."""
    return orjson.dumps(ledger)


def decode_ledger(written: bytes | str | None) -> Ledger:
    """The ledger in a JSON text; an empty one where there is none, or not a sound one."""
    try:
        found = orjson.loads(written or b"")
        calls = zip(found["departures"], found["arrivals"], strict=True)
        departures, arrivals = zip(*calls, strict=True) if found["departures"] else ((), ())
        moments = (float(found[name]) for name in ("paused_until", "refused_at", "slowness"))
        return Ledger(tuple(map(float, departures)), tuple(map(float, arrivals)), *moments)
    except (orjson.JSONDecodeError, TypeError, KeyError, ValueError):
        return Ledger()

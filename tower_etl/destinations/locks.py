"""Locks that allow one sync per destination: a file lock, and a lease in an object store.

The operating system releases a file lock when its process ends, even if it is killed. An object
store has no such locks, so a lease expires unless its holder renews it.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import uuid
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from tower_etl.clock import SYSTEM_CLOCK
from tower_etl.destinations.local_folder import replace_text
from tower_etl.errors import (
    ConfigurationError,
    DestinationError,
    DestinationLockedError,
    TowerEtlError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tower_etl.clock import Clock
    from tower_etl.destinations.object_store import ObjectStore

_logger = logging.getLogger(__name__)


@contextmanager
def file_lock(folder: Path, title: str, now: datetime) -> Iterator[None]:
    """Hold the lock of a folder, which is created if it does not exist.

    The holder is described in a second file, because filelock truncates the lock file on each
    attempt to acquire it.

    Raises:
        DestinationLockedError: Another sync holds the lock; the message names its process.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise locked_error(title, _read_holder(folder)) from None
    try:
        replace_text(folder / "holder.json", json.dumps(_describe_process(now)))
        _logger.debug("Locked %s", folder)
        yield
    finally:
        lock.release()


def locked_error(title: str, holder: str, note: str = "") -> DestinationLockedError:
    """Return the error for a destination that another sync holds.

    Args:
        title: Name of the destination.
        holder: Name of the process of the other sync.
        note: Further sentence, after a space.
    """
    return DestinationLockedError(
        f"Another sync is writing into {title}: {holder}. This sync changed nothing. "
        f"Run it again when the other one has finished.{note}"
    )


def _read_holder(folder: Path) -> str:
    try:
        return _name_process(json.loads((folder / "holder.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return _name_process({})


def _describe_process(since: datetime) -> dict[str, Any]:
    """Return this process as JSON for other syncs."""
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": f"{since:%Y-%m-%dT%H:%M:%SZ}",
    }


def _name_process(holder: Any) -> str:  # noqa: ANN401 JSON values
    """Return the name of the process that holds a lock in messages."""
    try:
        return f"process {holder['pid']} on {holder['host']}, since {holder['since']}"
    except (KeyError, TypeError):
        return "a process that has just started"


NAME = "_tower_etl.lock"
LEASE = timedelta(minutes=2)  # four renewals
SKEW = timedelta(minutes=1)  # tolerated difference between the clocks of two machines
RENEW_SECONDS = 30.0
_ATTEMPTS = 3  # another sync may release or acquire the lease between read and write


class WriterLock:
    """Lock against syncs of other machines into a lake; a local lake needs none.

    The file lock of the staging copy excludes syncs of this machine, and the operating system holds
    it for the lifetime of the process.
    """

    def hold(self, clock: Clock) -> AbstractContextManager[None]:
        """Return a context that holds the lock."""
        del clock
        return nullcontext()

    def check(self) -> None:
        """Verify before a commit that the lock is still held.

        Raises:
            DestinationError: The lock was lost.
        """


@dataclass
class ObjectStoreLease(WriterLock):
    """Lease on a lake in an object store: an object with an expiry time, replaced conditionally.

    Attributes:
        bucket: Folder of the lake in the object store.
        folder: Folder of the staging copy, which stores the id of this machine. A sync takes over
            the lease of an interrupted one of the same machine immediately, because the file lock
            of the folder guarantees that no other is running.
    """

    bucket: ObjectStore
    folder: Path
    _id: str = field(default_factory=lambda: uuid.uuid4().hex)
    _etag: str | None = None
    _since: datetime = field(default_factory=SYSTEM_CLOCK.now)
    _clock: Clock = SYSTEM_CLOCK
    _renewal_lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @contextmanager
    def hold(self, clock: Clock) -> Iterator[None]:
        """Acquire the lease, renew it in a thread, and release it at the end.

        Raises:
            DestinationLockedError: Another sync holds the lease; the message names its process.
            ConfigurationError: The store is unreachable, or does not support conditional writes.
        """
        self.acquire(clock)
        _logger.debug("Acquired the lease on %s", self.folder)
        ended = threading.Event()
        renewal = threading.Thread(target=self._keep_renewing, args=(ended,), daemon=True)
        renewal.start()
        try:
            yield
        finally:
            ended.set()
            renewal.join()
            self.release()

    def acquire(self, clock: Clock) -> None:
        """Acquire the lease if nobody holds it, or if it has expired.

        Raises:
            DestinationLockedError: Another sync holds the lease.
            ConfigurationError: The store is unreachable, or does not support conditional writes.
        """
        self._clock = clock
        self._since = clock.now()
        for _ in range(_ATTEMPTS):
            stored = self.bucket.read(NAME)
            holder = _parse(stored.text) if stored else {}
            if stored and not self._can_acquire(holder):
                break
            if self._write(stored.etag if stored else None):
                # Some S3-compatible stores accept conditional headers and ignore them.
                self._check_conditional_put()
                return
        note = f" The lock of a killed sync expires after {(LEASE + SKEW).seconds // 60} minutes."
        raise locked_error(self.bucket.url, _name_process(holder), note)

    def renew(self) -> bool:
        """Extend the lease, and return whether this sync still held it."""
        with self._renewal_lock:
            return self._etag is not None and self._write(self._etag)

    def check(self) -> None:
        """Renew the lease, which fails if another sync has acquired it.

        Raises:
            DestinationError: The lease was lost; nothing may be written any more.
        """
        if not self.renew():
            msg = (
                f"Lost the lock on {self.bucket.url}: this sync was suspended too long and "
                "another sync may have started. Committed data is safe. Run the same command again."
            )
            raise DestinationError(msg)

    def release(self) -> None:
        """Release the lease; if the store is unreachable, the lease expires."""
        with suppress(TowerEtlError):
            if self.renew():
                self.bucket.remove(NAME)
        self._etag = None

    def _write(self, etag: str | None) -> bool:
        self._etag = self.bucket.put_if_match(NAME, self._payload(), etag)
        if self._etag is None:  # after a lost response, the retried write fails its condition
            stored = self.bucket.read(NAME)
            if stored and _parse(stored.text).get("id") == self._id:
                self._etag = stored.etag
        return self._etag is not None

    def _check_conditional_put(self) -> None:
        """Reject a store that ignores `If-None-Match` and overwrites an existing object.

        Raises:
            ConfigurationError: The store ignored the condition.
        """
        if self.bucket.put_if_match(NAME, self._payload(), None) is not None:
            self.bucket.remove(NAME)
            msg = (
                f"{self.bucket.url}: this object store does not honour If-None-Match, which the "
                "lock against concurrent syncs relies on. Choose another store."
            )
            raise ConfigurationError(msg)

    def _payload(self) -> str:
        """Return the content of the lease object; its expiry time makes each ETag a new one."""
        holder = {
            "id": self._id,
            "owner": self._machine_id,
            **_describe_process(self._since),
            "until": (self._clock.now() + LEASE).isoformat(),
        }
        return json.dumps(holder)

    def _can_acquire(self, holder: dict[str, Any]) -> bool:
        # The host is compared too, because machines may share or copy a state folder.
        if (holder.get("owner"), holder.get("host")) == (self._machine_id, socket.gethostname()):
            return True
        with suppress(KeyError, TypeError, ValueError):
            return self._clock.now() > datetime.fromisoformat(holder["until"]) + SKEW
        return False

    @property
    def _machine_id(self) -> str:
        """Random id of this machine's syncs into this lake, created by the first of them."""
        path = self.folder / "owner"
        if not path.exists():
            path.write_text(uuid.uuid4().hex, encoding="utf-8")
        return path.read_text(encoding="utf-8")

    def _keep_renewing(self, ended: threading.Event) -> None:
        while not ended.wait(RENEW_SECONDS):
            with suppress(TowerEtlError):  # retried at the next interval; `check` reports a loss
                if not self.renew():
                    return


def _parse(text: str) -> dict[str, Any]:
    with suppress(ValueError):
        holder = json.loads(text)
        if isinstance(holder, dict):
            return holder
    return {}

"""One sync per target: a lock of the operating system, which dies with its holder."""

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
from typing import TYPE_CHECKING, Any, Protocol

from filelock import FileLock, Timeout

from tower_etl.clock import SYSTEM_CLOCK
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
def file_lock(folder: Path, target: str, now: datetime) -> Iterator[None]:
    """Hold the lock of a target's folder, which is made if need be.

    The holder's name stands in a file of its own: the lock file is emptied by whoever tries it.

    Raises:
        DestinationLockedError: Another sync holds it; the message names that one.
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
        _logger.debug("Locked %s", folder)
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


NAME = "_tower_etl.lock"
LEASE = timedelta(minutes=2)
SKEW = timedelta(minutes=1)
RENEW_SECONDS = 30.0
_ATTEMPTS = 3


class WriterLock(Protocol):
    """What keeps other machines out of a lake."""

    def hold(self, clock: Clock) -> AbstractContextManager[None]:
        """Keep them out; those of this machine are kept out already."""
        ...

    def check(self) -> None:
        """Make sure, before something is committed, that they are.

        Raises:
            DestinationError: They are not.
        """
        ...


class NoLock:
    """A folder of this machine, which the lock of its working copy guards alone."""

    def hold(self, clock: Clock) -> AbstractContextManager[None]:
        """Nothing more is to be done."""
        del clock
        return nullcontext()

    def check(self) -> None:
        """The lock of the operating system lasts as long as the process."""


@dataclass
class ObjectStoreLease:
    """The right to write to a lake in a bucket, for a time.

    Attributes:
        bucket: Where the lake is.
        folder: The working copy's, in which the name of this machine's syncs is kept: what a killed
            one of them held is theirs again at once, because one at a time holds the folder.
    """

    bucket: ObjectStore
    folder: Path
    _id: str = field(default_factory=lambda: uuid.uuid4().hex)
    _tag: str | None = None
    _since: datetime | None = None
    _clock: Clock = SYSTEM_CLOCK
    _turn: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @contextmanager
    def hold(self, clock: Clock) -> Iterator[None]:
        """Take the lease, renew it in a thread, and give it back.

        Raises:
            DestinationLockedError: Another sync has it; the message names that one.
            ConfigurationError: The store cannot be reached, or knows no conditions.
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
        """Take it if nobody has it, or has let it run out."""
        self._clock = clock
        self._since = clock.now()
        for _ in range(_ATTEMPTS):
            found = self.bucket.read(NAME)
            holder = _parse(found.text) if found else {}
            if found and not self._can_acquire(holder):
                break
            if self._write(found.etag if found else None):
                self._verify_conditional_put()
                return
        raise DestinationLockedError(_describe(self.bucket.url, holder))

    def renew(self) -> bool:
        """Have it for some more time; whether it was still ours."""
        with self._turn:
            return self._tag is not None and self._write(self._tag)

    def check(self) -> None:
        """Renew it: where another sync took it, the store says so.

        Raises:
            DestinationError: It was lost; nothing may be written any more.
        """
        if not self.renew():
            msg = (
                f"The lock of {self.bucket.url} was lost: this sync stood still for minutes, and "
                "another one may have begun. What is committed stays; run again."
            )
            raise DestinationError(msg)

    def release(self) -> None:
        """Give it back; an unreachable store lets it run out instead."""
        with suppress(TowerEtlError):
            if self.renew():
                self.bucket.remove(NAME)
        self._tag = None

    def _write(self, seen: str | None) -> bool:
        self._tag = self.bucket.put_if_match(NAME, self._payload(), seen)
        if self._tag is None:  # an answer that was lost looks like another sync's success
            found = self.bucket.read(NAME)
            if found and _parse(found.text).get("id") == self._id:
                self._tag = found.etag
        return self._tag is not None

    def _verify_conditional_put(self) -> None:
        """Refuse a store that overwrites what it was told to make only if it is not there."""
        if self.bucket.put_if_match(NAME, self._payload(), None) is not None:
            self.bucket.remove(NAME)
            msg = f"{self.bucket.url}: this store heeds no If-None-Match, which keeps syncs apart."
            raise ConfigurationError(msg)

    def _payload(self) -> str:
        """Who has it and until when, different each time."""
        holder = {
            "id": self._id,
            "owner": self._machine_id,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": f"{self._since:%Y-%m-%dT%H:%M:%SZ}",
            "until": (self._clock.now() + LEASE).isoformat(),
        }
        return json.dumps(holder)

    def _can_acquire(self, holder: dict[str, Any]) -> bool:
        if (holder.get("owner"), holder.get("host")) == (self._machine_id, socket.gethostname()):
            return True
        with suppress(KeyError, TypeError, ValueError):
            return self._clock.now() > datetime.fromisoformat(holder["until"]) + SKEW
        return False

    @property
    def _machine_id(self) -> str:
        """The name of this machine's syncs into this lake, made by the first of them."""
        path = self.folder / "owner"
        if not path.exists():
            path.write_text(uuid.uuid4().hex, encoding="utf-8")
        return path.read_text(encoding="utf-8")

    def _keep_renewing(self, ended: threading.Event) -> None:
        while not ended.wait(RENEW_SECONDS):
            with suppress(TowerEtlError):  # the next time may go better; `check` has the last word
                if not self.renew():
                    return


def _parse(text: str) -> dict[str, Any]:
    with suppress(ValueError):
        found = json.loads(text)
        if isinstance(found, dict):
            return found
    return {}


def _describe(url: str, holder: dict[str, Any]) -> str:
    named = (
        f"process {holder['pid']} on {holder['host']}, since {holder['since']}"
        if {"pid", "host", "since"} <= holder.keys()
        else "a process that has just started"
    )
    return (
        f"Another sync is writing into {url}: {named}. This one changed nothing; run it again when "
        f"the other is done. One that was killed holds it for {(LEASE + SKEW).seconds // 60} "
        "minutes more at most."
    )

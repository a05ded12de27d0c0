"""Deadlines that one thread looks after; a thread for each would be work for every call."""

from __future__ import annotations

import math
import os
import socket
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import requests

if TYPE_CHECKING:
    from collections.abc import Callable

    Act = Callable[[], None]
    from collections.abc import Callable, Iterator


class DeadlineScheduler:
    """Does what is to be done at a deadline, unless it is taken back before.

    Deadlines are of this machine's own clock: what they end is a real connection.
    """

    def __init__(self) -> None:
        self._due: dict[object, tuple[float, Act]] = {}
        self._turn = threading.Condition()
        self._wakes = math.inf  # when the thread looks next
        self._thread: threading.Thread | None = None

    def schedule(self, seconds: float, act: Act) -> object:
        """Have something done that many seconds from now.

        Args:
            seconds: From now.
            act: What is done, by the thread of all deadlines: it must be quick, and not raise.

        Returns:
            What `remove` takes back.
        """
        key, at = object(), time.monotonic() + seconds
        with self._turn:
            self._due[key] = at, act
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()
            elif at < self._wakes:
                self._turn.notify()
        return key

    def cancel(self, key: object) -> None:
        """Take it back; once this returns, it is done or never will be."""
        with self._turn:
            self._due.pop(key, None)

    def _run(self) -> None:
        with self._turn:
            while True:
                now = time.monotonic()
                for key in [key for key, (at, _) in self._due.items() if at <= now]:
                    _, act = self._due.pop(key)
                    act()
                self._wakes = min((at for at, _ in self._due.values()), default=math.inf)
                self._turn.wait(None if math.isinf(self._wakes) else self._wakes - now)


MAX_BODY_BYTES = 32 * 2**20  # decompressed; a page of 100 tasks has some 0.3 MB
_PIECE_BYTES = 2**20  # most answers in one go: each piece has a wait of its own

_SCHEDULER = DeadlineScheduler()


class BodyTooLargeError(requests.RequestException):
    """The body has more bytes than any answer of the platform."""


class DeadlineExceededError(Exception):
    """The answer was under way, and took too long as a whole. No OSError: urllib3 keeps those."""


def read_body(response: requests.Response, max_bytes: int) -> bytes:
    """The body, decompressed piece by piece, so that no bomb unfolds.

    Raises:
        BodyTooLargeError: It has more bytes than that.
        RequestException: It broke off, or cannot be decompressed.
    """
    body = bytearray()
    for piece in response.iter_content(_PIECE_BYTES):
        body += piece
        if len(body) > max_bytes:
            response.close()
            raise BodyTooLargeError
    return bytes(body)


@contextmanager
def deadline(seconds: float, find: Callable[[], socket.socket | None]) -> Iterator[None]:
    """Shut the connection that `find` gives when the block is not done by then.

    Raises:
        DeadlineExceededError: It was cut; what was read of it may be half.
    """
    over = threading.Event()

    def cut() -> None:
        over.set()
        if connection := find():
            with suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    deadline = _SCHEDULER.schedule(seconds, cut)
    try:
        yield
    except Exception:
        if not over.is_set():
            raise
    finally:
        _SCHEDULER.cancel(deadline)
    if over.is_set():
        raise DeadlineExceededError


@contextmanager
def duplicate_socket(response: requests.Response) -> Iterator[socket.socket | None]:
    """A second handle of the connection of an answer, None where nothing is left to be read.

    The first one may be closed, and its number given to another file, while it is looked at.
    """
    try:
        handle = os.dup(response.raw.fileno())
    except (AttributeError, OSError, ValueError):
        yield None
        return
    with socket.socket(fileno=handle) as connection:
        yield connection

"""Deadlines of requests, enforced by one thread for all requests in flight.

The time-outs of requests limit only the time between two bytes, so that a slow response could take
forever. Timer threads for each request would cost 55 µs; this scheduler costs 4 µs.
"""

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
    from collections.abc import Callable, Iterator

    Callback = Callable[[], None]


class DeadlineScheduler:
    """Scheduler that runs callbacks at their deadlines, unless they are cancelled before.

    It uses the system's clock instead of `Clock`, because the deadlines end real connections.
    """

    def __init__(self) -> None:
        self._due: dict[object, tuple[float, Callback]] = {}
        self._condition = threading.Condition()
        self._wakes_at = math.inf  # next time at which the thread checks the deadlines
        self._thread: threading.Thread | None = None

    def schedule(self, seconds: float, callback: Callback) -> object:
        """Run a callback after a number of seconds, and return a key for `cancel`.

        The thread of all deadlines runs the callback, which must be fast and must not raise.
        """
        key, at = object(), time.monotonic() + seconds
        with self._condition:
            self._due[key] = at, callback
            # Started on first use, so that importing the package starts no thread.
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()
            elif at < self._wakes_at:
                self._condition.notify()
        return key

    def cancel(self, key: object) -> None:
        """Cancel a callback; after the return, it has finished or will never run."""
        with self._condition:
            self._due.pop(key, None)

    def _run(self) -> None:
        with self._condition:
            while True:
                now = time.monotonic()
                for key in [key for key, (at, _) in self._due.items() if at <= now]:
                    _, callback = self._due.pop(key)
                    # Run with the lock held, so that `cancel` cannot return in the middle.
                    callback()
                self._wakes_at = min((at for at, _ in self._due.values()), default=math.inf)
                self._condition.wait(None if math.isinf(self._wakes_at) else self._wakes_at - now)


MAX_BODY_BYTES = 32 * 2**20  # decompressed; a page of 100 tasks has about 0.3 MB
_CHUNK_BYTES = 2**20  # most responses fit in one chunk, so that there is one wait per response

_SCHEDULER = DeadlineScheduler()


class BodyTooLargeError(requests.RequestException):
    """Body with more bytes than any response of the platform."""


class DeadlineExceededError(Exception):
    """Response that took too long as a whole; not an OSError, because urllib3 catches those."""


def read_body(response: requests.Response, max_bytes: int) -> bytes:
    """Return the decompressed body, read in chunks so that a decompression bomb is detected early.

    Raises:
        BodyTooLargeError: The body has more than `max_bytes` bytes.
        RequestException: The body was cut off, or cannot be decompressed.
    """
    body = bytearray()
    for chunk in response.iter_content(_CHUNK_BYTES):
        body += chunk
        if len(body) > max_bytes:
            response.close()
            raise BodyTooLargeError
    return bytes(body)


@contextmanager
def deadline(seconds: float, find: Callable[[], socket.socket | None]) -> Iterator[None]:
    """Shut down the connection that `find` returns if the block takes longer than the deadline.

    Raises:
        DeadlineExceededError: The connection was shut down; data read from it may be incomplete.
    """
    exceeded = threading.Event()

    def shut_down() -> None:
        exceeded.set()
        if connection := find():
            with suppress(OSError):
                # The unbound method: `SSLSocket.shutdown` would discard the TLS state of a
                # connection from which another thread is reading.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    key = _SCHEDULER.schedule(seconds, shut_down)
    try:
        yield
    except Exception:
        if not exceeded.is_set():
            raise
    finally:
        _SCHEDULER.cancel(key)
    if exceeded.is_set():
        raise DeadlineExceededError


@contextmanager
def duplicate_socket(response: requests.Response) -> Iterator[socket.socket | None]:
    """Yield a duplicate of the socket of a response, None if nothing is left to read.

    urllib3 may close the original socket at any time, and the system may then give its file
    descriptor to another file, which a late shutdown would hit.
    """
    try:
        descriptor = os.dup(response.raw.fileno())
    except (AttributeError, OSError, ValueError):
        yield None
        return
    with socket.socket(fileno=descriptor) as connection:
        yield connection

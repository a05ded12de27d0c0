"""The body of an answer, read with an end: so many bytes, and so long.

A time-out between two bytes does not end an answer of one byte a second, and no time-out ends
headers, or chunks of nothing, that go on for ever. So the connection itself is cut.
"""

from __future__ import annotations

import os
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import requests

from tower_etl.http.watch import DeadlineScheduler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
        OversizedBodyError: It has more bytes than that.
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
        LongCallError: It was cut; what was read of it may be half.
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

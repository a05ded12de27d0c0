"""Stores of the request window: in memory, in a folder of one machine, or in Redis.

A store that processes share uses wall-clock time, because monotonic clocks of processes on
different machines do not agree. No process holds a lock, so that a process that crashes or is
suspended during an update leaves nothing behind except the call in flight.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from io import FileIO
from typing import TYPE_CHECKING, Protocol, TypeVar
from urllib.parse import urlsplit

import orjson

from tower_etl.clock import SYSTEM_CLOCK
from tower_etl.errors import ApiConnectionError, ConfigurationError
from tower_etl.http.rate_limit.policy import RequestWindow, drop_future_entries
from tower_etl.text import install_command

if TYPE_CHECKING:
    from pathlib import Path

    from tower_etl.clock import Clock

Result = TypeVar("Result")
Change = Callable[[RequestWindow, float], tuple[RequestWindow, Result]]
"""Maps the window and the time, in seconds of the store's clock, to the new window and a result."""

_NOT_SHARED = (
    "The rate limit is not shared with other syncs on this machine: the folder %s cannot be used "
    "(%s). Make it writable, or set TOWER_ETL_BUDGET=process to count calls per process."
)
_TEMPORARY = "draft-"
_TEMPORARY_SECONDS = 60.0  # age after which the process that wrote the file is certainly gone
_KEPT_VERSIONS = 64  # a process that was suspended meanwhile must find its next number taken


class RateLimitStore(Protocol):
    """Store of a request window with atomic updates, shared by several clients.

    Attributes:
        shared_network_path: Whether all clients reach the server over the same network path.
    """

    shared_network_path: bool

    def update(self, change: Change[Result]) -> Result:
        """Update the window atomically, and return the result of the change that was stored.

        The change may be called several times.
        """
        ...


class MemoryStore:
    """Store that the threads of one process share; uses monotonic time."""

    shared_network_path = True

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._window = RequestWindow()

    def update(self, change: Change[Result]) -> Result:
        """Update the window atomically; see `RateLimitStore`."""
        with self._lock:
            self._window, result = change(self._window, self._clock.monotonic())
            return result


class FileStore:
    """Store that the processes of one user on one machine share; uses wall-clock time.

    Each version of the window is a file with a number as its name. The process that is the first to
    create the file of the next number has made the update (optimistic concurrency). A lock file
    would block all others while its holder is suspended or waits for the CPU.
    """

    shared_network_path = True

    def __init__(self, folder: Path, clock: Clock = SYSTEM_CLOCK) -> None:
        """Create the folder, with access for its owner only, and check that it can be used.

        Raises:
            OSError: The folder cannot be created, or its file system does not support hard links.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._clock = clock
        self._thread_lock = threading.Lock()
        self._temporary = folder / f"{_TEMPORARY}{os.getpid()}-{id(self)}"
        self._cached: tuple[int, RequestWindow] | None = None
        self._remove_stale_files()
        self._try_update(lambda window, _now: (replace(window), None))

    def update(self, change: Change[Result]) -> Result:
        """Update the window atomically; see `RateLimitStore`.

        Raises:
            ApiConnectionError: The folder cannot be read or written.
        """
        try:
            with self._thread_lock:
                while (done := self._try_update(change)) is None:
                    pass  # another process was faster
        except OSError as error:
            msg = (
                f"Cannot use the rate limit store {self._folder} ({error.strerror}). Free disk "
                "space, or set TOWER_ETL_BUDGET=process."
            )
            raise ApiConnectionError(msg) from error
        return done[0]

    def _try_update(self, change: Change[Result]) -> tuple[Result] | None:
        """Return the result of a change, None if another process stored one in the meantime."""
        latest = self._read_latest()
        if latest is None:
            return None
        number, stored = latest
        now = self._clock.now().timestamp()
        before = drop_future_entries(stored, now)
        after, result = change(before, now)
        if after is not before:
            if not self._write(number + 1, encode_window(after)):
                self._cached = None
                return None
            (self._folder / str(number - _KEPT_VERSIONS)).unlink(missing_ok=True)
            self._cached = number + 1, after
        return (result,)

    def _read_latest(self) -> tuple[int, RequestWindow] | None:
        """Return the latest version and its number, None if it was deleted meanwhile.

        The version that was read or written last is the latest as long as the next file does not
        exist. If that was deleted because of many later ones, the next `_write` fails.
        """
        if self._cached and not self._exists(self._cached[0] + 1):
            return self._cached
        numbers = self._list_numbers()
        number = max(numbers, default=0)
        for old in numbers:
            if old <= number - _KEPT_VERSIONS:
                (self._folder / str(old)).unlink(missing_ok=True)
        try:
            content = (self._folder / str(number)).read_bytes() if number else b""
        except FileNotFoundError:
            return None
        self._cached = number, decode_window(content)
        return self._cached

    def _exists(self, number: int) -> bool:
        try:
            os.stat(self._folder / str(number))  # noqa: PTH116 `exists` hides that the folder is gone
        except FileNotFoundError:
            return False
        return True

    def _write(self, number: int, content: bytes) -> bool:
        """Create the file of a version; return False if another process did, even if long ago."""
        descriptor = os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with FileIO(descriptor, "w") as temporary:
            temporary.write(content)
        try:
            # A hard link fails if the name exists, and the file is complete when it appears.
            os.link(self._temporary, self._folder / str(number))
        except FileExistsError:
            return False
        finally:
            self._temporary.unlink()
        return max(self._list_numbers(), default=0) < number + _KEPT_VERSIONS

    def _list_numbers(self) -> list[int]:
        names = os.listdir(self._folder)  # noqa: PTH208 a Path per name takes three times as long
        return [int(name) for name in names if name.isdecimal()]

    def _remove_stale_files(self) -> None:
        """Delete the temporary files of processes that were killed."""
        now = self._clock.now().timestamp()
        for path in self._folder.glob(f"{_TEMPORARY}*"):
            with suppress(FileNotFoundError):
                if now - path.stat().st_mtime > _TEMPORARY_SECONDS:
                    path.unlink()


def open_store(location: Path | str | None, name: str, clock: Clock) -> RateLimitStore:
    """Return the store of the request window of a token and server.

    The location is a folder, the URL of a Redis server, or None for a store in memory. If a folder
    cannot be used, the sync continues with a store in memory and logs a warning.

    Raises:
        ConfigurationError: The URL is invalid.
    """
    if location is None:
        return MemoryStore(clock)
    if isinstance(location, str):
        return RedisStore(location, name)
    try:
        return FileStore(location / name, clock)
    except OSError as error:
        logging.getLogger("tower_etl").warning(_NOT_SHARED, location, error)
        return MemoryStore(clock)


def encode_window(window: RequestWindow) -> bytes:
    """Return the window as JSON, with the keys of earlier versions, which may share the store."""
    return orjson.dumps(
        {
            "departures": window.sent_at,
            "arrivals": window.received_by,
            "paused_until": window.paused_until,
            "refused_at": window.throttled_at,
            "slowness": window.slowdown,
        }
    )


def decode_window(content: bytes | str | None) -> RequestWindow:
    """Return the window of a JSON text; an empty window if the text is absent or damaged."""
    try:
        stored = orjson.loads(content or b"")
        calls = zip(stored["departures"], stored["arrivals"], strict=True)
        sent_at, received_by = zip(*calls, strict=True) if stored["departures"] else ((), ())
        others = (float(stored[name]) for name in ("paused_until", "refused_at", "slowness"))
        return RequestWindow(tuple(map(float, sent_at)), tuple(map(float, received_by)), *others)
    except (orjson.JSONDecodeError, TypeError, KeyError, ValueError):
        return RequestWindow()


_TIMEOUT_SECONDS = 5.0
_KEPT_SECONDS = 7200  # the slowdown after a 429 lasts an hour; all else expires much sooner
_MICROSECONDS = 1e-6


class RedisStore:
    """Store that all clients of one Redis server share; uses the clock of that server.

    An update is repeated when another client was faster (WATCH, MULTI, EXEC), so that a client that
    dies leaves no lock behind. Machines reach the platform over different network paths, so that
    their response times have no minimum in common.
    """

    shared_network_path = False

    def __init__(self, url: str, name: str) -> None:
        """Open the store at a URL with the scheme `redis`, `rediss` or `unix`.

        Raises:
            ConfigurationError: The URL is invalid, or the Redis client is not installed.
        """
        self._key = f"tower-etl:budget:{name}"
        # Messages show only the host, because the URL may contain a password.
        self._host = urlsplit(url).hostname or "this machine"
        try:
            import redis  # noqa: PLC0415 an extra
        except ModuleNotFoundError:
            msg = f"A rate limit store in Redis requires redis-py. Run: {install_command('redis')}"
            raise ConfigurationError(msg) from None
        try:
            self._client = redis.Redis.from_url(
                url, socket_timeout=_TIMEOUT_SECONDS, socket_connect_timeout=_TIMEOUT_SECONDS
            )
        except ValueError:
            msg = (
                "Invalid TOWER_ETL_BUDGET: expected the URL of a Redis server such as "
                "redis://host:6379/0."
            )
            raise ConfigurationError(msg) from None

    def update(self, change: Change[Result]) -> Result:
        """Update the window atomically; see `RateLimitStore`.

        Raises:
            ApiConnectionError: The Redis server does not respond, or reports an error.
        """
        from redis.exceptions import RedisError, WatchError  # noqa: PLC0415 an extra

        while True:
            try:
                return self._update_once(change)
            except WatchError:  # another client was faster
                continue
            except RedisError as error:
                msg = (
                    f"Cannot use the Redis server of the shared rate limit on {self._host} "
                    f"({type(error).__name__}). Start it, or check TOWER_ETL_BUDGET."
                )
                raise ApiConnectionError(msg) from None

    def _update_once(self, change: Change[Result]) -> Result:
        with self._client.pipeline() as pipe:
            pipe.watch(self._key)  # type: ignore[no-untyped-call] # redis-py does not annotate it
            # The clock of the server: those of the clients may differ by more than a period.
            seconds, microseconds = pipe.time()
            before = decode_window(pipe.get(self._key))
            after, result = change(before, seconds + microseconds * _MICROSECONDS)
            if after is not before:
                pipe.multi()
                pipe.set(self._key, encode_window(after), ex=_KEPT_SECONDS)
                pipe.execute()
        return result

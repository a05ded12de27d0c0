"""Where the ledger of calls is kept: in memory, or in a file that all processes of a machine share.

A shared ledger tells wall-clock time: it is the one clock that processes, and machines with a
common home, agree on. Nobody holds the ledger, so that one who crashes, or is stopped in the
middle, leaves nothing behind but the call that was under way.
"""

from __future__ import annotations

import logging
import os
import threading
from contextlib import suppress
from dataclasses import replace
from io import FileIO
from typing import TYPE_CHECKING, Protocol, TypeVar
from urllib.parse import urlsplit

import orjson

from tower_etl.clock import SYSTEM_CLOCK
from tower_etl.errors import ApiConnectionError, ConfigurationError
from tower_etl.http.rate_limit.policy import RequestWindow, drop_future_entries

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import redis

    from tower_etl.clock import Clock

Result = TypeVar("Result")

_MEMORY = (
    "The budget of calls is not shared with other syncs of this machine: %s cannot be used (%s). "
    "Make it writable, or set TOWER_ETL_BUDGET=process if that is meant."
)
_TEMPORARY = "draft-"
_TEMPORARY_SECONDS = 60.0  # after which the process that wrote it is gone
_KEPT_VERSIONS = 64  # so that one who was away for a moment finds the next number taken


class RateLimitStore(Protocol):
    """Keeps a ledger for all who share it, and changes it for one of them at a time.

    Attributes:
        shared_network_path: Whether all who share it take the same way to the server.
    """

    shared_network_path: bool

    def update(
        self, change: Callable[[RequestWindow, float], tuple[RequestWindow, Result]]
    ) -> Result:
        """Change the ledger, given it and the present moment in seconds of its clock."""
        ...


class MemoryStore:
    """Shared by the threads of one process; tells monotonic time."""

    shared_network_path = True

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._window = RequestWindow()

    def update(
        self, change: Callable[[RequestWindow, float], tuple[RequestWindow, Result]]
    ) -> Result:
        """Change the ledger; see `RateLimitStore`."""
        with self._lock:
            self._window, result = change(self._window, self._clock.monotonic())
            return result


class FileStore:
    """Shared by the processes of one user on one machine; tells wall-clock time.

    Each change is a file of its own, named by a number, and whoever is the first to make the file
    of the next number has made the change. So there is no lock that somebody could be stopped with,
    or starved of the processor with, while all others wait.
    """

    shared_network_path = True

    def __init__(self, folder: Path, clock: Clock = SYSTEM_CLOCK) -> None:
        """Keep the ledger in that folder, which is made for its owner alone.

        Raises:
            OSError: The folder cannot be made, or its file system knows no hard links.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._clock = clock
        self._thread_lock = threading.Lock()
        self._temporary = folder / f"{_TEMPORARY}{os.getpid()}-{id(self)}"
        self._remove_stale_files()
        self._try_update(lambda window, _now: (replace(window), None))

    def update(
        self, change: Callable[[RequestWindow, float], tuple[RequestWindow, Result]]
    ) -> Result:
        """Change the ledger; see `RateLimitStore`.

        Raises:
            ApiConnectionError: The folder cannot be read or written.
        """
        try:
            with self._thread_lock:
                while (done := self._try_update(change)) is None:
                    pass  # another was faster
        except OSError as error:
            msg = (
                f"The ledger of calls {self._folder} cannot be used ({error.strerror}). "
                "Free its disk, or set TOWER_ETL_BUDGET=process."
            )
            raise ApiConnectionError(msg) from error
        return done[0]

    def _try_update(
        self, change: Callable[[RequestWindow, float], tuple[RequestWindow, Result]]
    ) -> tuple[Result] | None:
        """What the change gives, or None where another one came between."""
        numbers = self._list_numbers()
        latest = max(numbers, default=0)
        now = self._clock.now().timestamp()
        try:
            written = (self._folder / str(latest)).read_bytes() if latest else b""
        except FileNotFoundError:
            return None
        before = drop_future_entries(decode_window(written), now)
        after, result = change(before, now)
        if after is not before and not self._write(latest + 1, encode_window(after)):
            return None
        for number in numbers:
            if number <= latest - _KEPT_VERSIONS:
                (self._folder / str(number)).unlink(missing_ok=True)
        return (result,)

    def _write(self, number: int, text: bytes) -> bool:
        """Make the file of that number; whether nobody else had made it, or has long deleted it."""
        handle = os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with FileIO(handle, "w") as draft:
            draft.write(text)
        try:
            os.link(self._temporary, self._folder / str(number))
        except FileExistsError:
            return False
        finally:
            self._temporary.unlink()
        return max(self._list_numbers(), default=0) < number + _KEPT_VERSIONS

    def _list_numbers(self) -> list[int]:
        names = os.listdir(self._folder)  # noqa: PTH208 a path each takes thrice as long
        return [int(name) for name in names if name.isdecimal()]

    def _remove_stale_files(self) -> None:
        """Delete the drafts of those who were killed."""
        now = self._clock.now().timestamp()
        for draft in self._folder.glob(f"{_TEMPORARY}*"):
            with suppress(FileNotFoundError):
                if now - draft.stat().st_mtime > _TEMPORARY_SECONDS:
                    draft.unlink()


def open_store(place: Path | str | None, name: str, clock: Clock) -> RateLimitStore:
    """The ledger of that name, kept in a folder, at the address of a Redis, or (None) in memory.

    Where the folder cannot be used, the sync goes on with a ledger of its own, and says so.

    Raises:
        ConfigurationError: The address cannot be used.
    """
    if place is None:
        return MemoryStore(clock)
    if isinstance(place, str):
        return RedisStore(place, name)
    try:
        return FileStore(place / name, clock)
    except OSError as error:
        logging.getLogger("tower_etl").warning(_MEMORY, place, error)
        return MemoryStore(clock)


def encode_window(window: RequestWindow) -> bytes:
    """Return the window as JSON, in the spelling that earlier versions share."""
    return orjson.dumps(
        {
            "departures": window.sent_at,
            "arrivals": window.received_by,
            "paused_until": window.paused_until,
            "refused_at": window.throttled_at,
            "slowness": window.slowdown,
        }
    )


def decode_window(written: bytes | str | None) -> RequestWindow:
    """Return the window of a JSON text; an empty one where it is absent or damaged."""
    try:
        found = orjson.loads(written or b"")
        calls = zip(found["departures"], found["arrivals"], strict=True)
        sent_at, received_by = zip(*calls, strict=True) if found["departures"] else ((), ())
        moments = (float(found[name]) for name in ("paused_until", "refused_at", "slowness"))
        return RequestWindow(tuple(map(float, sent_at)), tuple(map(float, received_by)), *moments)
    except (orjson.JSONDecodeError, TypeError, KeyError, ValueError):
        return RequestWindow()


_TIMEOUT_SECONDS = 5.0
_KEPT_SECONDS = 7200  # a refusal is remembered for an hour; the rest much shorter
_MICROSECONDS = 1e-6


class RedisStore:
    """Shared by all machines that reach one Redis; tells the time of that Redis.

    A change is tried again when another machine was faster (WATCH, MULTI, EXEC), so that nobody
    holds a lock, and nobody who dies leaves one behind. Machines take different ways to the
    platform, so that no part of an answer time is common to all.
    """

    shared_network_path = False

    def __init__(self, url: str, name: str) -> None:
        """Keep the ledger of that name in the Redis at `redis://`, `rediss://` or `unix://`.

        Raises:
            ConfigurationError: The address is none, or the client for Redis is not installed.
        """
        self._key = f"tower-etl:budget:{name}"
        self._address = urlsplit(url).hostname or "this machine"  # the rest may hold a password
        self._client = _open_client(url)

    def update(
        self, change: Callable[[RequestWindow, float], tuple[RequestWindow, Result]]
    ) -> Result:
        """Change the ledger; see `RateLimitStore`.

        Raises:
            ApiConnectionError: Redis does not answer, or refuses.
        """
        from redis.exceptions import RedisError, WatchError  # noqa: PLC0415 an extra

        while True:
            try:
                return self._update_once(change)
            except WatchError:  # another machine was faster
                continue
            except RedisError as error:
                msg = (
                    f"The Redis of the shared budget on {self._address} cannot be used "
                    f"({type(error).__name__}). Start it, or look at TOWER_ETL_BUDGET."
                )
                raise ApiConnectionError(msg) from None

    def _update_once(
        self, change: Callable[[RequestWindow, float], tuple[RequestWindow, Result]]
    ) -> Result:
        with self._client.pipeline() as pipe:
            pipe.watch(self._key)  # type: ignore[no-untyped-call] # no types there
            seconds, microseconds = pipe.time()
            before = decode_window(pipe.get(self._key))
            after, result = change(before, seconds + microseconds * _MICROSECONDS)
            if after is not before:
                pipe.multi()
                pipe.set(self._key, encode_window(after), ex=_KEPT_SECONDS)
                pipe.execute()
        return result


def _open_client(url: str) -> redis.Redis:
    try:
        import redis  # noqa: PLC0415 an extra
    except ModuleNotFoundError:
        msg = "A budget in Redis needs its client: pip install 'tower-etl[redis]'."
        raise ConfigurationError(msg) from None
    try:
        return redis.Redis.from_url(
            url, socket_timeout=_TIMEOUT_SECONDS, socket_connect_timeout=_TIMEOUT_SECONDS
        )
    except ValueError:
        msg = "TOWER_ETL_BUDGET is no address of a Redis: give one like redis://host:6379/0."
        raise ConfigurationError(msg) from None

"""The ledger of calls in Redis, for a fleet of machines that use one token."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from tower_etl.errors import ApiConnectionError, ConfigurationError
from tower_etl.http.ledger import decode_window, encode_window

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

    from tower_etl.http.rate import RequestWindow

Result = TypeVar("Result")

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
            UsageError: The address is none, or the client for Redis is not installed.
        """
        self._key = f"tower-etl:budget:{name}"
        self._address = urlsplit(url).hostname or "this machine"  # the rest may hold a password
        self._client = _open_client(url)

    def update(
        self, change: Callable[[RequestWindow, float], tuple[RequestWindow, Result]]
    ) -> Result:
        """Change the ledger; see `LedgerStore`.

        Raises:
            UnreachableError: Redis does not answer, or refuses.
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

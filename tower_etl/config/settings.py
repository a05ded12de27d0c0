"""Settings of a sync as frozen values, independent of the sources that they are resolved from."""

from __future__ import annotations

import hashlib
import ipaddress
import math
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tower_etl.errors import ConfigurationError

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

DATASET = "tower"
"""Name of the database schema of the tables in a destination."""

MIN_WORKERS, MAX_WORKERS = 8, 32  # requests in flight
_PLATFORM_LIMIT = 20.0  # calls per second and token (API fact 10)


@dataclass(frozen=True)
class PrivacySettings:
    """Privacy settings; a column is named `table.column`, or `column` for all tables.

    Attributes:
        redact: Whether secrets in text are masked.
        emails: Whether e-mail addresses in text are masked too.
        excluded: Columns that are left empty.
        hashed: Columns whose values are replaced by digests.
        promoted: Undocumented fields that get a column: `table.field` or `table.field:type`.
        salt: Key of the digests; without a key, anyone can check a guessed value against a digest.
    """

    redact: bool = True
    emails: bool = False
    excluded: tuple[str, ...] = ()
    hashed: tuple[str, ...] = ()
    promoted: tuple[str, ...] = ()
    salt: str = field(default="", repr=False)


DEFAULT_ENDPOINT = "https://api.cloud.seqera.io"


class Token:
    """Access token whose value appears in no representation, log or traceback."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def get_secret_value(self) -> str:
        """Return the token's value; only for the Authorization header."""
        return self._value

    def fingerprint(self, *context: object) -> str:
        """Return 16 hex digits that identify the token in a context without revealing it."""
        text = "\n".join((self._value, *map(str, context)))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def __repr__(self) -> str:
        return "Token(***)"


@dataclass(frozen=True)
class HttpSettings:
    """Rate limit, concurrency, time-outs and retries of requests to the API.

    Attributes:
        calls_per_second: Maximum number of calls that reach the server in any second, by all syncs
            that share the rate limit store; None for no limit. The platform allows 20 (API fact
            10).
        rate_limit_share: Fraction of the rate limit that these syncs together may use, above 0 and
            at most 1; the rest is left to other clients.
        rate_limit_store: Store of the request window: a folder for all syncs of a user on a
            machine, the URL of a Redis server for several machines, None for this process alone.
        workers: Maximum number of requests in flight; None for as many as the rate limit needs at
            the response time of the server, from 8 to 32.
        connect_seconds: Time-out for establishing a connection.
        read_seconds: Time-out between two bytes of a response.
        call_seconds: Deadline for the headers of a response, and again for its body.
        attempts: Maximum number of attempts of one call, including the first.
    """

    calls_per_second: float | None = _PLATFORM_LIMIT
    rate_limit_share: float = 1.0
    # Not in the representation: the URL of a Redis server may contain a password.
    rate_limit_store: Path | str | None = field(default=None, repr=False)
    workers: int | None = None
    connect_seconds: float = 10.0
    read_seconds: float = 60.0
    call_seconds: float = 120.0
    attempts: int = 6

    def choose_workers(self, response_seconds: float) -> int:
        """Return the number of requests in flight that use up the rate limit.

        Args:
            response_seconds: Mean time from sending a request to its response.
        """
        if self.workers is not None:
            return self.workers
        calls_per_second = (self.calls_per_second or _PLATFORM_LIMIT) * self.rate_limit_share
        # 50 % more than a steady flow needs, because response times vary.
        needed = math.ceil(1.5 * calls_per_second * response_seconds)
        return min(max(needed, MIN_WORKERS), MAX_WORKERS)


@dataclass(frozen=True)
class PackageLimits:
    """Limits of a load package; the package ends with the run that reaches one of them.

    Attributes:
        max_rows: Rows of all tables together.
        max_seconds: Seconds of fetching.
    """

    max_rows: int = 40_000
    max_seconds: float = 15.0


@dataclass(frozen=True)
class SyncOptions:
    """Scope of one sync.

    Attributes:
        workspaces: Selectors (`ORG/NAME` or numeric id); empty for all that the token can see.
        since: Earliest submission time (UTC) of the runs to sync; None for no limit.
        until: Latest submission time (UTC) of the runs to sync; later runs are left to the next
            sync. None for no limit.
        reconcile: Whether to reconcile with a full listing, however recent the last
            reconciliation is.
        reconcile_every: Interval between automatic reconciliations.
        open_run_max_age: Age after which an open run is refreshed by reconciliations only.
        tables: Names of the selected tables.
        accept_new_host: Whether a server with another host name is the one that the destination
            was synced from.
    """

    workspaces: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    reconcile: bool = False
    reconcile_every: timedelta = timedelta(days=1)
    open_run_max_age: timedelta = timedelta(days=30)
    tables: frozenset[str] = frozenset()
    accept_new_host: bool = False

    def __post_init__(self) -> None:
        """Reject an empty period."""
        if self.since and self.until and self.since > self.until:
            msg = f"--since {self.since} is after --until {self.until}. Swap the two."
            raise ConfigurationError(msg)


@dataclass(frozen=True)
class Settings:
    """All settings of a sync.

    Attributes:
        endpoint: Base URL of the API, without a trailing slash.
        token: Access token.
        api_version: API version to request by the header `Accept-Version`.
        allow_http: Whether the token may be sent over unencrypted HTTP.
        ca_bundle: File or folder of trusted CA certificates; None for those of `requests`.
        options: Scope of the sync.
        http: Rate limit, concurrency, time-outs and retries.
        package_limits: Limits of a load package.
        privacy: Columns to mask, to hash, to leave empty or to promote.
    """

    endpoint: str
    token: Token
    api_version: str = "1"
    allow_http: bool = False
    ca_bundle: Path | None = None
    options: SyncOptions = field(default_factory=SyncOptions)
    http: HttpSettings = field(default_factory=HttpSettings)
    package_limits: PackageLimits = field(default_factory=PackageLimits)
    privacy: PrivacySettings = field(default_factory=PrivacySettings)

    def __post_init__(self) -> None:
        """Reject an endpoint that would receive the token unencrypted."""
        parts = urlsplit(self.endpoint)
        if parts.scheme == "http" and not (self.allow_http or is_loopback(parts.hostname or "")):
            msg = (
                f"{self.endpoint} is not encrypted: anyone on the network path could read the "
                "token. Use its https URL, or --insecure-http on a network that you trust."
            )
            raise ConfigurationError(msg)


def is_loopback(host: str) -> bool:
    """Return whether a host is a loopback address or `localhost`, which never leave the machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True)
class RunLimit:
    """Limit of the runs that one extraction fetches.

    Attributes:
        max_runs: Maximum number of runs, None for no limit.
        max_seconds: Seconds after which no further run is fetched, None for no limit.
    """

    max_runs: int | None = None
    max_seconds: float | None = None


NO_LIMIT = RunLimit()

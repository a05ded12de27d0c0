"""Settings of a sync: frozen values, and nothing of where they come from."""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tower_etl.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Find = Callable[[str, str], str | None]
    from datetime import datetime
    from pathlib import Path

DATASET = "tower"
"""Schema of the tables in a destination."""

_REDACT = {"true": (True, False), "false": (False, False), "emails": (True, True)}


@dataclass(frozen=True)
class PrivacySettings:
    """Wishes about columns; each names one as `table.column`, or as `column` in every table.

    Attributes:
        redact: Whether secrets are taken out of text.
        emails: Whether e-mail addresses are taken out with them.
        excluded: Columns that are left empty.
        hashed: Columns whose values are replaced by digests.
        promoted: Undocumented fields that get a column: `table.field` or `table.field:type`.
        salt: Key of the digests; without it, anyone can find out what a guessed value becomes.
    """

    redact: bool = True
    emails: bool = False
    excluded: tuple[str, ...] = ()
    hashed: tuple[str, ...] = ()
    promoted: tuple[str, ...] = ()
    salt: str = field(default="", repr=False)


def resolve_privacy(
    find: Find,
    *,
    redact: bool | None = None,
    excluded: Iterable[str] = (),
    hashed: Iterable[str] = (),
) -> PrivacySettings:
    """Wishes from arguments, else from the environment or the configuration.

    Args:
        find: A setting by its names there, as `get` gives it.
        redact: None where the configuration is to say.
        excluded: Columns; where there are none, those of the configuration.
        hashed: Likewise.

    Raises:
        ConfigurationError: `redact` is none of true, false and emails.
    """
    chosen, emails = _read_redact(find)
    return PrivacySettings(
        redact=chosen if redact is None else redact,
        emails=emails,
        excluded=tuple(excluded) or _read_names(find, "exclude"),
        hashed=tuple(hashed) or _read_names(find, "hash"),
        promoted=_read_names(find, "promote"),
        salt=find("TOWER_ETL_HASH_SALT", "hash_salt") or "",
    )


def _read_redact(find: Find) -> tuple[bool, bool]:
    value = find("TOWER_ETL_REDACT", "redact") or "true"
    if value.lower() not in _REDACT:
        msg = f"redact {value!r} is none of {', '.join(_REDACT)}."
        raise ConfigurationError(msg)
    return _REDACT[value.lower()]


def _read_names(find: Find, name: str) -> tuple[str, ...]:
    """Names between commas; a list of TOML arrives with its brackets and quotes."""
    value = find(f"TOWER_ETL_{name.upper()}", name) or ""
    names = (part.strip(" \t\n[]\"'") for part in value.split(","))
    return tuple(part for part in names if part)


DEFAULT_ENDPOINT = "https://api.cloud.seqera.io"


class Token:
    """An access token that shows itself to nobody but the call that sends it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def get_secret_value(self) -> str:
        """The token itself, for the Authorization header alone."""
        return self._value

    def fingerprint(self, *where: object) -> str:
        """Sixteen hex digits that name the token (at a place) without giving it away."""
        text = "\n".join((self._value, *map(str, where)))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def __repr__(self) -> str:
        return "Token(***)"


@dataclass(frozen=True)
class HttpSettings:
    """How fast and how patiently the API is asked.

    Attributes:
        calls_per_second: Most calls in any second at the server, by all who share the ledger; None
            for no limit. The platform allows 20 (API fact 10).
        share: How much of that all who share the ledger may come to before this sync adds a call,
            above 0 and at most 1: the rest is left to other tools.
        window: Where calls are counted: a folder for all syncs of a user on a machine, the address
            of a Redis for several machines, None for this process alone.
        workers: Requests in flight at once.
        connect_seconds: Time-out for a connection.
        read_seconds: Time-out between two bytes of an answer.
        call_seconds: Time for the head of an answer, and as much again for its body.
        attempts: Tries of one call, the first included.
    """

    calls_per_second: float | None = 20.0
    rate_limit_share: float = 1.0
    rate_limit_store: Path | str | None = field(
        default=None, repr=False
    )  # an address may hold a password
    workers: int = 8
    connect_seconds: float = 10.0
    read_seconds: float = 60.0
    call_seconds: float = 120.0
    attempts: int = 6


@dataclass(frozen=True)
class PackageLimits:
    """When a package is closed and committed.

    Attributes:
        max_rows: Rows of all tables, after which the package ends with the run at hand.
        max_seconds: Seconds of fetching, after which it ends likewise.
    """

    max_rows: int = 40_000
    max_seconds: float = 15.0


@dataclass(frozen=True)
class SyncOptions:
    """What one sync is asked to do.

    Attributes:
        workspaces: Selectors (`ORG/NAME` or numeric id); empty for all that the token sees.
        since: Runs submitted before this moment (UTC) stay out.
        until: Runs submitted after it (UTC) stay out, for now.
        reconcile: Whether to list everything, whatever the time since the last time.
        reconcile_every: Time between reconciliations that a sync makes by itself.
        give_up_after: Age of an open run, after which only reconciliation visits it.
        tables: Names of the tables wanted.
        moved: Whether a server of another name is the one that the target was synced from.
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
        """Refuse a window that no run can be in."""
        if self.since and self.until and self.since > self.until:
            msg = f"--since {self.since} is after --until {self.until}: swap them."
            raise ConfigurationError(msg)


@dataclass(frozen=True)
class Settings:
    """Everything that a sync needs to know before its first call.

    Attributes:
        endpoint: Base address, without a trailing slash.
        token: Opens it.
        api_version: Asked for by `Accept-Version`.
        insecure_http: Whether the token may go over a network where anybody can read it.
        ca_bundle: File or folder of the certificates to trust; None for those of `requests`.
        request: What is wanted.
        http_settings: How fast.
        packages: How much at a time.
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
        """Refuse to send a token where anybody on the way can read it."""
        parts = urlsplit(self.endpoint)
        if parts.scheme == "http" and not (self.allow_http or is_loopback(parts.hostname or "")):
            msg = (
                f"{self.endpoint} is not encrypted: anybody on the way could read the token. Give "
                "its https address, or, on a network that you trust, --insecure-http."
            )
            raise ConfigurationError(msg)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by a name or number that nobody else can answer to."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True)
class RunLimit:
    """How much of the history one extraction may fetch.

    Attributes:
        max_runs: Runs, None for no limit.
        max_seconds: Seconds after which no further run is fetched, None for no limit.
    """

    max_runs: int | None = None
    max_seconds: float | None = None


NO_LIMIT = RunLimit()

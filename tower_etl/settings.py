"""Settings: flags over environment over dlt's configuration over defaults.

This is the only reader of `os.environ`. The names are those that users of the platform have
already: `TOWER_ACCESS_TOKEN`, `TOWER_API_ENDPOINT`, `TOWER_WORKSPACE_ID`.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tower_etl.errors import UsageError
from tower_etl.privacy import Privacy

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_ENDPOINT = "https://api.cloud.seqera.io"

Lookup = Callable[[str], str | None]


def _nothing(_name: str) -> str | None:
    return None


class Token:
    """An access token that shows itself to nobody but the call that sends it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The token itself, for the Authorization header alone."""
        return self._value

    def digest(self, *where: object) -> str:
        """Sixteen hex digits that name the token (at a place) without giving it away."""
        text = "\n".join((self._value, *map(str, where)))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def __repr__(self) -> str:
        return "Token(***)"


@dataclass(frozen=True)
class Pacing:
    """How fast and how patiently the API is asked.

    Attributes:
        calls_per_second: Most calls in any second at the server, by all who share the ledger; None
            for no limit. The platform allows 20 (API fact 10).
        share: How much of that all who share the ledger may come to before this sync adds a call,
            above 0 and at most 1: the rest is left to other tools.
        ledger: Where calls are counted: a folder for all syncs of a user on a machine, the address
            of a Redis for several machines, None for this process alone.
        workers: Requests in flight at once.
        connect_seconds: Time-out for a connection.
        read_seconds: Time-out between two bytes of an answer.
        call_seconds: Time for the head of an answer, and as much again for its body.
        attempts: Tries of one call, the first included.
    """

    calls_per_second: float | None = 20.0
    share: float = 1.0
    ledger: Path | str | None = field(default=None, repr=False)  # an address may hold a password
    workers: int = 8
    connect_seconds: float = 10.0
    read_seconds: float = 60.0
    call_seconds: float = 120.0
    attempts: int = 6


@dataclass(frozen=True)
class Packages:
    """When a package is closed and committed.

    Attributes:
        max_rows: Rows of all tables, after which the package ends with the run at hand.
        max_seconds: Seconds of fetching, after which it ends likewise.
    """

    max_rows: int = 40_000
    max_seconds: float = 15.0


@dataclass(frozen=True)
class Request:
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
    give_up_after: timedelta = timedelta(days=30)
    tables: frozenset[str] = frozenset()
    moved: bool = False

    def __post_init__(self) -> None:
        """Refuse a window that no run can be in."""
        if self.since and self.until and self.since > self.until:
            msg = f"--since {self.since} is after --until {self.until}: swap them."
            raise UsageError(msg)


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
        pacing: How fast.
        packages: How much at a time.
    """

    endpoint: str
    token: Token
    api_version: str = "1"
    insecure_http: bool = False
    ca_bundle: Path | None = None
    request: Request = field(default_factory=Request)
    pacing: Pacing = field(default_factory=Pacing)
    packages: Packages = field(default_factory=Packages)
    privacy: Privacy = field(default_factory=Privacy)

    def __post_init__(self) -> None:
        """Refuse to send a token where anybody on the way can read it."""
        parts = urlsplit(self.endpoint)
        if parts.scheme == "http" and not (self.insecure_http or is_loopback(parts.hostname or "")):
            msg = (
                f"{self.endpoint} is not encrypted: anybody on the way could read the token. Give "
                "its https address, or, on a network that you trust, --insecure-http."
            )
            raise UsageError(msg)


@dataclass(frozen=True)
class Sources:
    """Where a setting may come from when no flag gives it.

    Attributes:
        environ: The process environment.
        lookup: A value of dlt's configuration (`.dlt/config.toml`, `.dlt/secrets.toml`) by name.
    """

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    lookup: Lookup = _nothing

    def find(self, env_name: str, dlt_name: str) -> str | None:
        """The value in the environment, else in dlt's configuration; blank counts as absent."""
        for value in (self.environ.get(env_name), self.lookup(dlt_name)):
            if value and value.strip():
                return value.strip()
        return None


def read_token(sources: Sources) -> Token:
    """The access token.

    Raises:
        UsageError: There is none, or it cannot be a token.
    """
    if token := _as_token(sources.find("TOWER_ACCESS_TOKEN", "access_token")):
        return ensure_sound(token)
    msg = (
        "No access token: set TOWER_ACCESS_TOKEN (create one under 'Your tokens' in the "
        "platform), or access_token under [sources.tower_etl.tower] in .dlt/secrets.toml."
    )
    raise UsageError(msg)


def check_token(value: str) -> Token:
    """The token in a text, without the line end that a file may have left.

    Raises:
        UsageError: It cannot be a token; neither the message nor a frame of its traceback shows it.
    """
    token = Token(value.strip())
    del value
    return ensure_sound(token)


def ensure_sound(token: Token) -> Token:
    """The token, if it can be one.

    Raises:
        UsageError: It cannot; the message does not show it.
    """
    if not re.fullmatch(r"[!-~]+", token.reveal()):
        msg = "The access token is empty or has spaces or odd characters: copy it again, whole."
        raise UsageError(msg)
    return token


def _as_token(value: str | None) -> Token | None:
    return None if value is None else Token(value.strip())


def read_endpoint(flag: str | None, sources: Sources) -> str:
    """The API endpoint, without a trailing slash.

    Raises:
        UsageError: It is not an http or https address, or carries a user, query or fragment.
    """
    found = flag if flag is not None else sources.find("TOWER_API_ENDPOINT", "endpoint")
    value = (DEFAULT_ENDPOINT if found is None else found).strip()
    if not _is_endpoint(value):
        shown = value.rsplit("@", 1)[-1]  # what stands before it may be a password
        msg = (
            f"Not an API endpoint: {shown!r}. Give one like {DEFAULT_ENDPOINT} or https://host/api."
        )
        raise UsageError(msg)
    return value.rstrip("/")


def _is_endpoint(value: str) -> bool:
    try:
        parts = urlsplit(value)
        _ = parts.port  # raises where it is no number
    except ValueError:
        return False
    plain = not re.search(r"[\x00-\x20\x7f?#@]", value)
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and plain


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by a name or number that nobody else can answer to."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read_workspaces(flags: tuple[str, ...], sources: Sources) -> tuple[str, ...]:
    """Workspace selectors: the flags, else the configuration, else none (all are meant).

    There, `workspaces` is a list; `TOWER_WORKSPACE_ID` and `workspace_id` name a single one.
    """
    if flags:
        return flags
    if value := sources.find("TOWER_WORKSPACE_ID", "workspace_id"):
        return (value,)
    return _split(sources.find("TOWER_ETL_WORKSPACES", "workspaces"))


def read_api_version(sources: Sources) -> str:
    """The version of the API to ask for by `Accept-Version` (API fact 12).

    Raises:
        UsageError: It has characters that no version has.
    """
    value = sources.find("TOWER_ETL_API_VERSION", "api_version") or "1"
    if not re.fullmatch(r"[\w.-]{1,40}", value, re.ASCII):
        msg = f"api_version {value!r} is no version of an API: give one like 1."
        raise UsageError(msg)
    return value


def read_pacing(rate: str | None, share: str | None, sources: Sources) -> Pacing:
    """How fast to call, and with whom that is shared.

    Args:
        rate: `--rate`; else `rate` of the configuration, else 20 a second.
        share: `--budget-share`; else `budget_share`, else the whole.
        sources: Also of `budget`: `machine` (the default), `process`, or the address of a Redis.

    Raises:
        UsageError: One of them is not usable.
    """
    return Pacing(
        calls_per_second=_parse_rate(rate or sources.find("TOWER_ETL_RATE", "rate")),
        share=_parse_share(share or sources.find("TOWER_ETL_BUDGET_SHARE", "budget_share")),
        ledger=_parse_ledger(sources.find("TOWER_ETL_BUDGET", "budget"), sources),
    )


def _parse_rate(value: str | None) -> float | None:
    if value is None:
        return Pacing().calls_per_second
    if value.lower() == "none":
        return None
    rate = _parse_number(value)
    if not 0 < rate < float("inf"):
        msg = f"The rate {value!r} is no number of calls a second: give one like 10, or none."
        raise UsageError(msg)
    return rate


def _parse_share(value: str | None) -> float:
    if value is None:
        return 1.0
    share = _parse_number(value.removesuffix("%")) / (100 if value.endswith("%") else 1)
    if not 0 < share <= 1:
        msg = f"The share of the budget {value!r} is none: give one like 0.5, or 50%."
        raise UsageError(msg)
    return share


def _parse_number(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        return float("nan")


def _parse_ledger(value: str | None, sources: Sources) -> Path | str | None:
    if value is None or value == "machine":
        return state_home(sources) / "tower-etl" / "budget"
    if value == "process":
        return None
    if re.match(r"(redis|rediss|unix)://.", value):
        return value
    msg = "TOWER_ETL_BUDGET must be machine, process, or an address like redis://host:6379/0."
    raise UsageError(msg)


def read_packages(sources: Sources) -> Packages:
    """When a package is committed: `package_rows` and `package_seconds` of the configuration.

    Raises:
        UsageError: One of them is no positive number.
    """
    rows = sources.find("TOWER_ETL_PACKAGE_ROWS", "package_rows")
    seconds = sources.find("TOWER_ETL_PACKAGE_SECONDS", "package_seconds")
    default = Packages()
    try:
        chosen = Packages(
            int(rows) if rows else default.max_rows,
            float(seconds) if seconds else default.max_seconds,
        )
    except ValueError:
        chosen = Packages(0, 0)
    if chosen.max_rows <= 0 or not chosen.max_seconds > 0:
        given = ", ".join(f"{k} {v!r}" for k, v in (("rows", rows), ("seconds", seconds)) if v)
        msg = f"The size of a package ({given}) must be a positive number."
        raise UsageError(msg)
    return chosen


def read_period(sources: Sources, name: str, unit: timedelta, default: timedelta) -> timedelta:
    """A time span of the configuration, such as `give_up_days`, in the unit that its name says.

    Raises:
        UsageError: It is no positive number.
    """
    value = sources.find(f"TOWER_ETL_{name.upper()}", name)
    if value is None:
        return default
    try:
        period = float(value) * unit
    except (ValueError, OverflowError):
        period = timedelta()
    if period <= timedelta():
        msg = f"{name} {value!r} is no positive number: give one like {default / unit:g}."
        raise UsageError(msg)
    return period


def parse_moment(text: str, flag: str) -> datetime:
    """An ISO 8601 date or date-time as aware UTC; without an offset it is UTC.

    Raises:
        UsageError: It is no such thing; the message names the flag.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return aware.astimezone(UTC)
    except (ValueError, OverflowError):
        msg = (
            f"{flag} {text!r} is no ISO 8601 date or time: give one like 2026-01-31 or "
            "2026-01-31T08:00:00Z."
        )
        raise UsageError(msg) from None


def state_home(sources: Sources) -> Path:
    """Where the state of syncs into servers is kept: `$XDG_STATE_HOME`, else `~/.local/state`."""
    base = sources.environ.get("XDG_STATE_HOME")
    return Path(base) if base else Path.home() / ".local" / "state"


def read_tables(flags: tuple[str, ...], sources: Sources) -> tuple[str, ...]:
    """Names of the tables wanted, or patterns: the flags, else the configuration, else none."""
    return flags or _split(sources.find("TOWER_ETL_TABLES", "tables"))


def _split(value: str | None) -> tuple[str, ...]:
    """The parts of a list: dlt hands a TOML array over as the text of a JSON or Python list."""
    if not value:
        return ()
    parts = re.sub(r"^\[(.*)\]$", r"\1", value.strip(), flags=re.DOTALL).split(",")
    return tuple(part.strip().strip("'\"") for part in parts if part.strip())

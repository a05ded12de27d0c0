"""Where settings come from: flags over environment over dlt's configuration over defaults.

Nothing reads `os.environ` but this. The names are those that users of the platform have already:
`TOWER_ACCESS_TOKEN`, `TOWER_API_ENDPOINT`, `TOWER_WORKSPACE_ID`.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tower_etl.config.settings import (
    DEFAULT_ENDPOINT,
    HttpSettings,
    PackageLimits,
    Token,
)
from tower_etl.errors import ConfigurationError, FileAccessError

if TYPE_CHECKING:
    from collections.abc import Mapping

Lookup = Callable[[str], str | None]


def _no_config(_name: str) -> str | None:
    return None


@dataclass(frozen=True)
class SettingSources:
    """Where a setting may come from when no flag gives it.

    Attributes:
        environ: The process environment.
        lookup: A value of dlt's configuration (`.dlt/config.toml`, `.dlt/secrets.toml`) by name.
    """

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    lookup: Lookup = _no_config

    def get(self, env_name: str, dlt_name: str) -> str | None:
        """The value in the environment, else in dlt's configuration; blank counts as absent."""
        for value in (self.environ.get(env_name), self.lookup(dlt_name)):
            if value and value.strip():
                return value.strip()
        return None


def resolve_token(sources: SettingSources) -> Token:
    """The access token.

    Raises:
        ConfigurationError: There is none, or it cannot be a token.
    """
    if token := _as_token(sources.get("TOWER_ACCESS_TOKEN", "access_token")):
        return validate_token(token)
    msg = (
        "No access token: set TOWER_ACCESS_TOKEN (create one under 'Your tokens' in the "
        "platform), or access_token under [sources.tower_etl.tower] in .dlt/secrets.toml."
    )
    raise ConfigurationError(msg)


def parse_token(value: str) -> Token:
    """The token in a text, without the line end that a file may have left.

    Raises:
        ConfigurationError: It cannot be a token; neither the message nor a traceback shows it.
    """
    token = Token(value.strip())
    del value
    return validate_token(token)


def validate_token(token: Token) -> Token:
    """The token, if it can be one.

    Raises:
        ConfigurationError: It cannot; the message does not show it.
    """
    if not re.fullmatch(r"[!-~]+", token.get_secret_value()):
        msg = "The access token is empty or has spaces or odd characters: copy it again, whole."
        raise ConfigurationError(msg)
    return token


def _as_token(value: str | None) -> Token | None:
    return None if value is None else Token(value.strip())


def resolve_endpoint(flag: str | None, sources: SettingSources) -> str:
    """The API endpoint, without a trailing slash.

    Raises:
        ConfigurationError: It is no http or https address, or carries a user, query or fragment.
    """
    found = flag if flag is not None else sources.get("TOWER_API_ENDPOINT", "endpoint")
    value = (DEFAULT_ENDPOINT if found is None else found).strip()
    if not _is_endpoint(value):
        shown = value.rsplit("@", 1)[-1]  # what stands before it may be a password
        msg = (
            f"Not an API endpoint: {shown!r}. Give one like {DEFAULT_ENDPOINT} or https://host/api."
        )
        raise ConfigurationError(msg)
    return value.rstrip("/")


def _is_endpoint(value: str) -> bool:
    try:
        parts = urlsplit(value)
        _ = parts.port  # raises where it is no number
    except ValueError:
        return False
    plain = not re.search(r"[\x00-\x20\x7f?#@]", value)
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and plain


def resolve_workspaces(flags: tuple[str, ...], sources: SettingSources) -> tuple[str, ...]:
    """Workspace selectors: the flags, else the configuration, else none (all are meant).

    There, `workspaces` is a list; `TOWER_WORKSPACE_ID` and `workspace_id` name a single one.
    """
    if flags:
        return flags
    if value := sources.get("TOWER_WORKSPACE_ID", "workspace_id"):
        return (value,)
    return _split(sources.get("TOWER_ETL_WORKSPACES", "workspaces"))


def resolve_api_version(sources: SettingSources) -> str:
    """The version of the API to ask for by `Accept-Version` (API fact 12).

    Raises:
        ConfigurationError: It has characters that no version has.
    """
    value = sources.get("TOWER_ETL_API_VERSION", "api_version") or "1"
    if not re.fullmatch(r"[\w.-]{1,40}", value, re.ASCII):
        msg = f"api_version {value!r} is no version of an API: give one like 1."
        raise ConfigurationError(msg)
    return value


def resolve_http(rate: str | None, share: str | None, sources: SettingSources) -> HttpSettings:
    """How fast to call, and with whom that is shared.

    Args:
        rate: `--rate`; else `rate` of the configuration, else 20 a second.
        share: `--budget-share`; else `budget_share`, else the whole.
        sources: Also of `budget`: `machine` (the default), `process`, or the address of a Redis.

    Raises:
        ConfigurationError: One of them is not usable.
    """
    return HttpSettings(
        calls_per_second=_parse_rate(rate or sources.get("TOWER_ETL_RATE", "rate")),
        rate_limit_share=_parse_share(
            share or sources.get("TOWER_ETL_BUDGET_SHARE", "budget_share")
        ),
        rate_limit_store=_parse_ledger(sources.get("TOWER_ETL_BUDGET", "budget"), sources),
    )


def _parse_rate(value: str | None) -> float | None:
    if value is None:
        return HttpSettings().calls_per_second
    if value.lower() == "none":
        return None
    rate = _parse_number(value)
    if not 0 < rate < float("inf"):
        msg = f"The rate {value!r} is no number of calls a second: give one like 10, or none."
        raise ConfigurationError(msg)
    return rate


def _parse_share(value: str | None) -> float:
    if value is None:
        return 1.0
    share = _parse_number(value.removesuffix("%")) / (100 if value.endswith("%") else 1)
    if not 0 < share <= 1:
        msg = f"The share of the budget {value!r} is none: give one like 0.5, or 50%."
        raise ConfigurationError(msg)
    return share


def _parse_number(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        return float("nan")


def _parse_ledger(value: str | None, sources: SettingSources) -> Path | str | None:
    if value is None or value == "machine":
        return state_dir(sources) / "tower-etl" / "budget"
    if value == "process":
        return None
    if re.match(r"(redis|rediss|unix)://.", value):
        return value
    msg = "TOWER_ETL_BUDGET must be machine, process, or an address like redis://host:6379/0."
    raise ConfigurationError(msg)


def resolve_package_limits(sources: SettingSources) -> PackageLimits:
    """When a package is committed: `package_rows` and `package_seconds` of the configuration.

    Raises:
        ConfigurationError: One of them is no positive number.
    """
    rows = sources.get("TOWER_ETL_PACKAGE_ROWS", "package_rows")
    seconds = sources.get("TOWER_ETL_PACKAGE_SECONDS", "package_seconds")
    default = PackageLimits()
    try:
        chosen = PackageLimits(
            int(rows) if rows else default.max_rows,
            float(seconds) if seconds else default.max_seconds,
        )
    except ValueError:
        chosen = PackageLimits(0, 0)
    if chosen.max_rows <= 0 or not chosen.max_seconds > 0:
        given = ", ".join(f"{k} {v!r}" for k, v in (("rows", rows), ("seconds", seconds)) if v)
        msg = f"The size of a package ({given}) must be a positive number."
        raise ConfigurationError(msg)
    return chosen


def resolve_duration(
    sources: SettingSources,
    name: str,
    unit: timedelta,
    default: timedelta,
    given: float | None = None,
) -> timedelta:
    """Return a time span such as `give_up_days`, in the unit that its name says.

    Args:
        sources: Where to look for it.
        name: Its name.
        unit: Its unit.
        default: The span where nothing gives one.
        given: The span where it is known, in the unit.

    Raises:
        ConfigurationError: It is not a positive number.
    """
    value = sources.get(f"TOWER_ETL_{name.upper()}", name) if given is None else str(given)
    if value is None:
        return default
    try:
        period = float(value) * unit
    except (ValueError, OverflowError):
        period = timedelta()
    if period <= timedelta():
        msg = f"{name} {value!r} is no positive number: give one like {default / unit:g}."
        raise ConfigurationError(msg)
    return period


def parse_user_timestamp(text: str, flag: str) -> datetime:
    """An ISO 8601 date or date-time as aware UTC; without an offset it is UTC.

    Raises:
        ConfigurationError: It is no such thing; the message names the flag.
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
        raise ConfigurationError(msg) from None


def state_dir(sources: SettingSources) -> Path:
    """Return where this machine keeps the state of syncs.

    `$XDG_STATE_HOME`, else `~/.local/state`. A user without a writable home, as in a container that
    runs under a user id of its own, has a private folder among the temporary ones.

    Raises:
        FileAccessError: That folder belongs to another user, or others may write to it.
    """
    if base := sources.environ.get("XDG_STATE_HOME"):
        return Path(base)
    with suppress(RuntimeError):  # no HOME, and no entry for the user id
        usual = Path.home() / ".local" / "state"
        existing = next(path for path in (usual, *usual.parents) if path.is_dir())
        if os.access(existing, os.W_OK | os.X_OK):
            return usual
    return _make_private(Path(tempfile.gettempdir()) / f"tower-etl-{os.geteuid()}")


def _make_private(folder: Path) -> Path:
    """Make a folder that no other user can have prepared."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    is_own = found.st_uid == os.geteuid() and stat.S_ISDIR(found.st_mode)
    if not is_own or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        msg = (
            f"There is no writable home, and {folder} is not a folder that this user alone may "
            "write to. Set XDG_STATE_HOME to one."
        )
        raise FileAccessError(msg)
    return folder


def resolve_tables(flags: tuple[str, ...], sources: SettingSources) -> tuple[str, ...]:
    """Names of the tables wanted, or patterns: the flags, else the configuration, else none."""
    return flags or _split(sources.get("TOWER_ETL_TABLES", "tables"))


def _split(value: str | None) -> tuple[str, ...]:
    """The parts of a list: dlt hands a TOML array over as the text of a JSON or Python list."""
    if not value:
        return ()
    parts = re.sub(r"^\[(.*)\]$", r"\1", value.strip(), flags=re.DOTALL).split(",")
    return tuple(part.strip().strip("'\"") for part in parts if part.strip())

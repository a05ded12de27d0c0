"""Resolution of settings: flags override the environment, dlt's configuration and the defaults.

The variables `TOWER_ACCESS_TOKEN`, `TOWER_API_ENDPOINT` and `TOWER_WORKSPACE_ID` have the
names that the platform's own tools use.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tower_etl.clock import SYSTEM_CLOCK
from tower_etl.config.catalog import SETTINGS
from tower_etl.config.settings import (
    DEFAULT_ENDPOINT,
    HttpSettings,
    PackageLimits,
    PrivacySettings,
)
from tower_etl.errors import ConfigurationError, FileAccessError
from tower_etl.files import may_access, user_id

if TYPE_CHECKING:
    from collections.abc import Mapping

Lookup = Callable[[str], str | None]
Names = str | int | Iterable[str | int] | None

_REDACT = {"true": (True, False), "false": (False, False), "emails": (True, True)}


def _no_config(_name: str) -> str | None:
    return None


@dataclass(frozen=True)
class SettingSources:
    """Sources of settings that no flag gives.

    Attributes:
        environ: Environment variables of the process.
        lookup: Function that returns a value of dlt's configuration (`.dlt/config.toml`,
            `.dlt/secrets.toml`) by name.
    """

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    lookup: Lookup = _no_config

    def get(self, name: str) -> str | None:
        """Return a setting from the environment, else from dlt's configuration; None if blank."""
        setting = SETTINGS[name]
        value = (self.environ.get(setting.env_name) or "").strip()
        if not value and setting.is_configurable:
            value = (self.lookup(name) or "").strip()
        return value or None


def resolve_endpoint(flag: str | None, sources: SettingSources) -> str:
    """Return the API endpoint without a trailing slash.

    Raises:
        ConfigurationError: It is not an http or https URL, or has a user, query or fragment.
    """
    configured = flag if flag is not None else sources.get("endpoint")
    value = (DEFAULT_ENDPOINT if configured is None else configured).strip()
    if not _is_endpoint(value):
        shown = value.rsplit("@", 1)[-1]  # the part before the @ may contain a password
        msg = (
            f"Invalid API endpoint {shown!r}: expected an http or https URL, for example "
            f"{DEFAULT_ENDPOINT} or https://host/api."
        )
        raise ConfigurationError(msg)
    return value.rstrip("/")


def _is_endpoint(value: str) -> bool:
    try:
        parts = urlsplit(value)
        _ = parts.port  # urlsplit checks the port only when it is read
    except ValueError:
        return False
    has_no_extras = not re.search(r"[\x00-\x20\x7f?#@]", value)
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and has_no_extras


def resolve_workspaces(flags: tuple[str, ...], sources: SettingSources) -> tuple[str, ...]:
    """Return the workspace selectors of the flags, else of the configuration; empty for all.

    In the configuration, `workspaces` is a list; `TOWER_WORKSPACE_ID` and `workspace_id` name a
    single workspace and override the list.
    """
    if flags:
        return flags
    if value := sources.get("workspace_id"):
        return (value,)
    return split_names(sources.get("workspaces"))


def resolve_api_version(sources: SettingSources) -> str:
    """Return the API version to request in the header `Accept-Version` (API fact 12).

    Raises:
        ConfigurationError: The version has characters other than letters, digits, `.`, `_`, `-`.
    """
    value = sources.get("api_version") or "1"
    if not re.fullmatch(r"[\w.-]{1,40}", value, re.ASCII):
        msg = f"Invalid api_version {value!r}: expected a value such as 1."
        raise ConfigurationError(msg)
    return value


def resolve_http(rate: str | None, share: str | None, sources: SettingSources) -> HttpSettings:
    """Return the HTTP settings: rate limit, its share, and the store of the request window.

    Args:
        rate: Value of `--rate`; else `rate` of the configuration, else 20 calls per second.
        share: Value of `--budget-share`; else `budget_share` of the configuration, else 1.
        sources: Sources of settings without a flag; `budget` selects the rate limit store:
            `machine` (default), `process`, or the URL of a Redis server.

    Raises:
        ConfigurationError: One of the values is invalid.
    """
    return HttpSettings(
        calls_per_second=_parse_rate(rate or sources.get("rate")),
        rate_limit_share=_parse_share(share or sources.get("budget_share")),
        rate_limit_store=_parse_store(sources.get("budget"), sources),
    )


def _parse_rate(value: str | None) -> float | None:
    if value is None:
        return HttpSettings().calls_per_second
    if value.lower() == "none":
        return None
    rate = _parse_number(value)
    if not 0 < rate < float("inf"):
        msg = (
            f"Invalid rate {value!r}: expected calls per second (for example 10), or `none` for no "
            "limit."
        )
        raise ConfigurationError(msg)
    return rate


def _parse_share(value: str | None) -> float:
    if value is None:
        return 1.0
    share = _parse_number(value.removesuffix("%")) / (100 if value.endswith("%") else 1)
    if not 0 < share <= 1:
        msg = (
            f"Invalid budget share {value!r}: expected a fraction above 0 and up to 1, or a "
            "percentage (for example 0.5 or 50%)."
        )
        raise ConfigurationError(msg)
    return share


def _parse_number(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        return float("nan")


def _parse_store(value: str | None, sources: SettingSources) -> Path | str | None:
    if value is None or value == "machine":
        return state_dir(sources) / "tower-etl" / "budget"
    if value == "process":
        return None
    if re.match(r"(redis|rediss|unix)://.", value):
        return value
    # The value is not shown: the URL of a Redis server may contain a password.
    msg = (
        "Invalid TOWER_ETL_BUDGET: expected machine, process, or the URL of a Redis server such as "
        "redis://host:6379/0."
    )
    raise ConfigurationError(msg)


def resolve_package_limits(sources: SettingSources) -> PackageLimits:
    """Return the limits of a load package: `package_rows` and `package_seconds`.

    Raises:
        ConfigurationError: One of the values is not a positive number.
    """
    rows = sources.get("package_rows")
    seconds = sources.get("package_seconds")
    default = PackageLimits()
    try:
        limits = PackageLimits(
            int(rows) if rows else default.max_rows,
            float(seconds) if seconds else default.max_seconds,
        )
    except ValueError:
        limits = PackageLimits(0, 0)
    if limits.max_rows <= 0 or not limits.max_seconds > 0:
        invalid_values = ", ".join(
            f"{k} {v!r}" for k, v in (("rows", rows), ("seconds", seconds)) if v
        )
        msg = f"Invalid size of a load package ({invalid_values}): expected positive numbers."
        raise ConfigurationError(msg)
    return limits


def resolve_duration(
    sources: SettingSources,
    name: str,
    unit: timedelta,
    default: timedelta,
    argument: float | None = None,
) -> timedelta:
    """Return the duration of a setting such as `give_up_days`, whose name ends in its unit.

    Args:
        sources: Sources of the setting, used if `argument` is None.
        name: Name of the setting.
        unit: Unit of the setting's value.
        default: Duration if no source has the setting.
        argument: Value of a flag or argument, in the unit.

    Raises:
        ConfigurationError: The value is not a positive number.
    """
    value = sources.get(name) if argument is None else str(argument)
    if value is None:
        return default
    try:
        period = float(value) * unit
    except (ValueError, OverflowError):
        period = timedelta()
    if period <= timedelta():
        msg = (
            f"Invalid {name} {value!r}: expected a positive number, for example {default / unit:g}."
        )
        raise ConfigurationError(msg)
    return period


def parse_user_timestamp(text: str, flag: str) -> datetime:
    """Return a time as aware UTC; a text without an offset is in UTC.

    Args:
        text: ISO 8601 date or date-time, or an age before now such as `30d`.
        flag: Name of the flag in messages.

    Raises:
        ConfigurationError: The text is neither.
    """
    if (age := parse_age(text)) is not None:
        return SYSTEM_CLOCK.now() - age
    try:
        timestamp = datetime.fromisoformat(text.strip())
        aware = timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)
        return aware.astimezone(UTC)
    except (ValueError, OverflowError):
        msg = (
            f"Invalid {flag} {text!r}: expected an ISO 8601 date or time such as 2026-01-31 or "
            "2026-01-31T08:00:00Z, or an age such as 30d."
        )
        raise ConfigurationError(msg) from None


_UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}


def parse_age(text: str) -> timedelta | None:
    """Return a duration such as `90m`, `2h`, `1d` or `4w`; None for any other text."""
    match = re.fullmatch(r"(\d{1,5}(?:\.\d+)?)([smhdw])", text.strip(), re.ASCII)
    return float(match[1]) * _UNITS[match[2]] if match else None


def resolve_privacy(
    lookup: Lookup,
    *,
    redact: str | bool | None = None,
    excluded: Names = (),
    hashed: Names = (),
) -> PrivacySettings:
    """Return the privacy settings of the arguments, else of the environment or configuration.

    Args:
        lookup: Function that returns a setting by its name, such as `SettingSources.get`.
        redact: Whether to mask secrets, or `emails` to mask e-mail addresses too; None for the
            configured value.
        excluded: Columns to leave empty; if empty, those of the configuration.
        hashed: Columns to replace by digests; if empty, those of the configuration.

    Raises:
        ConfigurationError: `redact` is none of true, false and emails.
    """
    configured = redact if isinstance(redact, str) else lookup("redact")
    masks_secrets, emails = _parse_redact(configured or "true")
    return PrivacySettings(
        redact=redact if isinstance(redact, bool) else masks_secrets,
        emails=emails,
        excluded=split_names(excluded) or split_names(lookup("exclude")),
        hashed=split_names(hashed) or split_names(lookup("hash")),
        promoted=split_names(lookup("promote")),
        salt=lookup("hash_salt") or "",
    )


def _parse_redact(value: str) -> tuple[bool, bool]:
    if value.strip().lower() not in _REDACT:
        msg = f"Invalid redact {value!r}: expected one of {', '.join(_REDACT)}."
        raise ConfigurationError(msg)
    return _REDACT[value.strip().lower()]


def split_names(names: Names) -> tuple[str, ...]:
    """Return the names of a list, a single name, or comma-separated names.

    dlt returns an array of a configuration file as text of a JSON or Python list.
    """
    if not isinstance(names, str):
        listed = names if isinstance(names, Iterable) else () if names is None else (names,)
        return tuple(str(name) for name in listed)
    parts = re.sub(r"^\[(.*)\]$", r"\1", names.strip(), flags=re.DOTALL).split(",")
    stripped = (part.strip().strip("'\"") for part in parts)
    return tuple(part for part in stripped if part)


def state_dir(sources: SettingSources) -> Path:
    """Return the folder in which this machine keeps the state of syncs.

    It is `$XDG_STATE_HOME`, else `~/.local/state`. A user without a writable home, for example in a
    container with an arbitrary user id, gets a private folder below the temporary folder.

    Raises:
        FileAccessError: The private folder belongs to another user, or others may write to it.
    """
    if base := sources.environ.get("XDG_STATE_HOME"):
        return Path(base)
    with suppress(RuntimeError):  # Path.home() without HOME and without a password file entry
        default = Path.home() / ".local" / "state"
        existing = next(path for path in (default, *default.parents) if path.is_dir())
        if may_access(existing, os.W_OK | os.X_OK):
            return default
    return _make_private_folder(Path(tempfile.gettempdir()) / f"tower-etl-{user_id()}")


def _make_private_folder(folder: Path) -> Path:
    """Create a folder that only this user can write to, and reject one that others prepared."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    # lstat: in a shared temporary folder, another user may have put a symbolic link there.
    status = folder.lstat()
    user = user_id()
    is_own = status.st_uid == user and stat.S_ISDIR(status.st_mode)
    # Windows has neither owners nor modes; its temporary folder is the user's own.
    if user is not None and (not is_own or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)):
        msg = (
            f"There is no writable home directory, and {folder} is not a folder that only this "
            "user may write to. Set XDG_STATE_HOME to such a folder."
        )
        raise FileAccessError(msg)
    return folder


def resolve_tables(flags: tuple[str, ...], sources: SettingSources) -> tuple[str, ...]:
    """Return the names or patterns of the selected tables: of the flags, else the configuration."""
    return flags or split_names(sources.get("tables"))

"""Where a sync is told to write: the kind of destination, and its path or address."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from tower_etl.config.resolver import state_dir
from tower_etl.destinations.duckdb_paths import DEFAULT_PATH
from tower_etl.destinations.path_checks import (
    check_characters,
    check_parent,
    check_working,
    check_writable,
)
from tower_etl.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tower_etl.config.resolver import SettingSources

LAKES = ("parquet", "delta", "iceberg")
LAKES_IN_BUCKETS = ("delta", "iceberg")

DEFAULT_PATHS: Mapping[str, str] = {
    "duckdb": DEFAULT_PATH,
    "parquet": "tower-parquet",
    "delta": "tower-delta",
    "iceberg": "tower-iceberg",
    "postgres": "",
}


@dataclass(frozen=True)
class DestinationConfig:
    """A kind of destination and where it is.

    Attributes:
        kind: A key of `DEFAULT_PATHS`.
        path: A file, a folder, an address without a password; empty where the configuration of
            dlt or of PostgreSQL says it.
        state: Where what belongs to a remote place is kept on this machine.
        credentials: Address of a PostgreSQL with its password, None where there is none.
    """

    kind: str
    path: str
    state: Path
    credentials: str | None = field(default=None, repr=False)

    @property
    def is_remote(self) -> bool:
        """Whether it is an address."""
        return "://" in self.path

    def find_state(self, address: str) -> Path:
        """The folder on this machine for what belongs to an address.

        Raises:
            ConfigurationError: The path to it has a character that is not supported.
        """
        digest = hashlib.sha256(address.encode()).hexdigest()[:16]
        folder = self.state.absolute() / f"{self.kind}-{digest}"
        check_characters(self.kind, folder)
        return folder


def resolve_destination(
    kind: str | None, path: str | None, sources: SettingSources
) -> DestinationConfig:
    """The destination by flags, else by `TOWER_ETL_DESTINATION` or `destination`.

    Raises:
        ConfigurationError: No such destination, or the path is not usable, or holds a password.
    """
    found = kind or sources.get("TOWER_ETL_DESTINATION", "destination") or "duckdb"
    if found not in DEFAULT_PATHS:
        msg = f"No destination {found!r}: there are {', '.join(DEFAULT_PATHS)}."
        raise ConfigurationError(msg)
    given = DEFAULT_PATHS[found] if path is None else path
    if found != "postgres" and not given.strip():
        msg = f"An empty --path: give one like {DEFAULT_PATHS[found]}."
        raise ConfigurationError(msg)
    reject_embedded_password(given)
    validate_location(found, given)
    state = state_dir(sources) / "tower-etl" / "targets"
    secret = sources.get("TOWER_ETL_POSTGRES", "postgres") if found == "postgres" else None
    return DestinationConfig(found, given.rstrip("/") if is_bucket(given) else given, state, secret)


def reject_embedded_password(path: str) -> None:
    """Refuse an address that holds a password: every process of the machine can read it.

    Raises:
        ConfigurationError: It does; the message does not show it.
    """
    if "://" not in path:
        return
    try:
        parts = urlsplit(path)
        secret = parts.password is not None or "password" in parse_qs(parts.query)
    except ValueError:
        secret = True
    if secret:
        msg = (
            "--path holds a password, which other users of the machine could read: leave it out, "
            "and give it by TOWER_ETL_POSTGRES, ~/.pgpass or .dlt/secrets.toml; for a bucket, by "
            "AWS_SECRET_ACCESS_KEY."
        )
        raise ConfigurationError(msg)


def validate_location(kind: str, path: str) -> None:
    """Refuse an address that a kind of destination cannot be at.

    Raises:
        ConfigurationError: It cannot.
    """
    if kind == "postgres" or "://" not in path:
        return
    if path.startswith(("postgresql://", "postgres://")):
        msg = f"{path}: for PostgreSQL, add --destination postgres; its tables are asked by psql."
        raise ConfigurationError(msg)
    if kind not in LAKES_IN_BUCKETS:
        msg = (
            f"{path}: {kind} is written to a folder of this machine. For a bucket, use "
            "--destination delta or iceberg: their tables change at one stroke there, without "
            "links and renames, which a bucket has not (docs/destinations.md)."
        )
        raise ConfigurationError(msg)
    if not is_bucket(path):
        msg = f"{path}: give a folder of this machine, or one like s3://bucket/folder."
        raise ConfigurationError(msg)


def is_bucket(path: object) -> bool:
    """Whether a path is the address of a folder in a bucket."""
    return re.fullmatch(r"s3://[^/@?#\s]+(/[^@?#\s]*)?", str(path)) is not None


def resolve_local_folder(path: str) -> Path:
    """The folder of a local lake, which may not exist yet.

    Raises:
        ConfigurationError: Its parent does not exist, or it is a file.
    """
    resolved = Path(path).expanduser().absolute()
    check_parent(resolved.parent)
    if resolved.exists() and not resolved.is_dir():
        msg = f"{resolved} is no folder: give another --path. It was not touched."
        raise ConfigurationError(msg)
    return resolved


def find_working(kind: str, folder: Path) -> Path:
    """The folder of the working copy beside that of a local lake, both of them writable.

    Raises:
        ConfigurationError: The path has a character that is not supported.
        FileAccessError: They are not writable, or what is there is no folder.
    """
    check_characters(kind, folder)
    working = folder.with_name(f"{folder.name}.sync")
    check_working(working)
    if not (folder.is_dir() and working.is_dir()):
        check_writable(folder.parent)
    if folder.is_dir():
        check_writable(folder)
    return working

"""Configuration of the destination: its type, and its path or URL."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from tower_etl.config.resolver import state_dir
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

_POSTGRES_URLS = ("postgresql://", "postgres://")
_EARLIER_DEFAULT = "tower.duckdb"  # its name collides with that of the schema in some clients
DEFAULT_PATHS: Mapping[str, str] = {
    "duckdb": "runs.duckdb",
    "parquet": "tower-parquet",
    "delta": "tower-delta",
    "iceberg": "tower-iceberg",
    "postgres": "",
}


@dataclass(frozen=True)
class DestinationConfig:
    """Type and location of a destination.

    Attributes:
        kind: Type of the destination, a key of `DEFAULT_PATHS`.
        path: File, folder or URL without a password; empty if the configuration of dlt or
            PostgreSQL names the database.
        state: Folder on this machine for the working files of remote destinations.
        credentials: URL of a PostgreSQL database with its password, None if not configured.
    """

    kind: str
    path: str
    state: Path
    credentials: str | None = field(default=None, repr=False)

    @property
    def is_remote(self) -> bool:
        """Whether the path is a URL."""
        return "://" in self.path

    @property
    def work_dir(self) -> Path | None:
        """Folder of the lock and of the staging copy beside a local destination."""
        if self.is_remote or self.kind == "postgres":
            return None
        path = Path(self.path).expanduser()
        # A link to a DuckDB file is followed, a link to the folder of a lake is not; readers may
        # give a lake without its type.
        is_file = self.kind == "duckdb" and not path.is_dir()
        path = path.resolve() if is_file else path.absolute()
        return Path(f"{path}.sync")

    def find_state(self, address: str) -> Path:
        """Return the folder on this machine for the working files of a URL.

        Raises:
            ConfigurationError: The path of the folder has a character that is not supported.
        """
        digest = hashlib.sha256(address.encode()).hexdigest()[:16]
        folder = self.state.absolute() / f"{self.kind}-{digest}"
        check_characters(self.kind, folder)
        return folder


def resolve_destination(
    kind: str | None, path: str | None, sources: SettingSources, *, exists: bool = False
) -> DestinationConfig:
    """Return the destination of the flags, the environment and dlt's configuration.

    `TOWER_ETL_DESTINATION` or `destination` is the type, `TOWER_ETL_PATH` or `path` the path. The
    latter belongs to the configured type: it is not used with a flag for another one.

    Args:
        kind: Type of the flag.
        path: Path or URL of the flag.
        sources: Environment and dlt's configuration.
        exists: Whether the destination is only read, so that a URL alone is enough: readers find
            the format of a lake in its files.

    Raises:
        ConfigurationError: The type is unknown, or the path is unusable or has a password.
    """
    configured = sources.get("destination") or "duckdb"
    resolved_kind = kind or configured
    if resolved_kind not in DEFAULT_PATHS:
        msg = f"Unknown destination {resolved_kind!r}: expected one of {', '.join(DEFAULT_PATHS)}."
        raise ConfigurationError(msg)
    if path is None and resolved_kind == configured:
        path = sources.get("path")
    resolved_path = _find_default_path(resolved_kind) if path is None else path
    if exists and kind is None:
        resolved_kind = _fit_kind(resolved_kind, resolved_path)
    if resolved_kind != "postgres" and not resolved_path.strip():
        msg = f"Empty --path: expected a path such as {DEFAULT_PATHS[resolved_kind]}."
        raise ConfigurationError(msg)
    if resolved_kind == "duckdb" and kind is None and not exists:
        _check_no_folder(resolved_path)
    _check_no_password(resolved_path)
    _check_location(resolved_kind, resolved_path)
    state = state_dir(sources) / "tower-etl" / "targets"
    secret = sources.get("postgres") if resolved_kind == "postgres" else None
    return DestinationConfig(
        resolved_kind,
        resolved_path.rstrip("/") if is_bucket(resolved_path) else resolved_path,
        state,
        secret,
    )


def _fit_kind(kind: str, path: str) -> str:
    """Return the type, or one that has URLs of the path's form if the type has none."""
    if path.startswith(_POSTGRES_URLS):
        return "postgres"
    if is_bucket(path) and kind not in LAKES_IN_BUCKETS:
        return LAKES_IN_BUCKETS[0]
    return kind


def _find_default_path(kind: str) -> str:
    """Return the default path of a destination type in the current folder.

    For DuckDB, a file with the default name of earlier versions is used if there is no other.
    """
    default = DEFAULT_PATHS[kind]
    if kind == "duckdb" and Path(_EARLIER_DEFAULT).exists() and not Path(default).exists():
        return _EARLIER_DEFAULT
    return default


def _check_no_folder(path: str) -> None:
    """Reject a folder without a type: writing to a lake needs its type."""
    if Path(path).expanduser().is_dir():
        msg = (
            f"{path} is a folder, not a DuckDB file. For a lake, add --destination parquet, delta "
            "or iceberg; otherwise choose another --path. Nothing was changed."
        )
        raise ConfigurationError(msg)


def _check_no_password(path: str) -> None:
    """Reject a URL with a password, because other users see the arguments of a process."""
    if "://" not in path:
        return
    try:
        parts = urlsplit(path)
        secret = parts.password is not None or "password" in parse_qs(parts.query)
    except ValueError:
        secret = True
    if secret:
        msg = (
            "--path contains a password, which other users of this machine could read. Remove it "
            "and provide it in TOWER_ETL_POSTGRES, ~/.pgpass or .dlt/secrets.toml, for a bucket "
            "in AWS_SECRET_ACCESS_KEY."
        )
        raise ConfigurationError(msg)


def _check_location(kind: str, path: str) -> None:
    """Reject a URL that a type of destination does not support."""
    if kind == "postgres" or "://" not in path:
        return
    if path.startswith(_POSTGRES_URLS):
        msg = f"{path} is the address of a PostgreSQL database: add --destination postgres."
        raise ConfigurationError(msg)
    if kind not in LAKES_IN_BUCKETS:
        msg = (
            f"{path}: {kind} requires a local folder. For a bucket, use --destination delta or "
            "iceberg: their tables change atomically without links and renames, which object "
            "stores do not have (docs/destinations.md)."
        )
        raise ConfigurationError(msg)
    if not is_bucket(path):
        msg = (
            f"Unsupported --path {path}: expected a local folder, or a URL like s3://bucket/folder."
        )
        raise ConfigurationError(msg)


def is_bucket(path: object) -> bool:
    """Return whether a path is the URL of an S3 bucket or of a folder in it."""
    return re.fullmatch(r"s3://[^/@?#\s]+(/[^@?#\s]*)?", str(path)) is not None


def resolve_local_folder(path: str) -> Path:
    """Return the absolute folder of a local lake, which may not exist yet.

    Raises:
        ConfigurationError: The parent folder does not exist, or the path is a file.
    """
    resolved = Path(path).expanduser().absolute()
    check_parent(resolved.parent)
    if resolved.exists() and not resolved.is_dir():
        msg = f"{resolved} is not a folder. Choose another --path. The file was not changed."
        raise ConfigurationError(msg)
    return resolved


def find_working(kind: str, folder: Path) -> Path:
    """Return the folder of the staging copy beside a local lake, after checking both folders.

    Raises:
        ConfigurationError: The path has a character that is not supported.
        FileAccessError: A folder is not writable, or the path of the staging copy is a file.
    """
    check_characters(kind, folder)
    working = folder.with_name(f"{folder.name}.sync")
    check_working(working)
    if not (folder.is_dir() and working.is_dir()):
        check_writable(folder.parent)
    if folder.is_dir():
        check_writable(folder)
    return working

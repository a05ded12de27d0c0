"""Files of DuckDB: in which storage version they are made, and why one cannot be opened."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import duckdb

from tower_etl.errors import ConfigurationError, FileAccessError

if TYPE_CHECKING:
    from pathlib import Path

STORAGE_VERSION = "v1.0.0"
"""What DuckDB 1.x makes by default. DuckDB 2 would make files that no 1.x opens."""

_MADE_BY_AT = slice(52, 84)  # the version of the library, padded with zeros
_REFUSED = "Permission denied"
_VERSIONS = re.compile(r"version number (\d+).*?between (\d+) and (\d+)", re.DOTALL)


def create_file(path: Path) -> None:
    """Make an empty file that every supported version of DuckDB opens.

    DuckDB keeps the storage version of a file that is there, so that nothing else has to name it.
    """
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    quoted = str(part).replace("'", "''")
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{quoted}' AS made (STORAGE_VERSION '{STORAGE_VERSION}')")
        connection.execute("DETACH made")
    part.replace(path)


def find_error(path: Path) -> duckdb.Error | None:
    """Return what DuckDB says of a file that it cannot open.

    Returns:
        None if it can, if there is no file, or if another program has it open to write.
    """
    if not path.exists():
        return None
    try:
        duckdb.connect(str(path), read_only=True).close()
    except duckdb.Error as error:
        return None if is_busy(error) else error
    return None


def is_usable(path: Path) -> bool:
    """Whether a working file can be opened; one that is damaged or too new is made again.

    Raises:
        FileAccessError: The operating system refuses it.
    """
    error = find_error(path)
    if error and _REFUSED in str(error):
        raise explain_unreadable(path, error)
    return error is None


def is_busy(error: duckdb.Error) -> bool:
    """Whether a file could not be opened because a program has it open to write."""
    return isinstance(error, duckdb.ConnectionException) or "lock on file" in str(error)


def explain_unreadable(path: Path, error: duckdb.Error) -> ConfigurationError:
    """Return why a file of DuckDB cannot be opened: its version, a key, permissions, or damage."""
    reason = " ".join(str(error).split())[:300]
    if found := _VERSIONS.search(str(error)):
        return ConfigurationError(_explain_version(path, *map(int, found.groups())))
    if "encrypted" in reason:
        msg = f"{path} is encrypted, which tower-etl does not support: choose another --path."
        return ConfigurationError(msg)
    if _REFUSED in reason:
        msg = f"Permission denied: {path}. Change its owner or mode, or choose another --path."
        return FileAccessError(msg)
    if is_busy(error):
        msg = f"{path} is open in another program ({reason}). Close it, or choose another --path."
        return ConfigurationError(msg)
    msg = f"{path} is damaged ({reason}). Restore it from a backup, or choose another --path."
    return ConfigurationError(msg)


def _explain_version(path: Path, version: int, oldest: int, newest: int) -> str:
    if version < oldest:
        return (
            f"{path} has the storage version {version} of an old DuckDB; DuckDB "
            f"{duckdb.__version__} reads {oldest} to {newest}. Export it with the DuckDB that "
            "made it (EXPORT DATABASE), or choose another --path."
        )
    return (
        f"{path} was made by a newer DuckDB ({_read_maker(path)}, storage version {version}); "
        f"DuckDB {duckdb.__version__} reads up to {newest}. The file is not damaged: upgrade with "
        "`pip install --upgrade duckdb`, or choose another --path."
    )


def _read_maker(path: Path) -> str:
    with path.open("rb") as file:
        made_by = file.read(_MADE_BY_AT.stop)[_MADE_BY_AT]
    return made_by.rstrip(b"\0").decode("ascii", "replace") or "of an unknown version"

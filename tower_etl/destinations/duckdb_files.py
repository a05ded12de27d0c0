"""DuckDB files: paths, storage version, and explanations why a file cannot be opened."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from tower_etl.destinations.path_checks import (
    check_characters,
    check_parent,
    check_readable,
    check_replaceable,
    check_working,
    check_writable,
)
from tower_etl.errors import ConfigurationError, FileAccessError
from tower_etl.files import is_duckdb_file
from tower_etl.text import quote_text

if TYPE_CHECKING:
    from collections.abc import Callable

    Inspection = Callable[[duckdb.DuckDBPyConnection], None]

STORAGE_VERSION = "v1.0.0"
"""Default of DuckDB 1.x. Files in the default of DuckDB 2 could not be opened by any 1.x."""
_MADE_BY_AT = slice(52, 84)  # version of the library that created the file, zero-padded
_REFUSED = "Permission denied"
_VERSIONS = re.compile(r"version number (\d+).*?between (\d+) and (\d+)", re.DOTALL)


@dataclass(frozen=True)
class DuckDBPaths:
    """DuckDB file that readers open, and the folder beside it that only the sync uses.

    Attributes:
        path: Published file.
        work_dir: Folder of the lock, of dlt's working files and of the staging copy.
    """

    path: Path
    work_dir: Path

    @property
    def staging(self) -> Path:
        """Staging copy that a sync writes to and finally renames to `path`.

        Its stem must differ from the name of the schema: DuckDB names the catalog after the file,
        and dlt's statements would be ambiguous.
        """
        return self.work_dir / "draft.duckdb"

    @property
    def pipelines(self) -> Path:
        """Folder of dlt's working files."""
        return self.work_dir / "dlt"


def resolve_duckdb_paths(path: str | Path) -> DuckDBPaths:
    """Return the paths of a DuckDB destination after checks that change nothing.

    Raises:
        ConfigurationError: The path has a character that is not supported, its folder does not
            exist, or the file is not a DuckDB file.
        FileAccessError: The operating system would deny the writes of a sync.
    """
    check_characters("duckdb", path)
    resolved = Path(path).expanduser().resolve()
    check_characters("duckdb", resolved)
    parent = resolved.parent
    check_parent(parent)
    check_writable(parent)
    _check_file(resolved)
    paths = DuckDBPaths(resolved, parent / f"{resolved.name}.sync")
    check_working(paths.work_dir)
    return paths


def _check_file(path: Path) -> None:
    if not path.exists():
        return
    check_readable(path)
    if not path.is_file() or not is_duckdb_file(path):
        msg = f"{path} is not a DuckDB file. Move it, or choose another --path. It was not changed."
        raise ConfigurationError(msg)
    check_replaceable(path)


def create_file(path: Path) -> None:
    """Create an empty file that every supported version of DuckDB can open.

    DuckDB keeps the storage version of an existing file, so no other statement sets it.
    """
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    with duckdb.connect() as connection:
        connection.execute(
            f"ATTACH {quote_text(str(part))} AS made (STORAGE_VERSION '{STORAGE_VERSION}')"
        )
        connection.execute("DETACH made")
    part.replace(path)


def find_error(path: Path, inspect: Inspection | None = None) -> duckdb.Error | None:
    """Return the error of DuckDB on opening a file.

    Args:
        path: DuckDB file.
        inspect: Called with the connection if the file could be opened, because opening it a
            second time takes 40 ms.

    Returns:
        None if the file can be opened, does not exist, or is open for writing in another program.
    """
    if not path.exists():
        return None
    try:
        connection = duckdb.connect(str(path), read_only=True)
    except duckdb.Error as error:
        return None if is_busy(error) else error
    with connection:
        if inspect:
            inspect(connection)
    return None


def is_usable(path: Path, inspect: Inspection | None = None) -> bool:
    """Return whether DuckDB can open a staging copy; the caller replaces one that it cannot.

    Args:
        path: Staging copy.
        inspect: Called with the connection, as in `find_error`.

    Raises:
        FileAccessError: The operating system denies access.
    """
    error = find_error(path, inspect)
    if error and _REFUSED in str(error):
        raise explain_unreadable(path, error)
    return error is None


def is_busy(error: duckdb.Error) -> bool:
    """Return whether a file could not be opened because it is open for writing elsewhere."""
    return isinstance(error, duckdb.ConnectionException) or "lock on file" in str(error)


def explain_unreadable(path: Path, error: duckdb.Error) -> ConfigurationError:
    """Return an error with the cause: storage version, encryption, permissions, lock or damage."""
    reason = " ".join(str(error).split())[:300]
    if match := _VERSIONS.search(str(error)):
        return ConfigurationError(_explain_version(path, *map(int, match.groups())))
    if "encrypted" in reason:
        msg = f"{path} is encrypted, which tower-etl does not support. Choose another --path."
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
            f"{duckdb.__version__} reads {oldest} to {newest}. Export it with the DuckDB version "
            "that created it (EXPORT DATABASE), or choose another --path."
        )
    return (
        f"{path} was created by a newer DuckDB ({_read_maker(path)}, storage version {version}); "
        f"DuckDB {duckdb.__version__} reads up to {newest}. The file is not damaged. Upgrade with "
        "`pip install --upgrade duckdb`, or choose another --path."
    )


def _read_maker(path: Path) -> str:
    with path.open("rb") as file:
        made_by = file.read(_MADE_BY_AT.stop)[_MADE_BY_AT]
    return made_by.rstrip(b"\0").decode("ascii", "replace") or "of an unknown version"

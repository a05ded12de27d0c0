"""Paths of a DuckDB destination, checked before anything is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tower_etl.destinations.path_checks import (
    check_characters,
    check_parent,
    check_readable,
    check_replaceable,
    check_working,
    check_writable,
)
from tower_etl.errors import ConfigurationError
from tower_etl.files import is_duckdb_file


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
    target = DuckDBPaths(resolved, parent / f"{resolved.name}.sync")
    check_working(target.work_dir)
    return target


def _check_file(path: Path) -> None:
    if not path.exists():
        return
    check_readable(path)
    if not path.is_file() or not is_duckdb_file(path):
        msg = f"{path} is not a DuckDB file. Move it, or choose another --path. It was not changed."
        raise ConfigurationError(msg)
    check_replaceable(path)

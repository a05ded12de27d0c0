"""Where the tables go, and what can be said of it before anything is written."""

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

DEFAULT_PATH = "tower.duckdb"
DESTINATIONS = ("duckdb",)

_MAGIC_AT, _MAGIC = 8, b"DUCK"


@dataclass(frozen=True)
class DuckDBPaths:
    """A DuckDB file that readers open, and the folder beside it that only the sync uses.

    Attributes:
        path: The published file.
        folder: Lock, dlt's working folder and, during a sync, the copy that is written to.
    """

    path: Path
    work_dir: Path

    @property
    def staging(self) -> Path:
        """The copy that a sync writes to; it takes the place of `path` at the end.

        Its name is not that of the schema, because DuckDB calls a file's catalog by its name, and
        dlt's statements would be ambiguous.
        """
        return self.work_dir / "draft.duckdb"

    @property
    def pipelines(self) -> Path:
        """Dlt's working folder."""
        return self.work_dir / "dlt"


def resolve_duckdb_paths(path: str | Path) -> DuckDBPaths:
    """The target at a path, after a look at it that changes nothing.

    Raises:
        ConfigurationError: The path has a character that is not supported, its folder does not
            exist, or the file is no DuckDB file.
        FileAccessError: The operating system would refuse what a sync writes.
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
        msg = f"{path} is no DuckDB file: move it away, or give another --path. It was not touched."
        raise ConfigurationError(msg)
    check_replaceable(path)


def is_duckdb_file(path: Path) -> bool:
    """Whether the file has DuckDB's mark; an unreadable one has not."""
    try:
        with path.open("rb") as file:
            return file.read(_MAGIC_AT + len(_MAGIC))[_MAGIC_AT:] == _MAGIC
    except OSError:
        return False

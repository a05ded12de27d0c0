"""Stores that a sync keeps up to date, measured from outside: DuckDB files and lakes."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from benchmarks.candidates import OURS
from benchmarks.resource_usage import measure
from tower_etl.destinations.config import DestinationConfig
from tower_etl.destinations.lake.mirror import open_mirror

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from benchmarks.resource_usage import Usage

QUESTIONS = ("cost_by_user", "failure_reasons", "memory_requests", "queue_waits", "retry_waste")
ASK = "SELECT * FROM {} LIMIT 20"


class Store(Protocol):
    """A destination that is synced and queried."""

    @property
    def kind(self) -> str:
        """Destination type."""
        ...

    def take(self, file: Path) -> Usage | None:
        """Load the rows of a DuckDB file; return the usage of the first sync, if one wrote them."""
        ...

    def sync(self) -> Usage:
        """Run a sync and return its usage."""
        ...

    def iter_answers(self) -> Iterator[Usage]:
        """Yield the usage of each query, from the shell to the result."""
        ...

    def weigh(self) -> int:
        """Return the size of the current data in bytes."""
        ...


@dataclass(frozen=True)
class FileStore:
    """A DuckDB file, or a lake.

    Attributes:
        kind: Destination type.
        path: Path of the file or folder.
        environ: Environment variables of the commands, such as endpoint and token.
    """

    kind: str
    path: Path
    environ: Mapping[str, str]

    def take(self, file: Path) -> Usage | None:
        """Use the file as the staging copy of a lake, which the next sync writes completely."""
        if self.kind == "duckdb":
            return None
        copy_to_staging(file, self)
        return self.sync()

    def sync(self) -> Usage:
        """Run a sync and return its usage."""
        return run_sync(self.kind, str(self.path), *self._where)

    def iter_answers(self) -> Iterator[Usage]:
        """Yield the usage of each `tower-etl query`."""
        for question in QUESTIONS:
            ask = ("query", ASK.format(question), "--format", "csv", "--path", str(self.path))
            yield succeed(measure([sys.executable, "-m", "tower_etl", *ask], *self._where))

    def weigh(self) -> int:
        """Return the bytes of the file, of the newest snapshot, or of all versions."""
        real = self.path.resolve()
        if real.is_file():
            return real.stat().st_size
        newest = (real / ".snapshots" / "current").resolve()
        folder = newest if newest.is_dir() else real
        return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())

    @property
    def _where(self) -> tuple[Path, Mapping[str, str]]:
        return self.path.parent, self.environ


def copy_to_staging(file: Path, store: FileStore) -> None:
    """Copy a file to the place of the staging copy of a lake that does not exist yet."""
    mirror = open_mirror(DestinationConfig(store.kind, str(store.path), file.parent))
    mirror.paths.work_dir.mkdir()
    shutil.copyfile(file, mirror.paths.staging)
    mirror.record_snapshots(None)


def run_sync(kind: str, path: str, home: Path, environ: Mapping[str, str]) -> Usage:
    """Run `tower-etl sync` in a folder and return its resource usage."""
    return succeed(measure([*OURS.command, path, "--destination", kind], home, environ))


def succeed(usage: Usage) -> Usage:
    """Return the usage of a command that succeeded.

    Raises:
        RuntimeError: The command failed.
    """
    if usage.exit_code != 0:
        msg = f"A command ended with {usage.exit_code}: see log.txt."
        raise RuntimeError(msg)
    return usage

"""What is kept up to date, measured from outside: files and folders of files."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from benchmarks.candidates import OURS
from benchmarks.resource_usage import measure
from tower_etl.destinations.config import DestinationConfig
from tower_etl.destinations.lake.mirror import StagingDatabase, open_mirror

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from benchmarks.resource_usage import Usage

QUESTIONS = ("cost_by_user", "failure_reasons", "memory_requests", "queue_waits", "retry_waste")
ASK = "SELECT * FROM {} LIMIT 20"


class Store(Protocol):
    """Something that syncs go into, and questions are asked of."""

    @property
    def kind(self) -> str:
        """Of destination."""
        ...

    def take(self, file: Path) -> Usage | None:
        """Make it hold what a DuckDB file does; what its first writing took, if a sync did it."""
        ...

    def sync(self) -> Usage:
        """What a sync takes."""
        ...

    def iter_answers(self) -> Iterator[Usage]:
        """What each question takes, from the shell to the answer."""
        ...

    def weigh(self) -> int:
        """Bytes of what readers read."""
        ...


@dataclass(frozen=True)
class FileStore:
    """A DuckDB file, or a lake.

    Attributes:
        kind: Of destination.
        path: Where it is.
        environ: What the commands are told of the platform.
    """

    kind: str
    path: Path
    environ: Mapping[str, str]

    def take(self, file: Path) -> Usage | None:
        """A lake gets the file as its working copy, all of which the next sync writes."""
        if self.kind == "duckdb":
            return None
        lay_copy(file, self)
        return self.sync()

    def sync(self) -> Usage:
        """What a sync takes."""
        return run_sync(self.kind, str(self.path), *self._where)

    def iter_answers(self) -> Iterator[Usage]:
        """Asked by `tower-etl query`."""
        for question in QUESTIONS:
            ask = ("query", ASK.format(question), "--format", "csv", "--path", str(self.path))
            yield succeed(measure([sys.executable, "-m", "tower_etl", *ask], *self._where))

    def weigh(self) -> int:
        """Of the file, of the newest snapshot, or of all versions."""
        real = self.path.resolve()
        if real.is_file():
            return real.stat().st_size
        newest = (real / ".snapshots" / "current").resolve()
        folder = newest if newest.is_dir() else real
        return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())

    @property
    def _where(self) -> tuple[Path, Mapping[str, str]]:
        return self.path.parent, self.environ


def lay_copy(file: Path, store: FileStore) -> None:
    """Copy a file to where the working copy of a lake is that is not there yet."""
    target = open_mirror(DestinationConfig(store.kind, str(store.path), file.parent)).target
    target.work_dir.mkdir()
    shutil.copyfile(file, target.staging)
    StagingDatabase(target).record_snapshots(None)


def run_sync(kind: str, path: str, home: Path, environ: Mapping[str, str]) -> Usage:
    """What `tower-etl sync` takes, run in a folder."""
    return succeed(measure([*OURS.command, path, "--destination", kind], home, environ))


def succeed(usage: Usage) -> Usage:
    """Stop where a command failed.

    Raises:
        RuntimeError: It did.
    """
    if usage.exit_code != 0:
        msg = f"A command ended with {usage.exit_code}: see log.txt."
        raise RuntimeError(msg)
    return usage

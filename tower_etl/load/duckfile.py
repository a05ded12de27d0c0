"""The default destination: a DuckDB file that every sync replaces as a whole."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from tower_etl.clock import SYSTEM_CLOCK
from tower_etl.errors import UsageError
from tower_etl.load.lock import hold_lock
from tower_etl.load.pipeline import keep_open, open_pipeline
from tower_etl.load.publish import Publisher
from tower_etl.load.reader import open_reader
from tower_etl.load.views import apply_views, iter_views
from tower_etl.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    import dlt

    from tower_etl.clock import Clock
    from tower_etl.load.target import Target
    from tower_etl.tables import Table


@dataclass(frozen=True)
class DuckFile:
    """A DuckDB file, with the folder beside it in which it is written.

    Attributes:
        target: Both.
    """

    target: Target
    dialect: str = "duckdb"

    @property
    def is_begun(self) -> bool:
        """Whether the folder is there."""
        return self.target.folder.is_dir()

    def probe(self) -> None:
        """Refuse a file that DuckDB cannot open."""
        probe(self.target)

    def hold(self, clock: Clock) -> AbstractContextManager[None]:
        """Lock the folder."""
        return hold_lock(self.target.folder, str(self.target.path), clock.now())

    def keep(self) -> AbstractContextManager[None]:
        """Keep the draft open; the lock is held until its process ends."""
        return keep_open(self.target)

    def prepare(self) -> None:
        """Take a draft of the published file."""
        Publisher(self.target).open_draft()

    def start_over(self) -> None:
        """Take a new draft."""
        Publisher(self.target).start_over()

    def open_pipeline(self) -> dlt.Pipeline:
        """It writes to the draft."""
        return open_pipeline(self.target)

    def publish(self, now: datetime, specs: Mapping[str, Table] = TABLES) -> None:
        """Apply views and comments, and rename the draft over the file."""
        del now
        publisher = Publisher(self.target)
        publisher.publish(apply_views(self.target.draft, specs, publisher.views))


def probe(target: Target) -> None:
    """Refuse a file that DuckDB cannot open, before anything is made beside it.

    A file that another program has open to write cannot be looked into, and is none the worse. A
    log beside it may be of a program that goes on writing to a file that was replaced: what
    cannot be opened with such a log, but without it, loses the log.

    Raises:
        UsageError: The file is damaged.
    """
    reason = _find_damage(target.path)
    log = target.path.with_name(target.path.name + ".wal")
    if reason and log.exists():
        aside = log.with_name(f"{log.name}.orphan-{time.time_ns()}")
        log.rename(aside)
        reason = _find_damage(target.path)
        if reason:
            aside.rename(log)
    if reason:
        msg = (
            f"{target.path} is damaged ({reason}): restore it from a copy, or give another --path."
        )
        raise UsageError(msg)


def _find_damage(path: Path) -> str | None:
    """Why DuckDB cannot open a file, None if it can or if another program has it open."""
    if not path.exists():
        return None
    try:
        duckdb.connect(str(path), read_only=True).close()
    except duckdb.Error as error:
        reason = " ".join(str(error).split())[:200]
        busy = "lock" in reason.lower() or "configuration" in reason.lower()
        return None if busy else reason
    return None


def refresh_views(target: Target, clock: Clock = SYSTEM_CLOCK) -> int:
    """Create or replace the views of a target, published like a sync; how many there are.

    Raises:
        UsageError: No sync has written to the target yet.
        TargetBusyError: A sync holds it.
    """
    open_reader(target.path).close()
    publisher = Publisher(target)
    with hold_lock(target.folder, str(target.path), clock.now()):
        if target.draft.exists():
            msg = f"A sync into {target.path} was interrupted: run `tower-etl sync`, which goes on."
            raise UsageError(msg)
        publisher.open_draft()
        publisher.publish(apply_views(target.draft))
    return len(list(iter_views()))

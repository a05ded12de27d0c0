"""Lakes whose tables have versions: one commit a table, and then a note of the version of each.

Readers read the versions that the note names. A sync that was killed between two commits leaves the
mark of its beginning, and some tables ahead of the note: the next one writes those anew.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from tower_etl.destinations.errors import explain, one_line
from tower_etl.errors import DestinationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tower_etl.destinations.lake.manifest import ManifestDiff, ManifestStore, TableDiff
    from tower_etl.destinations.locks import WriterLock
    from tower_etl.errors import TowerEtlError

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TableCommit:
    """What is to be done to one table.

    Attributes:
        change: What is different from the note.
        months: All that the table is to hold.
        noted: The version in the note; empty where it names none.
        torn: Whether the table may be ahead of the note.
    """

    change: TableDiff
    months: Iterable[str]
    committed_version: str
    was_interrupted: bool

    @property
    def is_due(self) -> bool:
        """Whether anything changed."""
        return bool(self.change.is_new or self.change.written or self.change.removed)

    @property
    def is_done(self) -> bool:
        """Whether the table holds for certain what it should."""
        return not (self.was_interrupted or self.is_due)


class WriteTable(Protocol):
    """Makes the commit."""

    def __call__(self, task: TableCommit) -> str:
        """The version of the table that holds what it should; the task may be done already."""
        ...


def commit_tables(
    step: ManifestDiff, notes: ManifestStore, guard: WriterLock, write: WriteTable
) -> None:
    """Commit what changed, in the order of its changes, and note the versions.

    Raises:
        TowerEtlError: The guard let another sync in.
    """
    guard.check()
    torn = notes.mark_in_progress()
    tables = {}
    for change in step.changes:
        contents = step.new.tables[change.table]
        noted = step.known[change.table].state if change.table in step.known else ""
        task = TableCommit(change, contents.partitions, noted, torn)
        tables[change.table] = replace(contents, state=write(task))
        _logger.info(
            "Table %s: %d months written, %d removed",
            change.table,
            len(change.written),
            len(change.removed),
        )
    guard.check()
    notes.write(replace(step.new, tables=tables), step.old)


def explain_commit(error: Exception, table: str, place: str) -> TowerEtlError:
    """Return the error of the tree for a commit that failed.

    Args:
        error: What the library says.
        table: Which one could not be written.
        place: The root of the lake.
    """
    msg = (
        f"{table} could not be written to {place}: {one_line(error)} Run the same command again; "
        "committed data is safe."
    )
    return explain(error, place) or DestinationError(msg)

"""Commits to lakes with versioned tables: one commit per table, then a manifest of all versions.

Readers use the versions in the manifest. An interrupted sync leaves the in-progress mark and
possibly tables newer than the manifest, which the next sync overwrites.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tower_etl.destinations.errors import explain, one_line
from tower_etl.errors import DestinationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tower_etl.destinations.lake.manifest import ManifestDiff, ManifestStore, TableDiff
    from tower_etl.destinations.locks import WriterLock

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TableCommit:
    """Pending commit to one table.

    Attributes:
        change: Difference to the manifest.
        months: All partitions that the table has after the commit.
        committed_version: Version in the manifest; empty if the table is not in it.
        was_interrupted: Whether the table may be newer than the manifest.
    """

    change: TableDiff
    months: Iterable[str]
    committed_version: str
    was_interrupted: bool

    @property
    def is_due(self) -> bool:
        """Whether the table differs from the manifest."""
        return bool(self.change.is_new or self.change.written or self.change.removed)

    @property
    def is_done(self) -> bool:
        """Whether the table certainly needs no commit."""
        return not (self.was_interrupted or self.is_due)


def commit_tables(
    diff: ManifestDiff,
    manifests: ManifestStore,
    writer_lock: WriterLock,
    write: Callable[[TableCommit], str],
) -> None:
    """Commit the changed tables in order, and then the manifest with their versions.

    Args:
        diff: Difference between the current and the new manifest.
        manifests: Store of the manifest.
        writer_lock: Lock that is verified before the commits and before the manifest.
        write: Function that commits to a table if needed, and returns its resulting version.

    Raises:
        TowerEtlError: The lock was lost, or a commit failed.
    """
    writer_lock.check()
    # The mark precedes the first commit, so that an interruption is always detected.
    was_interrupted = manifests.mark_in_progress()
    tables = {}
    for change in diff.changes:
        contents = diff.new.tables[change.table]
        old = diff.current_tables.get(change.table)
        committed_version = old.state if old else ""
        task = TableCommit(change, contents.partitions, committed_version, was_interrupted)
        tables[change.table] = replace(contents, state=write(task))
        _logger.info(
            "Table %s: %d months written, %d removed",
            change.table,
            len(change.written),
            len(change.removed),
        )
    # Verified again, because the process may have been suspended during the commits.
    writer_lock.check()
    manifests.write(replace(diff.new, tables=tables), diff.old)


@contextmanager
def explained_commit(table: str, name: str, kind: type[Exception]) -> Iterator[None]:
    """Translate a failed commit to a `TowerEtlError`.

    Args:
        table: Table of the commit.
        name: Name of the lake in messages.
        kind: Exception of the library; those of the operating system are translated too.

    Raises:
        TowerEtlError: The commit failed.
    """
    try:
        yield
    except (kind, OSError) as error:
        msg = (
            f"{table} could not be written to {name}: {one_line(error)} Run the same command "
            "again; committed data is safe."
        )
        raise explain(error, name) or DestinationError(msg) from error

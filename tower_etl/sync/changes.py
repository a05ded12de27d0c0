"""Comparison of listed runs with the runs stored in the destination."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tower_etl.sync.state import is_final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from tower_etl.sync.state import WorkspaceState


@dataclass(frozen=True)
class ListingWindow:
    """Range of submission times of the runs to list.

    Attributes:
        after: Earliest submission time, inclusive (UTC); None for no bound.
        before: Latest submission time, inclusive (UTC); None for no bound.
        is_full: Whether the window spans all runs in scope, so that runs not listed are deleted.
        expected_run_ids: Ids of earlier runs that the listing must contain if the server supports
            the bounds.
    """

    after: datetime | None
    before: datetime | None
    is_full: bool
    expected_run_ids: frozenset[str] = field(default=frozenset(), compare=False)

    def contains(self, submit: datetime | None) -> bool:
        """Return whether a run with a submission time is in the window."""
        if submit is None:
            return self.after is None and self.before is None
        after_ok = self.after is None or submit >= self.after
        return after_ok and (self.before is None or submit <= self.before)


@dataclass(frozen=True)
class ListedRun:
    """Run as the listing shows it, times in UTC; None for values that the listing omits."""

    run_id: str
    submit: datetime | None = None
    status: str | None = None
    last_updated: datetime | None = None
    complete: datetime | None = None
    starred: bool | None = None
    labels: tuple[Mapping[str, Any], ...] | None = None

    @property
    def label_ids(self) -> frozenset[int] | None:
        """Ids of the run's labels, None if the listing does not show labels."""
        return None if self.labels is None else frozenset(label["id"] for label in self.labels)

    def needs_refetch(self, stored: StoredRun) -> bool:
        """Return whether the run must be refetched: it changed, reappeared, or is not final.

        Values that a listing omits (status and completion, in listings of 2021) are not compared.
        """
        pairs = (
            (self.status, stored.status),
            (self.last_updated, stored.last_updated),
            (self.complete, stored.complete),
        )
        changed = any(listed is not None and listed != value for listed, value in pairs)
        is_open = not is_final(self.status or stored.status, self.complete or stored.complete)
        return stored.missing_since is not None or changed or is_open


@dataclass(frozen=True)
class StoredRun:
    """Run as the destination has it, times in UTC."""

    submit: datetime | None = None
    status: str | None = None
    last_updated: datetime | None = None
    complete: datetime | None = None
    starred: bool | None = None
    label_ids: frozenset[int] = frozenset()
    missing_since: datetime | None = None
    has_missing_parts: bool = False


def find_label_changes(
    same: Iterable[ListedRun], stored: Mapping[str, StoredRun]
) -> dict[str, tuple[Mapping[str, Any], ...]]:
    """Return the current labels of the runs whose labels changed, by run id."""
    return {
        run.run_id: run.labels
        for run in same
        if run.labels is not None and run.label_ids != stored[run.run_id].label_ids
    }


def find_star_changes(
    same: Iterable[ListedRun], stored: Mapping[str, StoredRun]
) -> dict[str, bool | None]:
    """Return the current `starred` of the runs whose star changed, by run id."""
    return {
        run.run_id: run.starred
        for run in same
        if run.starred is not None and run.starred != stored[run.run_id].starred
    }


def find_deleted(
    listed_by_id: Mapping[str, ListedRun], stored: Mapping[str, StoredRun], window: ListingWindow
) -> tuple[str, ...]:
    """Return the ids of stored runs that a full listing of the window does not contain."""
    return tuple(
        run_id
        for run_id, run in stored.items()
        if run_id not in listed_by_id and run.missing_since is None and window.contains(run.submit)
    )


def find_other_deleted(
    state: WorkspaceState,
    listed_by_id: Mapping[str, ListedRun],
    stored: Mapping[str, StoredRun],
    window: ListingWindow,
) -> tuple[str, ...]:
    """Return the ids of other deleted runs: open, failed or already marked as missing."""
    submits = {
        run_id: run.submit for runs in (state.open, state.failed) for run_id, run in runs.items()
    }
    opened = (run_id for run_id, submit in submits.items() if window.contains(submit))
    marked = (run_id for run_id, run in stored.items() if run.missing_since is not None)
    return tuple(run_id for run_id in (*opened, *marked) if run_id not in listed_by_id)


def find_expected(state: WorkspaceState, window: ListingWindow) -> frozenset[str]:
    """Return the ids of earlier runs that a listing of the window must contain."""
    return frozenset(
        run_id
        for run_id, at in state.lookback.items()
        if run_id not in state.deleted and window.contains(at)
    )

"""What a listing shows of each run, against what the tables have."""

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
    """Which runs to list.

    Attributes:
        after: Earliest submission, inclusive (UTC); None for no bound.
        before: Latest submission, inclusive (UTC); None for no bound.
        whole: Whether it spans all that is in scope, so that what it lacks is missing.
        known: Runs that were loaded, and that a server that understands the bounds shows.
    """

    after: datetime | None
    before: datetime | None
    is_full: bool
    known: frozenset[str] = field(default=frozenset(), compare=False)


@dataclass(frozen=True)
class ListedRun:
    """A run as the listing shows it."""

    run_id: str
    submit: datetime | None = None
    status: str | None = None
    last_updated: datetime | None = None
    complete: datetime | None = None
    starred: bool | None = None
    labels: tuple[Mapping[str, Any], ...] | None = None

    @property
    def label_ids(self) -> frozenset[int] | None:
        """Ids of its labels, None if the listing does not show labels."""
        return None if self.labels is None else frozenset(label["id"] for label in self.labels)

    def needs_refetch(self, stored: StoredRun) -> bool:
        """Whether it must be fetched again: it changed, came back, or is not final.

        What a listing leaves out (status and completion, in those of 2021) says nothing.
        """
        said = (
            (self.status, stored.status),
            (self.last_updated, stored.last_updated),
            (self.complete, stored.complete),
        )
        changed = any(listed is not None and listed != known for listed, known in said)
        is_open = not is_final(self.status or stored.status, self.complete or stored.complete)
        return stored.missing_since is not None or changed or is_open


@dataclass(frozen=True)
class StoredRun:
    """A run as the tables have it."""

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
    """Runs whose labels changed, with those that they have now."""
    return {
        run.run_id: run.labels
        for run in same
        if run.labels is not None and run.label_ids != stored[run.run_id].label_ids
    }


def find_star_changes(
    same: Iterable[ListedRun], stored: Mapping[str, StoredRun]
) -> dict[str, bool | None]:
    """Runs whose star changed, with what it is now."""
    return {
        run.run_id: run.starred
        for run in same
        if run.starred is not None and run.starred != stored[run.run_id].starred
    }


def find_deleted(
    known: Mapping[str, ListedRun], stored: Mapping[str, StoredRun], window: ListingWindow
) -> tuple[str, ...]:
    """Runs of the tables that should have been listed, and were not."""
    return tuple(
        run_id
        for run_id, run in stored.items()
        if run_id not in known and run.missing_since is None and contains(window, run.submit)
    )


def find_vanished(
    state: WorkspaceState,
    known: Mapping[str, ListedRun],
    stored: Mapping[str, StoredRun],
    window: ListingWindow,
) -> tuple[str, ...]:
    """Return runs without a place in the listing that were open, failed or missing before."""
    submits = {
        run_id: run.submit for runs in (state.open, state.failed) for run_id, run in runs.items()
    }
    opened = (run_id for run_id, submit in submits.items() if contains(window, submit))
    missing = (run_id for run_id, run in stored.items() if run.missing_since is not None)
    return tuple(run_id for run_id in (*opened, *missing) if run_id not in known)


def find_expected(state: WorkspaceState, window: ListingWindow) -> frozenset[str]:
    """Return the loaded runs that a listing of the window should show."""
    loaded = state.lookback.items()
    return frozenset(
        run_id for run_id, at in loaded if run_id not in state.deleted and contains(window, at)
    )


def contains(window: ListingWindow, submit: datetime | None) -> bool:
    """Whether a run submitted then must be listed."""
    if submit is None:
        return window.after is None and window.before is None
    after_ok = window.after is None or submit >= window.after
    return after_ok and (window.before is None or submit <= window.before)

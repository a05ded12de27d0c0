"""Retries of runs that could not be fetched, and of runs with missing parts.

Both are retried in the same way. Every sync retries the runs whose wait is over, and at least one.
The others are deferred: they are fetched in the same sync only after one of the retries succeeded,
because then the cause is probably gone. A permanent fault of many runs therefore costs few calls,
and the first sync after the end of a fault loads all runs that it affected.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from tower_etl.sync.bookmarks import TaskBookmark

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from tower_etl.sync.changes import ListedRun
    from tower_etl.sync.state import FailedRun, OpenRun, WorkspaceState

RetryCause = Literal["failed", "parts"]

_PARTS_AT_ONCE = 20  # runs whose missing parts one reconciliation requests


@dataclass(frozen=True)
class RunFetch:
    """Run to fetch.

    Attributes:
        run_id: Id of the run.
        submit: Submission time (UTC), None if unknown.
        starred: Whether the user starred the run, as last listed.
        bookmark: Final tasks that are not refetched.
        advances_cursor: Whether the cursor advances when the run is loaded or recorded as failed.
        retry: Cause of the retry, None if the fetch is not a retry.
        tables: Tables to fetch the run for; empty for all selected tables.
        in_order: Whether all older runs are fetched before, so that tables are filled up to it.
        status: Status in the listing, None if the run was not listed.
        complete: Completion time (UTC) in the listing, None if it has none.
    """

    run_id: str
    submit: datetime | None
    starred: bool | None
    bookmark: TaskBookmark = field(default_factory=TaskBookmark)
    advances_cursor: bool = False
    retry: RetryCause | None = None
    tables: frozenset[str] = frozenset()
    in_order: bool = False
    status: str | None = None
    complete: datetime | None = None


Retries = tuple[list[RunFetch], list[RunFetch]]
"""Retries that are due, and those to make only if one of these succeeds."""


def count_down(state: WorkspaceState) -> WorkspaceState:
    """Return the state with the retry wait of every failed run reduced by one sync."""
    return replace(
        state,
        failed={
            run_id: replace(run, retry_in=max(0, run.retry_in - 1))
            for run_id, run in state.failed.items()
        },
    )


def plan_failed_retries(
    failed: Mapping[str, FailedRun], listed_by_id: Mapping[str, ListedRun], *, retry_all: bool
) -> Retries:
    """Return the fetches of failed runs to make now, and those to defer.

    Args:
        failed: Failed runs by id, after `count_down`.
        listed_by_id: Listed runs by id, with the current `starred`.
        retry_all: Whether to retry all failed runs, regardless of their wait.
    """
    ordered = sorted(failed.items(), key=lambda item: (item[1].retry_in, item[1].last_failed_at))
    fetches = [
        replace(plan_tracked(run_id, run, listed_by_id.get(run_id)), retry="failed")
        for run_id, run in ordered
    ]
    due = sum(1 for run in failed.values() if run.retry_in == 0)
    count = len(fetches) if retry_all else max(1, due)
    return fetches[:count], fetches[count:]


def plan_part_retries(
    incomplete: Iterable[ListedRun], now: datetime, *, retry_all: bool
) -> Retries:
    """Return the fetches of runs with missing parts to make now, and those to defer.

    A server that lacks a part lacks it for most runs, so each day retries a few of them in turn.

    Args:
        incomplete: Runs with missing parts.
        now: Start of the sync (UTC).
        retry_all: Whether to retry all of these runs.
    """
    ordered = sorted(incomplete, key=lambda run: run.run_id)
    start = now.toordinal() * _PARTS_AT_ONCE % len(ordered) if ordered else 0
    fetches = [
        RunFetch(run.run_id, run.submit, run.starred, retry="parts")
        for run in (*ordered[start:], *ordered[:start])
    ]
    count = len(fetches) if retry_all else _PARTS_AT_ONCE
    return fetches[:count], fetches[count:]


def plan_tracked(run_id: str, run: OpenRun | FailedRun, listed: ListedRun | None) -> RunFetch:
    """Return the fetch of a run of the state, with `starred` as listed if the run was listed."""
    starred = listed.starred if listed and listed.starred is not None else run.starred
    return RunFetch(run_id, run.submit, starred, run.bookmark)

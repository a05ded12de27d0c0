"""Which runs to retry: those that failed to be fetched, and those that lack a part.

Both are retried in the same way. Every sync retries the runs whose wait is over, and at least one.
The others are deferred: they are fetched in the same sync only after one of the retries succeeded,
because then the cause is probably gone. A permanent fault of many runs therefore costs few calls,
and the sync after the end of a fault loads everything that it kept out.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from tower_etl.sync.bookmarks import TaskBookmark

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from tower_etl.sync.changes import ListedRun
    from tower_etl.sync.state import FailedRun, WorkspaceState

RetryCause = Literal["failed", "parts"]

_PARTS_AT_ONCE = 20  # runs that a reconciliation asks for their missing parts


@dataclass(frozen=True)
class RunFetch:
    """A run to fetch.

    Attributes:
        run_id: Its id.
        submit: When it was submitted (UTC), None if unknown.
        starred: What the listing says, or what it last said.
        bookmark: Tasks that need no fetching.
        is_new: Whether it moves the cursor when it lands.
        retry: Why it is retried, None if this is no retry.
        tables: Tables to fetch the run for; empty for all that are wanted.
        in_order: Whether all older runs come before it, so that tables are filled up to it.
        status: Status by the listing, None if the run was not listed.
        complete: When the run ended (UTC) by the listing, None if it does not say.
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


@dataclass(frozen=True)
class Retries:
    """Retries of one workspace.

    Attributes:
        due: Runs to fetch.
        deferred: Runs to fetch if one of `due` that was retried for the same cause succeeds.
    """

    due: tuple[RunFetch, ...] = ()
    deferred: tuple[RunFetch, ...] = ()


def count_down(state: WorkspaceState) -> WorkspaceState:
    """Return the state in which one more sync has passed for every failed run."""
    return replace(
        state,
        failed={
            run_id: replace(run, retry_in=max(0, run.retry_in - 1))
            for run_id, run in state.failed.items()
        },
    )


def retry_failed(
    failed: Mapping[str, FailedRun], known: Mapping[str, ListedRun], *, everything: bool
) -> Retries:
    """Divide failed runs into those to retry now and those to defer.

    Args:
        failed: Failed runs by id, after `count_down`.
        known: Listed runs by id; they have the current `starred`.
        everything: Whether to retry all of them, whatever their wait.
    """
    ordered = sorted(failed.items(), key=lambda item: (item[1].retry_in, item[1].last_failed_at))
    fetches = [_fetch_failed(run_id, run, known.get(run_id)) for run_id, run in ordered]
    due = sum(1 for run in failed.values() if run.retry_in == 0)
    count = len(fetches) if everything else max(1, due)
    return Retries(tuple(fetches[:count]), tuple(fetches[count:]))


def retry_parts(lacking: Iterable[ListedRun], now: datetime, *, everything: bool) -> Retries:
    """Divide runs that lack a part into those to retry now and those to defer.

    A server that lacks a part lacks it for most runs. Each day therefore takes its turn of a few.

    Args:
        lacking: The runs.
        now: Start of the sync (UTC).
        everything: Whether to retry all of them.
    """
    ordered = sorted(lacking, key=lambda run: run.run_id)
    start = now.toordinal() * _PARTS_AT_ONCE % len(ordered) if ordered else 0
    fetches = [
        RunFetch(run.run_id, run.submit, run.starred, retry="parts")
        for run in (*ordered[start:], *ordered[:start])
    ]
    count = len(fetches) if everything else _PARTS_AT_ONCE
    return Retries(tuple(fetches[:count]), tuple(fetches[count:]))


def _fetch_failed(run_id: str, run: FailedRun, listed: ListedRun | None) -> RunFetch:
    starred = listed.starred if listed and listed.starred is not None else run.starred
    return RunFetch(run_id, run.submit, starred, run.bookmark, retry="failed")

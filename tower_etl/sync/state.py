"""State of a workspace between syncs: small, versioned JSON values.

Its size depends on the number of open runs, not on the number of all runs: an incremental sync
recognizes final runs by the cursor, and a reconciliation by the rows in the destination.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tower_etl.errors import ConfigurationError
from tower_etl.sync.bookmarks import TaskBookmark, dump_bookmark, load_bookmark
from tower_etl.timestamps import EPOCH

if TYPE_CHECKING:
    from collections.abc import Mapping

PERSONAL = "personal"  # key of the personal workspace, which has no id
# 2: failed runs are a separate part of the state, and each table records its coverage. Version 1
# can still be loaded.
STATE_VERSION = 2

FINAL_STATUSES = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})  # API fact 5; all others are open

# Waits after consecutive failures of a run, in syncs: three prompt retries, then exponential waits.
_PROMPT_RETRIES = 3
_MAX_RETRY_WAIT = 16

# The tables with rows of runs.
RUN_TABLES = frozenset(
    {
        *("workflows", "tasks", "process_metrics", "workflow_progress", "process_progress"),
        *("workflow_labels", "users"),
    }
)
_MAX_MISSING_RUNS = 1000  # runs that a table lacks; beyond that, all runs are compared

# A run may enter the listing a little after one that was submitted later. Each listing therefore
# starts this long before the cursor, but never so far back that a second page would be needed.
LOOKBACK_WINDOW = timedelta(hours=1)
LOOKBACK_RUNS = 50


@dataclass(frozen=True)
class OpenRun:
    """Run that is not known to be final.

    Attributes:
        submit: Submission time (UTC), None if unknown.
        starred: Whether the user starred the run, as last listed.
        bookmark: Final tasks that are not refetched.
    """

    submit: datetime | None = None
    starred: bool | None = None
    bookmark: TaskBookmark = field(default_factory=TaskBookmark)


@dataclass(frozen=True)
class TableCoverage:
    """Coverage of one table: which of a workspace's loaded runs it contains.

    Attributes:
        complete: Whether the table contains every loaded run except `missing_runs`.
        filled_to: During a backfill, submission time (UTC) before which the table contains all
            runs except `missing_runs`; None before the first run of the backfill.
        missing_runs: Ids of runs that were loaded into other tables only.
        is_behind: Whether a reconciliation took place while the table was not selected.
    """

    complete: bool = True
    filled_to: datetime | None = None
    missing_runs: frozenset[str] = frozenset()
    is_behind: bool = False

    def holds(self, run_id: str, submit: datetime | None) -> bool:
        """Return whether the table contains a run that was loaded before."""
        if self.complete:
            return run_id not in self.missing_runs
        filled = self.filled_to is not None and submit is not None and submit < self.filled_to
        return filled and run_id not in self.missing_runs

    def record_loaded(self, run_id: str, filled_to: datetime | None) -> TableCoverage:
        """Return the coverage after a run was loaded into the table.

        Args:
            run_id: Id of the run.
            filled_to: Submission time of the run (UTC) if runs are loaded in that order, else None.
        """
        newest = self.filled_to
        if not self.complete and filled_to is not None:
            newest = max(newest, filled_to) if newest else filled_to
        return replace(self, filled_to=newest, missing_runs=self.missing_runs - {run_id})

    def record_missing(self, run_id: str) -> TableCoverage:
        """Return the coverage after a run was loaded, but not into the table."""
        missing_runs = self.missing_runs | {run_id}
        return (
            TableCoverage(complete=False)
            if len(missing_runs) > _MAX_MISSING_RUNS
            else replace(self, missing_runs=missing_runs)
        )


@dataclass(frozen=True)
class FailedRun:
    """Run whose last fetch failed; it is retried until it is loaded or deleted, regardless of age.

    Attributes:
        submit: Submission time (UTC), None if unknown.
        starred: Whether the user starred the run, as last listed.
        bookmark: Tasks that were loaded and final before the fetches failed.
        attempts: Number of consecutive failed fetches, at least 1.
        first_failed_at: Start of the sync with the first failed fetch (UTC).
        last_failed_at: Start of the sync with the last failed fetch (UTC).
        retry_in: Number of syncs until the next retry; 1 is the next sync.
        error: Message of the last failure.
    """

    submit: datetime | None
    starred: bool | None
    bookmark: TaskBookmark
    attempts: int
    first_failed_at: datetime
    last_failed_at: datetime
    retry_in: int
    error: str

    def as_json(self, run_id: str) -> dict[str, Any]:
        """Return the run as JSON values for users and scripts, times in UTC."""
        return {
            "run_id": run_id,
            "attempts": self.attempts,
            "first_failed_at": _dump_timestamp(self.first_failed_at),
            "last_failed_at": _dump_timestamp(self.last_failed_at),
            "retry_in_syncs": self.retry_in,
            "error": self.error,
        }

    @staticmethod
    def retry_wait(attempts: int) -> int:
        """Return the wait after a number of consecutive failures, in syncs."""
        return int(min(2 ** max(0, attempts - _PROMPT_RETRIES), _MAX_RETRY_WAIT))


@dataclass(frozen=True)
class WorkspaceState:
    """State of one workspace.

    Attributes:
        cursor: Submission time of the newest run that was loaded or recorded as failed (UTC), None
            before the first.
        history_start: Submission time before which `since` excluded runs (UTC), None for none.
        lookback: Submission times by id of the runs, loaded or recorded as failed, that the next
            listing will contain again.
        open: Runs that are refreshed until they are final, by id.
        failed: Runs whose last fetch failed, by id.
        reconciled_at: Start of the last completed reconciliation (UTC).
        deleted: Ids in `lookback` that were marked as missing, and count as new if they reappear.
        tables: Coverage of each of `RUN_TABLES`; a table without an entry contains no runs.
        name: Name of the workspace when it was last visible, None if it never was.
        invisible_since: Start of the first sync that could not see the workspace (UTC), None while
            it is visible.
    """

    cursor: datetime | None = None
    history_start: datetime | None = None
    lookback: Mapping[str, datetime] = field(default_factory=dict)
    open: Mapping[str, OpenRun] = field(default_factory=dict)
    failed: Mapping[str, FailedRun] = field(default_factory=dict)
    reconciled_at: datetime | None = None
    deleted: frozenset[str] = frozenset()
    tables: Mapping[str, TableCoverage] = field(default_factory=dict)
    name: str | None = None
    invisible_since: datetime | None = None

    @property
    def is_new(self) -> bool:
        """Whether no run of the workspace was loaded or attempted before."""
        return self.cursor is None and not (self.open or self.failed)

    def holds(self, table: str, run_id: str, submit: datetime | None) -> bool:
        """Return whether a table contains a run that was loaded before."""
        coverage = self.tables.get(table)
        return coverage is not None and coverage.holds(run_id, submit)

    def listing_start(self, now: datetime) -> datetime | None:
        """Return the start of the next listing: the cursor minus the lookback; None for no bound.

        A cursor in the future, from a server whose clock was wrong, must not hide new runs. One
        in the year 1 must not underflow.
        """
        if self.cursor is None:
            return self.history_start
        recent = sorted(self.lookback.values(), reverse=True)[:LOOKBACK_RUNS]
        start = min(max(self.cursor, EPOCH), now) - LOOKBACK_WINDOW
        if len(recent) == LOOKBACK_RUNS and recent[-1] <= now:
            start = max(start, recent[-1])
        return max(start, self.history_start) if self.history_start else start


def dump_state(state: WorkspaceState) -> dict[str, Any]:
    """Return the state as JSON values, readable in the destination."""
    return {
        "cursor": _dump_timestamp(state.cursor),
        "floor": _dump_timestamp(state.history_start),
        "seen": {run_id: _dump_timestamp(submit) for run_id, submit in state.lookback.items()},
        "open": {run_id: _dump_open(run) for run_id, run in state.open.items()},
        "failed": {run_id: _dump_failed(run) for run_id, run in state.failed.items()},
        "reconciled_at": _dump_timestamp(state.reconciled_at),
        "missing": sorted(state.deleted),
        "name": state.name,
        "invisible_since": _dump_timestamp(state.invisible_since),
    }


def load_state(stored: Mapping[str, Any] | None) -> WorkspaceState:
    """Return the state that `dump_state` wrote; an empty state for None."""
    if not stored:
        return WorkspaceState()
    lookback = {run_id: load_timestamp(submit) for run_id, submit in stored["seen"].items()}
    return WorkspaceState(
        cursor=load_timestamp(stored["cursor"]),
        history_start=load_timestamp(stored["floor"]),
        lookback={run_id: submit for run_id, submit in lookback.items() if submit},
        open={run_id: _load_open(run) for run_id, run in stored["open"].items()},
        failed={run_id: _load_failed(run) for run_id, run in stored.get("failed", {}).items()},
        reconciled_at=load_timestamp(stored["reconciled_at"]),
        deleted=frozenset(stored.get("missing", ())),
        tables=_load_version_1_coverage(stored),
        name=stored.get("name"),
        invisible_since=load_timestamp(stored.get("invisible_since")),
    )


def dump_coverage(coverage: TableCoverage) -> dict[str, Any]:
    """Return the coverage of a table as JSON values, for the state of the table's resource."""
    return {
        "complete": coverage.complete,
        "filled_to": _dump_timestamp(coverage.filled_to),
        "lacks": sorted(coverage.missing_runs),
        "is_behind": coverage.is_behind,
    }


def load_coverage(stored: Mapping[str, Any]) -> TableCoverage:
    """Return the coverage that `dump_coverage` wrote."""
    missing_runs = frozenset(stored["lacks"])
    filled_to = load_timestamp(stored["filled_to"])
    return TableCoverage(stored["complete"], filled_to, missing_runs, stored["is_behind"])


def is_final(status: str | None, complete: datetime | None) -> bool:
    """Return whether a run no longer changes.

    API fact 5: a run that lost its heartbeat is UNKNOWN and may resume, but not after it has a
    completion time.
    """
    return status in FINAL_STATUSES or (status == "UNKNOWN" and complete is not None)


def check_version(version: object) -> None:
    """Reject a state that a newer version wrote.

    Raises:
        ConfigurationError: The version is newer than `STATE_VERSION`.
    """
    if isinstance(version, int) and version > STATE_VERSION:
        msg = (
            f"The destination was written by a newer tower-etl: its state version is {version}, "
            f"expected at most {STATE_VERSION}. Install that version here (README, Install)."
        )
        raise ConfigurationError(msg)


def _load_version_1_coverage(stored: Mapping[str, Any]) -> dict[str, TableCoverage]:
    """Return the coverage of state version 1, which lists the complete tables, or none for all.

    That version loaded users with every run.
    """
    if "tables" not in stored:
        return {}
    return dict.fromkeys({*(stored["tables"] or RUN_TABLES), "users"}, TableCoverage())


def _dump_open(run: OpenRun | FailedRun) -> dict[str, Any]:
    return {
        "submit": _dump_timestamp(run.submit),
        "starred": run.starred,
        **dump_bookmark(run.bookmark),
    }


def _load_open(stored: Mapping[str, Any]) -> OpenRun:
    submit = load_timestamp(stored["submit"])
    return OpenRun(submit, stored["starred"], load_bookmark(stored))


def _dump_failed(run: FailedRun) -> dict[str, Any]:
    return {
        **_dump_open(run),
        "attempts": run.attempts,
        "first_failed_at": _dump_timestamp(run.first_failed_at),
        "last_failed_at": _dump_timestamp(run.last_failed_at),
        "retry_in": run.retry_in,
        "error": run.error,
    }


def _load_failed(stored: Mapping[str, Any]) -> FailedRun:
    return FailedRun(
        **vars(_load_open(stored)),
        attempts=stored["attempts"],
        first_failed_at=datetime.fromisoformat(stored["first_failed_at"]),
        last_failed_at=datetime.fromisoformat(stored["last_failed_at"]),
        retry_in=stored["retry_in"],
        error=stored["error"],
    )


def _dump_timestamp(timestamp: datetime | None) -> str | None:
    return timestamp.astimezone(UTC).isoformat().replace("+00:00", "Z") if timestamp else None


def load_timestamp(text: str | None) -> datetime | None:
    """Return a time of the state; None for a null."""
    return datetime.fromisoformat(text) if text else None

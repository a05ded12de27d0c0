"""What a sync remembers of a workspace: small, versioned, plain JSON.

It grows with the runs that are open now, never with those ever seen: final runs are known by the
cursor, and by the tables when everything is listed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tower_etl.errors import ConfigurationError
from tower_etl.sync.bookmarks import TaskBookmark, dump_bookmark, load_bookmark

if TYPE_CHECKING:
    from collections.abc import Mapping

PERSONAL = "personal"  # key of the personal workspace, which has no id
# 2: failed runs have a state of their own, and each table records what it holds; 1 is still read.
STATE_VERSION = 2

FINAL_STATUSES = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})  # API fact 5; all others are open

# Waits after consecutive failures of one run, in syncs: three prompt retries, then fewer and fewer.
_PROMPT_RETRIES = 3
_MAX_RETRY_WAIT = 16

# The tables that a run has rows in.
RUN_TABLES = frozenset(
    {
        *("workflows", "tasks", "process_metrics", "workflow_progress", "process_progress"),
        *("workflow_labels", "users"),
    }
)
_MAX_MISSING_RUNS = 1000  # runs that a table lacks; beyond that, all runs are compared

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# A run may enter the listing a little after one that was submitted later. Each listing therefore
# starts this long before the cursor, but never so far back that a second page would be needed.
LOOKBACK_WINDOW = timedelta(hours=1)
LOOKBACK_RUNS = 50


@dataclass(frozen=True)
class OpenRun:
    """A run that is not known to be final.

    Attributes:
        submit: When it was submitted (UTC), None if the server does not say.
        starred: Whether the user starred it, as last listed.
        bookmark: The part of its tasks that needs no further visit.
    """

    submit: datetime | None = None
    starred: bool | None = None
    bookmark: TaskBookmark = field(default_factory=TaskBookmark)


@dataclass(frozen=True)
class TableCoverage:
    """What one table holds of the runs that were loaded from a workspace.

    Attributes:
        complete: Whether the table holds every run that was loaded, except `lacks`.
        filled_to: While the table is being filled: runs submitted before (UTC) are held, except
            `lacks`; None if the filling has not begun.
        lacks: Runs that were loaded into other tables only.
        is_behind: Whether a complete listing was compared while the table was not selected.
    """

    complete: bool = True
    filled_to: datetime | None = None
    missing_runs: frozenset[str] = frozenset()
    is_behind: bool = False

    def holds(self, run_id: str, submit: datetime | None) -> bool:
        """Return whether the table holds a run that was loaded before."""
        if self.complete:
            return run_id not in self.missing_runs
        filled = self.filled_to is not None and submit is not None and submit < self.filled_to
        return filled and run_id not in self.missing_runs

    def record_loaded(self, run_id: str, filled_to: datetime | None) -> TableCoverage:
        """Return the holding after a run was loaded into the table.

        Args:
            run_id: The run.
            filled_to: Its submission where the runs of the table are filled in, in that order.
        """
        reached = self.filled_to
        if not self.complete and filled_to is not None:
            reached = max(reached, filled_to) if reached else filled_to
        return replace(self, filled_to=reached, missing_runs=self.missing_runs - {run_id})

    def record_missing(self, run_id: str) -> TableCoverage:
        """Return the holding after a run was loaded, but not into the table."""
        lacks = self.missing_runs | {run_id}
        return (
            TableCoverage(complete=False)
            if len(lacks) > _MAX_MISSING_RUNS
            else replace(self, missing_runs=lacks)
        )


@dataclass(frozen=True)
class FailedRun:
    """A run whose last fetch failed; it is retried until it is loaded or deleted, whatever its age.

    Attributes:
        submit: Submission (UTC), None if the server does not say.
        starred: Whether the user starred the run, as last listed.
        bookmark: Tasks that were loaded and final before the fetches failed.
        attempts: Consecutive failed fetches, at least 1.
        first_failed_at: Start of the sync of the first of them (UTC).
        last_failed_at: Start of the sync of the last of them (UTC).
        retry_in: Syncs until the next retry; 1 is the next sync.
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
        """Return the run as plain JSON for people and scripts, times in UTC."""
        return {
            "run_id": run_id,
            "attempts": self.attempts,
            "first_failed_at": _dump_moment(self.first_failed_at),
            "last_failed_at": _dump_moment(self.last_failed_at),
            "retry_in_syncs": self.retry_in,
            "error": self.error,
        }

    @staticmethod
    def retry_wait(attempts: int) -> int:
        """Return the wait after so many consecutive failures, in syncs."""
        return int(min(2 ** max(0, attempts - _PROMPT_RETRIES), _MAX_RETRY_WAIT))


@dataclass(frozen=True)
class WorkspaceState:
    """What is known of one workspace.

    Attributes:
        cursor: Submission of the newest run that landed (UTC), None before the first.
        floor: Submission before which runs were left out by `since` (UTC), None for none.
        seen: Runs that landed and that the next listing will show again, with their submission.
        open: Runs to be visited until they are final.
        failed: Runs whose last fetch failed, by id.
        reconciled_at: Start of the last complete listing that was carried out (UTC).
        missing: Those among `seen` that were called missing, and are new if they come back.
        tables: Of `RUN_TABLES`, what each of them holds; a table without an entry holds nothing.
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
        """Return whether no run of the workspace was loaded or tried before."""
        return self.cursor is None and not (self.open or self.failed)

    def holds(self, table: str, run_id: str, submit: datetime | None) -> bool:
        """Return whether a table holds a run that was loaded before."""
        holding = self.tables.get(table)
        return holding is not None and holding.holds(run_id, submit)

    def listing_start(self, now: datetime) -> datetime | None:
        """Where the next listing starts: the cursor less the overlap; None is the beginning.

        A cursor in the future, of a server whose clock was wrong, must not hide what is new; and
        nothing lies before one in the year 1.
        """
        if self.cursor is None:
            return self.history_start
        recent = sorted(self.lookback.values(), reverse=True)[:LOOKBACK_RUNS]
        start = min(max(self.cursor, _EPOCH), now) - LOOKBACK_WINDOW
        if len(recent) == LOOKBACK_RUNS and recent[-1] <= now:
            start = max(start, recent[-1])
        return max(start, self.history_start) if self.history_start else start


def dump_state(state: WorkspaceState) -> dict[str, Any]:
    """The state as plain JSON, readable in `tower-etl status` and in the destination."""
    return {
        "cursor": _dump_moment(state.cursor),
        "floor": _dump_moment(state.history_start),
        "seen": {run_id: _dump_moment(submit) for run_id, submit in state.lookback.items()},
        "open": {run_id: _dump_open(run) for run_id, run in state.open.items()},
        "failed": {run_id: _dump_failed(run) for run_id, run in state.failed.items()},
        "reconciled_at": _dump_moment(state.reconciled_at),
        "missing": sorted(state.deleted),
        "name": state.name,
        "invisible_since": _dump_moment(state.invisible_since),
    }


def load_state(stored: Mapping[str, Any] | None) -> WorkspaceState:
    """The state that `dump_state` wrote; an empty one for None."""
    if not stored:
        return WorkspaceState()
    seen = {run_id: _load_moment(submit) for run_id, submit in stored["seen"].items()}
    return WorkspaceState(
        cursor=_load_moment(stored["cursor"]),
        history_start=_load_moment(stored["floor"]),
        lookback={run_id: submit for run_id, submit in seen.items() if submit},
        open={run_id: _load_open(run) for run_id, run in stored["open"].items()},
        failed={run_id: _load_failed(run) for run_id, run in stored.get("failed", {}).items()},
        reconciled_at=_load_moment(stored["reconciled_at"]),
        deleted=frozenset(stored.get("missing", ())),
        tables=_load_tables(stored),
        name=stored.get("name"),
        invisible_since=_load_moment(stored.get("invisible_since")),
    )


def dump_coverage(holding: TableCoverage) -> dict[str, Any]:
    """Return what a table holds as plain JSON, for the state of the table's resource."""
    return {
        "complete": holding.complete,
        "filled_to": _dump_moment(holding.filled_to),
        "lacks": sorted(holding.missing_runs),
        "is_behind": holding.is_behind,
    }


def load_coverage(stored: Mapping[str, Any]) -> TableCoverage:
    """Return the value that `dump_coverage` wrote."""
    lacks = frozenset(stored["lacks"])
    filled_to = _load_moment(stored["filled_to"])
    return TableCoverage(stored["complete"], filled_to, lacks, stored["is_behind"])


def is_final(status: str | None, complete: datetime | None) -> bool:
    """Return whether a run does not change any more.

    API fact 5: a run that lost its heartbeat is UNKNOWN and may come back, but not once it has a
    completion time.
    """
    return status in FINAL_STATUSES or (status == "UNKNOWN" and complete is not None)


def check_version(version: object) -> None:
    """Refuse a state that a newer version wrote.

    Raises:
        ConfigurationError: It is newer than this program.
    """
    if isinstance(version, int) and version > STATE_VERSION:
        msg = (
            f"The target was written by a newer tower-etl (state version {version}, this one knows "
            f"{STATE_VERSION}). Upgrade with `pip install --upgrade tower-etl`."
        )
        raise ConfigurationError(msg)


def _load_tables(stored: Mapping[str, Any]) -> dict[str, TableCoverage]:
    """Return what version 1 recorded: the tables that hold all runs, none meaning every table.

    Users were loaded with every run.
    """
    if "tables" not in stored:
        return {}
    return dict.fromkeys({*(stored["tables"] or RUN_TABLES), "users"}, TableCoverage())


def _dump_open(run: OpenRun) -> dict[str, Any]:
    return {
        "submit": _dump_moment(run.submit),
        "starred": run.starred,
        **dump_bookmark(run.bookmark),
    }


def _load_open(stored: Mapping[str, Any]) -> OpenRun:
    return OpenRun(
        submit=_load_moment(stored["submit"]),
        starred=stored["starred"],
        bookmark=load_bookmark(stored),
    )


def _dump_failed(run: FailedRun) -> dict[str, Any]:
    return {
        **_dump_open(OpenRun(run.submit, run.starred, run.bookmark)),
        "attempts": run.attempts,
        "first_failed_at": _dump_moment(run.first_failed_at),
        "last_failed_at": _dump_moment(run.last_failed_at),
        "retry_in": run.retry_in,
        "error": run.error,
    }


def _load_failed(stored: Mapping[str, Any]) -> FailedRun:
    known = _load_open(stored)
    return FailedRun(
        submit=known.submit,
        starred=known.starred,
        bookmark=known.bookmark,
        attempts=stored["attempts"],
        first_failed_at=datetime.fromisoformat(stored["first_failed_at"]),
        last_failed_at=datetime.fromisoformat(stored["last_failed_at"]),
        retry_in=stored["retry_in"],
        error=stored["error"],
    )


def _dump_moment(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z") if moment else None


def _load_moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None

"""What a sync remembers of a workspace: small, versioned, plain JSON.

It grows with the runs that are open now, never with those ever seen: final runs are known by the
cursor, and by the tables when everything is listed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tower_etl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

STATE_VERSION = 1

FINAL_STATUSES = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})  # API fact 5; all others are open

# The tables that a run has rows in: a run that landed in some of them is owed to the others.
RUN_TABLES = frozenset(
    {
        *("workflows", "tasks", "process_metrics", "workflow_progress", "process_progress"),
        "workflow_labels",
    }
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# A run may enter the listing a little after one that was submitted later. Each listing therefore
# starts this long before the cursor, but never so far back that a second page would be needed.
OVERLAP = timedelta(hours=1)
OVERLAP_RUNS = 50


@dataclass(frozen=True)
class Settled:
    """How many of the first tasks of an open run are final, and stay unfetched.

    Attributes:
        tasks: Their number, and the offset at which the next walk starts.
        last_task_id: `taskId` of the last of them, None if there are none.
    """

    tasks: int = 0
    last_task_id: int | None = None


@dataclass(frozen=True)
class OpenRun:
    """A run that is not known to be final.

    Attributes:
        submit: When it was submitted (UTC), None if the server does not say.
        starred: Whether the user starred it, as last listed.
        settled: The part of its tasks that needs no further visit.
    """

    submit: datetime | None = None
    starred: bool | None = None
    settled: Settled = field(default_factory=Settled)


@dataclass(frozen=True)
class WorkspaceState:
    """What is known of one workspace.

    Attributes:
        cursor: Submission of the newest run that landed (UTC), None before the first.
        floor: Submission before which runs were left out by `since` (UTC), None for none.
        seen: Runs that landed and that the next listing will show again, with their submission.
        open: Runs to be visited until they are final.
        reconciled_at: Start of the last complete listing that was carried out (UTC).
        missing: Those among `seen` that were called missing, and are new if they come back.
        tables: Of `RUN_TABLES`, those in which every run that landed is whole.
    """

    cursor: datetime | None = None
    floor: datetime | None = None
    seen: Mapping[str, datetime] = field(default_factory=dict)
    open: Mapping[str, OpenRun] = field(default_factory=dict)
    reconciled_at: datetime | None = None
    missing: frozenset[str] = frozenset()
    tables: frozenset[str] = frozenset()

    def list_from(self, now: datetime) -> datetime | None:
        """Where the next listing starts: the cursor less the overlap; None is the beginning.

        A cursor in the future, of a server whose clock was wrong, must not hide what is new; and
        nothing lies before one in the year 1.
        """
        if self.cursor is None:
            return self.floor
        recent = sorted(self.seen.values(), reverse=True)[:OVERLAP_RUNS]
        start = min(max(self.cursor, _EPOCH), now) - OVERLAP
        if len(recent) == OVERLAP_RUNS and recent[-1] <= now:
            start = max(start, recent[-1])
        return max(start, self.floor) if self.floor else start


def dump_state(state: WorkspaceState) -> dict[str, Any]:
    """The state as plain JSON, readable in `tower-etl status` and in the destination."""
    return {
        "cursor": _dump_moment(state.cursor),
        "floor": _dump_moment(state.floor),
        "seen": {run_id: _dump_moment(submit) for run_id, submit in state.seen.items()},
        "open": {run_id: _dump_open(run) for run_id, run in state.open.items()},
        "reconciled_at": _dump_moment(state.reconciled_at),
        "missing": sorted(state.missing),
        "tables": sorted(state.tables),
    }


def load_state(stored: Mapping[str, Any] | None) -> WorkspaceState:
    """The state that `dump_state` wrote; an empty one for None."""
    if not stored:
        return WorkspaceState()
    seen = {run_id: _load_moment(submit) for run_id, submit in stored["seen"].items()}
    return WorkspaceState(
        cursor=_load_moment(stored["cursor"]),
        floor=_load_moment(stored["floor"]),
        seen={run_id: submit for run_id, submit in seen.items() if submit},
        open={run_id: _load_open(run) for run_id, run in stored["open"].items()},
        reconciled_at=_load_moment(stored["reconciled_at"]),
        missing=frozenset(stored.get("missing", ())),
        tables=frozenset(stored.get("tables", ())),
    )


def check_version(version: object) -> None:
    """Refuse a state that a newer version wrote.

    Raises:
        UsageError: It is newer than this program.
    """
    if isinstance(version, int) and version > STATE_VERSION:
        msg = (
            f"The target was written by a newer tower-etl (state version {version}, this one knows "
            f"{STATE_VERSION}). Upgrade with `pip install --upgrade tower-etl`."
        )
        raise UsageError(msg)


def _dump_open(run: OpenRun) -> dict[str, Any]:
    return {
        "submit": _dump_moment(run.submit),
        "starred": run.starred,
        "settled_tasks": run.settled.tasks,
        "last_settled_task_id": run.settled.last_task_id,
    }


def _load_open(stored: Mapping[str, Any]) -> OpenRun:
    return OpenRun(
        submit=_load_moment(stored["submit"]),
        starred=stored["starred"],
        settled=Settled(stored["settled_tasks"], stored["last_settled_task_id"]),
    )


def _dump_moment(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z") if moment else None


def _load_moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None

"""Progress and result of a sync: for the display, for `--json` and for the table `sync_runs`."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tower_etl.errors import AuthenticationError, ForbiddenError, NotFoundError, SyncStoppedError
from tower_etl.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import pyarrow as pa

    from tower_etl.clock import Clock
    from tower_etl.extract.discovery import Discovery, Workspace
    from tower_etl.extract.failures import Failure
    from tower_etl.http import JsonHttpClient
    from tower_etl.sync import FailedRun, RetryCause, WorkspacePlan, WorkspaceState


@dataclass
class WorkspaceResult:
    """Result of one workspace.

    Attributes:
        id: Id of the workspace, None for the personal workspace.
        name: `ORG/NAME`, or `personal`.
        planned: Number of runs to fetch, None before the listing.
        listed: Number of runs in the listing.
        fetched: Number of fetched runs whose rows were built.
        deleted: Number of deleted runs that were newly marked as missing.
        done: Whether all planned fetches were attempted.
        error: First error message, None without errors.
        error_exit_code: Exit code of that error.
        aborted: Whether the sync of the workspace was aborted.
        pending: Runs whose last fetch failed, by id; later syncs retry them.
        incomplete: Runs loaded without a part that the server does not have, by part.
    """

    id: int | None
    name: str
    planned: int | None = None
    listed: int = 0
    fetched: int = 0
    deleted: int = 0
    done: bool = False
    error: str | None = None
    error_exit_code: int = 0
    aborted: bool = False
    pending: Mapping[str, FailedRun] = field(default_factory=dict)
    incomplete: Counter[str] = field(default_factory=Counter)

    @classmethod
    def refused(cls, workspace_id: int | None, name: str, message: str) -> WorkspaceResult:
        """Return the result of a workspace that the token may not read."""
        exit_code = ForbiddenError.exit_code
        return cls(workspace_id, name, error=message, error_exit_code=exit_code, aborted=True)

    @property
    def status(self) -> str:
        """`ok`, `partial` (some runs failed), `failed`, or `interrupted` before it was finished."""
        if self.aborted:
            return "failed"
        if self.error is not None or self.pending:
            return "partial"
        return "ok" if self.done else "interrupted"

    def as_json(self) -> dict[str, Any]:
        """Return the element of `workspaces` in `--json` and in `sync_runs`."""
        return {
            "id": self.id,
            "name": self.name,
            "status": self.status,
            "error": self.error,
            "completed": self.done and not self.aborted,
            "runs_listed": self.listed,
            "runs_fetched": self.fetched,
            "runs_missing": self.deleted,
            "runs_pending": len(self.pending),
            "runs_incomplete": dict(self.incomplete),
        }

    def pending_as_json(self) -> list[dict[str, Any]]:
        """Return the runs that are pending a retry, ordered by their first failure."""
        ordered = sorted(self.pending.items(), key=lambda item: item[1].first_failed_at)
        return [run.as_json(run_id) for run_id, run in ordered]


@dataclass
class WorkspaceSync:
    """Sync of one workspace, with its progress.

    Attributes:
        workspace: Workspace that is synced.
        plan: Fetches and updates of the sync.
        state: State of the workspace that is committed with the current package.
        result: Result of the workspace so far.
        recovered_causes: Causes for which a retry succeeded in this sync.
        failures: Number of consecutive runs that failed, without retries.
        max_consecutive_failures: Number of such failures after which the listing is checked.
        fails_fast: Whether calls get two attempts only, because most of them fail.
    """

    workspace: Workspace
    plan: WorkspacePlan
    state: WorkspaceState
    result: WorkspaceResult
    recovered_causes: set[RetryCause] = field(default_factory=set)
    failures: int = 0
    max_consecutive_failures: int = 3
    fails_fast: bool = False


@dataclass
class SyncResult:
    """Result of one sync.

    Attributes:
        workspaces: Results by workspace key, in the order of the sync.
        tasks: Number of tasks whose rows were built.
        reconciled: Whether at least one workspace had a full listing.
        warnings: Messages that do not affect the status.
        reference_errors: Messages on reference data that could not be read, and on its retry.
        stopped: Whether a stop was requested before the end.
        undocumented: Fields without a column that no earlier sync observed, by table.
    """

    workspaces: dict[str, WorkspaceResult] = field(default_factory=dict)
    tasks: int = 0
    reconciled: bool = False
    warnings: list[str] = field(default_factory=list)
    reference_errors: list[str] = field(default_factory=list)
    stopped: bool = False
    undocumented: dict[str, list[str]] = field(default_factory=dict)

    @property
    def listed(self) -> int:
        """Number of runs in the listings."""
        return sum(workspace.listed for workspace in self.workspaces.values())

    @property
    def fetched(self) -> int:
        """Number of fetched runs whose rows were built."""
        return sum(workspace.fetched for workspace in self.workspaces.values())

    @property
    def planned(self) -> int:
        """Number of runs to fetch in the workspaces listed so far."""
        return sum(workspace.planned or 0 for workspace in self.workspaces.values())

    @property
    def unsuccessful(self) -> list[WorkspaceResult]:
        """Workspaces with an error or a pending run."""
        return [
            workspace
            for workspace in self.workspaces.values()
            if workspace.error is not None or workspace.pending
        ]

    @property
    def status(self) -> str:
        """`ok`, `partial` (with errors, or stopped) or `failed` (all workspaces were aborted)."""
        if self.workspaces and all(workspace.aborted for workspace in self.workspaces.values()):
            return "failed"
        return "partial" if self.unsuccessful or self.reference_errors or self.stopped else "ok"

    @property
    def exit_code(self) -> int:
        """0, 4 after a partial failure, or the exit code of the cause if all workspaces failed."""
        if self.status != "failed":
            return 4 if self.unsuccessful or self.reference_errors else 0
        codes = {workspace.error_exit_code for workspace in self.unsuccessful}
        denied = AuthenticationError.exit_code
        return denied if codes == {denied} else max(codes - {denied}, default=4)

    def record_failure(self, workspace: Workspace, failure: Failure) -> str | None:
        """Record the first failure of a workspace; return the message, or None after a stop."""
        if isinstance(failure, SyncStoppedError):
            self.stopped = True
            return None
        message = f"{workspace.name}: {failure}"
        if isinstance(failure, ForbiddenError | NotFoundError):
            message = f"{workspace.name}: the token may not read it ({failure})"
        result = self.workspaces[workspace.key]
        if result.error is None:
            result.error, result.error_exit_code = message, failure.exit_code
        return message

    def abort(self, workspace: Workspace, failure: Failure) -> None:
        """Record a failure of a workspace that cannot be listed, unless the sync was stopped."""
        if self.record_failure(workspace, failure) is not None:
            self.workspaces[workspace.key].aborted = True


@dataclass(frozen=True)
class SyncRunRecord:
    """Row of the table `sync_runs` for one sync.

    Attributes:
        clock: Source of the time.
        version: Version of tower-etl.
        started_at: Start of the sync (UTC).
        started_monotonic: Start of the sync on the monotonic clock, in seconds.
        sync_id: Random id of the sync.
    """

    clock: Clock
    version: str
    started_at: datetime
    started_monotonic: float
    sync_id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @classmethod
    def start(cls, clock: Clock, version: str) -> SyncRunRecord:
        """Create the record at the start of a sync."""
        return cls(clock, version, clock.now(), clock.monotonic())

    @property
    def seconds(self) -> float:
        """Seconds since the start of the sync."""
        return self.clock.monotonic() - self.started_monotonic

    def to_table(
        self,
        sync_result: SyncResult,
        discovery: Discovery,
        http_client: JsonHttpClient,
        row_counts: Mapping[str, int],
    ) -> pa.Table:
        """Return the row; it is loaded with the last package, so it ends before the load does."""
        stats = http_client.metrics.snapshot()
        return TABLES["sync_runs"].build(
            [{}],
            id=self.sync_id,
            started_at=self.started_at,
            finished_at=self.clock.now(),
            seconds=self.seconds,
            status=sync_result.status,
            endpoint=urlsplit(http_client.endpoint).netloc,
            server_version=discovery.server_version,
            api_version=discovery.api_version,
            connector_version=self.version,
            calls=stats.calls,
            retries=stats.retries,
            throttled_seconds=stats.throttled_seconds,
            runs_listed=sync_result.listed,
            runs_fetched=sync_result.fetched,
            reconciled=sync_result.reconciled,
            rows=dict(row_counts),
            workspaces=[workspace.as_json() for workspace in sync_result.workspaces.values()],
        )

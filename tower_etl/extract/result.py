"""What a sync did, as it goes: for progress, for `--json` and for the table `sync_runs`."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tower_etl.errors import AuthenticationError
from tower_etl.schema import sync_run_rows

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import pyarrow as pa

    from tower_etl.clock import Clock
    from tower_etl.errors import ApiError
    from tower_etl.extract.discovery import Discovery
    from tower_etl.http import JsonHttpClient
    from tower_etl.sync import FailedRun


@dataclass
class WorkspaceResult:
    """One workspace of a sync.

    Attributes:
        id: None for the personal workspace.
        name: `ORG/NAME`, or `personal`.
        planned: Runs to fetch, None before it was listed.
        listed: Runs that the listing showed.
        fetched: Runs that landed.
        missing: Runs newly found to be missing.
        done: Whether all that was planned was tried.
        error: Why something of it failed, None if nothing did.
        error_exit_code: What that error would end the program with.
        failures: Runs that failed one after the other, up to now, retries left out.
        allowed_failures: Such failures after which the workspace itself is checked.
        given_up: Whether it was left at that.
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
    failures: int = 0
    max_consecutive_failures: int = 3
    aborted: bool = False
    pending: Mapping[str, FailedRun] = field(default_factory=dict)
    incomplete: Counter[str] = field(default_factory=Counter)

    @property
    def status(self) -> str:
        """`ok`, `partial` (some runs failed), `failed`, or `interrupted` before it was finished."""
        if self.aborted:
            return "failed"
        if self.error is not None or self.pending:
            return "partial"
        return "ok" if self.done else "interrupted"

    def as_json(self) -> dict[str, Any]:
        """The element of `workspaces` in `--json` and in `sync_runs`."""
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
        """Return the runs that wait for a retry, those that failed longest ago first."""
        ordered = sorted(self.pending.items(), key=lambda item: item[1].first_failed_at)
        return [run.as_json(run_id) for run_id, run in ordered]


@dataclass
class SyncResult:
    """One sync.

    Attributes:
        workspaces: By key, in the order in which they are synced.
        tasks: Tasks that landed.
        reconciled: Whether any workspace was listed completely.
        warnings: What the user should know, though nothing failed.
        faults: Slow entities that could not be read; the next sync asks for them again.
        stopped: Whether it was asked to stop before the end.
        undocumented: Fields without a column that no sync saw before, by table.
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
        """Runs that the listings showed."""
        return sum(space.listed for space in self.workspaces.values())

    @property
    def fetched(self) -> int:
        """Runs that landed."""
        return sum(space.fetched for space in self.workspaces.values())

    @property
    def planned(self) -> int:
        """Runs to fetch, as far as listed."""
        return sum(space.planned or 0 for space in self.workspaces.values())

    @property
    def failed(self) -> list[WorkspaceResult]:
        """The workspaces in which something failed."""
        return [
            space for space in self.workspaces.values() if space.error is not None or space.pending
        ]

    @property
    def status(self) -> str:
        """`ok`, `partial` (something failed, or it was stopped), `failed` (all was given up)."""
        if self.workspaces and all(space.aborted for space in self.workspaces.values()):
            return "failed"
        return "partial" if self.failed or self.reference_errors or self.stopped else "ok"

    @property
    def exit_code(self) -> int:
        """By the contract: 0, 4 when something failed, and what the cause says when all did."""
        if self.status != "failed":
            return 4 if self.failed or self.reference_errors else 0
        codes = {space.error_exit_code for space in self.failed}
        refused = AuthenticationError.exit_code
        return refused if codes == {refused} else max(codes - {refused}, default=4)

    def record_failure(self, key: str, message: str, error: ApiError) -> WorkspaceResult:
        """Note that something of a workspace failed, with the first reason that it had."""
        space = self.workspaces[key]
        if space.error is None:
            space.error, space.error_exit_code = message, error.exit_code
        return space


@dataclass(frozen=True)
class SyncRunRecord:
    """When and with what a sync started.

    Attributes:
        clock: Tells the time.
        version: Of this program.
        started_at: When the sync started (UTC).
        started: The same on the monotonic clock, in seconds.
        sync_id: Names the sync.
    """

    clock: Clock
    version: str
    started_at: datetime
    started_monotonic: float
    sync_id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @classmethod
    def start(cls, clock: Clock, version: str) -> SyncRunRecord:
        """Start the clock."""
        return cls(clock, version, clock.now(), clock.monotonic())

    @property
    def seconds(self) -> float:
        """Time since the start."""
        return self.clock.monotonic() - self.started_monotonic

    def to_table(
        self,
        sync_result: SyncResult,
        discovery: Discovery,
        http_client: JsonHttpClient,
        rows: Mapping[str, int],
    ) -> pa.Table:
        """The row of `sync_runs`. It lands with the last package, so it ends before that does."""
        stats = http_client.metrics.snapshot()
        return sync_run_rows(
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
            rows=dict(rows),
            workspaces=[space.as_json() for space in sync_result.workspaces.values()],
        )

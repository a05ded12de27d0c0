"""The runs of a sync that is under way: rows, transitions of the states, and failures.

A run goes from `RunFetch` to `FetchedRun`, `RunBatch`, and its rows in `RowBuffer`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from tower_etl.errors import SyncStoppedError
from tower_etl.extract.batch import FetchedRun, RunBatch, build_batch
from tower_etl.extract.executor import RunResult, WorkspaceEnd
from tower_etl.extract.failures import capture_failure
from tower_etl.sync import (
    WorkspaceState,
    clear_failure,
    complete_workspace,
    mark_run_failed,
    mark_run_loaded,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tower_etl.extract.batch import RowBuffer
    from tower_etl.extract.executor import FetchExecutor, Result
    from tower_etl.extract.failures import Failure
    from tower_etl.extract.planning import Planner
    from tower_etl.extract.reference_sync import ReferenceSync
    from tower_etl.extract.result import SyncResult, WorkspaceSync
    from tower_etl.sync import RunFetch


@dataclass
class RunSync:
    """Sync of the runs of all workspaces, after they were listed and planned.

    Attributes:
        executor: Executor that fetches the runs.
        planner: Planner of the workspaces, which also builds rows that need no fetch.
        reference_sync: Sync of reference data, which records pipelines and launches of runs.
        result: Result of the sync.
        buffer: Buffer that receives the rows.
        workspace_syncs: Sync of each workspace.
        states: Stored state of each workspace, also of those that are not synced.
        batch: Fetched runs whose rows are not built yet.
    """

    executor: FetchExecutor
    planner: Planner
    reference_sync: ReferenceSync
    result: SyncResult
    buffer: RowBuffer
    workspace_syncs: Sequence[WorkspaceSync]
    states: dict[str, WorkspaceState]
    batch: RunBatch = field(default_factory=RunBatch, init=False)
    _results: Iterator[Result] = field(init=False)

    def __post_init__(self) -> None:
        """Begin to fetch the runs of all plans."""
        self._results = self._fetch(self.workspace_syncs)

    def process_next(self) -> bool:
        """Process the next result of the executor; return False at the end or after a stop."""
        result = next(self._results, None)
        if result is None:
            return False
        outcome = result.outcome if isinstance(result, RunResult) else None
        if isinstance(outcome, FetchedRun):
            self.batch.add(result.workspace_sync, outcome)
            if self.batch.is_full:
                self.flush_batch()
            return True
        self.flush_batch()  # so that the end of a workspace follows its runs
        if isinstance(outcome, SyncStoppedError):
            return False
        if not result.workspace_sync.result.aborted:  # its cursor must not advance
            self._handle_result(result)
        return True

    def _fetch(self, workspace_syncs: Sequence[WorkspaceSync]) -> Iterator[Result]:
        return self.executor.iter_results(workspace_syncs, self.reference_sync.launches)

    def flush_batch(self) -> None:
        """Build the rows of the runs in the batch, and mark these runs as loaded."""
        self._build_batch(self.batch.drain())

    def list_states(self) -> dict[str, WorkspaceState]:
        """Return the state of each workspace that has one, by its key."""
        planned = {each.workspace.key: each.state for each in self.workspace_syncs}
        states = self.states | planned
        return {key: state for key, state in states.items() if state != WorkspaceState()}

    def _handle_result(self, result: Result) -> None:
        """Handle the end of a workspace, a failed run or a deleted run."""
        workspace_sync = result.workspace_sync
        if isinstance(result, WorkspaceEnd):
            self._end_workspace(workspace_sync)
        elif isinstance(result.outcome, Exception):
            self._mark_failed(workspace_sync, result.run_fetch, result.outcome)
        else:
            retry = result.run_fetch.retry
            workspace_sync.state = clear_failure(workspace_sync.state, result.run_fetch.run_id)
            workspace_sync.recovered_causes |= {retry} if retry else set()

    def _end_workspace(self, workspace_sync: WorkspaceSync) -> None:
        """Finish a workspace, after the deferred retries of causes that have recovered."""
        follow_up = workspace_sync.plan.follow_up(workspace_sync.recovered_causes)
        if not follow_up.fetches:
            self._finish(workspace_sync)
            return
        workspace_sync.plan = follow_up
        planned = workspace_sync.result.planned or 0
        workspace_sync.result.planned = planned + len(follow_up.fetches)
        self._results = chain(self._fetch([workspace_sync]), self._results)

    def _finish(self, workspace_sync: WorkspaceSync) -> None:
        self.buffer.add(self.planner.build_in_place_updates(workspace_sync))
        workspace_sync.state = complete_workspace(
            workspace_sync.state, workspace_sync.plan, self.planner.started_at
        )
        workspace_sync.result.deleted = len(workspace_sync.plan.deleted)
        workspace_sync.result.done = True

    def _build_batch(self, runs: list[tuple[WorkspaceSync, FetchedRun]]) -> None:
        """Build the rows of runs together; if that fails, run by run to isolate the failure."""
        runs = [pair for pair in runs if not pair[0].result.aborted]
        if not runs:
            return
        selected = self.planner.options.tables
        rows = capture_failure(lambda: build_batch([run for _, run in runs], selected))
        if isinstance(rows, dict):
            self.buffer.add(rows)
            self.result.tasks += rows["tasks"].num_rows if "tasks" in rows else 0
            workspaces = [workspace_sync.workspace for workspace_sync, _ in runs]
            self.reference_sync.record_runs(rows, workspaces)
            for workspace_sync, run in runs:
                self._mark_loaded(workspace_sync, run)
        elif len(runs) == 1:
            ((workspace_sync, run),) = runs
            self._mark_failed(workspace_sync, run.summary.fetch, rows)
        else:
            for pair in runs:
                self._build_batch([pair])

    def _mark_loaded(self, workspace_sync: WorkspaceSync, run: FetchedRun) -> None:
        result, summary = workspace_sync.result, run.summary
        max_age = self.planner.options.open_run_max_age
        workspace_sync.state = mark_run_loaded(
            workspace_sync.state, summary, max_age, self.planner.started_at
        )
        result.fetched += 1
        result.incomplete.update(summary.missing_parts)
        if summary.fetch.retry and not (summary.fetch.retry == "parts" and summary.missing_parts):
            workspace_sync.recovered_causes.add(summary.fetch.retry)
        workspace_sync.failures, workspace_sync.fails_fast = 0, False

    def _mark_failed(
        self, workspace_sync: WorkspaceSync, run_fetch: RunFetch, failure: Failure
    ) -> None:
        """Record a failed run for a retry, and check the workspace after consecutive failures.

        A failed retry does not count, because it says nothing about the workspace.
        """
        message = self.result.record_failure(workspace_sync.workspace, failure)
        if message is None:
            return
        workspace_sync.state = mark_run_failed(
            workspace_sync.state, run_fetch, message, self.planner.started_at
        )
        if run_fetch.retry is None:
            self._check_workspace(workspace_sync)

    def _check_workspace(self, workspace_sync: WorkspaceSync) -> None:
        """Abort a workspace if consecutive runs fail and its listing fails as well."""
        workspace_sync.failures += 1
        if workspace_sync.failures < workspace_sync.max_consecutive_failures:
            return
        failure = self.executor.check_workspace(workspace_sync.workspace)
        if failure is not None:
            self.result.abort(workspace_sync.workspace, failure)
            return
        # The listing works, so that the runs fail for other reasons: check it less often.
        workspace_sync.failures, workspace_sync.fails_fast = 0, True
        workspace_sync.max_consecutive_failures *= 2

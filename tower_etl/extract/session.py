"""One sync: it lists, plans and fetches, and yields packages of rows with their state.

A package ends with a complete run, so that dlt never commits a part of a run. While dlt loads a
package, threads fetch the runs of the next one.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from tower_etl.config.settings import NO_LIMIT
from tower_etl.extract.batch import BatchBuffer, FetchedRun, RunBatch, build_batch
from tower_etl.extract.discovery import access_error_message
from tower_etl.extract.failures import capture_failure
from tower_etl.extract.planning import Planner
from tower_etl.extract.reference_sync import ReferenceSync
from tower_etl.extract.result import SyncResult, WorkspaceResult
from tower_etl.extract.schema_drift import SchemaDrift
from tower_etl.extract.source_identity import SourceIdentity, verify_source_identity
from tower_etl.extract.workspaces import (
    Opening,
    exclude_other_users_workspace,
    load_states,
    report_invisible,
    report_unmatched,
    save_states,
)
from tower_etl.http import RateLimiterClosedError
from tower_etl.schema import TABLES
from tower_etl.sync import (
    RUN_TABLES,
    STATE_VERSION,
    WorkspaceState,
    check_version,
    clear_failure,
    complete_workspace,
    mark_run_failed,
    mark_run_loaded,
    read_reference_state,
    write_reference_state,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableMapping

    import pyarrow as pa

    from tower_etl.api import TowerClient
    from tower_etl.config.settings import PackageLimits, RunLimit, SyncOptions
    from tower_etl.errors import ApiError
    from tower_etl.extract.destination_state import DestinationState
    from tower_etl.extract.discovery import Discovery, Workspace
    from tower_etl.extract.executor import FetchExecutor, QueuedFetch, RunResult
    from tower_etl.extract.failures import Failure
    from tower_etl.extract.planning import WorkspaceSync
    from tower_etl.extract.result import SyncRunRecord
    from tower_etl.http import RequestStats
    from tower_etl.schema import TableSpec
    from tower_etl.sync import RunFetch
    from tower_etl.transform import ColumnPolicy


class SyncSession:
    """Session of one sync, used by `tower_source` and the command line.

    Attributes:
        sync_result: Result so far, which the display of progress reads.
        is_done: Whether the last package was yielded.
    """

    def __init__(  # noqa: PLR0913, PLR0917 the parts that it brings together
        self,
        client: TowerClient,
        fetcher: FetchExecutor,
        discovery: Discovery,
        request: SyncOptions,
        sync_run: SyncRunRecord,
        column_policy: ColumnPolicy,
        limit: RunLimit = NO_LIMIT,
    ) -> None:
        spaces = {
            space.key: WorkspaceResult(space.id, space.name) for space in discovery.workspaces
        }
        self.sync_result = SyncResult(spaces | report_unmatched(discovery.unmatched))
        self.is_done = False
        self._client = client
        self._executor = fetcher
        self._discovery = discovery
        self._options = request
        self._sync_run = sync_run
        self._column_policy = column_policy
        self._limit = limit
        self._buffer = BatchBuffer(column_policy)
        self._batch = RunBatch()
        self._workspaces: list[WorkspaceSync] = []
        self._states: dict[str, WorkspaceState] = {}
        self._results: Iterator[RunResult] | None = None
        self._current = SourceIdentity.of(client.http.endpoint, discovery.user_id)
        self._schema_drift = SchemaDrift()
        self._source_identity: dict[str, Any] = {}
        self._planner: Planner
        self._reference_sync: ReferenceSync

    @property
    def is_open(self) -> bool:
        """Whether the first package was begun."""
        return self._results is not None

    @property
    def rows(self) -> dict[str, int]:
        """Number of rows yielded so far by table."""
        return self._buffer.row_counts()

    @property
    def table_specs(self) -> Mapping[str, TableSpec]:
        """Specs of the yielded tables, with promoted columns."""
        return self._column_policy.specs

    @property
    def request_stats(self) -> RequestStats:
        """Counters of calls, retries and throttled time so far."""
        return self._client.http.metrics.snapshot()

    @property
    def seconds(self) -> float:
        """Seconds since the start of the sync."""
        return self._sync_run.seconds

    def extract_package(
        self, state: MutableMapping[str, Any], store: DestinationState, limits: PackageLimits
    ) -> Iterator[dict[str, pa.Table]]:
        """Yield the rows of the next package as batches of Arrow tables.

        Args:
            state: dlt's state of the source, read before the first package and updated at the end
                of each, so that it is committed with the rows that it describes.
            store: State of the destination.
            limits: Limits of the package.

        Raises:
            ConfigurationError: The state was written by a newer version.
        """
        if self._results is None:
            self._open(state, store)
        rows, ends = 0, self._sync_run.seconds + limits.max_seconds
        while rows + self._buffer.rows + self._batch.rows < limits.max_rows and (
            self._sync_run.seconds < ends
        ):
            if not self._process_next():
                self._build_batch(self._batch.drain())
                self._close()
                break
            if self._buffer.is_full:
                rows += self._buffer.rows
                yield self._flush()
        self._build_batch(self._batch.drain())
        yield self._flush()
        self._save(state)

    def stop(self) -> None:
        """Request a clean stop: runs in progress are loaded, the others are left to the next sync.

        Safe to call from a signal handler.
        """
        self.sync_result.stopped = True
        self._executor.stop()

    def close(self) -> None:
        """Close connections and stop the threads."""
        self._executor.close()

    def _open(self, state: MutableMapping[str, Any], store: DestinationState) -> None:
        check_version(state.get("version"))
        discovery = self._discovery
        version = f"{discovery.server_version}, API {discovery.api_version}"
        self._client.compatibility.load(state.get("unsupported"), version)
        self._source_identity = verify_source_identity(
            state.get("origin"), self._current, moved=self._options.accept_new_host
        )
        is_other_user = self._source_identity["user_id"] != self._current.user_id
        if is_other_user:
            self._discovery = exclude_other_users_workspace(
                self._discovery, self._options.workspaces, self.sync_result
            )
        self._schema_drift.load(state.get("undocumented", {}))
        now, warn = self._sync_run.started_at, self.sync_result.warnings.append
        self._states = load_states(state, self._discovery, now)
        report_invisible(
            self._states, self._options.workspaces, self.sync_result, discovery.left_out
        )
        self._planner = Planner(self._options, store, now, warn)
        opening = Opening(
            self._executor,
            self._planner,
            self.sync_result,
            self._record_failure,
            self._abort_workspace,
        )
        spaces = self._discovery.workspaces if self._options.tables & RUN_TABLES else ()
        self._workspaces = opening.plan_all(spaces, self._states)
        if self._limit != NO_LIMIT:
            for work in self._workspaces:
                work.plan = work.plan.advance_first()
        self._open_reference_sync(state, store, is_other_user=is_other_user)
        self._extract_reference_data()
        self._results = self._executor.iter_results(self._workspaces)

    def _open_reference_sync(
        self, state: MutableMapping[str, Any], store: DestinationState, *, is_other_user: bool
    ) -> None:
        self._reference_sync = ReferenceSync(
            self._client,
            self._executor,
            self._discovery,
            self._options,
            self._sync_run,
            self.sync_result,
            store,
            read_reference_state(state),
            self._column_policy,
            is_other_user=is_other_user,
        )

    def _extract_reference_data(self) -> None:
        """Extract the reference data that is due."""
        listed = [(work.workspace, work.plan.is_full) for work in self._workspaces]
        if not self._options.tables & RUN_TABLES:  # no run listing that decides what is due
            listed = [(space, True) for space in self._discovery.workspaces]
        self._executor.launches = launches = self._reference_sync.open_launches(self._workspaces)
        for tables in self._reference_sync.extract_due(listed, launches):
            self._buffer.add(tables)

    def _is_at_limit(self) -> bool:
        """Return whether the limit of runs or time is reached; fetched runs are still loaded."""
        runs, seconds = self._limit.max_runs, self._limit.max_seconds
        taken = self.sync_result.fetched + len(self._batch)
        return (runs is not None and taken >= runs) or (
            seconds is not None and self._sync_run.seconds >= seconds
        )

    def _process_next(self) -> bool:
        """Process the next result; return False at the end, at a limit or after a stop."""
        if self._is_at_limit():
            return False
        result = next(self._results or iter(()), None)
        if result and isinstance(result.result, FetchedRun):
            self._batch.add(result.queued.work, result.result)
        if result is None or self._batch.is_full or not isinstance(result.result, FetchedRun):
            self._build_batch(self._batch.drain())  # so that an end marker follows its runs
        if result is None or isinstance(result.result, RateLimiterClosedError):
            return False
        if not isinstance(result.result, FetchedRun):
            self._handle_result(result.queued, result.result)
        return True

    def _handle_result(self, queued: QueuedFetch, failure: ApiError | None) -> None:
        """Handle the end of a workspace, a deleted run or a failed run."""
        work, run_fetch = queued.work, queued.run_fetch
        if self._is_aborted(work):
            return  # without advancing the cursor
        if run_fetch is None:
            self._end_workspace(work)
        elif failure is None:
            work.state = clear_failure(work.state, run_fetch.run_id)
            work.recovered |= {run_fetch.retry} if run_fetch.retry else set()
        else:
            self._mark_failed(work, run_fetch, failure)

    def _end_workspace(self, work: WorkspaceSync) -> None:
        """Finish a workspace, after the deferred retries of causes that have recovered."""
        follow_up = work.plan.follow_up(work.recovered)
        if not follow_up.fetches:
            self._finish(work)
            return
        work.plan = follow_up
        sync_result = self.sync_result.workspaces[work.workspace.key]
        sync_result.planned = (sync_result.planned or 0) + len(follow_up.fetches)
        self._results = chain(self._executor.iter_results([work]), self._results or ())

    def _build_batch(self, batch: list[tuple[WorkspaceSync, FetchedRun]]) -> None:
        """Build rows of some runs together; if that fails, run by run to isolate the failure."""
        batch = [pair for pair in batch if not self._is_aborted(pair[0])]
        if not batch:
            return
        fetched_runs = [fetched for _, fetched in batch]
        tables = capture_failure(lambda: build_batch(fetched_runs, self._options.tables))
        if isinstance(tables, dict):
            self._buffer.add(tables)
            self.sync_result.tasks += tables["tasks"].num_rows if "tasks" in tables else 0
            self._reference_sync.record_pipeline_ids(
                tables, {work.workspace.id: work.workspace for work, _ in batch}
            )
            for work, fetched in batch:
                self._mark_loaded(work, fetched)
            self._reference_sync.forget_launches([work.workspace for work, _ in batch])
        elif len(batch) == 1:
            ((work, fetched),) = batch
            self._mark_failed(work, fetched.loaded.fetch, tables)
        else:
            for pair in batch:
                self._build_batch([pair])

    def _is_aborted(self, work: WorkspaceSync) -> bool:
        return self.sync_result.workspaces[work.workspace.key].aborted

    def _mark_loaded(self, work: WorkspaceSync, fetched: FetchedRun) -> None:
        sync_result, loaded = self.sync_result.workspaces[work.workspace.key], fetched.loaded
        max_age, now = self._options.open_run_max_age, self._sync_run.started_at
        work.state = mark_run_loaded(work.state, loaded, max_age, now)
        sync_result.fetched, sync_result.failures = sync_result.fetched + 1, 0
        sync_result.incomplete.update(loaded.missing_parts)
        if loaded.fetch.retry and not (loaded.fetch.retry == "parts" and loaded.missing_parts):
            work.recovered.add(loaded.fetch.retry)
        self._executor.set_fail_fast(work.workspace, doubted=False)

    def _mark_failed(self, work: WorkspaceSync, run_fetch: RunFetch, failure: Failure) -> None:
        """Record a failed run for a retry, and check the workspace after consecutive failures.

        A failed retry does not count, because it says nothing about the workspace.
        """
        message = self._record_failure(work.workspace, failure)
        if message is None:
            return
        work.state = mark_run_failed(work.state, run_fetch, message, self._sync_run.started_at)
        if run_fetch.retry is None:
            self._check_workspace(work.workspace)

    def _check_workspace(self, workspace: Workspace) -> None:
        """Abort a workspace if consecutive runs fail and its listing fails as well."""
        sync_result = self.sync_result.workspaces[workspace.key]
        sync_result.failures += 1
        if sync_result.failures < sync_result.max_consecutive_failures:
            return
        failure = self._executor.check_workspace(workspace)
        if failure is not None:
            self._abort_workspace(workspace, failure)
            return
        sync_result.failures, sync_result.max_consecutive_failures = (
            0,
            2 * sync_result.max_consecutive_failures,
        )
        self._executor.set_fail_fast(workspace, doubted=True)

    def _finish(self, work: WorkspaceSync) -> None:
        sync_result = self.sync_result.workspaces[work.workspace.key]
        self._buffer.add(self._planner.build_in_place_updates(work))
        work.state = complete_workspace(work.state, work.plan, self._sync_run.started_at)
        sync_result.deleted, sync_result.done = len(work.plan.deleted), True

    def _abort_workspace(self, workspace: Workspace, failure: Failure) -> None:
        """Stop fetching from a workspace that cannot be listed."""
        if self._record_failure(workspace, failure) is not None:
            self.sync_result.workspaces[workspace.key].aborted = True
            self._executor.cancel_workspace(workspace)

    def _record_failure(self, workspace: Workspace, failure: Failure) -> str | None:
        """Record a failure and return its message, or None if the sync was stopped."""
        if isinstance(failure, RateLimiterClosedError):
            self.sync_result.stopped = True
            return None
        message = access_error_message(workspace, failure)
        self.sync_result.record_failure(workspace.key, message, failure)
        return message

    def _flush(self) -> dict[str, pa.Table]:
        ready = self._buffer.flush()
        self._schema_drift.observe(ready)
        self.sync_result.undocumented = self._schema_drift.new_fields
        return ready

    def _close(self) -> None:
        """Add the row of `sync_runs` to the last package, after all results or a stop."""
        self.is_done = True
        self._reference_sync.report_denied_launches(self._executor.launches)
        if not self.sync_result.stopped:
            for tables in self._reference_sync.extract_referenced_pipelines():
                self._buffer.add(tables)
        for key, state in self._iter_states():
            if key in self.sync_result.workspaces:
                self.sync_result.workspaces[key].pending = state.failed
        self.sync_result.warnings += self._client.list_reports()
        sync_run = self._sync_run.to_table(
            self.sync_result, self._discovery, self._client.http, self._buffer.row_counts()
        )
        self._buffer.add({"sync_runs": sync_run})

    def _save(self, state: MutableMapping[str, Any]) -> None:
        state["version"] = STATE_VERSION
        state["tables"] = sorted(TABLES)
        state["origin"] = self._source_identity
        state["undocumented"] = self._schema_drift.dump()
        state["unsupported"] = self._client.compatibility.dump()
        write_reference_state(state, self._reference_sync.state)
        state.pop("entities_owed", None)  # written by earlier versions
        save_states(state, dict(self._iter_states()))

    def _iter_states(self) -> Iterator[tuple[str, WorkspaceState]]:
        """Yield the state of each workspace that has one."""
        planned = {work.workspace.key: work.state for work in self._workspaces}
        known = self._states | planned
        yield from ((key, state) for key, state in known.items() if state != WorkspaceState())

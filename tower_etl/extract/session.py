"""One sync: it lists, plans and fetches, and yields packages of rows with their state.

A package ends with a complete run, so that dlt never commits a part of a run. While dlt loads a
package, threads fetch the runs of the next one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tower_etl.config.settings import NO_LIMIT
from tower_etl.extract.batch import RowBuffer
from tower_etl.extract.planning import Planner
from tower_etl.extract.reference_sync import ReferenceSync
from tower_etl.extract.result import SyncResult, WorkspaceResult
from tower_etl.extract.run_sync import RunSync
from tower_etl.extract.source_state import (
    SchemaDrift,
    SourceIdentity,
    load_states,
    save_states,
    verify_source_identity,
)
from tower_etl.extract.unavailable_workspaces import (
    add_invisible_results,
    build_unmatched_results,
    exclude_other_users_workspace,
)
from tower_etl.sync import (
    RUN_TABLES,
    STATE_VERSION,
    check_version,
    read_reference_state,
    write_reference_state,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableMapping

    import pyarrow as pa

    from tower_etl.config.settings import PackageLimits, RunLimit, SyncOptions
    from tower_etl.extract.destination_state import DestinationState
    from tower_etl.extract.discovery import Discovery
    from tower_etl.extract.executor import FetchExecutor
    from tower_etl.extract.result import SyncRunRecord, WorkspaceSync
    from tower_etl.http import RequestStats
    from tower_etl.schema import TableSpec
    from tower_etl.sync import WorkspaceState
    from tower_etl.transform import ColumnPolicy


class SyncSession:
    """Session of one sync, used by `tower_source` and the command line.

    Attributes:
        sync_result: Result so far, which the display of progress reads.
        is_done: Whether the last package was yielded.
    """

    def __init__(  # noqa: PLR0913, PLR0917 the parts that it brings together
        self,
        executor: FetchExecutor,
        discovery: Discovery,
        options: SyncOptions,
        sync_run: SyncRunRecord,
        column_policy: ColumnPolicy,
        limit: RunLimit = NO_LIMIT,
    ) -> None:
        results = {
            workspace.key: WorkspaceResult(workspace.id, workspace.name)
            for workspace in discovery.workspaces
        }
        self.sync_result = SyncResult(results | build_unmatched_results(discovery.unmatched))
        self.is_done = False
        self._executor = executor
        self._discovery = discovery
        self._options = options
        self._sync_run = sync_run
        self._column_policy = column_policy
        self._limit = limit
        self._buffer = RowBuffer()
        self._current_source = SourceIdentity.of(executor.client.http.endpoint, discovery.user_id)
        self._schema_drift = SchemaDrift({})
        self._stored_source: dict[str, Any] = {}
        self._run_sync: RunSync | None = None

    @property
    def has_started(self) -> bool:
        """Whether the first package was begun."""
        return self._run_sync is not None

    @property
    def row_counts(self) -> dict[str, int]:
        """Number of rows yielded so far by table."""
        return self._buffer.row_counts()

    @property
    def table_specs(self) -> Mapping[str, TableSpec]:
        """Specs of the yielded tables, with promoted columns."""
        return self._column_policy.specs

    @property
    def request_stats(self) -> RequestStats:
        """Counters of calls, retries and throttled time so far."""
        return self._executor.client.http.metrics.snapshot()

    @property
    def seconds(self) -> float:
        """Seconds since the start of the sync."""
        return self._sync_run.seconds

    def extract_package(
        self,
        state: MutableMapping[str, Any],
        destination_state: DestinationState,
        limits: PackageLimits,
    ) -> Iterator[dict[str, pa.Table]]:
        """Yield the rows of the next package as batches of Arrow tables.

        Args:
            state: dlt's state of the source, read before the first package and updated at the end
                of each, so that it is committed with the rows that it describes.
            destination_state: State of the destination.
            limits: Limits of the package.

        Raises:
            ConfigurationError: The state was written by a newer version.
        """
        run_sync = self._run_sync = self._run_sync or self._start(state, destination_state)
        flushed, ends = 0, self.seconds + limits.max_seconds
        while (
            flushed + self._buffer.row_count + run_sync.batch.row_count < limits.max_rows
            and self.seconds < ends
        ):
            if self._is_at_limit(run_sync) or not run_sync.process_next():
                run_sync.flush_batch()
                self._finish(run_sync)
                break
            if self._buffer.is_full:
                flushed += self._buffer.row_count
                yield self._flush()
        run_sync.flush_batch()
        yield self._flush()
        self._save(state, run_sync)

    def stop(self) -> None:
        """Request a clean stop: runs in progress are loaded, the others are left to the next sync.

        Safe to call from a signal handler.
        """
        self.sync_result.stopped = True
        self._executor.stop()

    def close(self) -> None:
        """Close connections and stop the threads."""
        self._executor.close()

    def _start(
        self, state: MutableMapping[str, Any], destination_state: DestinationState
    ) -> RunSync:
        """List and plan the workspaces, extract the reference data, and begin to fetch runs."""
        is_other_user = self._read_source_state(state)
        states = load_states(state, self._discovery, self._sync_run.started_at)
        add_invisible_results(
            states, self._options.workspaces, self.sync_result, self._discovery.left_out
        )
        planner = Planner(
            self._executor,
            self._options,
            destination_state,
            self.sync_result,
            self._sync_run.started_at,
        )
        workspace_syncs = self._plan_workspaces(planner, states)
        reference_sync = ReferenceSync(
            self._executor,
            self._discovery,
            self._options,
            self._sync_run,
            self.sync_result,
            destination_state,
            read_reference_state(state),
            self._column_policy,
            is_other_user=is_other_user,
        )
        for rows in reference_sync.extract_due(workspace_syncs):
            self._buffer.add(rows)
        return RunSync(
            self._executor,
            planner,
            reference_sync,
            self.sync_result,
            self._buffer,
            workspace_syncs,
            states,
        )

    def _read_source_state(self, state: Mapping[str, Any]) -> bool:
        """Check the version and the server of the state, and read what it knows of the server.

        Returns:
            Whether another user synced the destination first; the personal workspace of this user
            is then excluded.
        """
        check_version(state.get("version"))
        version = f"{self._discovery.server_version}, API {self._discovery.api_version}"
        self._executor.client.compatibility.load(state.get("unsupported"), version)
        self._schema_drift = SchemaDrift(state.get("undocumented", {}))
        self._stored_source = verify_source_identity(
            state.get("origin"), self._current_source, moved=self._options.accept_new_host
        )
        is_other_user: bool = self._stored_source["user_id"] != self._current_source.user_id
        if is_other_user:
            self._discovery = exclude_other_users_workspace(
                self._discovery, self._options.workspaces, self.sync_result
            )
        return is_other_user

    def _plan_workspaces(
        self, planner: Planner, states: Mapping[str, WorkspaceState]
    ) -> list[WorkspaceSync]:
        """Return the planned sync of each workspace, if any table of runs is selected."""
        workspaces = self._discovery.workspaces if self._options.tables & RUN_TABLES else ()
        workspace_syncs = planner.plan_all(workspaces, states)
        if self._limit != NO_LIMIT:
            for workspace_sync in workspace_syncs:
                workspace_sync.plan = workspace_sync.plan.with_open_runs_last()
        return workspace_syncs

    def _is_at_limit(self, run_sync: RunSync) -> bool:
        """Return whether the limit of runs or time is reached; fetched runs are still loaded."""
        fetched = self.sync_result.fetched + len(run_sync.batch)
        return (self._limit.max_runs is not None and fetched >= self._limit.max_runs) or (
            self._limit.max_seconds is not None and self.seconds >= self._limit.max_seconds
        )

    def _flush(self) -> dict[str, pa.Table]:
        """Return the rows in the buffer after the column policy, which masks secrets."""
        rows = self._column_policy.apply(self._buffer.flush())
        self._schema_drift.observe(rows)
        self.sync_result.undocumented = self._schema_drift.new_fields
        return rows

    def _finish(self, run_sync: RunSync) -> None:
        """Add the row of `sync_runs` to the last package, after all results or a stop."""
        self.is_done = True
        run_sync.reference_sync.report_denied_launches()
        if not self.sync_result.stopped:
            for rows in run_sync.reference_sync.extract_referenced_pipelines():
                self._buffer.add(rows)
        for key, state in run_sync.list_states().items():
            if key in self.sync_result.workspaces:
                self.sync_result.workspaces[key].pending = state.failed
        self.sync_result.warnings += self._executor.client.list_messages()
        row = self._sync_run.to_table(
            self.sync_result, self._discovery, self._executor.client.http, self._buffer.row_counts()
        )
        self._buffer.add({"sync_runs": row})

    def _save(self, state: MutableMapping[str, Any], run_sync: RunSync) -> None:
        state["version"] = STATE_VERSION
        state["origin"] = self._stored_source
        state["undocumented"] = self._schema_drift.dump()
        state["unsupported"] = self._executor.client.compatibility.dump()
        write_reference_state(state, run_sync.reference_sync.state)
        state.pop("entities_owed", None)  # written by earlier versions
        save_states(state, run_sync.list_states())

"""Sync of reference data: requests what is due, and records the results in the state."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import TYPE_CHECKING

from tower_etl.api import Finding
from tower_etl.errors import ApiError
from tower_etl.extract.audit_log import describe_denial, read_audit_logs
from tower_etl.extract.entity_snapshot import EntitySnapshot
from tower_etl.extract.failures import is_access_denied
from tower_etl.extract.launches import LaunchLoader, plan_backlog
from tower_etl.extract.reference import (
    ENTITIES,
    access_denied_message,
    fetch_entities,
    list_failed_details,
    select_entities,
)
from tower_etl.extract.scd2 import build_entity_rows
from tower_etl.lossless import to_json
from tower_etl.schema import service_rows
from tower_etl.sync import RUN_TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import pyarrow as pa

    from tower_etl.api import Item
    from tower_etl.config.settings import SyncOptions
    from tower_etl.extract.destination_state import DestinationState
    from tower_etl.extract.discovery import Discovery, Workspace
    from tower_etl.extract.executor import FetchExecutor
    from tower_etl.extract.reference import PartitionResult
    from tower_etl.extract.result import SyncResult, SyncRunRecord, WorkspaceSync
    from tower_etl.sync import ReferenceState
    from tower_etl.transform import ColumnPolicy

Tables = dict[str, "pa.Table"]

_PIPELINES, _VERSIONS = "pipelines", "pipeline_versions"
_LAUNCH_TABLES = ("launches", "launch_datasets")
_SERVER = frozenset({"server"})
_RETRIED_LAUNCHES = 1_000  # per reconciliation
_FILLED_LAUNCHES = 20_000  # per sync until the table is filled


@dataclass
class ReferenceSync:
    """Reference data of one sync.

    Attributes:
        executor: Executor for concurrent requests.
        discovery: Result of the discovery.
        options: Options of the sync.
        sync_run: Record of the sync, with its start.
        result: Result of the sync, which collects warnings and errors.
        destination_state: State of the destination.
        state: State of the reference data, updated by each method.
        column_policy: Policy that is applied to rows before they are loaded.
        is_other_user: Whether the destination was synced with the token of another user.
        launches: Loader of launches, None before `extract_due`, and if launches are not selected.
    """

    executor: FetchExecutor
    discovery: Discovery
    options: SyncOptions
    sync_run: SyncRunRecord
    result: SyncResult
    destination_state: DestinationState
    state: ReferenceState
    column_policy: ColumnPolicy
    is_other_user: bool = False
    launches: LaunchLoader | None = None
    _pipeline_workspaces: dict[int, Workspace] = field(default_factory=dict)  # of runs, by pipeline
    _listed_pipelines: set[int] = field(default_factory=set)  # ids in the lists of this sync
    _listed_partitions: set[str] = field(default_factory=set)  # keys, with requested pipelines
    _backlog_requested: bool = False  # whether missing launches of stored runs were requested

    @property
    def _tables(self) -> frozenset[str]:
        return self.options.tables

    @property
    def _launch_tables(self) -> frozenset[str]:
        return self._tables & {*_LAUNCH_TABLES}

    def extract_due(self, workspace_syncs: Sequence[WorkspaceSync]) -> Iterator[Tables]:
        """Yield the reference data that is due, given the planned sync of each workspace."""
        self.launches = self._create_loader(workspace_syncs)
        yield self._build_service_info()
        listed = [(each.workspace, each.plan.is_full) for each in workspace_syncs]
        if not self._tables & RUN_TABLES:  # no run listing that decides what is due
            listed = [(workspace, True) for workspace in self.discovery.workspaces]
        due = [workspace for workspace, is_full in listed if is_full]
        others = [workspace for workspace, is_full in listed if not is_full]
        groups = [(self._list_entity_tables(), due), *self._group_by_missing_tables(others).items()]
        results = [result for group in groups for result in self._fetch(*group)]
        yield from self._iter_rows(results)
        self._record(results, {table for tables, group in groups if group for table in tables})
        for tables, workspaces in groups:
            requested = (tables | {f"{table}_history" for table in tables}) & self._tables
            self.state = self.state.record_requested(requested, _keys_of(workspaces))
        self.state = self.state.discard_requested(self._list_behind(), _keys_of(due))
        yield from self._iter_launches([workspace for workspace, _ in listed], due)
        if "audit_logs" in self._tables and (due or not self.state.denied.get("audit_logs")):
            yield self._read_audit_logs()

    def _create_loader(self, workspace_syncs: Sequence[WorkspaceSync]) -> LaunchLoader | None:
        """Return the loader of launches, None if neither they nor their datasets are selected."""
        if not self._launch_tables:
            return None
        runs = [fetch.run_id for each in workspace_syncs for fetch in each.plan.fetches]
        keys = [each.workspace.key for each in workspace_syncs]
        reconciles = any(each.plan.is_full for each in workspace_syncs)
        unavailable = frozenset() if reconciles else self.state.unavailable_launches
        not_requested = self.state.list_not_requested(self._launch_tables, keys)
        stored = () if not_requested else self.destination_state.find_launches(runs)
        return LaunchLoader(self.executor.client, self._tables, stored, unavailable)

    def record_runs(self, tables: Tables, workspaces: Sequence[Workspace]) -> None:
        """Record pipelines of loaded runs and their workspaces, which may lack launches now."""
        self.state = self.state.discard_requested(
            {*_LAUNCH_TABLES} - self._tables, _keys_of(workspaces)
        )
        if _PIPELINES not in self._tables or "workflows" not in tables:
            return
        by_id = {workspace.id: workspace for workspace in workspaces}
        for run in tables["workflows"].select(["workspace_id", "pipeline_info__id"]).to_pylist():
            pipeline_id = run["pipeline_info__id"]
            if pipeline_id is not None and pipeline_id not in self.state.unresolved:
                self._pipeline_workspaces[pipeline_id] = by_id[run["workspace_id"]]

    def extract_referenced_pipelines(self) -> Iterator[Tables]:
        """Yield the pipelines of workspaces that have runs of unknown pipelines, once each."""
        unknown = {
            pipeline_id: self._pipeline_workspaces[pipeline_id]
            for pipeline_id in self._pipeline_workspaces.keys() - self._listed_pipelines
        }
        if unknown:
            for row in self.destination_state.read_table(_PIPELINES, ("pipeline_id",)):
                unknown.pop(row["pipeline_id"], None)
        workspaces = {
            workspace.key: workspace
            for workspace in unknown.values()
            if workspace.key not in self._listed_partitions
        }
        if workspaces:
            selected = self._tables & {_PIPELINES, f"{_PIPELINES}_history", _VERSIONS}
            results = self._fetch(selected, [*workspaces.values()])
            yield from self._iter_rows(results)
            failed = {
                result.partition.key
                for result in results
                if result.entity.table == _VERSIONS and result.failure
            }
            if failed:
                self.state = self.state.discard_requested({_VERSIONS}, failed)
        self.state = self.state.record_unresolved(unknown.keys() - self._listed_pipelines)

    def report_denied_launches(self) -> None:
        """Report launches that could not be fetched; denials once, until access is granted."""
        launches = self.launches
        if launches is None:
            return
        for table in _LAUNCH_TABLES:
            message = launches.describe_denial(table)
            self._record_denial(table, message, is_granted=self._backlog_requested)
        if launches.failure is not None:
            self.result.reference_errors.append(launches.describe_failures())
        self.state = replace(self.state, unavailable_launches=frozenset(launches.unavailable))

    def _group_by_missing_tables(
        self, workspaces: Iterable[Workspace]
    ) -> dict[frozenset[str], list[Workspace]]:
        """Group workspaces that are not reconciled now by the tables to request for them."""
        groups: dict[frozenset[str], list[Workspace]] = {}
        selected = self._list_entity_tables()
        for workspace in workspaces:
            missing = self.state.list_not_requested(self._tables, [workspace.key])
            due = missing | self.state.pending
            tables = {table for table in selected if {table, f"{table}_history"} & due}
            if tables:
                groups.setdefault(frozenset(tables), []).append(workspace)
        return groups

    def _list_behind(self) -> frozenset[str]:
        """Return the requested tables that a reconciliation of runs would refresh if selected."""
        if not self._tables & RUN_TABLES:
            return frozenset()
        names = {name for entity in ENTITIES for name in (entity.table, f"{entity.table}_history")}
        return frozenset(self.state.requested.keys() & names - self._tables)

    def _list_entity_tables(self) -> frozenset[str]:
        return frozenset(entity.table for entity in select_entities(self._tables))

    def _build_service_info(self) -> Tables:
        """Return the service information of the discovery if it differs from the stored one."""
        info = dict(self.discovery.info)
        text = to_json(dict(sorted(info.items())))
        digest = blake2b(text.encode(), digest_size=16).hexdigest()
        is_stored = not info or digest == self.state.service_info_digest
        if is_stored or "service_info" not in self._tables:
            return {}
        self.state = replace(self.state, service_info_digest=digest)
        return {"service_info": service_rows(info, self.sync_run.sync_id, self.sync_run.started_at)}

    def _fetch(self, selected: frozenset[str], group: list[Workspace]) -> list[PartitionResult]:
        if not group:
            return []
        not_requested = self.state.list_not_requested(selected, _keys_of(group))
        unreliable = self.state.pending | self.state.denied.keys() | not_requested
        stored = self._read_fingerprints() if _VERSIONS in selected else {}

        def is_due(table: str, item: Item) -> bool:
            """Request the versions of a pipeline only if it changed; older servers have none."""
            is_forced = self.options.reconcile or table in unreliable
            return table != _VERSIONS or _has_new_versions(item, None if is_forced else stored)

        results = fetch_entities(self.executor, selected, group, is_due)
        lists = [result for result in results if result.entity.table == _PIPELINES]
        self._listed_pipelines |= {item["pipelineId"] for result in lists for item in result.items}
        self._listed_partitions |= {result.partition.key for result in lists}
        if _VERSIONS not in selected:
            self._discard_outdated_versions(lists)
        return results

    def _read_fingerprints(self) -> dict[int, tuple[object, ...]]:
        """Return id and hash of the default version of each stored pipeline."""
        columns = ("pipeline_id", "version__id", "version__hash")
        rows = self.destination_state.read_table(_PIPELINES, columns)
        return {row["pipeline_id"]: (row["version__id"], row["version__hash"]) for row in rows}

    def _discard_outdated_versions(self, lists: Sequence[PartitionResult]) -> None:
        """Record that pipelines were listed with new versions, which were not requested.

        Once a pipeline is stored, it looks as if its versions had been requested, too.
        """
        if not self.state.requested.get(_VERSIONS):
            return
        stored = self._read_fingerprints()
        changed = {
            result.partition.key
            for result in lists
            for item in result.items
            if _has_new_versions(item, stored)
        }
        self.state = self.state.discard_requested({_VERSIONS}, changed)

    def _iter_rows(self, results: Sequence[PartitionResult]) -> Iterator[Tables]:
        for entity in ENTITIES:
            lists = [result for result in results if result.entity is entity]
            parents = [result for result in results if result.entity.table == entity.parent]
            if lists or parents:
                yield self._build_rows(
                    EntitySnapshot(entity, lists, parents, self.discovery, self.is_other_user)
                )

    def _build_rows(self, snapshot: EntitySnapshot) -> Tables:
        """Build rows, and report ids of several elements: the table stores one element per id."""
        count = snapshot.count_conflicts()
        if count:
            problem = "{} id(s) stand for different elements in several workspaces or organizations"
            finding = Finding(snapshot.entity.table, problem, "One of them is stored.")
            self.executor.client.findings.add(finding, count=count)
        state, started_at = self.destination_state, self.sync_run.started_at
        return build_entity_rows(snapshot, state, self._tables, started_at, self.column_policy)

    def _record(self, results: Sequence[PartitionResult], requested: set[str]) -> None:
        """Record denials, reported once, and errors, whose tables are pending for the next sync."""
        for table in sorted({result.entity.table for result in results}):
            table_results = [result for result in results if result.entity.table == table]
            refused = [result for result in table_results if result.is_denied]
            denied = {result.partition.key for result in refused}
            if denied - self.state.denied.get(table, frozenset()):
                self.result.warnings.append(access_denied_message(table, refused))
            granted = {result.partition.key for result in table_results} - denied
            self.state = self.state.record_access(table, denied, granted)
        faults = [result for result in results if result.failure and not result.is_denied]
        failed = {result.entity.table for result in faults}
        failed |= {entity.table for entity in ENTITIES if entity.parent in failed}
        self.state = replace(self.state, pending=self.state.pending - requested | failed)
        failures = [result.failure for result in faults]
        errors = dict.fromkeys(str(error) for error in failures if isinstance(error, ApiError))
        self.result.reference_errors += [f"{error} The next sync retries." for error in errors]
        for entity in ENTITIES:
            entity_results = [result for result in results if result.entity is entity]
            if entity.detail and entity_results:
                self._record_details(entity.table, entity_results)

    def _record_denial(self, name: str, message: str | None, *, is_granted: bool = True) -> None:
        """Record a denial of access, which is reported once, with its message; or an access."""
        if message and not self.state.denied.get(name):
            self.result.warnings.append(message)
        denied = _SERVER if message else frozenset[str]()
        self.state = self.state.record_access(name, denied, _SERVER if is_granted else ())

    def _record_details(self, table: str, results: Sequence[PartitionResult]) -> None:
        """Record denials of details, and report details that failed."""
        failures = list(list_failed_details(results).values())
        refused = [error for error in failures if is_access_denied(error)]
        message = None
        if refused:
            message = (
                f"The server refuses the details of {len(refused)} {table} ({refused[0]}). Details "
                "loaded before stay, and each reconciliation requests them again."
            )
        self._record_denial(f"details of {table}", message)
        failures = [error for error in failures if not is_access_denied(error)]
        failed = [error for error in failures if isinstance(error, ApiError)]
        if failed:
            self.result.reference_errors.append(
                f"The details of {len(failed)} {table} could not be fetched ({failed[0]}). The "
                "next reconciliation requests them again."
            )

    def _iter_launches(
        self, workspaces: Sequence[Workspace], due: Sequence[Workspace]
    ) -> Iterator[Tables]:
        """Yield launches of stored runs that are missing in the destination.

        Args:
            workspaces: Workspaces that could be listed; if their launches were never requested, up
                to 20,000 of these are fetched.
            due: Workspaces that are reconciled now; up to 1,000 of their missing launches are
                retried.
        """
        launches, selected = self.launches, self._launch_tables
        if launches is None:
            return
        state, destination_state = self.state, self.destination_state
        unfilled = [each for each in workspaces if state.list_not_requested(selected, [each.key])]
        workspace_ids = {workspace.id for workspace in (*unfilled, *due)}
        if not workspace_ids:
            return
        limit = _FILLED_LAUNCHES if unfilled else _RETRIED_LAUNCHES
        requests, after = plan_backlog(
            destination_state, self._tables, workspace_ids, state.launches_after, limit=limit
        )
        outcomes = self.executor.map(
            lambda pair: self.executor.try_request(lambda: launches.fetch(*pair)), requests
        )
        yield from (rows for rows in outcomes if isinstance(rows, dict))
        self.state = replace(self.state, launches_after=after)
        if after is None:
            self.state = self.state.record_requested(selected, _keys_of(unfilled))
        self._backlog_requested = True

    def _read_audit_logs(self) -> Tables:
        cursor, client = self.state.audit_log_cursor, self.executor.client
        outcome = self.executor.try_request(
            lambda: read_audit_logs(client, cursor, self.sync_run.started_at)
        )
        if isinstance(outcome, tuple):
            rows, next_cursor = outcome
            self._record_denial("audit_logs", None)
            self.state = replace(self.state, audit_log_cursor=next_cursor)
            return {"audit_logs": rows}
        if is_access_denied(outcome):
            self._record_denial("audit_logs", describe_denial(outcome))
        elif isinstance(outcome, ApiError):
            self.result.reference_errors.append(f"{outcome} The next sync retries.")
        return {}


def _keys_of(workspaces: Iterable[Workspace]) -> list[str]:
    return [workspace.key for workspace in workspaces]


def _has_new_versions(pipeline: Item, stored: Mapping[int, tuple[object, ...]] | None) -> bool:
    """Return whether the default version of a pipeline differs from the stored one, if given."""
    version = pipeline.get("version")
    if not isinstance(version, dict):
        return False
    fingerprint = (version.get("id"), version.get("hash"))
    return stored is None or stored.get(pipeline["pipelineId"]) != fingerprint

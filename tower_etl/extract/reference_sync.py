"""Sync of reference data: requests what is due, and records the results in the state."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from tower_etl.api import EntityList, Finding
from tower_etl.errors import ApiError, ServerError
from tower_etl.extract.entity_snapshot import EntitySnapshot
from tower_etl.extract.failures import is_access_denied
from tower_etl.extract.on_demand import LaunchLoader, plan_backlog, read_audit_logs
from tower_etl.extract.reference import (
    ENTITIES,
    access_denied_message,
    denied_by_table,
    fetch_entities,
    list_absent,
    select_entities,
    transient_errors,
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
        store: State of the destination.
        state: State of the reference data, updated by each method.
        column_policy: Policy that is applied to rows before they are loaded.
        is_other_user: Whether the destination was synced with the token of another user.
    """

    executor: FetchExecutor
    discovery: Discovery
    options: SyncOptions
    sync_run: SyncRunRecord
    result: SyncResult
    store: DestinationState
    state: ReferenceState
    column_policy: ColumnPolicy
    is_other_user: bool = False
    _referenced: dict[int, Workspace] = field(default_factory=dict)
    _listed: set[int] = field(default_factory=set)
    _queried: set[str] = field(default_factory=set)
    _retried: bool = False

    @property
    def _tables(self) -> frozenset[str]:
        return self.options.tables

    def open_launches(self, workspace_syncs: Sequence[WorkspaceSync]) -> LaunchLoader | None:
        """Return the loader of launches, None if neither launches nor their datasets are selected.

        Args:
            workspace_syncs: Planned sync of each workspace.
        """
        if not self._tables & {*_LAUNCH_TABLES}:
            return None
        runs = [
            run_fetch.run_id
            for workspace_sync in workspace_syncs
            for run_fetch in workspace_sync.plan.fetches
        ]
        keys = [workspace_sync.workspace.key for workspace_sync in workspace_syncs]
        reconciles = any(workspace_sync.plan.is_full for workspace_sync in workspace_syncs)
        unavailable = frozenset() if reconciles else self.state.launches
        unloaded = self.state.list_unloaded(self._tables & {*_LAUNCH_TABLES}, keys)
        stored = () if unloaded else self.store.find_launches(runs)
        return LaunchLoader(self.executor.client, self._tables, stored, unavailable)

    def extract_due(
        self, listed: Sequence[tuple[Workspace, bool]], launches: LaunchLoader | None
    ) -> Iterator[Tables]:
        """Yield the reference data that is due at the start of a sync.

        Args:
            listed: Workspaces that could be listed, and whether their listing was full.
            launches: Loader of launches, None if launches are not selected.
        """
        yield self._service_info()
        due = [workspace for workspace, is_full in listed if is_full]
        rest = self._group_rest([workspace for workspace, is_full in listed if not is_full])
        responses = self._fetch(due, self._tables)
        for tables, workspaces in rest.items():
            responses += self._fetch(workspaces, tables)
        yield from self._iter_rows(responses)
        self._record(responses, self._own_tables() if due else frozenset().union(*rest))
        for tables, workspaces in (*rest.items(), (self._own_tables(), due)):
            versions = {f"{table}_history" for table in tables} & self._tables
            self.state = self.state.load(tables & self._tables | versions, _keys_of(workspaces))
        self.state = self.state.unload(self._list_behind(), _keys_of(due))
        yield from self._iter_launches([workspace for workspace, _ in listed], due, launches)
        if "audit_logs" in self._tables and (due or not self.state.denied.get("audit_logs")):
            yield self._read_audit_logs()

    def record_pipeline_ids(
        self, tables: Tables, workspaces: Mapping[int | None, Workspace]
    ) -> None:
        """Record the pipeline ids of runs, given the workspaces of the runs by id."""
        if _PIPELINES not in self._tables or "workflows" not in tables:
            return
        runs = tables["workflows"].select(["workspace_id", "pipeline_info__id"]).to_pylist()
        for run in runs:
            pipeline_id = run["pipeline_info__id"]
            if pipeline_id is not None and pipeline_id not in self.state.unresolved:
                self._referenced[pipeline_id] = workspaces[run["workspace_id"]]

    def extract_referenced_pipelines(self) -> Iterator[Tables]:
        """Yield the pipelines of workspaces that have runs of unknown pipelines, once each."""
        unknown = {
            key: workspace for key, workspace in self._referenced.items() if key not in self._listed
        }
        if unknown:
            stored = self.store.read_table(_PIPELINES, ("pipeline_id",))
            unknown = {key: unknown[key] for key in unknown.keys() - _ids_of(stored)}
        workspaces = {
            workspace.key: workspace
            for workspace in unknown.values()
            if workspace.key not in self._queried
        }
        if workspaces:
            selected = self._tables & {_PIPELINES, f"{_PIPELINES}_history", _VERSIONS}
            responses = self._fetch([*workspaces.values()], selected)
            yield from self._iter_rows(responses)
            self._retry_versions(responses)
        self.state = self.state.record_unresolved(unknown.keys() - self._listed)

    def _retry_versions(self, responses: Sequence[PartitionResult]) -> None:
        unread = {
            response.partition.key
            for response in responses
            if response.entity.table == _VERSIONS and not isinstance(response.result, EntityList)
        }
        if unread:
            self.state = self.state.unload({_VERSIONS}, unread)

    def report_denied_launches(self, launches: LaunchLoader | None) -> None:
        """Report launches that could not be fetched; denials once, until access is granted."""
        if launches is None:
            return
        for table in _LAUNCH_TABLES:
            error = launches.denied.get(table)
            if error and not self.state.denied.get(table):
                self.result.warnings.append(
                    f"The server refuses some {table} ({error}). Their runs are loaded without, "
                    "and each reconciliation requests them again."
                )
            answered = _SERVER if self._retried and not error else ()
            self.state = self.state.record_access(table, _SERVER if error else (), answered)
        if launches.failure is not None:
            self.result.reference_errors.append(
                f"{launches.failures} launches could not be fetched ({launches.failure}). Their "
                "runs are loaded without a compute environment, and the next reconciliation "
                "requests them again."
            )
        self.state = replace(self.state, launches=frozenset(launches.unavailable))

    def _group_rest(self, workspaces: Sequence[Workspace]) -> dict[frozenset[str], list[Workspace]]:
        """Group workspaces that are not reconciled now by the tables that they lack."""
        groups: dict[frozenset[str], list[Workspace]] = {}
        for workspace in workspaces:
            lacking = self.state.pending | self.state.list_unloaded(self._tables, [workspace.key])
            tables = {
                table for table in self._own_tables() if {table, f"{table}_history"} & lacking
            }
            if tables:
                groups.setdefault(frozenset(tables), []).append(workspace)
        return groups

    def _list_behind(self) -> frozenset[str]:
        """Return the loaded tables that a reconciliation of runs would refresh if selected."""
        names = {name for entity in ENTITIES for name in (entity.table, f"{entity.table}_history")}
        takes_reconciliation = self._tables & RUN_TABLES
        loaded = self.state.initialised.keys() if takes_reconciliation else frozenset[str]()
        return frozenset(loaded & names - self._tables)

    def _own_tables(self) -> frozenset[str]:
        return frozenset(entity.table for entity in select_entities(self._tables))

    def _service_info(self) -> Tables:
        """Return the service information of the discovery if it differs from the stored one."""
        info = dict(self.discovery.info)
        text = to_json(dict(sorted(info.items())))
        digest = blake2b(text.encode(), digest_size=16).hexdigest()
        if not info or digest == self.state.service or "service_info" not in self._tables:
            return {}
        self.state = replace(self.state, service=digest)
        row = service_rows(info, self.sync_run.sync_id, self.sync_run.started_at)
        return {"service_info": row}

    def _fetch(self, due: list[Workspace], selected: frozenset[str]) -> list[PartitionResult]:
        if not due:
            return []
        unloaded = self.state.list_unloaded(selected, _keys_of(due))
        unreliable = self.state.pending | self.state.denied.keys() | unloaded
        known = self._read_fingerprints() if _VERSIONS in selected else {}

        def is_due(table: str, item: Item) -> bool:
            """Request the versions of a pipeline only if it changed; older servers have none."""
            if table != _VERSIONS:
                return True
            if not isinstance(item.get("version"), dict):
                return False
            is_forced = self.options.reconcile or table in unreliable
            return is_forced or known.get(item["pipelineId"]) != _fingerprint_of(item)

        responses = fetch_entities(self.executor, selected, due, is_due)
        lists = [response for response in responses if response.entity.table == _PIPELINES]
        self._listed.update(item["pipelineId"] for response in lists for item in response.items)
        self._queried.update(response.partition.key for response in lists)
        if _VERSIONS not in selected:
            self._unload_versions(lists)
        return responses

    def _read_fingerprints(self) -> dict[int, tuple[object, ...]]:
        """Return the default version of each stored pipeline."""
        return {row["pipeline_id"]: _fingerprint(row) for row in self.store.read_table(_PIPELINES)}

    def _unload_versions(self, lists: Sequence[PartitionResult]) -> None:
        """Record that pipelines were listed with new versions, which were not requested.

        Once a pipeline is stored, it looks as if its versions had been requested, too.
        """
        if not self.state.initialised.get(_VERSIONS):
            return
        known = self._read_fingerprints()
        changed = {
            response.partition.key
            for response in lists
            for item in response.items
            if isinstance(item.get("version"), dict)
            and known.get(item["pipelineId"]) != _fingerprint_of(item)
        }
        self.state = self.state.unload({_VERSIONS}, changed)

    def _iter_rows(self, responses: Sequence[PartitionResult]) -> Iterator[Tables]:
        for entity in ENTITIES:
            own = [response for response in responses if response.entity is entity]
            parents = [response for response in responses if response.entity.table == entity.parent]
            if own or parents:
                snapshot = EntitySnapshot(entity, own, parents, self.discovery, self.is_other_user)
                self._report_conflicts(snapshot)
                now = self.sync_run.started_at
                yield build_entity_rows(snapshot, self.store, self._tables, now, self.column_policy)

    def _report_conflicts(self, snapshot: EntitySnapshot) -> None:
        """Report ids of several elements: the table stores one element per id."""
        count = snapshot.count_conflicts()
        if count:
            problem = "{} id(s) stand for different elements in several workspaces or organizations"
            finding = Finding(snapshot.entity.table, problem, "One of them is stored.")
            self.executor.client.findings.add(finding, count=count)

    def _record(self, responses: Sequence[PartitionResult], requested: frozenset[str]) -> None:
        """Record denials, reported once, and errors, whose tables are pending for the next sync."""
        refused = denied_by_table(responses)
        for table in sorted({response.entity.table for response in responses}):
            partitions = {response.partition.key for response in refused.get(table, ())}
            answered = {
                response.partition.key for response in responses if response.entity.table == table
            } - partitions
            if partitions - self.state.denied.get(table, frozenset()):
                self.result.warnings.append(access_denied_message(table, refused[table]))
            self.state = self.state.record_access(table, partitions, answered)
        errors = transient_errors(responses)
        self.result.reference_errors += [f"{error} The next sync retries." for error in errors]
        failed = {
            response.entity.table
            for response in responses
            if not isinstance(response.result, EntityList) and not is_access_denied(response.result)
        }
        failed |= {entity.table for entity in ENTITIES if entity.parent in failed}
        self.state = replace(self.state, pending=self.state.pending - requested | failed)
        detailed = {response.entity.table for response in responses if response.entity.detail}
        for table in sorted(detailed):
            self._record_details(
                table, [response for response in responses if response.entity.table == table]
            )

    def _record_details(self, table: str, responses: Sequence[PartitionResult]) -> None:
        """Record denials of details, reported once, and report details that failed."""
        name, absent = f"details of {table}", list_absent(responses).values()
        refused = [error for error in absent if is_access_denied(error)]
        if refused and not self.state.denied.get(name):
            self.result.warnings.append(
                f"The server refuses the details of {len(refused)} {table} ({refused[0]}). Details "
                "loaded before stay, and each reconciliation requests them again."
            )
        self.state = self.state.record_access(
            name, _SERVER if refused else (), () if refused else _SERVER
        )
        failed = [e for e in absent if isinstance(e, ApiError) and not is_access_denied(e)]
        if failed:
            self.result.reference_errors.append(
                f"The details of {len(failed)} {table} could not be fetched ({failed[0]}). The "
                "next reconciliation requests them again."
            )

    def _iter_launches(
        self,
        workspaces: Sequence[Workspace],
        due: Sequence[Workspace],
        launches: LaunchLoader | None,
    ) -> Iterator[Tables]:
        """Yield launches of stored runs that are missing in the destination.

        Args:
            workspaces: Workspaces that could be listed; if their launches were never loaded, up to
                20,000 of these are fetched.
            due: Workspaces that are reconciled now; up to 1,000 of their missing launches are
                retried.
            launches: Loader of launches, None if launches are not selected.
        """
        if launches is None:
            return
        selected = self._tables & {*_LAUNCH_TABLES}
        lacking = [
            workspace
            for workspace in workspaces
            if self.state.list_unloaded(selected, [workspace.key])
        ]
        chosen = {workspace.id for workspace in (*lacking, *due)}
        if not chosen:
            return
        limit = _FILLED_LAUNCHES if lacking else _RETRIED_LAUNCHES
        requests, after = plan_backlog(
            self.store, self._tables, chosen, self.state.launches_after, limit=limit
        )
        found = self.executor.map(
            lambda pair: self.executor.capture_error(lambda: launches.fetch(*pair)), requests
        )
        yield from (rows for rows in found if isinstance(rows, dict))
        self.state = replace(self.state, launches_after=after)
        if after is None:
            self.state = self.state.load(selected, _keys_of(lacking))
        self._retried = True

    def forget_launches(self, workspaces: Sequence[Workspace]) -> None:
        """Record that runs of some workspaces were loaded without their launches."""
        self.state = self.state.unload({*_LAUNCH_TABLES} - self._tables, _keys_of(workspaces))

    def _read_audit_logs(self) -> Tables:
        cursor, now = self.state.audit, self.sync_run.started_at
        found = self.executor.capture_error(
            lambda: read_audit_logs(self.executor.client, cursor, now)
        )
        if isinstance(found, tuple):
            rows, audit = found
            self.state = replace(self.state.record_access("audit_logs", (), _SERVER), audit=audit)
            return {"audit_logs": rows}
        if is_access_denied(found):
            if not self.state.denied.get("audit_logs"):
                cause = "The audit log is for administrators of servers that keep one"
                if isinstance(found, ServerError):
                    cause = "The server's answer for the audit log cannot be used"
                self.result.warnings.append(f"{cause} ({found})")
            self.state = self.state.record_access("audit_logs", _SERVER, ())
        elif isinstance(found, ApiError):
            self.result.reference_errors.append(f"{found} The next sync retries.")
        return {}


def _keys_of(workspaces: Iterable[Workspace]) -> list[str]:
    return [workspace.key for workspace in workspaces]


def _ids_of(pipelines: list[dict[str, Any]]) -> set[int]:
    return {row["pipeline_id"] for row in pipelines}


def _fingerprint(row: Mapping[str, Any]) -> tuple[object, ...]:
    return (row["version__id"], row["version__hash"])


def _fingerprint_of(item: Item) -> tuple[object, ...]:
    version = item["version"]
    return (version.get("id"), version.get("hash"))

"""Sync of reference data: requests what is due, and records the results in the state."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import TYPE_CHECKING

from tower_etl.api import Finding
from tower_etl.errors import ApiError, ServerError
from tower_etl.extract.entity_snapshot import EntitySnapshot
from tower_etl.extract.failures import is_access_denied
from tower_etl.extract.on_demand import LaunchLoader, plan_backlog, read_audit_logs
from tower_etl.extract.reference import (
    ENTITIES,
    access_denied_message,
    fetch_entities,
    list_absent,
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
    _referenced: dict[int, Workspace] = field(default_factory=dict)
    _listed: set[int] = field(default_factory=set)
    _queried: set[str] = field(default_factory=set)
    _retried: bool = False

    @property
    def _tables(self) -> frozenset[str]:
        return self.options.tables

    @property
    def _launch_tables(self) -> frozenset[str]:
        return self._tables & {*_LAUNCH_TABLES}

    def extract_due(self, workspace_syncs: Sequence[WorkspaceSync]) -> Iterator[Tables]:
        """Yield the reference data that is due, given the planned sync of each workspace."""
        self.launches = self._open_launches(workspace_syncs)
        yield self._service_info()
        listed = [(each.workspace, each.plan.is_full) for each in workspace_syncs]
        if not self._tables & RUN_TABLES:  # no run listing that decides what is due
            listed = [(workspace, True) for workspace in self.discovery.workspaces]
        due = [workspace for workspace, is_full in listed if is_full]
        rest = self._group_rest([workspace for workspace, is_full in listed if not is_full])
        groups = [(self._own_tables(), due), *rest.items()]
        responses = [part for tables, spaces in groups for part in self._fetch(spaces, tables)]
        yield from self._iter_rows(responses)
        self._record(responses, {t for tables, spaces in groups if spaces for t in tables})
        for tables, workspaces in groups:
            versions = {f"{table}_history" for table in tables} & self._tables
            self.state = self.state.load(tables & self._tables | versions, _keys_of(workspaces))
        self.state = self.state.unload(self._list_behind(), _keys_of(due))
        yield from self._iter_launches([workspace for workspace, _ in listed], due)
        if "audit_logs" in self._tables and (due or not self.state.denied.get("audit_logs")):
            yield self._read_audit_logs()

    def _open_launches(self, workspace_syncs: Sequence[WorkspaceSync]) -> LaunchLoader | None:
        """Return the loader of launches, None if neither they nor their datasets are selected."""
        if not self._launch_tables:
            return None
        runs = [run_fetch.run_id for each in workspace_syncs for run_fetch in each.plan.fetches]
        keys = [each.workspace.key for each in workspace_syncs]
        reconciles = any(each.plan.is_full for each in workspace_syncs)
        unavailable = frozenset() if reconciles else self.state.launches
        unloaded = self.state.list_unloaded(self._launch_tables, keys)
        stored = () if unloaded else self.destination_state.find_launches(runs)
        return LaunchLoader(self.executor.client, self._tables, stored, unavailable)

    def record_runs(self, tables: Tables, workspaces: Sequence[Workspace]) -> None:
        """Record pipelines of loaded runs and their workspaces, which may lack launches now."""
        self.state = self.state.unload({*_LAUNCH_TABLES} - self._tables, _keys_of(workspaces))
        if _PIPELINES not in self._tables or "workflows" not in tables:
            return
        by_id = {workspace.id: workspace for workspace in workspaces}
        for run in tables["workflows"].select(["workspace_id", "pipeline_info__id"]).to_pylist():
            pipeline_id = run["pipeline_info__id"]
            if pipeline_id is not None and pipeline_id not in self.state.unresolved:
                self._referenced[pipeline_id] = by_id[run["workspace_id"]]

    def extract_referenced_pipelines(self) -> Iterator[Tables]:
        """Yield the pipelines of workspaces that have runs of unknown pipelines, once each."""
        unknown = {key: self._referenced[key] for key in self._referenced.keys() - self._listed}
        if unknown:
            for row in self.destination_state.read_table(_PIPELINES, ("pipeline_id",)):
                unknown.pop(row["pipeline_id"], None)
        workspaces = {
            workspace.key: workspace
            for workspace in unknown.values()
            if workspace.key not in self._queried
        }
        if workspaces:
            selected = self._tables & {_PIPELINES, f"{_PIPELINES}_history", _VERSIONS}
            responses = self._fetch([*workspaces.values()], selected)
            yield from self._iter_rows(responses)
            unread = {
                response.partition.key
                for response in responses
                if response.entity.table == _VERSIONS and response.failure
            }
            if unread:
                self.state = self.state.unload({_VERSIONS}, unread)
        self.state = self.state.record_unresolved(unknown.keys() - self._listed)

    def report_denied_launches(self) -> None:
        """Report launches that could not be fetched; denials once, until access is granted."""
        launches = self.launches
        if launches is None:
            return
        for table in _LAUNCH_TABLES:
            error = launches.denied.get(table)
            message = (
                f"The server refuses some {table} ({error}). Their runs are loaded without, and "
                "each reconciliation requests them again."
            )
            self._record_denial(table, message if error else None, is_granted=self._retried)
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
        own = self._own_tables()
        for workspace in workspaces:
            lacking = self.state.pending | self.state.list_unloaded(self._tables, [workspace.key])
            tables = {table for table in own if {table, f"{table}_history"} & lacking}
            if tables:
                groups.setdefault(frozenset(tables), []).append(workspace)
        return groups

    def _list_behind(self) -> frozenset[str]:
        """Return the loaded tables that a reconciliation of runs would refresh if selected."""
        if not self._tables & RUN_TABLES:
            return frozenset()
        names = {name for entity in ENTITIES for name in (entity.table, f"{entity.table}_history")}
        return frozenset(self.state.initialized.keys() & names - self._tables)

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
        return {"service_info": service_rows(info, self.sync_run.sync_id, self.sync_run.started_at)}

    def _fetch(self, due: list[Workspace], selected: frozenset[str]) -> list[PartitionResult]:
        if not due:
            return []
        unloaded = self.state.list_unloaded(selected, _keys_of(due))
        unreliable = self.state.pending | self.state.denied.keys() | unloaded
        stored = self._read_fingerprints() if _VERSIONS in selected else {}

        def is_due(table: str, item: Item) -> bool:
            """Request the versions of a pipeline only if it changed; older servers have none."""
            is_forced = self.options.reconcile or table in unreliable
            return table != _VERSIONS or _has_new_versions(item, None if is_forced else stored)

        responses = fetch_entities(self.executor, selected, due, is_due)
        lists = [response for response in responses if response.entity.table == _PIPELINES]
        self._listed.update(item["pipelineId"] for response in lists for item in response.items)
        self._queried.update(response.partition.key for response in lists)
        if _VERSIONS not in selected:
            self._unload_versions(lists)
        return responses

    def _read_fingerprints(self) -> dict[int, tuple[object, ...]]:
        """Return id and hash of the default version of each stored pipeline."""
        columns = ("pipeline_id", "version__id", "version__hash")
        rows = self.destination_state.read_table(_PIPELINES, columns)
        return {row["pipeline_id"]: (row["version__id"], row["version__hash"]) for row in rows}

    def _unload_versions(self, lists: Sequence[PartitionResult]) -> None:
        """Record that pipelines were listed with new versions, which were not requested.

        Once a pipeline is stored, it looks as if its versions had been requested, too.
        """
        if not self.state.initialized.get(_VERSIONS):
            return
        stored = self._read_fingerprints()
        changed = {
            response.partition.key
            for response in lists
            for item in response.items
            if _has_new_versions(item, stored)
        }
        self.state = self.state.unload({_VERSIONS}, changed)

    def _iter_rows(self, responses: Sequence[PartitionResult]) -> Iterator[Tables]:
        for entity in ENTITIES:
            own = [response for response in responses if response.entity is entity]
            parents = [response for response in responses if response.entity.table == entity.parent]
            if own or parents:
                snapshot = EntitySnapshot(entity, own, parents, self.discovery, self.is_other_user)
                self._report_conflicts(snapshot)
                yield build_entity_rows(
                    snapshot,
                    self.destination_state,
                    self._tables,
                    self.sync_run.started_at,
                    self.column_policy,
                )

    def _report_conflicts(self, snapshot: EntitySnapshot) -> None:
        """Report ids of several elements: the table stores one element per id."""
        count = snapshot.count_conflicts()
        if count:
            problem = "{} id(s) stand for different elements in several workspaces or organizations"
            finding = Finding(snapshot.entity.table, problem, "One of them is stored.")
            self.executor.client.findings.add(finding, count=count)

    def _record(self, responses: Sequence[PartitionResult], requested: set[str]) -> None:
        """Record denials, reported once, and errors, whose tables are pending for the next sync."""
        for table in sorted({response.entity.table for response in responses}):
            own = [response for response in responses if response.entity.table == table]
            refused = [response for response in own if response.is_denied]
            denied = {response.partition.key for response in refused}
            if denied - self.state.denied.get(table, frozenset()):
                self.result.warnings.append(access_denied_message(table, refused))
            granted = {response.partition.key for response in own} - denied
            self.state = self.state.record_access(table, denied, granted)
        faults = [response for response in responses if response.failure and not response.is_denied]
        failed = {response.entity.table for response in faults}
        failed |= {entity.table for entity in ENTITIES if entity.parent in failed}
        self.state = replace(self.state, pending=self.state.pending - requested | failed)
        errors = dict.fromkeys(str(r.failure) for r in faults if isinstance(r.failure, ApiError))
        self.result.reference_errors += [f"{error} The next sync retries." for error in errors]
        for entity in ENTITIES:
            own = [response for response in responses if response.entity is entity]
            if entity.detail and own:
                self._record_details(entity.table, own)

    def _record_denial(self, name: str, message: str | None, *, is_granted: bool = True) -> None:
        """Record a denial of access, which is reported once, with its message; or an access."""
        if message and not self.state.denied.get(name):
            self.result.warnings.append(message)
        denied = _SERVER if message else frozenset[str]()
        self.state = self.state.record_access(name, denied, _SERVER if is_granted else ())

    def _record_details(self, table: str, responses: Sequence[PartitionResult]) -> None:
        """Record denials of details, and report details that failed."""
        absent = list_absent(responses).values()
        refused = [error for error in absent if is_access_denied(error)]
        message = None
        if refused:
            message = (
                f"The server refuses the details of {len(refused)} {table} ({refused[0]}). Details "
                "loaded before stay, and each reconciliation requests them again."
            )
        self._record_denial(f"details of {table}", message)
        failed = [e for e in absent if isinstance(e, ApiError) and not is_access_denied(e)]
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
            workspaces: Workspaces that could be listed; if their launches were never loaded, up to
                20,000 of these are fetched.
            due: Workspaces that are reconciled now; up to 1,000 of their missing launches are
                retried.
        """
        launches, selected = self.launches, self._launch_tables
        if launches is None:
            return
        lacking = [w for w in workspaces if self.state.list_unloaded(selected, [w.key])]
        chosen = {workspace.id for workspace in (*lacking, *due)}
        if not chosen:
            return
        limit = _FILLED_LAUNCHES if lacking else _RETRIED_LAUNCHES
        requests, after = plan_backlog(
            self.destination_state, self._tables, chosen, self.state.launches_after, limit=limit
        )
        found = self.executor.map(
            lambda pair: self.executor.try_request(lambda: launches.fetch(*pair)), requests
        )
        yield from (rows for rows in found if isinstance(rows, dict))
        self.state = replace(self.state, launches_after=after)
        if after is None:
            self.state = self.state.load(selected, _keys_of(lacking))
        self._retried = True

    def _read_audit_logs(self) -> Tables:
        cursor, client = self.state.audit, self.executor.client
        found = self.executor.try_request(
            lambda: read_audit_logs(client, cursor, self.sync_run.started_at)
        )
        if isinstance(found, tuple):
            rows, audit = found
            self._record_denial("audit_logs", None)
            self.state = replace(self.state, audit=audit)
            return {"audit_logs": rows}
        if is_access_denied(found):
            cause = "The audit log is for administrators of servers that keep one"
            if isinstance(found, ServerError):
                cause = "The server's answer for the audit log cannot be used"
            self._record_denial("audit_logs", f"{cause} ({found})")
        elif isinstance(found, ApiError):
            self.result.reference_errors.append(f"{found} The next sync retries.")
        return {}


def _keys_of(workspaces: Iterable[Workspace]) -> list[str]:
    return [workspace.key for workspace in workspaces]


def _has_new_versions(pipeline: Item, stored: Mapping[int, tuple[object, ...]] | None) -> bool:
    """Return whether the default version of a pipeline differs from the stored one, if given."""
    version = pipeline.get("version")
    if not isinstance(version, dict):
        return False
    found = (version.get("id"), version.get("hash"))
    return stored is None or stored.get(pipeline["pipelineId"]) != found

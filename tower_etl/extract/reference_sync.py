"""One round of the slow entities: what is due is asked for, and what came of it is remembered."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from tower_etl.api import EntityList, Finding
from tower_etl.errors import ApiError, ServerError
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
from tower_etl.extract.scd2 import EntitySnapshot, build_entity_rows
from tower_etl.lossless import to_json
from tower_etl.schema import service_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

    from tower_etl.api import Item, TowerClient
    from tower_etl.config.settings import SyncOptions
    from tower_etl.extract.destination_state import DestinationState
    from tower_etl.extract.discovery import Discovery, Workspace
    from tower_etl.extract.executor import FetchExecutor
    from tower_etl.extract.planning import WorkspaceSync
    from tower_etl.extract.reference import PartitionResult
    from tower_etl.extract.result import SyncResult, SyncRunRecord
    from tower_etl.sync import ReferenceState
    from tower_etl.transform import ColumnPolicy

Tables = dict[str, "pa.Table"]

_PIPELINES = "pipelines"
_OF_LAUNCHES = ("launches", "launch_datasets")
_SERVER = frozenset({"server"})
_RETRIED_LAUNCHES = 1_000  # at each reconciliation
_FILLED_LAUNCHES = 20_000  # in each sync until the table is filled


@dataclass
class ReferenceSync:
    """The slow entities of one sync.

    Attributes:
        client: Asks the platform.
        fetcher: Asks for several things at once.
        discovery: What preflight found.
        request: What the sync is asked to do.
        sync_run: When the sync started.
        sync_result: Told what was refused and what failed.
        store: What the destination holds.
        state: What is remembered, brought up to date by each round.
        column_policy: What becomes of rows on their way to the destination.
        foreign: Whether the target holds what another user's token saw.
    """

    client: TowerClient
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

    def open_launches(self, works: Sequence[WorkspaceSync]) -> LaunchLoader | None:
        """What fetches launches beside runs, None where they are not wanted.

        Args:
            works: What is to be done in each workspace.
        """
        if "launches" not in self._tables:
            return None
        runs = [run_fetch.run_id for work in works for run_fetch in work.plan.fetches]
        keys = [work.workspace.key for work in works]
        again = any(work.plan.is_full for work in works)
        unavailable = frozenset() if again else self.state.launches
        lacking = self.state.list_unloaded(self._tables & {*_OF_LAUNCHES}, keys)
        stored = () if lacking else self.store.find_launches(runs)
        return LaunchLoader(self.client, self._tables, stored, unavailable)

    def extract_due(
        self, listed: Sequence[tuple[Workspace, bool]], launches: LaunchLoader | None
    ) -> Iterator[Tables]:
        """What is due at the start of a sync.

        Args:
            listed: The workspaces that could be listed, and whether everything was listed in them.
            launches: What fetches launches.
        """
        yield self._describe_service()
        due = [space for space, whole in listed if whole]
        rest = self._group_rest([space for space, whole in listed if not whole])
        responses = self._fetch(due, self._tables)
        for tables, spaces in rest.items():
            responses += self._fetch(spaces, tables)
        yield from self._iter_rows(responses)
        self._record(responses, self._own_tables() if due else frozenset().union(*rest))
        for tables, spaces in {**rest, self._own_tables(): due}.items():
            versions = {f"{table}_history" for table in tables} & self._tables
            self.state = self.state.load(
                tables & self._tables | versions, [space.key for space in spaces]
            )
        yield from self._iter_launches([space for space, _ in listed], due, launches)
        if "audit_logs" in self._tables and (due or not self.state.denied.get("audit_logs")):
            yield self._read_audit_logs()

    def record_pipeline_ids(self, tables: Tables, spaces: Mapping[int | None, Workspace]) -> None:
        """Note the pipelines that runs name, given the workspaces of the runs by their id."""
        if _PIPELINES not in self._tables or "workflows" not in tables:
            return
        runs = tables["workflows"].select(["workspace_id", "pipeline_info__id"]).to_pylist()
        for run in runs:
            pipeline_id = run["pipeline_info__id"]
            if pipeline_id is not None and pipeline_id not in self.state.unresolved:
                self._referenced[pipeline_id] = spaces[run["workspace_id"]]

    def extract_referenced_pipelines(self) -> Iterator[Tables]:
        """The pipelines of workspaces whose runs named one that is not known: once a workspace."""
        unknown = {key: space for key, space in self._referenced.items() if key not in self._listed}
        if unknown:
            stored = self.store.read_table(_PIPELINES, ("pipeline_id",))
            unknown = {key: unknown[key] for key in unknown.keys() - _ids_of(stored)}
        spaces = {space.key: space for space in unknown.values() if space.key not in self._queried}
        if spaces:
            wanted = self._tables & {_PIPELINES, f"{_PIPELINES}_history"}
            yield from self._iter_rows(self._fetch([*spaces.values()], wanted))
        self.state = self.state.record_unresolved(unknown.keys() - self._listed)

    def report_denied_launches(self, launches: LaunchLoader | None) -> None:
        """Report launches that could not be fetched; refusals once, until none is refused."""
        if launches is None:
            return
        for table in _OF_LAUNCHES:
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

    def _group_rest(self, spaces: Sequence[Workspace]) -> dict[frozenset[str], list[Workspace]]:
        """Return the workspaces that are not compared now, by the tables that they lack."""
        groups: dict[frozenset[str], list[Workspace]] = {}
        for space in spaces:
            lacking = self.state.pending | self.state.list_unloaded(self._tables, [space.key])
            tables = {
                table for table in self._own_tables() if {table, f"{table}_history"} & lacking
            }
            if tables:
                groups.setdefault(frozenset(tables), []).append(space)
        return groups

    def _own_tables(self) -> frozenset[str]:
        return frozenset(entity.table for entity in select_entities(self._tables))

    def _describe_service(self) -> Tables:
        """What the server says of itself, where that is new: preflight has asked for it."""
        info = dict(self.discovery.info)
        text = to_json(dict(sorted(info.items())))
        digest = blake2b(text.encode(), digest_size=16).hexdigest()
        if not info or digest == self.state.service or "service_info" not in self._tables:
            return {}
        self.state = replace(self.state, service=digest)
        row = service_rows(info, self.sync_run.sync_id, self.sync_run.started_at)
        return {"service_info": row}

    def _fetch(self, due: list[Workspace], wanted: frozenset[str]) -> list[PartitionResult]:
        if not due:
            return []
        unloaded = self.state.list_unloaded(wanted, [space.key for space in due])
        doubtful = self.state.pending | self.state.denied.keys() | unloaded
        stored = self.store.read_table(_PIPELINES) if "pipeline_versions" in wanted else []
        seen = {row["pipeline_id"]: _fingerprint(row) for row in stored}

        def is_due(table: str, item: Item) -> bool:
            """The versions of a pipeline are asked for when it changed; servers may have none."""
            if table != "pipeline_versions":
                return True
            if not isinstance(item.get("version"), dict):
                return False
            again = self.options.reconcile or table in doubtful
            return again or seen.get(item["pipelineId"]) != _fingerprint_of(item)

        responses = fetch_entities(self.client, self.executor, wanted, due, is_due)
        lists = [response for response in responses if response.entity.table == _PIPELINES]
        self._listed.update(item["pipelineId"] for response in lists for item in response.items)
        self._queried.update(response.partition.key for response in lists)
        return responses

    def _iter_rows(self, responses: Sequence[PartitionResult]) -> Iterator[Tables]:
        for entity in ENTITIES:
            own = [response for response in responses if response.entity is entity]
            parents = [response for response in responses if response.entity.table == entity.parent]
            if own or parents:
                harvest = EntitySnapshot(entity, own, parents, self.discovery, self.is_other_user)
                self._report_conflicts(harvest)
                now = self.sync_run.started_at
                yield build_entity_rows(harvest, self.store, self._tables, now, self.column_policy)

    def _report_conflicts(self, snapshot: EntitySnapshot) -> None:
        """Report ids that stand for different things: the table has room for one of them."""
        count = snapshot.count_conflicts()
        if count:
            problem = "{} id(s) stand for different elements in several workspaces or organizations"
            finding = Finding(snapshot.entity.table, problem, "One of them is stored.")
            self.client.findings.add(finding, count=count)

    def _record(self, responses: Sequence[PartitionResult], asked: frozenset[str]) -> None:
        """Remember refusals, told once, and report faults, whose tables are owed."""
        refused = denied_by_table(responses)
        for table in {response.entity.table for response in responses}:
            places = {response.partition.key for response in refused.get(table, ())}
            answered = {
                response.partition.key for response in responses if response.entity.table == table
            } - places
            if places - self.state.denied.get(table, frozenset()):
                self.result.warnings.append(access_denied_message(table, refused[table]))
            self.state = self.state.record_access(table, places, answered)
        faults = transient_errors(responses)
        self.result.reference_errors += [f"{fault} The next sync asks again." for fault in faults]
        failed = {
            response.entity.table
            for response in responses
            if not isinstance(response.result, EntityList) and not is_access_denied(response.result)
        }
        failed |= {entity.table for entity in ENTITIES if entity.parent in failed}
        self.state = replace(self.state, pending=self.state.pending - asked | failed)
        for table in {response.entity.table for response in responses if response.entity.detail}:
            self._record_details(
                table, [response for response in responses if response.entity.table == table]
            )

    def _record_details(self, table: str, responses: Sequence[PartitionResult]) -> None:
        """Remember whether details are refused, told once, and report those that failed."""
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
        self, spaces: Sequence[Workspace], due: Sequence[Workspace], launches: LaunchLoader | None
    ) -> Iterator[Tables]:
        """Yield launches that stored runs name and no row describes.

        Args:
            spaces: The workspaces that could be listed; those whose launches were not loaded before
                are filled.
            due: Those that are compared now; some of their launches that were refused are retried.
            launches: What fetches launches.
        """
        if launches is None:
            return
        wanted = self._tables & {*_OF_LAUNCHES}
        lacking = [space for space in spaces if self.state.list_unloaded(wanted, [space.key])]
        chosen = {space.id for space in (*lacking, *due)}
        if not chosen:
            return
        at_once = _FILLED_LAUNCHES if lacking else _RETRIED_LAUNCHES
        asked, after = plan_backlog(
            self.store, self._tables, chosen, self.state.launches_after, at_once=at_once
        )
        found = self.executor.map(
            lambda pair: self.executor.capture_error(lambda: launches.fetch(*pair)), asked
        )
        yield from (rows for rows in found if isinstance(rows, dict))
        self.state = replace(self.state, launches_after=after)
        if after is None:
            self.state = self.state.load(wanted, [space.key for space in lacking])
        self._retried = True

    def forget_launches(self, spaces: Sequence[Workspace]) -> None:
        """Note that runs of some workspaces were loaded without the launches that they name."""
        self.state = self.state.unload({*_OF_LAUNCHES} - self._tables, [s.key for s in spaces])

    def _read_audit_logs(self) -> Tables:
        cursor, now = self.state.audit, self.sync_run.started_at
        found = self.executor.capture_error(lambda: read_audit_logs(self.client, cursor, now))
        if isinstance(found, tuple):
            rows, audit = found
            self.state = replace(
                self.state.record_access("audit_logs", (), {"server"}), audit=audit
            )
            return {"audit_logs": rows}
        if is_access_denied(found):
            if not self.state.denied.get("audit_logs"):
                cause = "The audit log is for administrators of servers that keep one"
                if isinstance(found, ServerError):
                    cause = "The server's answer for the audit log cannot be used"
                self.result.warnings.append(f"{cause} ({found})")
            self.state = self.state.record_access("audit_logs", {"server"}, ())
        elif isinstance(found, ApiError):
            self.result.reference_errors.append(f"{found} The next sync asks again.")
        return {}


def _ids_of(pipelines: list[dict[str, Any]]) -> set[int]:
    return {row["pipeline_id"] for row in pipelines}


def _fingerprint(row: Mapping[str, Any]) -> tuple[object, ...]:
    return (row["version__id"], row["version__hash"])


def _fingerprint_of(item: Item) -> tuple[object, ...]:
    version = item["version"]
    return (version.get("id"), version.get("hash"))

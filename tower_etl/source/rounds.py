"""One round of the slow entities: what is due is asked for, and what came of it is remembered."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from tower_etl.api import Found
from tower_etl.errors import ApiError
from tower_etl.lossless import json_text
from tower_etl.source.audit import read_audit_logs
from tower_etl.source.catalog import ENTITIES, choose_entities
from tower_etl.source.entities import (
    describe_refusal,
    fetch_entities,
    group_refusals,
    is_refusal,
    list_absent,
    list_faults,
)
from tower_etl.source.launches import Launches, plan_backlog
from tower_etl.source.upkeep import Harvest, keep_up
from tower_etl.tables import service_batch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

    from tower_etl.api import Item, TowerClient
    from tower_etl.settings import Request
    from tower_etl.source.diary import Diary
    from tower_etl.source.entities import Haul
    from tower_etl.source.fetcher import Fetcher
    from tower_etl.source.outcome import Outcome
    from tower_etl.source.planning import Work
    from tower_etl.source.preflight import Reach, Workspace
    from tower_etl.source.stored import StoredRuns
    from tower_etl.sync import EntityState
    from tower_etl.tables import Treatment

Tables = dict[str, "pa.Table"]

_PIPELINES = "pipelines"
_OF_LAUNCHES = ("launches", "launch_datasets")
_SERVER = frozenset({"server"})
_RETRIED_LAUNCHES = 1_000  # at each reconciliation
_FILLED_LAUNCHES = 20_000  # in each sync until the table is filled


@dataclass
class Rounds:
    """The slow entities of one sync.

    Attributes:
        client: Asks the platform.
        fetcher: Asks for several things at once.
        reach: What preflight found.
        request: What the sync is asked to do.
        diary: When the sync started.
        outcome: Told what was refused and what failed.
        store: What the destination holds.
        state: What is remembered, brought up to date by each round.
        treatment: What becomes of rows on their way to the destination.
        foreign: Whether the target holds what another user's token saw.
    """

    client: TowerClient
    fetcher: Fetcher
    reach: Reach
    request: Request
    diary: Diary
    outcome: Outcome
    store: StoredRuns
    state: EntityState
    treatment: Treatment
    foreign: bool = False
    _named: dict[int, Workspace] = field(default_factory=dict)
    _listed: set[int] = field(default_factory=set)
    _asked: set[str] = field(default_factory=set)
    _retried: bool = False

    @property
    def _wanted(self) -> frozenset[str]:
        return self.request.tables

    def open_launches(self, works: Sequence[Work]) -> Launches | None:
        """What fetches launches beside runs, None where they are not wanted.

        Args:
            works: What is to be done in each workspace.
        """
        if "launches" not in self._wanted:
            return None
        runs = [visit.run_id for work in works for visit in work.plan.visits]
        keys = [work.workspace.key for work in works]
        again = any(work.plan.whole for work in works)
        unavailable = frozenset() if again else self.state.launches
        lacking = self.state.list_unloaded(self._wanted & {*_OF_LAUNCHES}, keys)
        stored = () if lacking else self.store.find_launches(runs)
        return Launches(self.client, self._wanted, stored, unavailable)

    def iter_due(
        self, listed: Sequence[tuple[Workspace, bool]], launches: Launches | None
    ) -> Iterator[Tables]:
        """What is due at the start of a sync.

        Args:
            listed: The workspaces that could be listed, and whether everything was listed in them.
            launches: What fetches launches.
        """
        yield self._describe_service()
        due = [space for space, whole in listed if whole]
        rest = self._group_rest([space for space, whole in listed if not whole])
        hauls = self._fetch(due, self._wanted)
        for tables, spaces in rest.items():
            hauls += self._fetch(spaces, tables)
        yield from self._iter_rows(hauls)
        self._note(hauls, self._own_tables() if due else frozenset().union(*rest))
        for tables, spaces in {**rest, self._own_tables(): due}.items():
            versions = {f"{table}_history" for table in tables} & self._wanted
            self.state = self.state.load(
                tables & self._wanted | versions, [space.key for space in spaces]
            )
        yield from self._iter_launches([space for space, _ in listed], due, launches)
        if "audit_logs" in self._wanted and (due or not self.state.refused.get("audit_logs")):
            yield self._read_audit_logs()

    def note_named(self, tables: Tables, spaces: Mapping[int | None, Workspace]) -> None:
        """Note the pipelines that runs name, given the workspaces of the runs by their id."""
        if _PIPELINES not in self._wanted or "workflows" not in tables:
            return
        runs = tables["workflows"].select(["workspace_id", "pipeline_info__id"]).to_pylist()
        for run in runs:
            pipeline_id = run["pipeline_info__id"]
            if pipeline_id is not None and pipeline_id not in self.state.unknown:
                self._named[pipeline_id] = spaces[run["workspace_id"]]

    def iter_named(self) -> Iterator[Tables]:
        """The pipelines of workspaces whose runs named one that is not known: once a workspace."""
        unknown = {key: space for key, space in self._named.items() if key not in self._listed}
        if unknown:
            stored = self.store.read_table(_PIPELINES, ("pipeline_id",))
            unknown = {key: unknown[key] for key in unknown.keys() - _ids_of(stored)}
        spaces = {space.key: space for space in unknown.values() if space.key not in self._asked}
        if spaces:
            wanted = self._wanted & {_PIPELINES, f"{_PIPELINES}_history"}
            yield from self._iter_rows(self._fetch([*spaces.values()], wanted))
        self.state = self.state.miss(unknown.keys() - self._listed)

    def note_launches(self, launches: Launches | None) -> None:
        """Report launches that could not be fetched; refusals once, until none is refused."""
        if launches is None:
            return
        for table in _OF_LAUNCHES:
            error = launches.refusals.get(table)
            if error and not self.state.refused.get(table):
                self.outcome.warnings.append(
                    f"The server refuses some {table} ({error}). Their runs are loaded without, "
                    "and each reconciliation requests them again."
                )
            answered = _SERVER if self._retried and not error else ()
            self.state = self.state.refuse(table, _SERVER if error else (), answered)
        if launches.failure is not None:
            self.outcome.faults.append(
                f"{launches.failures} launches could not be fetched ({launches.failure}). Their "
                "runs are loaded without a compute environment, and the next reconciliation "
                "requests them again."
            )
        self.state = replace(self.state, launches=frozenset(launches.unavailable))

    def _group_rest(self, spaces: Sequence[Workspace]) -> dict[frozenset[str], list[Workspace]]:
        """Return the workspaces that are not compared now, by the tables that they lack."""
        groups: dict[frozenset[str], list[Workspace]] = {}
        for space in spaces:
            lacking = self.state.owed | self.state.list_unloaded(self._wanted, [space.key])
            tables = {
                table for table in self._own_tables() if {table, f"{table}_history"} & lacking
            }
            if tables:
                groups.setdefault(frozenset(tables), []).append(space)
        return groups

    def _own_tables(self) -> frozenset[str]:
        return frozenset(entity.table for entity in choose_entities(self._wanted))

    def _describe_service(self) -> Tables:
        """What the server says of itself, where that is new: preflight has asked for it."""
        info = dict(self.reach.info)
        text = json_text(dict(sorted(info.items())))
        digest = blake2b(text.encode(), digest_size=16).hexdigest()
        if not info or digest == self.state.service or "service_info" not in self._wanted:
            return {}
        self.state = replace(self.state, service=digest)
        row = service_batch(info, self.diary.sync_id, self.diary.started_at)
        return {"service_info": row}

    def _fetch(self, due: list[Workspace], wanted: frozenset[str]) -> list[Haul]:
        if not due:
            return []
        unloaded = self.state.list_unloaded(wanted, [space.key for space in due])
        doubtful = self.state.owed | self.state.refused.keys() | unloaded
        stored = self.store.read_table(_PIPELINES) if "pipeline_versions" in wanted else []
        seen = {row["pipeline_id"]: _fingerprint(row) for row in stored}

        def is_due(table: str, item: Item) -> bool:
            """The versions of a pipeline are asked for when it changed; servers may have none."""
            if table != "pipeline_versions":
                return True
            if not isinstance(item.get("version"), dict):
                return False
            again = self.request.reconcile or table in doubtful
            return again or seen.get(item["pipelineId"]) != _fingerprint_of(item)

        hauls = fetch_entities(self.client, self.fetcher, wanted, due, is_due)
        lists = [haul for haul in hauls if haul.entity.table == _PIPELINES]
        self._listed.update(item["pipelineId"] for haul in lists for item in haul.items)
        self._asked.update(haul.place.key for haul in lists)
        return hauls

    def _iter_rows(self, hauls: Sequence[Haul]) -> Iterator[Tables]:
        for entity in ENTITIES:
            own = [haul for haul in hauls if haul.entity is entity]
            parents = [haul for haul in hauls if haul.entity.table == entity.parent]
            if own or parents:
                harvest = Harvest(entity, own, parents, self.reach, self.foreign)
                now = self.diary.started_at
                yield keep_up(harvest, self.store, self._wanted, now, self.treatment)

    def _note(self, hauls: Sequence[Haul], asked: frozenset[str]) -> None:
        """Remember refusals, told once, and report faults, whose tables are owed."""
        refused = group_refusals(hauls)
        for table in {haul.entity.table for haul in hauls}:
            places = {haul.place.key for haul in refused.get(table, ())}
            answered = {haul.place.key for haul in hauls if haul.entity.table == table} - places
            if places - self.state.refused.get(table, frozenset()):
                self.outcome.warnings.append(describe_refusal(table, refused[table]))
            self.state = self.state.refuse(table, places, answered)
        faults = list_faults(hauls)
        self.outcome.faults += [f"{fault} The next sync asks again." for fault in faults]
        failed = {
            haul.entity.table
            for haul in hauls
            if not isinstance(haul.result, Found) and not is_refusal(haul.result)
        }
        failed |= {entity.table for entity in ENTITIES if entity.parent in failed}
        self.state = replace(self.state, owed=self.state.owed - asked | failed)
        for table in {haul.entity.table for haul in hauls if haul.entity.detail}:
            self._note_details(table, [haul for haul in hauls if haul.entity.table == table])

    def _note_details(self, table: str, hauls: Sequence[Haul]) -> None:
        """Remember whether details are refused, told once, and report those that failed."""
        name, absent = f"details of {table}", list_absent(hauls).values()
        refused = [error for error in absent if is_refusal(error)]
        if refused and not self.state.refused.get(name):
            self.outcome.warnings.append(
                f"The server refuses the details of {len(refused)} {table} ({refused[0]}). Details "
                "loaded before stay, and each reconciliation requests them again."
            )
        self.state = self.state.refuse(name, _SERVER if refused else (), () if refused else _SERVER)
        failed = [e for e in absent if isinstance(e, ApiError) and not is_refusal(e)]
        if failed:
            self.outcome.faults.append(
                f"The details of {len(failed)} {table} could not be fetched ({failed[0]}). The "
                "next reconciliation requests them again."
            )

    def _iter_launches(
        self, spaces: Sequence[Workspace], due: Sequence[Workspace], launches: Launches | None
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
        wanted = self._wanted & {*_OF_LAUNCHES}
        lacking = [space for space in spaces if self.state.list_unloaded(wanted, [space.key])]
        chosen = {space.id for space in (*lacking, *due)}
        if not chosen:
            return
        at_once = _FILLED_LAUNCHES if lacking else _RETRIED_LAUNCHES
        asked, after = plan_backlog(
            self.store, self._wanted, chosen, self.state.launches_after, at_once=at_once
        )
        found = self.fetcher.run_all(
            lambda pair: self.fetcher.guard(lambda: launches.fetch(*pair)), asked
        )
        yield from (rows for rows in found if isinstance(rows, dict))
        self.state = replace(self.state, launches_after=after)
        if after is None:
            self.state = self.state.load(wanted, [space.key for space in lacking])
        self._retried = True

    def forget_launches(self, spaces: Sequence[Workspace]) -> None:
        """Note that runs of some workspaces were loaded without the launches that they name."""
        self.state = self.state.unload({*_OF_LAUNCHES} - self._wanted, [s.key for s in spaces])

    def _read_audit_logs(self) -> Tables:
        cursor, now = self.state.audit, self.diary.started_at
        found = self.fetcher.guard(lambda: read_audit_logs(self.client, cursor, now))
        if isinstance(found, tuple):
            rows, audit = found
            self.state = replace(self.state.refuse("audit_logs", (), {"server"}), audit=audit)
            return {"audit_logs": rows}
        if is_refusal(found):
            if not self.state.refused.get("audit_logs"):
                self.outcome.warnings.append(
                    f"The audit log is for administrators of servers that keep one ({found})"
                )
            self.state = self.state.refuse("audit_logs", {"server"}, ())
        elif isinstance(found, ApiError):
            self.outcome.faults.append(f"{found} The next sync asks again.")
        return {}


def _ids_of(pipelines: list[dict[str, Any]]) -> set[int]:
    return {row["pipeline_id"] for row in pipelines}


def _fingerprint(row: Mapping[str, Any]) -> tuple[object, ...]:
    return (row["version__id"], row["version__hash"])


def _fingerprint_of(item: Item) -> tuple[object, ...]:
    version = item["version"]
    return (version.get("id"), version.get("hash"))

"""One sync: lists, plans, fetches, and hands out packages of rows with the state they bring.

A package ends with a whole run, so that what dlt commits is never half of one. Work goes on between
two packages: while dlt loads one, the runs of the next are being fetched.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from tower_etl.http import BudgetClosedError
from tower_etl.source.buffer import Buffer
from tower_etl.source.extraction import NO_LIMIT
from tower_etl.source.fetcher import take_value
from tower_etl.source.novelty import Novelty
from tower_etl.source.opening import (
    Opening,
    leave_out_strangers,
    load_states,
    report_invisible,
    report_unmatched,
    save_states,
)
from tower_etl.source.origin import Origin, check_origin
from tower_etl.source.outcome import Outcome, WorkspaceOutcome
from tower_etl.source.parcels import Held, Parcel, build_parcels
from tower_etl.source.planning import Planner
from tower_etl.source.preflight import explain_refusal
from tower_etl.source.rounds import Rounds
from tower_etl.sync import (
    RUN_TABLES,
    STATE_VERSION,
    WorkspaceState,
    check_version,
    finish_workspace,
    forget_failure,
    land_run,
    read_entities,
    record_failure,
    write_entities,
)
from tower_etl.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableMapping

    import pyarrow as pa

    from tower_etl.api import TowerClient
    from tower_etl.errors import ApiError
    from tower_etl.http import Spent
    from tower_etl.settings import Packages, Request
    from tower_etl.source.diary import Diary
    from tower_etl.source.extraction import RunLimit
    from tower_etl.source.fetcher import Arrival, Errand, Failure, Fetcher
    from tower_etl.source.planning import Work
    from tower_etl.source.preflight import Reach, Workspace
    from tower_etl.source.stored import StoredRuns
    from tower_etl.sync import Visit
    from tower_etl.tables import Table, Treatment


class Session:
    """Carries one sync through; `tower_source` and the command line share it.

    Attributes:
        outcome: What was done so far; read by whoever shows progress.
        is_done: Whether the last package was handed out.
    """

    def __init__(  # noqa: PLR0913, PLR0917 the parts that it brings together
        self,
        client: TowerClient,
        fetcher: Fetcher,
        reach: Reach,
        request: Request,
        diary: Diary,
        treatment: Treatment,
        limit: RunLimit = NO_LIMIT,
    ) -> None:
        spaces = {space.key: WorkspaceOutcome(space.id, space.name) for space in reach.workspaces}
        self.outcome = Outcome(spaces | report_unmatched(reach.unmatched))
        self.is_done = False
        self._client = client
        self._fetcher = fetcher
        self._reach = reach
        self._request = request
        self._diary = diary
        self._treatment = treatment
        self._limit = limit
        self._buffer = Buffer(treatment)
        self._held = Held()
        self._works: list[Work] = []
        self._states: dict[str, WorkspaceState] = {}
        self._arrivals: Iterator[Arrival] | None = None
        self._here = Origin.of(client.transport.endpoint, reach.user_id)
        self._novelty = Novelty()
        self._origin: dict[str, Any] = {}
        self._planner: Planner
        self._rounds: Rounds

    @property
    def rows(self) -> dict[str, int]:
        """Rows handed out so far, by table."""
        return self._buffer.count_all()

    @property
    def specs(self) -> Mapping[str, Table]:
        """What the tables handed out are."""
        return self._treatment.specs

    @property
    def spent(self) -> Spent:
        """Calls, retries and throttled time so far."""
        return self._client.transport.meter.read()

    @property
    def seconds(self) -> float:
        """Time since the start."""
        return self._diary.seconds

    def iter_package(
        self, state: MutableMapping[str, Any], store: StoredRuns, limits: Packages
    ) -> Iterator[dict[str, pa.Table]]:
        """The rows of the next package, a few large tables at a time.

        Args:
            state: dlt's state of the source, read before the first package and brought up to date
                at the end of each, so that it is committed with the rows that it speaks of.
            store: What the destination holds.
            limits: When the package is full.

        Raises:
            UsageError: The state was written by a newer version.
        """
        if self._arrivals is None:
            self._open(state, store)
        rows, ends = 0, self._diary.seconds + limits.max_seconds
        while rows + self._buffer.rows + self._held.rows < limits.max_rows and (
            self._diary.seconds < ends
        ):
            if not self._take_next():
                self._land(self._held.take())
                self._close()
                break
            if self._buffer.is_full:
                rows += self._buffer.rows
                yield self._flush()
        self._land(self._held.take())
        yield self._flush()
        self._save(state)

    def stop(self) -> None:
        """Ask for a clean end: runs under way land, the others are left to the next sync.

        Safe to be called from a signal handler.
        """
        self.outcome.stopped = True
        self._fetcher.stop()

    def close(self) -> None:
        """Let go of connections and threads."""
        self._fetcher.close()

    def _open(self, state: MutableMapping[str, Any], store: StoredRuns) -> None:
        check_version(state.get("version"))
        reach = self._reach
        version = f"{reach.server_version}, API {reach.api_version}"
        self._client.compatibility.load(state.get("unsupported"), version)
        self._origin = check_origin(state.get("origin"), self._here, moved=self._request.moved)
        foreign = self._origin["user_id"] != self._here.user_id
        if foreign:
            self._reach = leave_out_strangers(self._reach, self._request.workspaces, self.outcome)
        self._novelty.load(state.get("undocumented", {}))
        now, warn = self._diary.started_at, self.outcome.warnings.append
        self._states = load_states(state, self._reach, now)
        report_invisible(self._states, self._request.workspaces, self.outcome)
        self._planner = Planner(self._request, store, now, warn)
        opening = Opening(
            self._fetcher, self._planner, self.outcome, self._note_failure, self._give_up
        )
        spaces = self._reach.workspaces if self._request.tables & RUN_TABLES else ()
        self._works = opening.plan_all(spaces, self._states)
        if self._limit != NO_LIMIT:
            for work in self._works:
                work.plan = work.plan.advance_first()
        self._open_rounds(state, store, foreign=foreign)
        self._add_entities()
        self._arrivals = self._fetcher.iter_arrivals(self._works)

    def _open_rounds(
        self, state: MutableMapping[str, Any], store: StoredRuns, *, foreign: bool
    ) -> None:
        self._rounds = Rounds(
            self._client,
            self._fetcher,
            self._reach,
            self._request,
            self._diary,
            self.outcome,
            store,
            read_entities(state),
            self._treatment,
            foreign=foreign,
        )

    def _add_entities(self) -> None:
        """The slow entities that are due."""
        listed = [(work.workspace, work.plan.whole) for work in self._works]
        if not self._request.tables & RUN_TABLES:  # without runs, nothing else says when it is time
            listed = [(space, True) for space in self._reach.workspaces]
        self._fetcher.launches = launches = self._rounds.open_launches(self._works)
        for tables in self._rounds.iter_due(listed, launches):
            self._buffer.add(tables)

    def _is_at_limit(self) -> bool:
        """Return whether no further run may be fetched; what was fetched so far is loaded."""
        runs, seconds = self._limit.max_runs, self._limit.max_seconds
        taken = self.outcome.fetched + len(self._held)
        return (runs is not None and taken >= runs) or (
            seconds is not None and self._diary.seconds >= seconds
        )

    def _take_next(self) -> bool:
        """Take what arrives next; whether there was anything, and no stop before it."""
        if self._is_at_limit():
            return False
        arrival = next(self._arrivals or iter(()), None)
        if arrival and isinstance(arrival.result, Parcel):
            self._held.add(arrival.errand.work, arrival.result)
        if arrival is None or self._held.is_full or not isinstance(arrival.result, Parcel):
            self._land(self._held.take())  # what is no run comes after those before it
        if arrival is None or isinstance(arrival.result, BudgetClosedError):
            return False
        if not isinstance(arrival.result, Parcel):
            self._settle(arrival.errand, arrival.result)
        return True

    def _settle(self, errand: Errand, failure: ApiError | None) -> None:
        """The end of a workspace, a run that is gone, or one that failed."""
        work, visit = errand.work, errand.visit
        if self._is_given_up(work):
            return  # the cursor stays where it is
        if visit is None:
            self._end_workspace(work)
        elif failure is None:
            work.state = forget_failure(work.state, visit.run_id)
            work.recovered |= {visit.retry} if visit.retry else set()
        else:
            self._record_failure(work, visit, failure)

    def _end_workspace(self, work: Work) -> None:
        """Finish a workspace, after the deferred retries whose cause is gone."""
        follow_up = work.plan.follow_up(work.recovered)
        if not follow_up.visits:
            self._finish(work)
            return
        work.plan = follow_up
        outcome = self.outcome.workspaces[work.workspace.key]
        outcome.planned = (outcome.planned or 0) + len(follow_up.visits)
        self._arrivals = chain(self._fetcher.iter_arrivals([work]), self._arrivals or ())

    def _land(self, held: list[tuple[Work, Parcel]]) -> None:
        """Make rows of some runs, all at once or, where that fails, each by itself."""
        held = [pair for pair in held if not self._is_given_up(pair[0])]
        if not held:
            return
        parcels = [parcel for _, parcel in held]
        tables = take_value(lambda: build_parcels(parcels, self._request.tables))
        if isinstance(tables, dict):
            self._buffer.add(tables)
            self.outcome.tasks += tables["tasks"].num_rows if "tasks" in tables else 0
            self._rounds.note_named(tables, {work.workspace.id: work.workspace for work, _ in held})
            for work, parcel in held:
                self._note_landed(work, parcel)
            self._rounds.forget_launches([work.workspace for work, _ in held])
        elif len(held) == 1:
            ((work, parcel),) = held
            self._record_failure(work, parcel.landed.visit, tables)
        else:
            for pair in held:
                self._land([pair])

    def _is_given_up(self, work: Work) -> bool:
        return self.outcome.workspaces[work.workspace.key].given_up

    def _note_landed(self, work: Work, parcel: Parcel) -> None:
        outcome, landed = self.outcome.workspaces[work.workspace.key], parcel.landed
        give_up, now = self._request.give_up_after, self._diary.started_at
        work.state = land_run(work.state, landed, give_up, now)
        outcome.fetched, outcome.failures = outcome.fetched + 1, 0
        outcome.incomplete.update(landed.missing_parts)
        if landed.visit.retry and not (landed.visit.retry == "parts" and landed.missing_parts):
            work.recovered.add(landed.visit.retry)
        self._fetcher.set_doubt(work.workspace, doubted=False)

    def _record_failure(self, work: Work, visit: Visit, failure: Failure) -> None:
        """Keep a run that failed for a retry; many new ones in a row raise a doubt about the rest.

        A run that is known to fail says nothing about the workspace.
        """
        message = self._note_failure(work.workspace, failure)
        if message is None:
            return
        work.state = record_failure(work.state, visit, message, self._diary.started_at)
        if visit.retry is None:
            self._doubt_workspace(work.workspace)

    def _doubt_workspace(self, workspace: Workspace) -> None:
        """Give a workspace up when runs fail one after the other and its listing fails as well."""
        outcome = self.outcome.workspaces[workspace.key]
        outcome.failures += 1
        if outcome.failures < outcome.allowed_failures:
            return
        failure = self._fetcher.check_workspace(workspace)
        if failure is not None:
            self._give_up(workspace, failure)
            return
        outcome.failures, outcome.allowed_failures = 0, 2 * outcome.allowed_failures
        self._fetcher.set_doubt(workspace, doubted=True)

    def _finish(self, work: Work) -> None:
        outcome = self.outcome.workspaces[work.workspace.key]
        self._buffer.add(self._planner.touch_up(work))
        work.state = finish_workspace(work.state, work.plan, self._diary.started_at)
        outcome.missing, outcome.done = len(work.plan.missing), True

    def _give_up(self, workspace: Workspace, failure: Failure) -> None:
        """Fetch no more of a workspace that cannot be listed."""
        if self._note_failure(workspace, failure) is not None:
            self.outcome.workspaces[workspace.key].given_up = True
            self._fetcher.skip(workspace)

    def _note_failure(self, workspace: Workspace, failure: Failure) -> str | None:
        """Report a failure and return its message, None where the sync was stopped."""
        if isinstance(failure, BudgetClosedError):
            self.outcome.stopped = True
            return None
        message = explain_refusal(workspace, failure)
        self.outcome.fail(workspace.key, message, failure)
        return message

    def _flush(self) -> dict[str, pa.Table]:
        ready = self._buffer.flush()
        self._novelty.note(ready)
        self.outcome.undocumented = self._novelty.fresh
        return ready

    def _close(self) -> None:
        """Everything arrived, or the sync was stopped: the last package carries the diary."""
        self.is_done = True
        self._rounds.note_launches(self._fetcher.launches)
        if not self.outcome.stopped:
            for tables in self._rounds.iter_named():
                self._buffer.add(tables)
        for key, state in self._iter_states():
            if key in self.outcome.workspaces:
                self.outcome.workspaces[key].pending = state.failed
        self.outcome.warnings += self._client.list_reports()
        diary = self._diary.write(
            self.outcome, self._reach, self._client.transport, self._buffer.count_all()
        )
        self._buffer.add({"sync_runs": diary})

    def _save(self, state: MutableMapping[str, Any]) -> None:
        state["version"] = STATE_VERSION
        state["tables"] = sorted(TABLES)
        state["origin"] = self._origin
        state["undocumented"] = self._novelty.dump()
        state["unsupported"] = self._client.compatibility.dump()
        write_entities(state, self._rounds.state)
        state.pop("entities_owed", None)  # as older versions wrote it
        save_states(state, dict(self._iter_states()))

    def _iter_states(self) -> Iterator[tuple[str, WorkspaceState]]:
        """Yield the state of each workspace of which anything is known."""
        planned = {work.workspace.key: work.state for work in self._works}
        known = self._states | planned
        yield from ((key, state) for key, state in known.items() if state != WorkspaceState())

"""Random histories of a platform, mixed with syncs, faults and crashes: the tables equal the world.

`TOWER_ETL_HISTORIES` sets the number of histories (20 by default); `make soak` runs many more.
"""

from __future__ import annotations

import itertools
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.semantics.duck import DuckDBTestDestination
from tests.semantics.expected import (
    RUN_TABLES,
    expect_labels,
    expect_pipelines,
    expect_run,
    expect_team_members,
    list_visible_runs,
)
from tests.semantics.in_memory import CrashError, InMemoryDestination
from tests.semantics.platform import TEAM, SimulatedPlatform, make_world
from tower_etl.config.settings import PackageLimits
from tower_etl.errors import TowerEtlError
from tower_etl.simulator import (
    DEFAULT_MIX,
    Fault,
    Quirks,
    ServerProfile,
    SimClock,
    World,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.semantics.expected import Rows
    from tests.semantics.platform import SwappableApp

HISTORIES = int(os.environ.get("TOWER_ETL_HISTORIES", "20"))
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
SMALL = PackageLimits(max_rows=8, max_seconds=60)
PAGE = 100

# Selecting every table would add forty calls to each sync.
TABLES_TRIED = (
    *("workflows", "tasks", "process_*", "workflow_*", "labels", "organizations", "workspaces"),
    *("pipelines*", "team*"),
)

# Four of the servers have no quirks, so that ordinary histories are frequent.
SERVERS = {f"sound {number}": Quirks() for number in range(4)} | {
    "capped": Quirks(page_cap=50, task_total="bound"),
    "narrow": Quirks(largest_page=25),
    "ignores max": Quirks(ignores_max=True, task_total="absent"),
    "not paged": Quirks(unpaged=r"/labels|/pipelines|/tasks|/workflow$"),
    "older": Quirks(unknown_attributes=frozenset({"pipelineInfo", "messages", "computeEnv"})),
    "searches words": Quirks(search="words", zoned=False),
    "ignores search": Quirks(search="ignored"),
}
EXPECTED = ("items per page instead of", "does not know the attributes", "does not filter runs")

chance = st.integers(0, 10**6)


class SyncStateMachine(RuleBasedStateMachine):
    """Apply random events to a platform, and sync it to one destination."""

    url = ""
    board: SwappableApp
    make_warehouse: Callable[[], InMemoryDestination]

    @initialize(name=st.sampled_from(list(SERVERS)))
    def begin(self, name: str) -> None:
        """Start with an empty platform, on one of the servers, and an empty destination."""
        self.world: World = make_world(SimClock.frozen_at(START))
        profile = ServerProfile(quirks=SERVERS[name])
        self.platform = SimulatedPlatform.start(self.url, self.board, self.world, profile)
        self.warned: list[str] = []
        self.exhausted = 0  # syncs in which a call failed at every attempt by chance
        self.spaces = [None, *(w.id for w in self.world.workspaces.values() if w.id)]
        self.warehouse = self.make_warehouse()
        self.excused: set[str] = set()
        self.broken: dict[str, int] = {}

    # --- events on the platform -----------------------------------------------------------

    @rule(pick=chance, tasks=st.integers(0, 3), started=st.booleans())
    def submit(self, pick: int, tasks: int, *, started: bool) -> None:
        """Submit a run, which may have tasks immediately."""
        run_id = self.world.submit_run(self.spaces[pick % len(self.spaces)])
        if started:
            self.world.start_run(run_id)
            for _ in range(tasks):
                self.world.add_task(run_id)

    @precondition(lambda self: self._runs("SUBMITTED"))
    @rule(pick=chance)
    def start(self, pick: int) -> None:
        """Start a submitted run."""
        self.world.start_run(self._pick(pick, "SUBMITTED"))

    @precondition(lambda self: self._runs("RUNNING"))
    @rule(pick=chance)
    def lose_heartbeat(self, pick: int) -> None:
        """Let a running run lose its heartbeat."""
        self.world.lose_heartbeat(self._pick(pick, "RUNNING"))

    @precondition(lambda self: self._runs("UNKNOWN"))
    @rule(pick=chance)
    def find_heartbeat(self, pick: int) -> None:
        """Let a run without a heartbeat send it again."""
        self.world.find_heartbeat(self._pick(pick, "UNKNOWN"))

    @precondition(lambda self: self._runs("RUNNING"))
    @rule(pick=chance, gap=st.integers(1, 3))
    def add_task(self, pick: int, gap: int) -> None:
        """Add a task; a gap in the ids may be filled later."""
        run_id = self._pick(pick, "RUNNING")
        last = max((task["taskId"] for task in self.world.tasks(run_id)), default=0)
        self.world.add_task(run_id, last + gap)

    @precondition(lambda self: self._runs("RUNNING"))
    @rule(pick=chance)
    def add_late_task(self, pick: int) -> None:
        """Add a task whose id is lower than that of others."""
        run_id = self._pick(pick, "RUNNING")
        taken = {task["taskId"] for task in self.world.tasks(run_id)}
        free = [task_id for task_id in range(1, max(taken, default=1)) if task_id not in taken]
        if free:
            self.world.add_task(run_id, free[pick % len(free)], status="RUNNING")

    @precondition(lambda self: self._runs("RUNNING"))
    @rule(pick=chance, count=st.sampled_from([PAGE - 1, PAGE, PAGE + 1]), going=st.integers(0, 2))
    def add_page_of_tasks(self, pick: int, count: int, going: int) -> None:
        """Add about a page of tasks, and finish all except the first `going` ones."""
        run_id = self._pick(pick, "RUNNING")
        last = max((task["taskId"] for task in self.world.tasks(run_id)), default=0)
        if last < 3 * PAGE:
            for number in range(count):
                self.world.add_task(run_id, last + 2 + number)
                if number >= going:
                    self.world.finish_task(run_id, last + 2 + number)

    @precondition(lambda self: self._runs("RUNNING"))
    @rule(pick=chance, status=st.sampled_from(["COMPLETED", "FAILED", "CACHED", "ABORTED"]))
    def finish_task(self, pick: int, status: str) -> None:
        """Finish a task."""
        run_id = self._pick(pick, "RUNNING")
        going = [t["taskId"] for t in self.world.tasks(run_id) if t["complete"] is None]
        if going:
            self.world.finish_task(run_id, going[pick % len(going)], status)

    @precondition(lambda self: self._runs("RUNNING", "UNKNOWN", "SUBMITTED"))
    @rule(pick=chance, status=st.sampled_from(["SUCCEEDED", "FAILED", "CANCELLED"]))
    def finish(self, pick: int, status: str) -> None:
        """Finish an open run."""
        self.world.finish_run(self._pick(pick, "RUNNING", "UNKNOWN", "SUBMITTED"), status)

    @precondition(lambda self: self._runs())
    @rule(pick=chance, keep=st.booleans())
    def relabel(self, pick: int, *, keep: bool) -> None:
        """Give a run the labels of its workspace, or remove them."""
        run_id = self._pick(pick)
        space = list_visible_runs(self.world)[run_id]
        labels = list(self.world.labels.get(space, {})) if space else []
        self.world.set_labels(run_id, labels if keep else [])

    @rule(name=st.text("abc", min_size=1, max_size=3))
    def rename_label(self, name: str) -> None:
        """Rename a label."""
        labels = [label for of_space in self.world.labels.values() for label in of_space]
        self.world.rename_label(labels[0], name)

    @rule(name=st.text("abc", min_size=1, max_size=2), number=st.integers(1, 3))
    def set_pipeline(self, name: str, number: int) -> None:
        """Add a pipeline, or rename it; it stays in its workspace."""
        space = self.spaces[number % len(self.spaces)]
        stays = self.world.entities.get("pipelines", {}).get(self.world.find_key(space), [])
        self.world.clear_entities("pipelines", space)
        others = [row for row in stays if row["pipelineId"] != number]
        for row in (*others, {"pipelineId": number, "workspaceId": space, "name": name}):
            self.world.add_entity("pipelines", space, **row)

    @rule(number=st.integers(1, 3))
    def remove_pipelines(self, number: int) -> None:
        """Delete the pipelines of a workspace."""
        self.world.clear_entities("pipelines", self.spaces[number % len(self.spaces)])

    @rule(member=st.integers(1, 3), role=st.sampled_from(["member", "owner"]))
    def join_team(self, member: int, role: str) -> None:
        """Add a user to the team, or change the role of a member."""
        rows = self.world.entities.get("teamMembers", {}).get(TEAM, [])
        rows = [row for row in rows if row["memberId"] != member]
        self.world.clear_entities("teamMembers", TEAM)
        for row in (*rows, {"memberId": member, "userName": "x", "role": role}):
            self.world.add_entity("teamMembers", TEAM, **row)

    @rule()
    def leave_team(self) -> None:
        """Remove all members of the team."""
        self.world.clear_entities("teamMembers", TEAM)

    @precondition(lambda self: self._runs())
    @rule(pick=chance, starred=st.booleans())
    def star(self, pick: int, *, starred: bool) -> None:
        """Star or unstar a run."""
        self.world.star(self._pick(pick), starred)

    @precondition(lambda self: self._runs())
    @rule(pick=chance)
    def delete(self, pick: int) -> None:
        """Delete a run."""
        self.world.delete_run(self._pick(pick))

    @precondition(lambda self: self.world.deleted)
    @rule(pick=chance)
    def restore(self, pick: int) -> None:
        """Restore a deleted run; only a full listing is certain to show it."""
        gone = sorted(self.world.deleted)
        run_id = gone[pick % len(gone)]
        self.world.restore_run(run_id)
        self.excused.add(run_id)

    @precondition(lambda self: self._runs())
    @rule(pick=chance, relabel=st.booleans())
    def vanish_and_return(self, pick: int, *, relabel: bool) -> None:
        """Delete a run, reconcile, restore the run, and reconcile again."""
        run_id = self._pick(pick)
        self.world.delete_run(run_id)
        self._sync(0.0, 0, reconcile=True)
        if relabel:
            self.world.set_labels(run_id, [])
        self.world.restore_run(run_id)
        self._sync(0.0, 0, reconcile=True)

    @rule(seconds=st.sampled_from([1, 60, 7200, 50_000]))
    def pass_time(self, seconds: int) -> None:
        """Advance the clock."""
        if self.world.clock.now() < START + timedelta(days=25):
            self.world.clock.advance(seconds)

    # --- permanent failures ---------------------------------------------------------------

    @precondition(lambda self: self._runs())
    @rule(
        pick=chance, part=st.sampled_from(["tasks", "metrics"]), status=st.sampled_from([404, 500])
    )
    def break_part(self, pick: int, part: str, status: int) -> None:
        """Let a part of a run fail permanently, with a server error or as not found."""
        run_id = self._pick(pick)
        if run_id not in self.broken:
            fault = Fault("status", status=status, times=10**9)
            self.platform.simulator.faults.add(f"/workflow/{run_id}/{part}", fault)
            self.broken[run_id] = status

    @precondition(lambda self: self.broken)
    @rule()
    def clear_faults(self) -> None:
        """Clear all faults: the next sync loads failed runs, a reconciliation the missing parts."""
        self.platform.simulator.faults.clear()
        self.excused |= {run_id for run_id, status in self.broken.items() if status == 404}
        self.broken.clear()

    @rule(pick=chance, reconcile=st.booleans())
    def hide_workspace(self, pick: int, *, reconcile: bool) -> None:
        """Hide a workspace during one sync, which reports it and loads the others."""
        keys = [key for key, place in self.world.workspaces.items() if place.id is not None]
        key = keys[pick % len(keys)]
        known = str(key) in self.warehouse.state.get("workspaces", {})
        hidden = self.world.workspaces.pop(key)
        session = self.platform.open_session(reconcile=reconcile, tables=TABLES_TRIED)
        try:
            self.warehouse.load(session, SMALL)
        finally:
            session.close()
            self.world.workspaces[key] = hidden
        assert (str(key) in session.sync_result.workspaces) == known
        self.warned += session.sync_result.warnings
        self._sync(0.0, 0, reconcile=reconcile)

    # --- syncs ----------------------------------------------------------------------------

    @rule(faults=st.sampled_from([0.0, 0.15]), seed=chance)
    def sync(self, faults: float, seed: int) -> None:
        """Run a sync, which brings new and open runs up to date."""
        self._sync(faults, seed)

    @rule(faults=st.sampled_from([0.0, 0.15]), seed=chance)
    def reconcile(self, faults: float, seed: int) -> None:
        """Run a sync with a reconciliation, which makes the tables equal to the world."""
        self._sync(faults, seed, reconcile=True)

    @rule(crash_at=st.integers(1, 12), reconcile=st.booleans())
    def crash(self, crash_at: int, *, reconcile: bool) -> None:
        """Kill a sync at some step, and run another one."""
        session = self.platform.open_session(reconcile=reconcile, tables=TABLES_TRIED)
        try:
            self.warehouse.load(session, SMALL, crash_at)
        except (CrashError, TowerEtlError):
            pass
        finally:
            session.close()
        self._sync(0.0, 0, reconcile=reconcile)

    def teardown(self) -> None:
        """Run a last reconciliation without faults, after which the tables equal the world."""
        if hasattr(self, "world"):
            self.clear_faults()
            self._sync(0.0, 0, reconcile=True)

    def _sync(self, faults: float, seed: int, *, reconcile: bool = False) -> None:
        self.platform.simulator.faults.rate = faults
        self.platform.simulator.faults.mix = (*DEFAULT_MIX, Fault("garbled"))
        self.platform.simulator.faults._rng.seed(seed)
        session = self.platform.open_session(reconcile=reconcile, tables=TABLES_TRIED)
        try:
            self.warehouse.load(session, SMALL)
        finally:
            session.close()
            self.platform.simulator.faults.rate = 0.0
        sync_result = session.sync_result
        failing = 500 in self.broken.values()
        if faults and not failing and sync_result.exit_code in {4, 5}:
            # One call in 100,000 fails at every attempt by chance; the next sync loads the run.
            self.exhausted += 1
            assert self.exhausted == 1, sync_result
            self.warned += sync_result.warnings
            self._sync(0.0, seed, reconcile=reconcile)
            return
        assert sync_result.status == "ok" or (failing and sync_result.exit_code == 4), sync_result
        warnings = [one for one in sync_result.warnings if "were not valid JSON" not in one]
        if not self.broken:
            assert all(any(hint in one for hint in EXPECTED) for one in warnings), warnings
            assert not {*self.warned} & {*warnings}  # each is reported once per server version
        self.warned += warnings
        if reconcile:
            self.excused.clear()
            self._check_reconciled()
        else:
            self._check_synced()

    # --- invariants -----------------------------------------------------------------------

    def _check_synced(self) -> None:
        """Assert that every listed run is stored as served; only labels and stars may be stale."""
        for run_id, space in list_visible_runs(self.world).items():
            if run_id in self.excused or run_id in self.broken:
                continue
            expected = expect_run(self.world, run_id, space)
            for table in set(RUN_TABLES) - {"workflow_labels"}:
                found = self.warehouse.rows_of(table, run_id)
                if table == "workflows":
                    expected[table][run_id,]["starred"] = found[run_id,]["starred"]
                assert found == expected[table]

    def _check_reconciled(self) -> None:
        shown = list_visible_runs(self.world)
        stored = {run_id for (run_id,) in self.warehouse.tables["workflows"]}
        failing = {run_id for run_id, status in self.broken.items() if status == 500}
        assert set(shown) - failing <= stored
        for run_id in shown.keys() - self.broken.keys():
            space = shown[run_id]
            for table, expected in expect_run(self.world, run_id, space).items():
                assert self.warehouse.rows_of(table, run_id) == expected
        for run_id in stored - set(shown):
            row = self.warehouse.tables["workflows"][run_id,]
            assert row["missing_since"] is not None
            assert run_id in self.world.deleted
        assert self.warehouse.tables["labels"] == expect_labels(self.world)
        self._check_entity("pipelines", expect_pipelines(self.world))
        self._check_entity("team_members", expect_team_members(self.world, TEAM))

    def _check_entity(self, table: str, there: Rows) -> None:
        """Assert that current rows and versions match the API, and deleted rows are marked."""
        stored = self.warehouse.tables[table]
        gone = {key for key, row in stored.items() if row["missing_since"] is not None}
        assert {key: row for key, row in stored.items() if key not in gone} == there
        versions = self.warehouse.tables[f"{table}_history"]
        today = {key[:-1]: row for key, row in versions.items() if row["valid_to"] is None}
        assert set(today) == set(there)
        for key, row in there.items():
            assert {name: value for name, value in row.items() if name != "missing_since"} == {
                name: value for name, value in today[key].items() if not name.startswith("valid_")
            }
        for key in stored:
            self._check_times([row for at, row in versions.items() if at[:-1] == key])

    @staticmethod
    def _check_times(versions: list[dict[str, Any]]) -> None:
        """Assert that the versions of an entity follow each other without overlap."""
        ordered = sorted(versions, key=lambda row: row["valid_from"])
        assert ordered
        for row, later in itertools.pairwise(ordered):
            assert row["valid_from"] < row["valid_to"] <= later["valid_from"]

    # --- selection of runs ----------------------------------------------------------------

    def _runs(self, *statuses: str) -> list[str]:
        """Return the listed runs with one of these statuses, by default with any."""
        return sorted(
            run["id"]
            for space in self.spaces
            for run in self.world.runs(space)
            if not statuses or run["status"] in statuses
        )

    def _pick(self, pick: int, *statuses: str) -> str:
        runs = self._runs(*statuses)
        return runs[pick % len(runs)]


def run_histories(count: int, steps: int, **served: Any) -> None:
    """Run `count` random histories of at most `steps` steps each."""
    machine = type("Served", (SyncStateMachine,), served)
    profile = settings(
        max_examples=count,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=profile)


@pytest.mark.slow(minutes=2)
def test_tables_equal_the_world_after_any_history(swappable_app: tuple[str, SwappableApp]) -> None:
    """Syncs are exact, incremental and resumable, and lose no row, in any order of events."""
    url, board = swappable_app
    run_histories(
        HISTORIES, 25, url=url, board=board, make_warehouse=staticmethod(InMemoryDestination)
    )


@pytest.mark.slow(minutes=2)
def test_duckdb_equals_the_world_after_any_history(
    swappable_app: tuple[str, SwappableApp], tmp_path: Path
) -> None:
    """The histories are loaded through dlt into DuckDB files that are published."""
    url, board = swappable_app
    numbers = itertools.count()

    def make() -> DuckDBTestDestination:
        return DuckDBTestDestination(tmp_path / str(next(numbers)))

    run_histories(HISTORIES // 20, 10, url=url, board=board, make_warehouse=staticmethod(make))


def test_a_simulated_crash_interrupts_the_load(
    swappable_app: tuple[str, SwappableApp], tmp_path: Path
) -> None:
    """Without the crash, the histories would not test interrupted syncs."""
    world = World(SimClock())
    world.submit_run(world.add_workspace(world.add_organization("acme"), "lab"))
    platform = SimulatedPlatform.start(*swappable_app, world)
    session = platform.open_session(reconcile=True, tables=TABLES_TRIED)
    with pytest.raises(CrashError):
        DuckDBTestDestination(tmp_path / "file").load(session, SMALL, 1)
    session.close()

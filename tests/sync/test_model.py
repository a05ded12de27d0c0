"""Sync planning as a whole, against a model: a world of runs, tables in a dict, and many syncs.

There is no I/O: a listing filters the world, a fetch copies a run into the tables, and a crash is a
sync that ends after some fetches, with the state at that time. Fetches can fail, too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sync.sync_loop import ROUNDS
from tower_etl.config.settings import SyncOptions
from tower_etl.sync import (
    FINAL_STATUSES,
    ListedRun,
    RunSummary,
    StoredRun,
    WorkspaceState,
    clear_failure,
    complete_workspace,
    dump_state,
    load_state,
    mark_run_failed,
    mark_run_loaded,
    plan_incremental,
    plan_listing,
    plan_reconciliation,
)
from tower_etl.sync.state import LOOKBACK_RUNS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.sync.sync_loop import Round
    from tower_etl.sync import (
        ListingWindow,
        RetryCause,
        RunFetch,
        WorkspacePlan,
    )

START = datetime(2026, 3, 1, tzinfo=UTC)
GIVE_UP = timedelta(days=5)
NEXT_STATUSES = {
    "SUBMITTED": ("RUNNING", "CANCELLED"),
    "RUNNING": ("UNKNOWN", "SUCCEEDED", "FAILED", "CANCELLED"),
    "UNKNOWN": ("RUNNING", "FAILED"),
}


@dataclass
class Run:
    """Run as the platform has it.

    Attributes:
        row: Expected row of the run in the tables.
        deleted: Whether the platform no longer lists the run.
    """

    row: StoredRun
    deleted: bool = False


class SyncedWorld:
    """Workspace that changes at random, and syncs into tables that are a dict."""

    def __init__(self) -> None:
        self.now = START
        self.runs: dict[str, Run] = {}
        self.tables: dict[str, StoredRun] = {}
        self.state = WorkspaceState()
        self.lost_state = False
        self.behind: set[str] = set()  # changed in a way that only a full listing shows
        self.pending: set[str] = set()  # failed, and not fetched since

    # --- changes on the platform --------------------------------------------------------------

    def submit(self, count: int, gap_s: int) -> None:
        """Submit runs, some of them in the same second."""
        for _ in range(count):
            self.now += timedelta(seconds=gap_s)
            row = StoredRun(self.now, "SUBMITTED", self.now, starred=False)
            self.runs[f"r{len(self.runs)}"] = Run(row)

    def pass_time(self, hours: float) -> None:
        """Let time pass without a change."""
        self.now += timedelta(hours=hours)

    def move_on(self, picks: list[int], way: int) -> None:
        """Change the status of some runs: start, lost or found heartbeat, end."""
        self.now += timedelta(seconds=1)
        for pick in picks:
            run_id, run = self._pick(pick)
            if nexts := NEXT_STATUSES.get(str(run.row.status)):
                status = nexts[way % len(nexts)]
                ended = self.now if status in FINAL_STATUSES else None
                self._change(run_id, status=status, complete=ended, last_updated=self.now)

    def relabel(self, pick: int, labels: frozenset[int]) -> None:
        """Change the labels of a run, which does not change `last_updated`."""
        self._change(self._pick(pick)[0], label_ids=labels)

    def star(self, pick: int) -> None:
        """Set or remove the star of a run."""
        run_id, run = self._pick(pick)
        self._change(run_id, starred=not run.row.starred)
        self.behind.add(run_id)  # only a listing contains the star, not the detail of a run

    def touch(self, pick: int) -> None:
        """Change `last_updated` of a run, which may be an old one."""
        self._change(self._pick(pick)[0], last_updated=self.now)

    def delete_or_restore(self, pick: int) -> None:
        """Delete a run, or restore it if it was deleted."""
        run_id, run = self._pick(pick)
        run.deleted = not run.deleted
        self.behind.add(run_id)

    def _pick(self, pick: int) -> tuple[str, Run]:
        # Prefer the newest runs, because most changes on a platform concern them.
        run_id = f"r{max(len(self.runs) - 1 - pick % 40, 0)}" if pick % 2 else None
        return (found := run_id or f"r{pick % len(self.runs)}"), self.runs[found]

    def _change(self, run_id: str, **fields: object) -> None:
        run = self.runs[run_id]
        run.row = replace(run.row, **fields)  # type: ignore[arg-type] # by name
        stored = self.tables.get(run_id)
        if stored and (stored.status in FINAL_STATUSES or stored.missing_since):
            self.behind.add(run_id)  # it is no longer refreshed

    # --- syncs ---------------------------------------------------------------------------------

    def sync(self, *, reconcile: bool, days_back: int | None) -> None:
        """Run a sync to its end, and check the tables and the state."""
        request = self._request(days_back, reconcile=reconcile)
        before = self.state
        plan = self._carry_out(request, None)
        self._check_open_and_new(plan)
        if plan.is_full:
            self._check_everything()
            self.behind.clear()
        self._check_floor(before)
        self._check_state_is_small()
        self._check_next_sync_is_cheap()

    def get_into_trouble(
        self, loaded: int | None, failing: frozenset[int], *, reconcile: bool, days_back: int | None
    ) -> None:
        """Run a sync that is killed, or in which fetches fail; loaded runs stay in the tables."""
        self._carry_out(self._request(days_back, reconcile=reconcile), loaded, failing)

    def lose_state(self) -> None:
        """Lose the state but not the tables."""
        self.lost_state = True
        self.state = WorkspaceState()

    def _request(self, days_back: int | None, *, reconcile: bool) -> SyncOptions:
        self.now += timedelta(seconds=30)
        since = None if days_back is None else self.now - timedelta(days=days_back)
        return SyncOptions(since=since, reconcile=reconcile, open_run_max_age=GIVE_UP)

    def _carry_out(
        self, request: SyncOptions, crash_after: int | None, failing: frozenset[int] = frozenset()
    ) -> WorkspacePlan:
        plan = self._plan(request)
        self.state = plan.initial_state
        recovered: set[RetryCause | None] = set()
        for number, run_fetch in enumerate(plan.fetches):
            if number == crash_after:
                return plan
            if number % 10 in failing:
                self.pending.add(run_fetch.run_id)
                self.state = mark_run_failed(self.state, run_fetch, "it failed", self.now)
            else:
                self._fetch(run_fetch)
                recovered.add(run_fetch.retry)
        for run_fetch in plan.follow_up({cause for cause in recovered if cause}).fetches:
            self._fetch(run_fetch)
        if crash_after is None:
            self._finish(plan)
        return plan

    def _plan(self, request: SyncOptions) -> WorkspacePlan:
        # Encode the state as JSON and decode it, as between two processes.
        state = load_state(json.loads(json.dumps(dump_state(self.state))))
        window = plan_listing(state, request, self.now)
        listed = list(self._list(window))
        if not window.is_full:
            return plan_incremental(state, listed, request, self.now)
        return plan_reconciliation(state, listed, dict(self.tables), request, self.now)

    def _list(self, window: ListingWindow) -> Iterable[ListedRun]:
        for run_id, run in reversed(self.runs.items()):
            row = run.row
            assert row.submit is not None
            if not run.deleted and (window.after is None or row.submit >= window.after):
                labels = tuple({"id": label_id} for label_id in row.label_ids)
                yield ListedRun(
                    run_id,
                    row.submit,
                    row.status,
                    row.last_updated,
                    row.complete,
                    row.starred,
                    labels,
                )

    def _fetch(self, run_fetch: RunFetch) -> None:
        run = self.runs[run_fetch.run_id]
        if run.deleted:
            self.state = clear_failure(self.state, run_fetch.run_id)
            return
        self.pending.discard(run_fetch.run_id)
        self.tables[run_fetch.run_id] = replace(run.row, starred=run_fetch.starred)
        summary = RunSummary(run_fetch, run.row.status, run.row.submit)
        self.state = mark_run_loaded(self.state, summary, GIVE_UP, self.now)

    def _finish(self, plan: WorkspacePlan) -> None:
        for run_id, labels in plan.label_updates.items():
            ids = frozenset(label["id"] for label in labels)
            self.tables[run_id] = replace(self.tables[run_id], label_ids=ids)
        for run_id, starred in plan.star_updates.items():
            self.tables[run_id] = replace(self.tables[run_id], starred=starred)
        for run_id in plan.deleted:
            self.tables[run_id] = replace(self.tables[run_id], missing_since=self.now)
        self.state = complete_workspace(self.state, plan, self.now)

    # --- checks after a sync --------------------------------------------------------------------

    def _in_scope(self) -> dict[str, Run]:
        floor = self.state.history_start
        return {
            run_id: run
            for run_id, run in self.runs.items()
            if floor is None or (run.row.submit is not None and run.row.submit >= floor)
        }

    def _check_open_and_new(self, plan: WorkspacePlan) -> None:
        """Check that every run is stored, and that refreshed runs are as on the platform."""
        for run_id, run in self._in_scope().items():
            if run.deleted or run_id in self.behind:
                continue
            assert run_id in self.tables, f"{run_id} is not in the tables"
            if not self._is_given_up(run):
                assert self.tables[run_id] == run.row
        for run_fetch in plan.fetches:
            if not self.runs[run_fetch.run_id].deleted:
                stored = replace(self.tables[run_fetch.run_id], starred=None)
                assert stored == replace(self.runs[run_fetch.run_id].row, starred=None)

    def _check_floor(self, before: WorkspaceState) -> None:
        """Check that after the first load, `since` extends the history or changes nothing."""
        if before.cursor is None and before.reconciled_at is None:
            return
        after = self.state.history_start
        assert after is None or (before.history_start is not None and after <= before.history_start)

    def _is_given_up(self, run: Run) -> bool:
        return run.row.submit is not None and self.now - run.row.submit > GIVE_UP

    def _check_everything(self) -> None:
        """Check all columns and the deleted runs, after a full listing."""
        for run_id, run in self._in_scope().items():
            if not run.deleted:
                assert self.tables[run_id] == run.row
            elif run_id in self.tables:
                assert self.tables[run_id].missing_since is not None
            if run.deleted:
                assert run_id not in self.state.open
                assert run_id not in self.state.lookback or run_id in self.state.deleted

    def _check_state_is_small(self) -> None:
        """Check that the state grows with the open runs, not with all runs."""
        start = self.state.listing_start(self.now)
        newer = [at for at in self.state.lookback.values() if start is not None and at > start]
        assert len(newer) < LOOKBACK_RUNS
        assert all(start is None or at >= start for at in self.state.lookback.values())
        there = [run_id for run_id in self.state.open if not self.runs[run_id].deleted]
        assert all(self.tables[run_id].status not in FINAL_STATUSES for run_id in there)

    def _check_next_sync_is_cheap(self) -> None:
        """Check that another sync right after this one fetches only the open runs."""
        if self.lost_state:
            return  # runs that were stored before may be fetched once more
        request = SyncOptions(since=self.state.history_start, open_run_max_age=GIVE_UP)
        plan = self._plan(request)
        young = {run_id for run_id in self.state.open if not self._is_given_up(self.runs[run_id])}
        assert {run_fetch.run_id for run_fetch in plan.fetches} == young


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(rounds=st.lists(ROUNDS, min_size=2, max_size=8))
def test_after_every_sync_the_tables_equal_the_platform(rounds: list[Round]) -> None:
    """Earlier syncs may have been killed, or may have had failed fetches."""
    world = SyncedWorld()
    for happenings, troubles, sync, is_lost in rounds:
        for name, arguments in happenings:
            if world.runs or name == "submit":
                getattr(world, name)(**arguments)
        if is_lost:
            world.lose_state()
        for trouble in troubles:
            world.get_into_trouble(**trouble)
        world.sync(**sync)

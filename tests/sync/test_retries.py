"""Failed and incomplete runs: when a sync retries them, and when it defers the retry."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tower_etl.config.settings import SyncOptions
from tower_etl.sync import (
    FailedRun,
    ListedRun,
    StoredRun,
    TaskBookmark,
    WorkspaceState,
    dump_state,
    load_state,
    plan_incremental,
    plan_reconciliation,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def failed_run(retry_in: int, *, hours_ago: int = 1, age_days: int = 2) -> FailedRun:
    """Return a run that failed the given number of hours ago."""
    at = NOW - hours_ago * HOUR
    submit = NOW - timedelta(days=age_days)
    return FailedRun(submit, None, TaskBookmark(), 4, at, at, retry_in, "it failed")


def make_state(**runs: FailedRun) -> WorkspaceState:
    """Return a state with failed runs."""
    return WorkspaceState(cursor=NOW, reconciled_at=NOW, failed=runs)


def test_a_failed_run_is_retried_after_its_wait_and_after_new_runs() -> None:
    state = make_state(due=failed_run(1), later=failed_run(3))
    plan = plan_incremental(state, [ListedRun("new", NOW)], SyncOptions(), NOW)
    assert [run_fetch.run_id for run_fetch in plan.fetches] == ["new", "due"]
    assert [run_fetch.run_id for run_fetch in plan.deferred] == ["later"]
    assert plan.initial_state.failed["later"].retry_in == 2


def test_every_sync_retries_at_least_one_failed_run() -> None:
    state = make_state(a=failed_run(9), b=failed_run(5, hours_ago=3), c=failed_run(5, hours_ago=7))
    plan = plan_incremental(state, [], SyncOptions(), NOW)
    assert [run_fetch.run_id for run_fetch in plan.fetches] == ["c"]
    assert [run_fetch.run_id for run_fetch in plan.deferred] == ["b", "a"]


def test_a_failed_run_is_retried_whatever_its_age() -> None:
    state = make_state(old=failed_run(1, age_days=400))
    plan = plan_incremental(state, [], SyncOptions(), NOW)
    assert [run_fetch.run_id for run_fetch in plan.fetches] == ["old"]


def test_deferred_retries_follow_a_successful_one_for_the_same_cause() -> None:
    plan = plan_incremental(make_state(a=failed_run(1), b=failed_run(5)), [], SyncOptions(), NOW)
    assert [run_fetch.run_id for run_fetch in plan.follow_up({"failed"}).fetches] == ["b"]
    assert plan.follow_up({"parts"}).fetches == ()
    assert plan.follow_up({"failed"}).deferred == ()


@pytest.mark.parametrize("asked", [False, True])
def test_only_a_requested_reconciliation_retries_every_failed_run(*, asked: bool) -> None:
    state = make_state(a=failed_run(9), b=failed_run(9))
    known = [ListedRun("a", NOW - 48 * HOUR), ListedRun("b", NOW - 48 * HOUR)]
    plan = plan_reconciliation(state, known, {}, SyncOptions(reconcile=asked), NOW)
    assert (len(plan.fetches), len(plan.deferred)) == ((2, 0) if asked else (1, 1))


def test_a_failed_run_that_a_full_listing_lacks_is_not_retried() -> None:
    plan = plan_reconciliation(make_state(a=failed_run(1)), [], {}, SyncOptions(), NOW)
    assert (plan.fetches, plan.other_deleted) == ((), ("a",))


def test_runs_with_missing_parts_are_retried_in_turn() -> None:
    listed = [ListedRun(f"r{n:03}", NOW, "SUCCEEDED", NOW, NOW, labels=()) for n in range(50)]
    stored = {
        run.run_id: StoredRun(NOW, "SUCCEEDED", NOW, NOW, has_missing_parts=True) for run in listed
    }
    days = [
        plan_reconciliation(make_state(), listed, stored, SyncOptions(), NOW + timedelta(days=day))
        for day in range(3)
    ]
    tried = [{run_fetch.run_id for run_fetch in plan.fetches} for plan in days]
    assert [len(runs) for runs in tried] == [20, 20, 20]
    assert set().union(*tried) == {run.run_id for run in listed}
    assert all(len(plan.deferred) == 30 for plan in days)


def test_new_labels_of_runs_with_missing_parts_are_always_applied() -> None:
    labels = ({"id": 1},)
    listed = [ListedRun(f"r{n:03}", NOW, "SUCCEEDED", NOW, NOW, labels=labels) for n in range(30)]
    stored = {
        run.run_id: StoredRun(NOW, "SUCCEEDED", NOW, NOW, has_missing_parts=True) for run in listed
    }
    plan = plan_reconciliation(make_state(), listed, stored, SyncOptions(), NOW)
    fetched = {run_fetch.run_id for run_fetch in plan.fetches}
    assert fetched | plan.label_updates.keys() == stored.keys()
    assert plan.follow_up({"parts"}).label_updates == {}


@given(
    waits=st.dictionaries(st.text("abc", min_size=1, max_size=4), st.integers(0, 16), max_size=12)
)
def test_every_failed_run_is_retried_or_deferred(waits: dict[str, int]) -> None:
    state = make_state(**{run_id: failed_run(wait) for run_id, wait in waits.items()})
    plan = plan_incremental(state, [], SyncOptions(), NOW)
    fetches = [run_fetch.run_id for run_fetch in (*plan.fetches, *plan.deferred)]
    assert sorted(fetches) == sorted(waits)
    assert bool(plan.fetches) == bool(waits)
    again = load_state(dump_state(plan.initial_state))
    assert again == plan.initial_state
    assert replace(again, failed={}) == replace(state, failed={}, tables=again.tables)

"""Which failed and incomplete runs a sync retries, and which it defers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tower_etl.settings import Request
from tower_etl.sync import (
    FailedRun,
    Listed,
    Settled,
    Stored,
    WorkspaceState,
    dump_state,
    load_state,
    plan_listed,
    plan_whole,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def failed_run(retry_in: int, *, hours_ago: int = 1, age_days: int = 2) -> FailedRun:
    """Return a run that failed so many hours ago."""
    at = NOW - hours_ago * HOUR
    submit = NOW - timedelta(days=age_days)
    return FailedRun(submit, None, Settled(), 4, at, at, retry_in, "it failed")


def make_state(**runs: FailedRun) -> WorkspaceState:
    """Return a state in which runs have failed."""
    return WorkspaceState(cursor=NOW, reconciled_at=NOW, failed=runs)


def test_a_run_is_retried_when_its_wait_is_over_after_new_runs() -> None:
    state = make_state(due=failed_run(1), later=failed_run(3))
    plan = plan_listed(state, [Listed("new", NOW)], Request(), NOW)
    assert [visit.run_id for visit in plan.visits] == ["new", "due"]
    assert [visit.run_id for visit in plan.deferred] == ["later"]
    assert plan.begins.failed["later"].retry_in == 2


def test_at_least_one_run_is_retried_by_every_sync() -> None:
    state = make_state(a=failed_run(9), b=failed_run(5, hours_ago=3), c=failed_run(5, hours_ago=7))
    plan = plan_listed(state, [], Request(), NOW)
    assert [visit.run_id for visit in plan.visits] == ["c"]
    assert [visit.run_id for visit in plan.deferred] == ["b", "a"]


def test_a_failed_run_has_no_age() -> None:
    state = make_state(old=failed_run(1, age_days=400))
    plan = plan_listed(state, [], Request(), NOW)
    assert [visit.run_id for visit in plan.visits] == ["old"]


def test_deferred_runs_follow_when_a_retry_of_the_same_cause_succeeded() -> None:
    plan = plan_listed(make_state(a=failed_run(1), b=failed_run(5)), [], Request(), NOW)
    assert [visit.run_id for visit in plan.follow_up({"failed"}).visits] == ["b"]
    assert plan.follow_up({"parts"}).visits == ()
    assert plan.follow_up({"failed"}).deferred == ()


@pytest.mark.parametrize("asked", [False, True])
def test_a_reconciliation_on_request_retries_everything(*, asked: bool) -> None:
    state = make_state(a=failed_run(9), b=failed_run(9))
    known = [Listed("a", NOW - 48 * HOUR), Listed("b", NOW - 48 * HOUR)]
    plan = plan_whole(state, known, {}, Request(reconcile=asked), NOW)
    assert (len(plan.visits), len(plan.deferred)) == ((2, 0) if asked else (1, 1))


def test_a_failed_run_that_a_complete_listing_lacks_is_gone() -> None:
    plan = plan_whole(make_state(a=failed_run(1)), [], {}, Request(), NOW)
    assert (plan.visits, plan.gone) == ((), ("a",))


def test_runs_that_lack_a_part_take_turns() -> None:
    listed = [Listed(f"r{n:03}", NOW, "SUCCEEDED", NOW, NOW, labels=()) for n in range(50)]
    stored = {run.run_id: Stored(NOW, "SUCCEEDED", NOW, NOW, lacks_parts=True) for run in listed}
    days = [
        plan_whole(make_state(), listed, stored, Request(), NOW + timedelta(days=day))
        for day in range(3)
    ]
    tried = [{visit.run_id for visit in plan.visits} for plan in days]
    assert [len(runs) for runs in tried] == [20, 20, 20]
    assert set().union(*tried) == {run.run_id for run in listed}
    assert all(len(plan.deferred) == 30 for plan in days)


def test_a_change_of_a_run_that_lacks_a_part_is_made_whether_it_is_fetched_or_not() -> None:
    labels = ({"id": 1},)
    listed = [Listed(f"r{n:03}", NOW, "SUCCEEDED", NOW, NOW, labels=labels) for n in range(30)]
    stored = {run.run_id: Stored(NOW, "SUCCEEDED", NOW, NOW, lacks_parts=True) for run in listed}
    plan = plan_whole(make_state(), listed, stored, Request(), NOW)
    fetched = {visit.run_id for visit in plan.visits}
    assert fetched | plan.relabel.keys() == stored.keys()
    assert plan.follow_up({"parts"}).relabel == {}


@given(
    waits=st.dictionaries(st.text("abc", min_size=1, max_size=4), st.integers(0, 16), max_size=12)
)
def test_every_failed_run_is_retried_or_deferred(waits: dict[str, int]) -> None:
    state = make_state(**{run_id: failed_run(wait) for run_id, wait in waits.items()})
    plan = plan_listed(state, [], Request(), NOW)
    visits = [visit.run_id for visit in (*plan.visits, *plan.deferred)]
    assert sorted(visits) == sorted(waits)
    assert bool(plan.visits) == bool(waits)
    again = load_state(dump_state(plan.begins))
    assert again == plan.begins
    assert replace(again, failed={}) == replace(state, failed={}, tables=again.tables)

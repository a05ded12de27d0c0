"""Permanent failures are retried and reported, and everything else is loaded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.semantics.in_memory import InMemoryDestination
from tests.semantics.platform import SimulatedPlatform, make_world
from tests.semantics.test_oddities import add_run, assert_equal, list_space, sync
from tower_etl.errors import ConfigurationError
from tower_etl.simulator import Fault, SimClock

if TYPE_CHECKING:
    from tests.semantics.platform import SwappableApp

START = datetime(2026, 3, 10, 12, tzinfo=UTC)
FOREVER = 1_000_000
BROKEN = Fault("status", status=500, times=FOREVER)


@pytest.fixture
def platform(swappable_app: tuple[str, SwappableApp]) -> SimulatedPlatform:
    """Serve a workspace with one run submitted on each of the last twelve days."""
    world = make_world(SimClock.frozen_at(START - timedelta(days=12)))
    started = SimulatedPlatform.start(*swappable_app, world)
    for _ in range(12):
        add_run(started)
        world.clock.advance(86_400)
    return started


def list_runs(platform: SimulatedPlatform) -> list[str]:
    """Return the ids of the runs of the workspace, in the order of their submission."""
    runs = platform.world.runs(list_space(platform))
    return [run["id"] for run in sorted(runs, key=lambda run: run["submit"])]


def loaded(warehouse: InMemoryDestination) -> set[str]:
    """Return the ids of the runs in the tables."""
    return {run_id for (run_id,) in warehouse.tables["workflows"]}


def break_metrics(platform: SimulatedPlatform, *run_ids: str) -> None:
    """Let the metrics of runs fail permanently."""
    for run_id in run_ids:
        platform.simulator.faults.add(f"/workflow/{run_id}/metrics", BROKEN)


def advance(platform: SimulatedPlatform, hours: float) -> None:
    """Advance the clock."""
    platform.world.clock.advance(hours * 3600)


def test_new_runs_are_loaded_while_other_runs_keep_failing(platform: SimulatedPlatform) -> None:
    runs = list_runs(platform)
    bad = {runs[1], runs[5], runs[9]}
    break_metrics(platform, *bad)
    warehouse = InMemoryDestination()
    sync(platform, warehouse)
    fresh = set()
    for _ in range(4):
        advance(platform, 1)
        fresh.add(add_run(platform))
        session = sync(platform, warehouse)
        assert session.sync_result.exit_code == 4
        assert loaded(warehouse) == {*runs, *fresh} - bad


def test_a_reconciliation_completes_although_runs_fail(platform: SimulatedPlatform) -> None:
    bad = list_runs(platform)[2:9]
    warehouse = InMemoryDestination()
    sync(platform, warehouse)
    for run_id in bad:
        platform.world.update_run(run_id)
    break_metrics(platform, *bad)
    advance(platform, 25)
    first = sync(platform, warehouse)
    advance(platform, 1)
    second = sync(platform, warehouse)
    assert (first.sync_result.reconciled, second.sync_result.reconciled) == (True, False)


def test_many_failing_runs_do_not_abort_a_workspace_that_responds(
    platform: SimulatedPlatform,
) -> None:
    runs = list_runs(platform)
    break_metrics(platform, *runs[:10])
    warehouse = InMemoryDestination()
    session = sync(platform, warehouse)
    assert loaded(warehouse) == set(runs[10:])
    (space,) = [s for s in session.sync_result.workspaces.values() if s.pending]
    assert set(space.pending) == set(runs[:10])
    assert space.status == "partial"


def test_an_old_failed_run_is_retried_until_it_is_loaded(platform: SimulatedPlatform) -> None:
    runs = list_runs(platform)
    break_metrics(platform, runs[0])
    warehouse = InMemoryDestination()
    advance(platform, 24 * 60)
    sync(platform, warehouse)
    advance(platform, 1)
    assert sync(platform, warehouse).sync_result.exit_code == 4
    platform.simulator.faults.clear()
    advance(platform, 1)
    assert sync(platform, warehouse).sync_result.exit_code == 0
    assert_equal(platform, warehouse)


def test_the_first_sync_after_a_long_fault_loads_all_pending_runs(
    platform: SimulatedPlatform,
) -> None:
    runs = list_runs(platform)
    break_metrics(platform, *runs)
    warehouse = InMemoryDestination()
    for _ in range(9):
        sync(platform, warehouse)
        advance(platform, 0.25)
    platform.simulator.faults.clear()
    session = sync(platform, warehouse)
    assert session.sync_result.status == "ok"
    assert_equal(platform, warehouse)


@pytest.mark.slow
def test_permanent_failures_are_retried_less_often_over_time(platform: SimulatedPlatform) -> None:
    runs = list_runs(platform)
    break_metrics(platform, *runs[:8])
    warehouse = InMemoryDestination()
    calls = []
    for _ in range(12):
        before = platform.count_calls()
        sync(platform, warehouse)
        calls.append(platform.count_calls() - before)
        advance(platform, 0.25)
    assert min(calls[4:]) <= 3 + 3 + 4  # discovery, listings, and one failed run with two attempts
    assert sum(calls[4:]) < sum(calls[1:4]) * 2


def test_a_failed_run_that_is_deleted_is_no_longer_retried(platform: SimulatedPlatform) -> None:
    runs = list_runs(platform)
    break_metrics(platform, runs[3])
    warehouse = InMemoryDestination()
    sync(platform, warehouse)
    platform.world.delete_run(runs[3])
    session = sync(platform, warehouse)
    assert session.sync_result.status == "ok"
    assert runs[3] not in loaded(warehouse)


def test_a_workspace_that_is_down_is_aborted_after_three_runs(platform: SimulatedPlatform) -> None:
    warehouse = InMemoryDestination()
    platform.simulator.faults.add(rf"/workflow/\w+\?.*workspaceId={list_space(platform)}", BROKEN)
    platform.simulator.faults.add(r"/workflow\?.*max=1&?$|/workflow\?max=1&", BROKEN)
    session = sync(platform, warehouse)
    space = session.sync_result.workspaces[str(list_space(platform))]
    assert (space.status, len(space.pending)) == ("failed", 3)
    platform.simulator.faults.clear()
    sync(platform, warehouse)
    assert_equal(platform, warehouse)


def test_new_runs_are_loaded_although_the_full_listing_fails(platform: SimulatedPlatform) -> None:
    for _ in range(110):
        add_run(platform, tasks=0)
        advance(platform, 0.1)
    warehouse = InMemoryDestination()
    sync(platform, warehouse)
    advance(platform, 25)
    fresh = add_run(platform)
    platform.simulator.faults.add(r"/workflow\?.*offset=99", BROKEN)
    session = sync(platform, warehouse)
    assert fresh in loaded(warehouse)
    assert session.sync_result.exit_code == 4
    assert session.sync_result.workspaces[str(list_space(platform))].status == "partial"
    platform.simulator.faults.clear()
    assert sync(platform, warehouse).sync_result.reconciled


@pytest.mark.parametrize("part", ["tasks", "metrics"])
@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_run_without_a_part_is_loaded_with_missing_parts(
    platform: SimulatedPlatform, part: str, status: int
) -> None:
    run_id = list_runs(platform)[4]
    platform.simulator.faults.add(
        f"/workflow/{run_id}/{part}", Fault("status", status=status, times=FOREVER)
    )
    warehouse = InMemoryDestination()
    session = sync(platform, warehouse)
    assert session.sync_result.exit_code == 0
    assert warehouse.tables["workflows"][(run_id,)]["missing_parts"] == f'["{part}"]'
    (space,) = [s for s in session.sync_result.workspaces.values() if s.incomplete]
    assert space.incomplete == {part: 1}
    platform.simulator.faults.clear()
    advance(platform, 25)
    sync(platform, warehouse)
    assert_equal(platform, warehouse)


@pytest.mark.slow
def test_a_part_that_is_missing_for_all_runs_takes_few_calls(platform: SimulatedPlatform) -> None:
    for _ in range(60):
        add_run(platform, tasks=0)
    platform.simulator.faults.add("/metrics", Fault("status", status=404, times=FOREVER))
    warehouse = InMemoryDestination()
    sync(platform, warehouse)
    advance(platform, 25)
    before = platform.count_calls()
    sync(platform, warehouse)
    assert platform.count_calls() - before < 150
    platform.simulator.faults.clear()
    advance(platform, 25)
    sync(platform, warehouse)
    assert_equal(platform, warehouse)


def test_a_selector_without_a_match_does_not_stop_the_others(platform: SimulatedPlatform) -> None:
    warehouse = InMemoryDestination()
    session = sync(platform, warehouse, workspaces=("acme/clinic", "acme/renamed"))
    assert session.sync_result.exit_code == 4
    assert loaded(warehouse) == set(list_runs(platform))
    (lost,) = [s for s in session.sync_result.workspaces.values() if s.name == "acme/renamed"]
    assert lost.status == "failed"
    assert "acme/renamed" in str(lost.error)


def test_selectors_without_any_match_are_a_configuration_error(platform: SimulatedPlatform) -> None:
    with pytest.raises(ConfigurationError, match="acme/renamed"):
        sync(platform, InMemoryDestination(), workspaces=("acme/renamed", "7"))


def test_a_workspace_that_is_no_longer_visible_is_reported(platform: SimulatedPlatform) -> None:
    warehouse = InMemoryDestination()
    sync(platform, warehouse)
    world, key = platform.world, list_space(platform)
    hidden = world.workspaces.pop(key)
    session = sync(platform, warehouse)
    space = session.sync_result.workspaces[str(key)]
    assert (session.sync_result.exit_code, space.status, space.name) == (4, "failed", "acme/clinic")
    assert warehouse.state["workspaces"][str(key)]["invisible_since"]
    world.workspaces[key] = hidden
    assert sync(platform, warehouse).sync_result.status == "ok"
    assert warehouse.state["workspaces"][str(key)]["invisible_since"] is None


def test_an_unknown_run_with_an_end_time_is_not_fetched_again(
    platform: SimulatedPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = add_run(platform)
    warehouse = InMemoryDestination()
    describe = platform.world.describe

    def unknown(run_id: str) -> dict[str, Any]:
        answer = describe(run_id)
        if run_id == lost:
            answer = {**answer, "workflow": {**answer["workflow"], "status": "UNKNOWN"}}
        return answer

    monkeypatch.setattr(platform.world, "describe", unknown)
    sync(platform, warehouse)
    before = platform.count_calls()
    sync(platform, warehouse)
    assert not any(lost in call.path for call in platform.simulator.calls[before:])

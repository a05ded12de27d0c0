"""Server faults, single and mixed: syncs are exact after bounded retries, or report failures."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.semantics.expected import expect_labels, expect_run, list_visible_runs
from tests.semantics.in_memory import InMemoryDestination
from tests.semantics.platform import SimulatedPlatform, make_world
from tower_etl.config.settings import PackageLimits
from tower_etl.simulator import DEFAULT_MIX, Fault, SimClock

if TYPE_CHECKING:
    from tests.semantics.platform import SwappableApp
    from tower_etl.extract.session import SyncSession

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
RUNS = 12
KINDS = [
    Fault("status", status=429, retry_after="0"),
    Fault("status", status=429, retry_after="1"),
    Fault("status", status=429),
    Fault("status", status=500),
    Fault("status", status=502),
    Fault("status", status=503, retry_after="1"),
    Fault("status", status=504),
    Fault("reset"),
    Fault("truncated"),
    Fault("half_json"),
    Fault("html"),
    Fault("html", status=502),
]
PLACES = [
    *("/user-info", "/user/", r"/workflow\?", "/tasks", "/metrics", r"/workflow/\w+\?"),
    *("/labels", "/orgs"),
]


@pytest.fixture
def platform(swappable_app: tuple[str, SwappableApp]) -> SimulatedPlatform:
    """Serve twelve final runs with tasks in two workspaces."""
    world = make_world(SimClock.frozen_at(START))
    spaces = [place.key for place in world.workspaces.values()]
    for number in range(RUNS):
        run_id = world.submit_run(spaces[number % 2])
        world.start_run(run_id)
        for _ in range(120 if number == 0 else 3):
            world.finish_task(run_id, world.add_task(run_id))
        world.finish_run(run_id)
        world.clock.advance(1)
    return SimulatedPlatform.start(*swappable_app, world)


def sync(
    platform: SimulatedPlatform, warehouse: InMemoryDestination, **request: bool
) -> SyncSession:
    """Run one sync with small load packages; return its session, whether it succeeds or not."""
    session = platform.open_session(**request)
    try:
        warehouse.load(session, PackageLimits(max_rows=20))
    finally:
        session.close()
    return session


def assert_equal(platform: SimulatedPlatform, warehouse: InMemoryDestination) -> None:
    """Assert that the tables hold exactly the runs of the world, with all their rows."""
    shown = list_visible_runs(platform.world)
    assert {key[0] for key in warehouse.tables["workflows"]} == set(shown)
    for run_id, space in shown.items():
        for table, expected in expect_run(platform.world, run_id, space).items():
            assert warehouse.rows_of(table, run_id) == expected


def list_spaces(platform: SimulatedPlatform) -> list[int]:
    """Return the ids of the workspaces of the organization."""
    return sorted(place.key for place in platform.world.workspaces.values() if place.key > 0)


def name_of(fault: Fault) -> str:
    """Return a name for a fault, for the ids of tests."""
    return f"{fault.kind}-{fault.status or 200}-{fault.retry_after}"


@pytest.mark.parametrize("fault", KINDS, ids=name_of)
def test_each_fault_is_retried_at_each_endpoint(platform: SimulatedPlatform, fault: Fault) -> None:
    """Every endpoint fails twice in a row; each failure takes one retry."""
    for place in PLACES:
        platform.simulator.faults.add(place, Fault(**{**vars(fault), "times": 2}))
    warehouse = InMemoryDestination()
    session = sync(platform, warehouse)
    assert (session.sync_result.status, session.sync_result.warnings) == ("ok", [])
    assert session.request_stats.retries == 2 * len(PLACES)
    assert_equal(platform, warehouse)


def test_responses_slower_than_the_timeout_are_retried(platform: SimulatedPlatform) -> None:
    platform.read_seconds = 0.5
    for place in PLACES:
        platform.simulator.faults.add(place, Fault("slow", delay=1.0))
    warehouse = InMemoryDestination()
    session = sync(platform, warehouse)
    assert session.sync_result.status == "ok"
    assert session.request_stats.retries >= len(PLACES)
    assert_equal(platform, warehouse)


@pytest.mark.parametrize("seed", range(6))
def test_a_sync_succeeds_with_mixed_faults_in_15_percent_of_calls(
    platform: SimulatedPlatform, seed: int
) -> None:
    """The faults occur during a backfill and a reconciliation."""
    plan = platform.simulator.faults
    plan.rate, plan.mix = 0.15, DEFAULT_MIX
    plan._rng.seed(seed)
    warehouse = InMemoryDestination()
    for session in (sync(platform, warehouse), sync(platform, warehouse, reconcile=True)):
        assert session.sync_result.status == "ok"
        assert session.request_stats.retries <= 0.5 * session.request_stats.calls
    assert_equal(platform, warehouse)


@pytest.mark.parametrize(
    ("place", "status", "exit_code"),
    [(r"/workflow\?", "failed", 5), ("/tasks", "partial", 4), ("/metrics", "partial", 4)],
)
def test_no_run_is_loaded_while_an_endpoint_fails(
    platform: SimulatedPlatform, place: str, status: str, exit_code: int
) -> None:
    """The next sync loads all runs exactly.

    No run is loaded in part, and no error is taken for an empty page.
    """
    platform.simulator.faults.add(place, Fault("status", status=500, times=10**6))
    warehouse = InMemoryDestination()
    session = sync(platform, warehouse)
    assert (session.sync_result.status, session.sync_result.exit_code) == (status, exit_code)
    assert {space.status for space in session.sync_result.workspaces.values()} >= {status}
    assert warehouse.tables["workflows"] == {}
    platform.simulator.faults.clear()
    assert sync(platform, warehouse).sync_result.status == "ok"
    assert_equal(platform, warehouse)


@pytest.mark.parametrize("part", ["metrics", "tasks"])
def test_a_run_that_keeps_failing_is_pending_and_others_are_loaded(
    platform: SimulatedPlatform, part: str
) -> None:
    """Syncs retry the run until it is loaded, with exit code 4."""
    space = list_spaces(platform)[0]
    runs = [run["id"] for run in reversed(platform.world.runs(space))]
    platform.simulator.faults.add(f"{runs[2]}/{part}", Fault("status", status=500, times=10**6))
    warehouse = InMemoryDestination()
    for _ in range(2):
        session = sync(platform, warehouse)
        assert (session.sync_result.status, session.sync_result.exit_code) == ("partial", 4)
        assert session.sync_result.workspaces[str(space)].status == "partial"
        loaded = {key[0] for key in warehouse.tables["workflows"]}
        assert loaded == set(list_visible_runs(platform.world)) - {runs[2]}
        assert list(warehouse.state["workspaces"][str(space)]["failed"]) == [runs[2]]
    platform.simulator.faults.clear()
    assert sync(platform, warehouse).sync_result.status == "ok"
    assert_equal(platform, warehouse)


def test_reconciliation_forgets_a_pending_run_that_was_deleted(platform: SimulatedPlatform) -> None:
    """A complete full listing does not show the run."""
    space = list_spaces(platform)[0]
    run_id = platform.world.runs(space)[1]["id"]
    platform.simulator.faults.add(f"{run_id}/tasks", Fault("status", status=500, times=10**6))
    warehouse = InMemoryDestination()
    sync(platform, warehouse)
    platform.world.delete_run(run_id)
    assert sync(platform, warehouse, reconcile=True).sync_result.status == "ok"
    assert warehouse.state["workspaces"][str(space)]["failed"] == {}


@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.parametrize(("part", "exit_code"), [(r"\?", 4), ("/tasks", 0), ("/metrics", 0)])
def test_a_run_refused_with_403_or_404_is_not_taken_for_deleted(
    platform: SimulatedPlatform, part: str, status: int, exit_code: int
) -> None:
    """A refused run is looked up in the listing; a refused part is requested once more."""
    space = list_spaces(platform)[0]
    run_id = platform.world.runs(space)[3]["id"]
    platform.simulator.faults.add(f"/workflow/{run_id}{part}", Fault("status", status=status))
    warehouse = InMemoryDestination()
    assert sync(platform, warehouse).sync_result.exit_code == exit_code
    assert sync(platform, warehouse).sync_result.status == "ok"
    assert_equal(platform, warehouse)


def test_a_forbidden_workspace_does_not_stop_the_others(platform: SimulatedPlatform) -> None:
    """It is reported with exit code 4, and loaded when the token may read it again."""
    spaces = list_spaces(platform)
    platform.world.forbid(spaces[0])
    warehouse = InMemoryDestination()
    session = sync(platform, warehouse)
    failed = session.sync_result.workspaces[str(spaces[0])]
    assert session.sync_result.exit_code == 4
    assert "may not read" in str(failed.error)
    assert failed.status == "failed"
    assert str(spaces[0]) not in warehouse.state["workspaces"]
    platform.world.allow(spaces[0])
    assert sync(platform, warehouse).sync_result.status == "ok"
    assert_equal(platform, warehouse)


@pytest.mark.parametrize(("place", "calls"), [("/labels", 3), ("/orgs", 9)])
def test_failed_reference_data_is_pending_and_all_runs_are_loaded(
    platform: SimulatedPlatform, place: str, calls: int
) -> None:
    """The exit code is 4. The next sync requests the failed lists again, and no others."""
    platform.simulator.faults.add(place, Fault("status", status=500, times=10**6))
    warehouse = InMemoryDestination()
    session = sync(platform, warehouse)
    assert (session.sync_result.status, session.sync_result.exit_code) == ("partial", 4)
    assert session.sync_result.reference_errors
    assert_equal(platform, warehouse)
    platform.simulator.faults.clear()
    before = platform.count_calls()
    assert sync(platform, warehouse).sync_result.status == "ok"
    assert warehouse.tables["labels"] == expect_labels(platform.world)
    assert len(warehouse.tables["organizations"]) == 1
    pending = platform.count_calls() - before
    before = platform.count_calls()
    assert sync(platform, warehouse).sync_result.status == "ok"
    assert pending == platform.count_calls() - before + calls

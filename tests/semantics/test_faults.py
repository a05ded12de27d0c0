"""Faults one by one and mixed: equality within bounded retries, and honesty where it cannot be."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.semantics.expected import expect_labels, expect_run, list_shown
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
    """Twelve final runs with tasks, over two workspaces."""
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
    """One sync, whatever becomes of it."""
    session = platform.open_session(**request)
    try:
        warehouse.load(session, PackageLimits(max_rows=20))
    finally:
        session.close()
    return session


def assert_equal(platform: SimulatedPlatform, warehouse: InMemoryDestination) -> None:
    """The tables are the world's."""
    shown = list_shown(platform.world)
    assert {key[0] for key in warehouse.tables["workflows"]} == set(shown)
    for run_id, space in shown.items():
        for table, expected in expect_run(platform.world, run_id, space).items():
            assert warehouse.rows_of(table, run_id) == expected


def list_spaces(platform: SimulatedPlatform) -> list[int]:
    """Ids of the workspaces of the organisation."""
    return sorted(place.key for place in platform.world.workspaces.values() if place.key > 0)


def name_of(fault: Fault) -> str:
    """A name for the test's id."""
    return f"{fault.kind}-{fault.status or 200}-{fault.retry_after}"


@pytest.mark.parametrize("fault", KINDS, ids=name_of)
def test_each_fault_at_each_place_is_got_over(platform: SimulatedPlatform, fault: Fault) -> None:
    """Twice in a row, at every endpoint; each strike costs one retry."""
    for place in PLACES:
        platform.simulator.faults.add(place, Fault(**{**vars(fault), "times": 2}))
    warehouse = InMemoryDestination()
    session = sync(platform, warehouse)
    assert (session.sync_result.status, session.sync_result.warnings) == ("ok", [])
    assert session.request_stats.retries == 2 * len(PLACES)
    assert_equal(platform, warehouse)


def test_answers_slower_than_the_timeout_are_got_over(platform: SimulatedPlatform) -> None:
    """Each is given up after the timeout and asked for again."""
    platform.read_seconds = 0.5
    for place in PLACES:
        platform.simulator.faults.add(place, Fault("slow", delay=1.0))
    warehouse = InMemoryDestination()
    session = sync(platform, warehouse)
    assert session.sync_result.status == "ok"
    assert session.request_stats.retries >= len(PLACES)
    assert_equal(platform, warehouse)


@pytest.mark.parametrize("seed", range(6))
def test_a_mix_at_fifteen_percent_is_got_over(platform: SimulatedPlatform, seed: int) -> None:
    """All kinds at once, over a backfill and a reconciliation."""
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
def test_a_dead_endpoint_fails_honestly_and_the_next_sync_is_exact(
    platform: SimulatedPlatform, place: str, status: str, exit_code: int
) -> None:
    """Nothing is half a run, no cursor moves past it, and nothing is taken for an empty page."""
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
def test_a_run_that_keeps_failing_is_pending_and_holds_up_no_other(
    platform: SimulatedPlatform, part: str
) -> None:
    """Syncs retry it until it is loaded; the other runs are loaded, and the exit code is 4."""
    space = list_spaces(platform)[0]
    runs = [run["id"] for run in reversed(platform.world.runs(space))]
    platform.simulator.faults.add(f"{runs[2]}/{part}", Fault("status", status=500, times=10**6))
    warehouse = InMemoryDestination()
    for _ in range(2):
        session = sync(platform, warehouse)
        assert (session.sync_result.status, session.sync_result.exit_code) == ("partial", 4)
        assert session.sync_result.workspaces[str(space)].status == "partial"
        loaded = {key[0] for key in warehouse.tables["workflows"]}
        assert loaded == set(list_shown(platform.world)) - {runs[2]}
        assert list(warehouse.state["workspaces"][str(space)]["failed"]) == [runs[2]]
    platform.simulator.faults.clear()
    assert sync(platform, warehouse).sync_result.status == "ok"
    assert_equal(platform, warehouse)


def test_a_run_that_failed_and_was_deleted_is_retried_no_more(platform: SimulatedPlatform) -> None:
    """A complete listing that does not show it ends the matter."""
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
def test_a_refusal_is_not_taken_for_a_deletion(
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


def test_a_workspace_that_refuses_does_not_stop_the_others(platform: SimulatedPlatform) -> None:
    """It is named, the exit code is 4, and it comes in when it is allowed again."""
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
def test_reference_data_that_fails_is_pending_and_holds_up_no_run(
    platform: SimulatedPlatform, place: str, calls: int
) -> None:
    """All runs are in, the exit code is 4, and the next sync asks for them again, and no more."""
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

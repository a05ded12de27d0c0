"""Unusual states, clocks, servers and settings: no run is lost, stale, or wrongly missing."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.semantics.expected import expect_run, list_visible_runs
from tests.semantics.in_memory import InMemoryDestination
from tests.semantics.platform import SimulatedPlatform, make_world
from tower_etl.api import TowerClient
from tower_etl.config.settings import PackageLimits
from tower_etl.errors import ConfigurationError
from tower_etl.extract.batch import build_batch
from tower_etl.simulator import SimClock

if TYPE_CHECKING:
    from tests.semantics.platform import SwappableApp
    from tower_etl.extract.session import SyncSession

START = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture
def platform(swappable_app: tuple[str, SwappableApp]) -> SimulatedPlatform:
    """Serve a workspace with one run submitted on each of the last ten days."""
    world = make_world(SimClock.frozen_at(START - timedelta(days=10)))
    started = SimulatedPlatform.start(*swappable_app, world)
    for _ in range(10):
        add_run(started)
        world.clock.advance(86_400)
    return started


def list_space(platform: SimulatedPlatform) -> int:
    """Return the id of the workspace that holds the runs."""
    return max(place.key for place in platform.world.workspaces.values())


def add_run(platform: SimulatedPlatform, *, tasks: int = 3, final: bool = True) -> str:
    """Add a run with completed tasks; return its id."""
    world = platform.world
    run_id = world.submit_run(list_space(platform))
    world.start_run(run_id)
    for _ in range(tasks):
        world.finish_task(run_id, world.add_task(run_id))
    if final:
        world.finish_run(run_id)
    return run_id


def sync(
    platform: SimulatedPlatform, warehouse: InMemoryDestination, **request: Any
) -> SyncSession:
    """Run one sync; return its session, whether it succeeds or not."""
    session = platform.open_session(**request)
    try:
        warehouse.load(session, PackageLimits())
    finally:
        session.close()
    return session


def assert_equal(platform: SimulatedPlatform, warehouse: InMemoryDestination) -> None:
    """Assert that every listed run is stored as the API shows it."""
    for run_id, space in list_visible_runs(platform.world).items():
        for table, expected in expect_run(platform.world, run_id, space).items():
            assert warehouse.rows_of(table, run_id) == expected


def list_missing(warehouse: InMemoryDestination) -> set[str]:
    """Return the ids of the runs that are marked as missing."""
    rows = warehouse.tables["workflows"].values()
    return {row["id"] for row in rows if row["missing_since"] is not None}


def test_runs_are_refetched_once_for_newly_selected_tables(platform: SimulatedPlatform) -> None:
    warehouse = InMemoryDestination()
    sync(platform, warehouse, tables=["workflows"])
    assert warehouse.tables["tasks"] == {}
    sync(platform, warehouse)
    assert_equal(platform, warehouse)
    before = platform.count_calls()
    sync(platform, warehouse)
    assert platform.count_calls() - before <= 3 + 3


def test_a_run_that_ends_while_tasks_are_deselected_is_refetched(
    platform: SimulatedPlatform,
) -> None:
    """Otherwise its tasks would keep the values of the open run."""
    warehouse = InMemoryDestination()
    run_id = add_run(platform, final=False)
    task = platform.world.add_task(run_id)
    sync(platform, warehouse)
    platform.world.finish_task(run_id, task)
    platform.world.finish_run(run_id)
    sync(platform, warehouse, tables=["workflows"])
    sync(platform, warehouse)
    assert_equal(platform, warehouse)


def test_changes_of_final_tasks_are_loaded_when_the_run_is_final(
    platform: SimulatedPlatform,
) -> None:
    """The server may add the cost of a task after the task ended."""
    warehouse = InMemoryDestination()
    run_id = add_run(platform, tasks=120, final=False)
    sync(platform, warehouse)
    platform.world.update_task(run_id, 5, cost=99.0)
    platform.world.finish_run(run_id)
    sync(platform, warehouse)
    assert_equal(platform, warehouse)


def test_a_removed_task_does_not_hide_other_tasks(platform: SimulatedPlatform) -> None:
    """The following tasks move towards the start of the list, before the bookmark."""
    warehouse = InMemoryDestination()
    run_id = add_run(platform, tasks=100, final=False)
    last = platform.world.add_task(run_id)
    sync(platform, warehouse)
    del platform.world.script(run_id).tasks[50]
    platform.world.finish_task(run_id, last)
    sync(platform, warehouse)
    assert warehouse.tables["tasks"][run_id, last]["status"] == "COMPLETED"


def test_open_runs_are_synced_after_the_clock_was_ahead_once(platform: SimulatedPlatform) -> None:
    """Reconciliations continue, and open runs are fetched again."""
    warehouse = InMemoryDestination()
    run_id = add_run(platform, final=False)
    sync(platform, warehouse)
    platform.world.clock.advance(timedelta(days=400))
    sync(platform, warehouse)
    platform.world.clock.advance(timedelta(days=-399))
    platform.world.finish_run(run_id)
    sync(platform, warehouse)
    assert_equal(platform, warehouse)


def test_a_run_submitted_in_the_future_does_not_hide_current_runs(
    platform: SimulatedPlatform,
) -> None:
    """The server's clock was ahead when the run was submitted."""
    warehouse = InMemoryDestination()
    platform.world.clock.advance(timedelta(days=300))
    add_run(platform)
    sync(platform, warehouse)
    platform.world.clock.advance(timedelta(days=-300, hours=3))
    add_run(platform)
    sync(platform, warehouse)  # reconciles, because the clock went back
    platform.world.clock.advance(timedelta(hours=3))
    fresh = platform.world.submit_run(list_space(platform))
    sync(platform, warehouse)
    assert (fresh,) in warehouse.tables["workflows"]


def test_a_sync_bounded_by_since_and_until_leaves_no_gap(platform: SimulatedPlatform) -> None:
    """A sync with both bounds before the loaded runs does not count as a reconciliation."""
    warehouse = InMemoryDestination()
    days = [START - timedelta(days=back) for back in (2.5, 10.5, 7.5)]
    sync(platform, warehouse, since=days[0])
    sync(platform, warehouse, since=days[1], until=days[2])
    sync(platform, warehouse)
    assert_equal(platform, warehouse)


def test_an_incremental_sync_detects_a_recent_run_that_is_restored(
    platform: SimulatedPlatform,
) -> None:
    """The run is recent enough to be in the incremental listing."""
    warehouse = InMemoryDestination()
    run_id = add_run(platform)
    sync(platform, warehouse)
    platform.world.delete_run(run_id)
    sync(platform, warehouse, reconcile=True)
    assert list_missing(warehouse) == {run_id}
    platform.world.restore_run(run_id)
    sync(platform, warehouse)
    assert list_missing(warehouse) == set()


def test_runs_submitted_during_each_listing_do_not_stop_reconciliation(
    platform: SimulatedPlatform,
) -> None:
    """The count of the last page differs from the count of the first."""
    warehouse = InMemoryDestination()
    for _ in range(230):
        platform.world.submit_run(list_space(platform), status="SUCCEEDED")
    sync(platform, warehouse)
    run_id = platform.world.runs(list_space(platform))[-1]["id"]
    platform.world.delete_run(run_id)

    def submit(_index: int, call: object) -> None:
        if getattr(call, "path", "") == "/api/workflow" and "offset=99" in str(call):
            platform.world.submit_run(list_space(platform))

    platform.simulator.before_call = submit
    session = sync(platform, warehouse, reconcile=True)
    platform.simulator.before_call = None
    assert session.sync_result.warnings == []
    assert list_missing(warehouse) == {run_id}


def test_an_empty_listing_marks_no_run_while_runs_still_exist(
    platform: SimulatedPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sync reports that the listing omits runs."""
    warehouse = InMemoryDestination()
    sync(platform, warehouse)
    with monkeypatch.context() as patch:
        patch.setattr(platform.world, "iter_runs", lambda *_args, **_more: iter(()))
        session = sync(platform, warehouse, reconcile=True)
    assert any("omits runs" in warning for warning in session.sync_result.warnings)
    assert list_missing(warehouse) == set()


def test_a_target_of_another_server_is_refused(platform: SimulatedPlatform) -> None:
    """Otherwise, a sync with one server would mark the runs of the other as missing."""
    warehouse = InMemoryDestination()
    sync(platform, warehouse)
    warehouse.state["origin"]["host"] = "tower.example.org"
    session = platform.open_session(reconcile=True)
    session._current_source = dataclasses.replace(session._current_source, host="other.example.org")
    with pytest.raises(ConfigurationError, match=r"tower\.example\.org"):
        warehouse.load(session, PackageLimits())
    session.close()
    assert list_missing(warehouse) == set()


def test_the_personal_workspace_of_another_user_is_left_out(platform: SimulatedPlatform) -> None:
    """Both have a null `workspace_id`: each sync would mark the runs of the other as missing."""
    warehouse = InMemoryDestination()
    mine = platform.world.submit_run(None, status="SUCCEEDED")
    sync(platform, warehouse)
    warehouse.state["origin"]["user_id"] += 1
    platform.world.delete_run(mine)
    session = sync(platform, warehouse, reconcile=True)
    assert "personal" not in session.sync_result.workspaces
    assert any("another user" in warning for warning in session.sync_result.warnings)
    assert list_missing(warehouse) == set()


@pytest.mark.parametrize(
    ("selectors", "code"), [((), 0), (("personal", "*/research"), 4), (("*",), 4)]
)
def test_a_personal_workspace_that_is_left_out_is_reported(
    platform: SimulatedPlatform, selectors: tuple[str, ...], code: int
) -> None:
    """The report is a failure if a selector includes the workspace, otherwise a warning.

    The other workspaces are synced.
    """
    warehouse = InMemoryDestination()
    sync(platform, warehouse)
    warehouse.state["origin"]["user_id"] += 1
    space = next(p for p in platform.world.workspaces.values() if p.name == "research")
    run_id = platform.world.submit_run(space.key, status="SUCCEEDED")
    sync_result = sync(platform, warehouse, workspaces=selectors).sync_result
    assert (sync_result.exit_code, sync_result.status) == (code, "partial" if code else "ok")
    said = [
        *sync_result.warnings,
        *(str(space.error) for space in sync_result.unsuccessful),
    ]
    assert [text for text in said if "personal workspace of another user" in text] == said
    assert len(said) == 1
    assert run_id in {key[0] for key in warehouse.tables["workflows"]}


@pytest.mark.parametrize("selectors", [("personal",), ("pers*",), ("personal", "no/such")])
def test_selecting_only_another_users_personal_workspace_is_an_error(
    platform: SimulatedPlatform, selectors: tuple[str, ...]
) -> None:
    warehouse = InMemoryDestination()
    sync(platform, warehouse)
    warehouse.state["origin"]["user_id"] += 1
    session = platform.open_session(workspaces=selectors)
    with pytest.raises(ConfigurationError, match="no other workspace is selected"):
        warehouse.load(session, PackageLimits())
    session.close()


def test_a_short_page_does_not_end_a_listing_before_its_total(
    platform: SimulatedPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page with fewer items than requested is the last page only if the count agrees."""
    warehouse = InMemoryDestination()
    for _ in range(60):
        platform.world.submit_run(list_space(platform), status="SUCCEEDED")
    whole = TowerClient._get_page

    def cut(client: TowerClient, endpoint: Any, offset: int, params: Any, **names: Any) -> Any:
        page = whole(client, endpoint, offset, params, **names)
        if endpoint.path != "/workflow":
            return page
        return dataclasses.replace(page, items=page.items[:50], has_more=None)

    monkeypatch.setattr(TowerClient, "_get_page", cut)
    session = platform.open_session()
    warehouse.load(session, PackageLimits())
    session.close()
    assert {key[0] for key in warehouse.tables["workflows"]} == set(
        list_visible_runs(platform.world)
    )


def test_a_run_that_moved_to_another_workspace_is_not_missing(platform: SimulatedPlatform) -> None:
    """Its former workspace does not list it, but another workspace does."""
    world = platform.world
    warehouse = InMemoryDestination()
    run_id = add_run(platform)
    sync(platform, warehouse)
    old = list_space(platform)
    new = min(place.key for place in world.workspaces.values() if place.key > 0)
    run: Any = world.find_run(run_id)
    moved = next(place for place in world._listed[old] if place[2] is run)
    world._listed[old].remove(moved)
    run.workspace_id = new
    world._listed.setdefault(new, []).append(moved)
    session = sync(platform, warehouse, reconcile=True)
    assert session.sync_result.status == "ok"
    assert list_missing(warehouse) == set()
    assert warehouse.tables["workflows"][(run_id,)]["workspace_id"] == new


@pytest.mark.parametrize("labels", [[None], ["x"], [{"id": None}], {"id": 1}])
def test_malformed_labels_in_a_listing_are_skipped(
    platform: SimulatedPlatform, labels: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, element = platform.world, platform.world.element
    monkeypatch.setattr(world, "element", lambda run: element(run) | {"labels": labels})
    warehouse = InMemoryDestination()
    session = sync(platform, warehouse)
    assert session.sync_result.status == "ok"
    assert {key[0] for key in warehouse.tables["workflows"]} == set(list_visible_runs(world))


def test_a_run_that_cannot_be_converted_fails_alone(
    platform: SimulatedPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest of its batch is loaded. The run is pending, and the next sync loads it."""
    warehouse, runs = InMemoryDestination(), sorted(list_visible_runs(platform.world))

    def break_one(fetched_runs: Any, wanted: Any) -> Any:
        if any(fetched.summary.fetch.run_id == runs[3] for fetched in fetched_runs):
            raise ZeroDivisionError
        return build_batch(fetched_runs, wanted)

    monkeypatch.setattr("tower_etl.extract.run_sync.build_batch", break_one)
    session = sync(platform, warehouse)
    assert (session.sync_result.fetched, session.sync_result.status) == (9, "partial")
    assert "unexpected response (ZeroDivisionError" in str(
        session.sync_result.unsuccessful[0].error
    )
    assert {(run_id,) for run_id in runs if run_id != runs[3]} == set(warehouse.tables["workflows"])
    monkeypatch.undo()
    sync(platform, warehouse)
    assert_equal(platform, warehouse)

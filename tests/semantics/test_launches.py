"""Launches: their rows, the number of calls, and failures."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.semantics.in_memory import InMemoryDestination
from tests.semantics.platform import SimulatedPlatform, make_world
from tower_etl.config.settings import PackageLimits, PrivacySettings
from tower_etl.extract import reference_sync
from tower_etl.simulator import Fault, SimClock, build_world

if TYPE_CHECKING:
    from tests.semantics.platform import SwappableApp
    from tower_etl.extract.result import SyncResult
    from tower_etl.simulator import World
    from tower_etl.simulator.faults import FaultKind

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
FOREVER = 10**6


@pytest.fixture
def platform(swappable_app: tuple[str, SwappableApp]) -> SimulatedPlatform:
    """Serve a world without runs, with one compute environment in a workspace."""
    platform = SimulatedPlatform.start(*swappable_app, make_world(SimClock.frozen_at(START)))
    fields: dict[str, Any] = {"platform": "aws-batch", "workspaceName": "research"}
    platform.world.add_entity("computeEnvs", find_lab(platform.world), id="ce", name="c", **fields)
    return platform


def find_lab(world: World) -> int:
    """Return the id of the workspace with the compute environment."""
    return next(place.key for place in world.workspaces.values() if place.name == "research")


def add_run(platform: SimulatedPlatform, launch_id: str | None, *, final: bool = True) -> str:
    """Add a run to that workspace, from a launch or from the command line; return its id."""
    world = platform.world
    run_id = world.submit_run(find_lab(world), launchId=launch_id)
    world.start_run(run_id)
    world.finish_task(run_id, world.add_task(run_id))
    if final:
        world.finish_run(run_id)
    world.clock.advance(1)
    return run_id


def sync(platform: SimulatedPlatform, warehouse: InMemoryDestination, **request: Any) -> SyncResult:
    """Run one sync; return its result, whether it succeeds or not."""
    session = platform.open_session(**request)
    try:
        warehouse.load(session, PackageLimits())
    finally:
        session.close()
    return session.sync_result


def fail_launches(platform: SimulatedPlatform, status: int, path: str = "/launch/") -> None:
    """Let calls for launches fail from now on."""
    platform.simulator.faults.clear()
    platform.simulator.faults.add(path, Fault("status", status, times=FOREVER))


def list_launch_calls(platform: SimulatedPlatform) -> list[str]:
    """Return the last path segment of each call for a launch: its id, or `datasets`."""
    calls = [call.path for call in platform.simulator.calls if call.status != 429]
    return [path.rpartition("/")[2] for path in calls if "/launch/" in path]


def list_stored(warehouse: InMemoryDestination, table: str = "launches") -> set[str]:
    """Return the ids of the launches that have a row in the table."""
    column = "id" if table == "launches" else "launch_id"
    return {row[column] for row in warehouse.tables[table].values()}


def test_a_default_sync_stores_the_compute_environment_of_launched_runs(
    swappable_app: tuple[str, SwappableApp],
) -> None:
    """Runs from the command line have no launch."""
    world = build_world(3, clock=SimClock.frozen_at(START), runs=30, days=9, mean_tasks=2)
    platform, warehouse = SimulatedPlatform.start(*swappable_app, world), InMemoryDestination()

    sync_result = sync(platform, warehouse)

    assert (sync_result.status, sync_result.warnings) == ("ok", [])
    runs = list(warehouse.tables["workflows"].values())
    of_spaces = [run for run in runs if run["launch_id"] and run["workspace_id"]]
    assert 0 < len(of_spaces) < len(runs)
    found = {row["id"]: row for row in warehouse.tables["launches"].values()}
    envs = {row["id"]: row for row in warehouse.tables["compute_envs"].values()}
    for run in of_spaces:
        env = envs[found[run["launch_id"]]["compute_env__id"]]
        assert (run["workspace_id"], run["platform__id"]) == (env["workspace_id"], env["platform"])
    assert {row["dataset_count"] for row in found.values()} == {None}
    assert found.keys() == {run["launch_id"] for run in runs} - {None}


@pytest.mark.parametrize("status", [403, 404, 500])
def test_runs_are_loaded_although_their_launches_fail(
    platform: SimulatedPlatform, status: int
) -> None:
    """Reconciliation requests the launches again; fetching the open run again does not."""
    warehouse = InMemoryDestination()
    sync(platform, warehouse)
    fail_launches(platform, status)
    runs = [add_run(platform, "closed"), add_run(platform, "open", final=False)]
    outcomes = [sync(platform, warehouse) for _ in range(3)]

    assert [len(warehouse.rows_of("tasks", run_id)) for run_id in runs] == [1, 1]
    assert list_stored(warehouse) == set()
    assert [sync_result.unsuccessful for sync_result in outcomes] == [[], [], []]
    expected = (["ok", "ok", "ok"], 1, 0) if status < 500 else (["partial", "ok", "ok"], 0, 1)
    told, faults = outcomes[0].warnings, outcomes[0].reference_errors
    assert ([sync_result.status for sync_result in outcomes], len(told), len(faults)) == expected
    assert set(list_launch_calls(platform)) == {"closed", "open"}
    asked = len(list_launch_calls(platform))

    sync(platform, warehouse, reconcile=True)
    assert len(list_launch_calls(platform)) == 2 * asked
    platform.simulator.faults.clear()
    assert sync(platform, warehouse, reconcile=True).status == "ok"
    assert list_stored(warehouse) == {"closed", "open"}
    assert warehouse.state["entities"]["refused"] == {}
    assert warehouse.state["entities"]["launches"] == []


def test_a_denied_launch_is_reported_once(platform: SimulatedPlatform) -> None:
    """Later reconciliations do not report it again."""
    warehouse = InMemoryDestination()
    fail_launches(platform, 403)
    add_run(platform, "gone")
    outcomes = [sync(platform, warehouse, reconcile=True) for _ in range(3)]
    assert [len(sync_result.warnings) for sync_result in outcomes] == [1, 0, 0]
    assert "refuses some launches (" in outcomes[0].warnings[0]


def test_launches_are_skipped_after_a_few_consecutive_failures(platform: SimulatedPlatform) -> None:
    """Each failure takes every attempt of a call. The runs are loaded, and one error counts all."""
    warehouse = InMemoryDestination()
    sync(platform, warehouse)
    fail_launches(platform, 500)
    for number in range(40):
        add_run(platform, f"launch-{number}")
    sync_result = sync(platform, warehouse)

    assert len(warehouse.tables["workflows"]) == 40
    (fault,) = sync_result.reference_errors
    assert fault.startswith("40 launches could not be fetched (")
    workers = 4
    assert len(set(list_launch_calls(platform))) <= 3 + workers


@pytest.mark.parametrize("kind", ["half_json", "html", "truncated", "reset"])
def test_a_run_is_loaded_although_its_launch_response_is_corrupted(
    platform: SimulatedPlatform, kind: FaultKind
) -> None:
    """The failure is reported."""
    warehouse = InMemoryDestination()
    platform.simulator.faults.add("/launch/", Fault(kind, times=FOREVER))
    run_id = add_run(platform, "odd")
    sync_result = sync(platform, warehouse)
    assert len(warehouse.rows_of("tasks", run_id)) == 1
    (told,) = [*sync_result.warnings, *sync_result.reference_errors]
    assert "launches" in told


def test_deselected_launches_are_filled_when_they_are_selected(platform: SimulatedPlatform) -> None:
    warehouse = InMemoryDestination()
    add_run(platform, "first")
    sync(platform, warehouse, tables=["!launches"])
    assert (list_launch_calls(platform), list_stored(warehouse)) == ([], set())
    add_run(platform, "second")
    sync(platform, warehouse)
    assert list_stored(warehouse) == {"first", "second"}
    assert sorted(list_launch_calls(platform)) == ["first", "second"]


def test_denied_launches_do_not_block_others(
    platform: SimulatedPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sync requests a limited number of launches, and the next one continues after them."""
    for limit in ("_FILLED_LAUNCHES", "_RETRIED_LAUNCHES"):
        monkeypatch.setattr(reference_sync, limit, 4)
    warehouse = InMemoryDestination()
    refused, good = [f"a{n}" for n in range(9)], [f"b{n}" for n in range(3)]
    for launch_id in (*refused, *good):
        add_run(platform, launch_id)
    sync(platform, warehouse, tables=["!launches"])
    fail_launches(platform, 403, "/launch/a")
    counts = []
    for _ in range(4):
        before = len(list_launch_calls(platform))
        sync(platform, warehouse, reconcile=True)
        counts.append(len(list_launch_calls(platform)) - before)
    assert counts == [4, 4, 4, 4]
    assert list_stored(warehouse) == set(good)


def test_launch_datasets_are_loaded_when_selected(platform: SimulatedPlatform) -> None:
    """Launches that are already stored are included; each takes one more call."""
    world, warehouse = platform.world, InMemoryDestination()
    version = {"datasetId": "d", "version": 2, "workspaceId": find_lab(world), "fileSize": 7}
    add_run(platform, "before")
    sync(platform, warehouse)
    assert warehouse.tables["launch_datasets"] == {}
    world.add_entity("launchDatasets", find_lab(world), **version)
    wanted = ["*", "!audit_logs"]
    sync(platform, warehouse, tables=wanted, reconcile=True)
    add_run(platform, "after")
    sync(platform, warehouse, tables=wanted)

    rows = list(warehouse.tables["launch_datasets"].values())
    assert {row["launch_id"] for row in rows} == {"before", "after"}
    assert {(r["dataset_id"], r["version"], r["file_size"]) for r in rows} == {("d", 2, 7)}
    assert {row["workspace_id"] for row in rows} == {find_lab(world)}
    assert {r["dataset_count"] for r in warehouse.tables["launches"].values()} == {1}
    asked = len(list_launch_calls(platform))
    sync(platform, warehouse, tables=wanted, reconcile=True)
    assert len(list_launch_calls(platform)) == asked


def test_an_empty_list_of_launch_datasets_is_not_requested_again(
    platform: SimulatedPlatform,
) -> None:
    """A denied list is reported once, and a later reconciliation requests it again."""
    warehouse = InMemoryDestination()
    platform.world.entities.setdefault("launchDatasets", {})[find_lab(platform.world)] = []
    add_run(platform, "none")
    wanted = ["launch_datasets"]
    sync(platform, warehouse, tables=wanted)
    sync(platform, warehouse, tables=wanted, reconcile=True)
    assert list_launch_calls(platform) == ["none", "datasets"]

    fail_launches(platform, 403, "/datasets")
    add_run(platform, "shut")
    outcomes = [sync(platform, warehouse, tables=wanted, reconcile=True) for _ in range(2)]
    assert [len(sync_result.warnings) for sync_result in outcomes] == [1, 0]
    assert list_stored(warehouse) == {"none", "shut"}
    platform.simulator.faults.clear()
    sync(platform, warehouse, tables=wanted, reconcile=True)
    assert {r["dataset_count"] for r in warehouse.tables["launches"].values()} == {0}


def test_a_launch_id_that_cannot_be_a_path_segment_is_not_requested(
    platform: SimulatedPlatform,
) -> None:
    """The id may be a secret, and would appear in addresses and logs."""
    warehouse = InMemoryDestination()
    runs = [add_run(platform, launch_id) for launch_id in ("some text\nhf_secret", "a/b", "..")]
    outcomes = [sync(platform, warehouse, reconcile=True) for _ in range(2)]
    assert len(warehouse.tables["workflows"]) == len(runs)
    assert list_launch_calls(platform) == []
    assert [(o.status, len(o.warnings)) for o in outcomes] == [("ok", 1), ("ok", 0)]
    assert "an id that cannot be part of a path" in outcomes[0].warnings[0]


def test_the_stored_digest_of_a_launch_id_is_not_requested(platform: SimulatedPlatform) -> None:
    """Only the first sync has the id itself, in the response for the run."""
    warehouse = InMemoryDestination()
    platform_privacy = PrivacySettings(hashed=("workflows.launch_id",))
    add_run(platform, "named")
    sync(platform, warehouse, privacy=platform_privacy)
    warehouse.tables["launches"].clear()
    sync_result = sync(platform, warehouse, privacy=platform_privacy, reconcile=True)
    assert (list_launch_calls(platform), sync_result.warnings) == (["named"], [])


def test_an_invalid_launch_id_is_not_kept_in_the_state(platform: SimulatedPlatform) -> None:
    """The id may be a secret, and the state is stored beside the tables."""
    warehouse = InMemoryDestination()
    add_run(platform, "some text\nhf_secret", final=False)
    sync(platform, warehouse, reconcile=True)
    assert "hf_secret" not in repr(warehouse.state)

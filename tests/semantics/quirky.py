"""Change how a simulated server behaves, and sync from it successfully."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tests.semantics.expected import expect_run, list_visible_runs
from tower_etl.config.settings import PackageLimits
from tower_etl.simulator import Quirks, ServerProfile
from tower_etl.simulator.runs import RecordedTasks, RunTasks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.semantics.in_memory import InMemoryDestination
    from tests.semantics.platform import SimulatedPlatform
    from tower_etl.extract.session import SyncSession
    from tower_etl.simulator.aggregates import Row
    from tower_etl.simulator.runs import Snapshot

    Serve = Callable[..., SimulatedPlatform]

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
DISCOVERY_CALLS = 3
WORKSPACES = 3  # the personal workspace and two of an organization


def change(platform: SimulatedPlatform, version: str = "26.2.0", **quirks: Any) -> None:
    """Give the server another version or other quirks from now on."""
    profile = ServerProfile(version, quirks=Quirks(**quirks))
    platform.simulator._app = platform.simulator._build_app(profile)


def contradict(
    platform: SimulatedPlatform,
    run_id: str,
    *,
    rows: Sequence[Row] | None = None,
    progress: Row | None = None,
) -> None:
    """Let the server show other tasks for a run, or a progress that is not the sum of its tasks."""
    run = platform.world.find_run(run_id)
    at = run.at

    def show(now_s: int) -> Snapshot:
        snapshot = at(now_s)
        tasks = snapshot.tasks
        if rows is not None:
            assert isinstance(tasks, RunTasks)
            tasks = replace(tasks, rows=rows)
        if progress is not None:
            tasks = RecordedTasks(tasks.rows, progress, tasks.metrics, tasks.stats)
        return replace(snapshot, load_tasks=lambda: tasks)

    run.at = show


def find_space(platform: SimulatedPlatform) -> int:
    """Return the id of the workspace that holds the runs."""
    return max(place.key for place in platform.world.workspaces.values())


def add_run(
    platform: SimulatedPlatform, tasks: int = 1, *, final: bool = True, going: int = 0
) -> str:
    """Add a run whose tasks have ended, except the first `going` ones; return its id."""
    world = platform.world
    run_id = world.submit_run(find_space(platform))
    world.start_run(run_id)
    for number in range(tasks):
        task_id = world.add_task(run_id)
        if number >= going:
            world.finish_task(run_id, task_id)
    if final:
        world.finish_run(run_id)
    world.clock.advance(1)
    return run_id


def sync(
    platform: SimulatedPlatform, warehouse: InMemoryDestination, **request: Any
) -> SyncSession:
    """Run one sync and assert that its status is `ok`; return its session."""
    session = platform.open_session(**request)
    try:
        warehouse.load(session, PackageLimits())
    finally:
        session.close()
    assert session.sync_result.status == "ok", session.sync_result
    return session


def calls_of(platform: SimulatedPlatform, session: SyncSession, path: str = "") -> int:
    """Return the number of calls of a sync to paths with this suffix."""
    calls = platform.simulator.calls[-session.request_stats.calls :]
    return sum(call.path.endswith(path) for call in calls)


def refused(platform: SimulatedPlatform, session: SyncSession) -> int:
    """Return the number of calls of a sync that the server refused with 400."""
    return sum(
        call.status == 400 for call in platform.simulator.calls[-session.request_stats.calls :]
    )


def assert_equal(platform: SimulatedPlatform, warehouse: InMemoryDestination) -> None:
    """Assert that the tables hold exactly the runs of the world, with all their rows."""
    shown = list_visible_runs(platform.world)
    assert {key[0] for key in warehouse.tables["workflows"]} == set(shown)
    for run_id, space in shown.items():
        for table, expected in expect_run(platform.world, run_id, space).items():
            assert warehouse.rows_of(table, run_id) == expected

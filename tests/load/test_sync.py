"""How a sync ends when the server fails on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tower_etl.simulator import Fault

if TYPE_CHECKING:
    from tests.load.warehouse import Warehouse
    from tower_etl.simulator import Simulator, World


@pytest.mark.slow
def test_a_server_that_fails_at_the_listing(
    warehouse: Warehouse, simulator: Simulator, world: World, lab: int
) -> None:
    """Nothing is in: the sync failed, by the server's fault, and says what was tried."""
    world.submit_run(lab)
    simulator.faults.add(r"/api/workflow\?", Fault("status", status=503, times=1000))
    report = warehouse.sync()
    assert (report.result.status, report.result.exit_code) == ("failed", 5)
    assert {"status": "failed", "retries": 2}.items() <= report.as_json().items()
    assert all("503" in (space.error or "") for space in report.result.workspaces.values())
    assert warehouse.list_runs() == set()
    simulator.faults.clear()
    assert warehouse.sync().result.exit_code == 0
    assert len(warehouse.list_runs()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("page", ["/tasks", "/metrics"])
def test_a_run_that_cannot_be_fetched_whole_is_not_in_at_all(
    warehouse: Warehouse, simulator: Simulator, world: World, lab: int, page: str
) -> None:
    """Its workspace fails, and no table has a row of it; the next sync brings it."""
    run_id = world.submit_run(lab)
    world.start_run(run_id)
    world.finish_task(run_id, world.add_task(run_id))
    world.finish_run(run_id)
    fault = Fault("status", status=500, times=1000)
    simulator.faults.add(rf"/workflow/{run_id}{page}\?", fault)
    report = warehouse.sync()
    assert (report.result.status, report.result.exit_code) == ("partial", 4)
    for table in ("workflows", "tasks", "process_metrics", "process_progress"):
        assert warehouse.select(f"SELECT * FROM {table}") == []  # noqa: S608 names of tables
    simulator.faults.clear()
    warehouse.sync()
    assert warehouse.select("SELECT workflow_id, task_id FROM tasks") == [(run_id, 1)]

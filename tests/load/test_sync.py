"""Results of a sync when the server fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tower_etl.simulator import Fault

if TYPE_CHECKING:
    from tests.load.warehouse import Warehouse
    from tower_etl.simulator import Simulator, World


@pytest.mark.slow
def test_a_sync_fails_if_the_server_fails_at_the_listing(
    warehouse: Warehouse, simulator: Simulator, world: World, lab: int
) -> None:
    """No run is loaded, the exit code is that of a server error, and retries are reported."""
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
def test_no_table_has_rows_of_a_run_with_a_failed_part(
    warehouse: Warehouse, simulator: Simulator, world: World, lab: int, page: str
) -> None:
    """The sync is partial, and the next sync loads the run."""
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

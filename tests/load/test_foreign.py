"""Foreign tables and views are refused before the first call, and kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest

from tower_etl.errors import ConfigurationError

if TYPE_CHECKING:
    from tests.load.warehouse import Warehouse
    from tower_etl.simulator import Simulator, World

FOREIGN = {
    "a table of runs": ("TABLE", "tower.tasks", "(foo INTEGER)"),
    "a table with the key of a synced one": (
        "TABLE",
        "tower.tasks",
        "(workflow_id TEXT, task_id BIGINT)",
    ),
    "a table in capitals": ("TABLE", 'tower."Workflows"', "(id TEXT)"),
    "a table with the name of a view": ("TABLE", "tower.cost_by_pipeline", "(foo INTEGER)"),
    "a table of dlt": ("TABLE", "tower._dlt_loads", "(foo INTEGER)"),
    "a view with the name of a table": ("VIEW", "tower.workflows", "AS SELECT 1 AS id"),
    "a view with the name of a view": ("VIEW", "tower.cost_by_pipeline", "AS SELECT 1 AS foo"),
}


def make_object(warehouse: Warehouse, kind: str, name: str, rest: str) -> None:
    """Create a table or view as a user would."""
    with duckdb.connect(str(warehouse.target.path)) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS tower.tower")
        connection.execute(f"CREATE {kind} tower.{name} {rest}")


@pytest.mark.parametrize("foreign", FOREIGN)
def test_a_foreign_table_or_view_is_refused_and_kept(
    warehouse: Warehouse, simulator: Simulator, foreign: str
) -> None:
    """The message names it, and the sync makes no call."""
    kind, name, rest = FOREIGN[foreign]
    make_object(warehouse, kind, name, rest)
    before = warehouse.target.path.read_bytes()
    plain = name.replace('"', "").lower()
    with pytest.raises(
        ConfigurationError, match=f"{kind.lower()} {plain} was not written"
    ) as raised:
        warehouse.sync()
    assert "RENAME TO" in str(raised.value)
    assert "disk space" not in str(raised.value)
    assert simulator.calls == []
    assert warehouse.target.path.read_bytes() == before


@pytest.mark.slow
def test_a_sync_succeeds_after_a_foreign_table_is_renamed(
    warehouse: Warehouse, world: World, lab: int
) -> None:
    """The renamed table is kept."""
    make_object(warehouse, "TABLE", "tower.tasks", "AS SELECT 42 AS foo")
    run_id = world.submit_run(lab)
    world.add_task(run_id)
    with pytest.raises(ConfigurationError):
        warehouse.sync()
    with duckdb.connect(str(warehouse.target.path)) as connection:
        connection.execute('ALTER TABLE tower.tower.tasks RENAME TO "my_tasks"')
    assert warehouse.sync().result.status == "ok"
    assert warehouse.select("SELECT foo FROM my_tasks") == [(42,)]
    assert warehouse.select("SELECT count(*) FROM tasks") == [(1,)]


@pytest.mark.slow
def test_columns_and_views_added_by_a_user_do_not_stop_a_sync(
    warehouse: Warehouse, world: World, lab: int
) -> None:
    """This holds even after dlt's schema was lost."""
    world.submit_run(lab)
    warehouse.sync()
    with duckdb.connect(str(warehouse.target.path)) as connection:
        connection.execute("ALTER TABLE tower.tower.tasks ADD COLUMN mine INTEGER")
        connection.execute("CREATE VIEW tower.tower.mine AS SELECT 1 AS a")
    assert warehouse.sync().result.status == "ok"
    with duckdb.connect(str(warehouse.target.path)) as connection:
        connection.execute("DROP TABLE tower.tower._dlt_version")
    assert warehouse.sync().result.status == "ok"

"""Views are applied by each sync, work in files of any name, and are correct."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from tests.load.warehouse import Warehouse
from tower_etl.clock import Clock
from tower_etl.destinations.duckdb import DuckDBDestination
from tower_etl.destinations.duckdb_files import resolve_duckdb_paths
from tower_etl.simulator import (
    NO_LIMIT,
    SimClock,
    Simulator,
    build_world,
    serve,
)
from tower_etl.views.definitions import (
    View,
    apply_views,
    create_views,
    iter_views,
)

if TYPE_CHECKING:
    from pathlib import Path


CHECKS = list(iter_views("checks"))
VIEWS = list(iter_views())
# The history has no bill and no price list.
WITHOUT_ROWS = {
    "bill_by_process",
    "bill_unattributed",
    "packing",
    "price_list",
    "stg_bill_lines",
    "stg_bill_shares",
    "stg_list_prices",
    "stg_task_bills",
}


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sync a seeded history; return its file, which tests only read."""
    clock = SimClock()
    world = build_world(11, clock=clock, runs=60, days=10, mean_tasks=25)
    target = resolve_duckdb_paths(tmp_path_factory.mktemp("history") / "tower.duckdb")
    with serve(Simulator(world, limit=NO_LIMIT)) as endpoint:
        report = Warehouse(target, endpoint, Clock(now=clock.now)).sync()
    assert report.result.status == "ok"
    return target.path


def name_of(view: View) -> str:
    """Return the name of a view, for the ids of tests."""
    return view.name


@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_a_check_returns_no_row(history: Path, check: View) -> None:
    with duckdb.connect(str(history), read_only=True) as connection:
        connection.execute("USE tower.tower")
        assert connection.execute(check.sql).fetchall() == []


@pytest.mark.parametrize("view", VIEWS, ids=name_of)
def test_a_view_has_rows_and_documents_its_grain(history: Path, view: View) -> None:
    assert "Grain: " in view.comment
    assert view.description.endswith(".")
    with duckdb.connect(str(history), read_only=True) as connection:
        connection.execute("USE tower.tower")
        rows = connection.execute(f'FROM "{view.name}" LIMIT 1').fetchall()
    assert rows or view.name in WITHOUT_ROWS


def test_every_mart_has_a_check() -> None:
    assert {view.name for view in iter_views("marts")} <= {check.name for check in CHECKS}


@pytest.mark.parametrize("name", ["renamed.duckdb", "with blank & 'quote'.duckdb", "no_suffix"])
def test_views_work_in_a_file_of_any_name(history: Path, tmp_path: Path, name: str) -> None:
    """A renamed copy of the file is attached."""
    copy = tmp_path / name
    shutil.copyfile(history, copy)
    sql = "SELECT count(*) FROM {} WHERE runs > 0"
    with duckdb.connect(str(history), read_only=True) as connection:
        expected = connection.execute(sql.format("tower.tower.cost_by_pipeline")).fetchall()
    with duckdb.connect() as connection:
        quoted = str(copy).replace("'", "''")
        connection.execute(f"ATTACH '{quoted}' AS other (READ_ONLY)")
        assert connection.execute(sql.format("other.tower.cost_by_pipeline")).fetchall() == expected


def test_a_failing_view_leaves_the_other_views_unchanged(
    history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All views are replaced in one transaction."""
    copy = tmp_path / "tower.duckdb"
    shutil.copyfile(history, copy)
    views = [
        View("cost_by_pipeline", "marts", "SELECT 1 AS other"),
        View("broken", "marts", "SELECT nothing FROM nowhere"),
    ]
    monkeypatch.setattr("tower_etl.views.definitions.iter_views", lambda: iter(views))
    with pytest.raises(duckdb.CatalogException):
        apply_views(copy)
    with duckdb.connect(str(copy), read_only=True) as connection:
        rows = connection.execute("DESCRIBE tower.tower.cost_by_pipeline").fetchall()
    assert "pipeline" in {row[0] for row in rows}


def test_views_on_other_views_have_the_types_of_their_queries(history: Path) -> None:
    """Null columns and lists are included. No temporary table is left in the connection."""
    views = [
        View(
            "lowest", "staging", "SELECT NULL AS nothing, [id] AS ids, 1::UTINYINT AS n FROM tasks"
        ),
        View("middle", "staging", "SELECT * FROM lowest UNION ALL FROM lowest -- twice"),
        View(
            "workflows_seen",
            "marts",
            "SELECT max(ids) AS ids, sum(n) AS n, any_value(nothing) AS x FROM middle",
        ),
    ]
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{history}' AS tower (READ_ONLY)")
        connection.execute("CREATE TABLE tasks AS FROM tower.tower.tasks")
        create_views(connection, views)
        for view in views:
            direct = connection.execute(f"DESCRIBE ({view.sql}\n)").fetchall()
            assert connection.execute(f"DESCRIBE {view.name}").fetchall() == direct
            connection.execute(f"FROM {view.name}").fetchall()
        left = "SELECT table_name FROM duckdb_tables() WHERE temporary"
        assert connection.execute(left).fetchall() == []


@pytest.mark.slow
def test_refreshed_views_are_published_like_a_sync(warehouse: Warehouse) -> None:
    """Programs that have the file open are not disturbed, and the next sync fetches no run."""
    warehouse.sync()
    with duckdb.connect(str(warehouse.target.path), read_only=True) as early:
        DuckDBDestination(warehouse.target).refresh_views()
        assert early.execute("SELECT count(*) FROM tower.tower.sync_runs").fetchall() == [(1,)]
    assert warehouse.sync().rows == {"sync_runs": 1}


@pytest.mark.slow
@pytest.mark.parametrize("closed", [True, False], ids=["closed", "left with a log"])
def test_a_dropped_view_is_created_again_by_the_next_sync(
    warehouse: Warehouse, *, closed: bool
) -> None:
    """The program that drops it closes the file, or leaves a write-ahead log."""
    warehouse.sync()
    program = "import duckdb, os; c = duckdb.connect('{}'); c.execute('DROP VIEW {}')"
    leave = "" if closed else "; os._exit(0)"
    dropped = program.format(warehouse.target.path, "tower.tower.cost_by_pipeline") + leave
    subprocess.run([sys.executable, "-c", dropped], check=True)
    warehouse.sync()
    assert warehouse.select("SELECT count(*) FROM cost_by_pipeline") == [(0,)]


@pytest.mark.slow
def test_views_are_created_again_only_when_a_definition_changes(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change of one view creates all of them again."""
    made: list[int] = []
    create, views = create_views, list(iter_views())

    def note(*args: Any) -> None:
        made.append(len(args[1]))
        create(*args)

    monkeypatch.setattr("tower_etl.views.definitions.create_views", note)
    warehouse.sync()
    warehouse.sync()
    assert made == [len(VIEWS)]
    newer = [*views, View("newer", "marts", "SELECT count(*) AS runs FROM workflows")]
    monkeypatch.setattr("tower_etl.views.definitions.iter_views", lambda: iter(newer))
    warehouse.sync()
    assert made == [len(VIEWS), len(VIEWS) + 1]
    assert warehouse.select("SELECT runs FROM newer") == [(0,)]

"""The Airflow example, run by Airflow's own command with SQLite as metadata database."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.orchestrators.conftest import ROOT, finish
from tests.orchestrators.history import load_everything, read_keys
from tower_etl.destinations.duckdb_files import resolve_duckdb_paths
from tower_etl.destinations.locks import file_lock
from tower_etl.simulator import DEMO_TOKEN, Fault

if TYPE_CHECKING:
    from pathlib import Path

    from tests.orchestrators.conftest import Programs
    from tower_etl.simulator import Simulator

FOREVER = 10_000


@pytest.fixture
def airflow(programs: Programs, endpoint: str, tmp_path: Path) -> Programs:
    """Return Airflow with the example and its Variable and Connection."""
    home = programs.folder / "airflow"
    (home / "dags").mkdir(parents=True)
    shutil.copy(ROOT / "pipelines" / "airflow_dag.py", home / "dags")
    for name in ("TOWER_ACCESS_TOKEN", "TOWER_API_ENDPOINT", "TOWER_HISTORY"):
        del programs.environ[name]
    programs.environ.update(
        AIRFLOW_HOME=str(home),
        AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY="1",
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        AIRFLOW_VAR_TOWER_PATH=str(tmp_path / "history.duckdb"),
        AIRFLOW_CONN_TOWER=describe_connection(endpoint, DEMO_TOKEN),
    )
    programs.run("airflow", "db", "migrate")
    return programs


def describe_connection(endpoint: str, token: str) -> str:
    """Return the Connection to the platform as JSON."""
    return json.dumps({"conn_type": "http", "host": endpoint, "password": token})


def query(airflow: Programs, sql: str) -> list[Any]:
    """Return rows of the metadata database."""
    file = airflow.folder / "airflow" / "airflow.db"
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(sql).fetchall()


def run_dag(airflow: Programs, expected: int = 0) -> dict[str, str]:
    """Run the DAG and return the state of each task."""
    logical_date = datetime.now(UTC).isoformat()
    program = airflow.start("airflow", "dags", "test", "tower_sync", logical_date)
    finish(program, expected)
    newest = "(SELECT run_id FROM dag_run ORDER BY id DESC LIMIT 1)"
    sql = f"SELECT task_id, state FROM task_instance WHERE run_id = {newest}"  # noqa: S608 - constant
    return dict(query(airflow, sql))


def test_the_dag_loads_all_tables_and_does_not_store_the_token(
    airflow: Programs, endpoint: str, tmp_path: Path
) -> None:
    """The token is neither in a log nor in the metadata database."""
    assert run_dag(airflow) == {"sync": "success", "check_age": "success"}
    assert read_keys(tmp_path / "history.duckdb") == load_everything(endpoint, tmp_path)
    written = [file for file in airflow.folder.rglob("*") if file.is_file()]
    assert [file for file in written if DEMO_TOKEN.encode() in file.read_bytes()] == []
    assert query(airflow, "SELECT max_active_runs FROM dag") == [(1,)]


def test_failed_workspaces_and_a_locked_target_do_not_fail_the_dag(
    airflow: Programs, simulator: Simulator, tmp_path: Path
) -> None:
    """These are exit codes 4 and 6. The task `check_age` reports outdated workspaces."""
    assert run_dag(airflow) == {"sync": "success", "check_age": "success"}
    target = resolve_duckdb_paths(tmp_path / "history.duckdb")
    with file_lock(target.work_dir, str(target.path), datetime.now(UTC)):
        assert run_dag(airflow) == {"sync": "skipped", "check_age": "success"}
    space = min(simulator.world.workspaces)
    broken = Fault("status", status=500, times=FOREVER)
    simulator.faults.add(rf"/workflow\?.*workspaceId={space}", broken)
    assert run_dag(airflow) == {"sync": "success", "check_age": "success"}


def test_a_refused_token_fails_the_dag_run_after_all_retries(
    airflow: Programs, endpoint: str
) -> None:
    """This is exit code 3."""
    airflow.environ["AIRFLOW_CONN_TOWER"] = describe_connection(endpoint, "a-token-that-expired")
    assert run_dag(airflow, expected=1) == {"sync": "failed", "check_age": "upstream_failed"}
    assert query(airflow, "SELECT try_number FROM task_instance WHERE task_id = 'sync'") == [(3,)]

"""Three real runs, served as they were dumped, against what a sync makes of them."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from tests.cli.console import make_console
from tower_etl.simulator import Simulator, load_runs, serve

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.cli.console import Ended

pytestmark = [pytest.mark.shared, pytest.mark.slow]

RNASEQ, SAREK, METHYLSEQ = "10Sj9ejvKktHWg", "15dvxY1LnZYrYe", "wELtvsveirfd9"
WORKSPACES = 3  # the personal one, seqeralabs/benchmarks, scidev/testing

Row = dict[str, Any]


@dataclass(frozen=True)
class Synced:
    """The real runs after two syncs.

    Attributes:
        path: The DuckDB file.
        first: How the first sync ended.
        second: How the second sync ended.
        calls: What the second one asked the server for, by path.
        grown: Rows of each table after the second sync less those after the first.
        types: Type of each column, by table and name.
    """

    path: Path
    first: Ended
    second: Ended
    calls: Counter[str]
    grown: Mapping[str, int]
    types: Mapping[str, Mapping[str, str]]

    def ask(self, sql: str, *values: object) -> list[Row]:
        """Rows as dictionaries, times as aware UTC."""
        with open_tables(self.path) as connection:
            asked = connection.execute(sql, list(values))
            names = [column[0] for column in asked.description or ()]
            return [dict(zip(names, row, strict=True)) for row in asked.fetchall()]


def open_tables(path: Path) -> duckdb.DuckDBPyConnection:
    """A connection in which the tables go by their bare names."""
    connection = duckdb.connect(str(path), read_only=True)
    connection.execute("USE runs.tower")
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def count_rows(path: Path) -> dict[str, int]:
    """Rows of each of our tables."""
    with open_tables(path) as connection:
        names = [
            name
            for (name,) in connection.execute(
                "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'tower'"
            ).fetchall()
            if not name.startswith("_dlt")
        ]
        counts = {}
        for name in names:
            (counts[name],) = connection.execute(f"SELECT count(*) FROM {name}").fetchall()[0]  # noqa: S608 names of tables
        return counts


def read_types(path: Path) -> dict[str, dict[str, str]]:
    """The type of each column."""
    with open_tables(path) as connection:
        rows = connection.execute(
            "SELECT table_name, column_name, data_type FROM duckdb_columns() "
            "WHERE schema_name = 'tower'"
        ).fetchall()
    types: dict[str, dict[str, str]] = {}
    for table, column, kind in rows:
        types.setdefault(table, {})[column] = kind
    return types


@pytest.fixture(scope="module")
def dumps(shared: Path) -> dict[str, Row]:
    """The dumped runs, by id."""
    read = (json.loads(path.read_text()) for path in sorted((shared / "runs").glob("*.json")))
    return {dump["workflow"]["id"]: dump for dump in read}


@pytest.fixture(scope="module")
def synced(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Synced:
    """Two syncs by a real process, the second against a server that stands still."""
    console = make_console(tmp_path_factory.mktemp("real"))
    path = console.folder / "runs.duckdb"
    simulator = Simulator(load_runs(shared / "runs"))
    with serve(simulator) as endpoint:
        first = console.run("sync", "--endpoint", endpoint, "--json")
        before = count_rows(path)
        simulator.log.clear()
        second = console.run("sync", "--endpoint", endpoint, "--json")
    calls = Counter(re.sub(r"/user/\d+/", "/user/N/", call.path) for call in simulator.calls)
    after = count_rows(path)
    grown = {name: after[name] - before[name] for name in after}
    return Synced(path, first, second, calls, grown, read_types(path))


# --- what the file says -------------------------------------------------------------------------


def snake(name: str) -> str:
    """An API name as a column name."""
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()


def flatten(record: Row, types: Mapping[str, str], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The columns that a record of the file must fill: nested objects as `parent__child`."""
    for field, value in record.items():
        name = prefix + snake(field)
        if isinstance(value, dict) and name not in types:
            yield from flatten(value, types, f"{name}__")
        else:
            yield name, value


def expect(value: Any, kind: str, column: str) -> Any:
    """The value of the file as it must come out of a column of that type."""
    if value is None:
        return None
    if kind == "TIMESTAMP WITH TIME ZONE":
        return datetime.fromisoformat(value)
    return str(value) if column == "exit" else value


def find_differences(record: Row, row: Row, types: Mapping[str, str]) -> list[tuple[str, Any, Any]]:
    """Columns of a row that are not what the file says: name, expected, actual."""
    found = []
    for column, value in flatten(record, types):
        if value is None and any(name.startswith(f"{column}__") for name in types):
            continue  # an object that the run has not
        actual = row[column]
        if types.get(column) == "JSON" and actual is not None:
            actual = json.loads(actual)
        expected = expect(value, types.get(column, ""), column)
        if expected != actual or type(expected) is not type(actual):
            found.append((column, expected, actual))
    return found


# --- the tests ----------------------------------------------------------------------------------


def test_both_syncs_end_well_and_quietly(synced: Synced) -> None:
    """Exit code 0, status ok, nothing on standard error."""
    for ended in (synced.first, synced.second):
        assert (ended.code, ended.err) == (0, "")
        assert ended.json["status"] == "ok"


def test_every_task_is_there_once(synced: Synced) -> None:
    """371 tasks in three runs, with the cost that the runs are known for."""
    sql = "SELECT workflow_id, count(*) AS n, round(sum(cost), 4) AS usd FROM tasks GROUP BY ALL"
    counted = {row["workflow_id"]: (row["n"], row["usd"]) for row in synced.ask(sql)}
    expected = {RNASEQ: (297, 21.2607), SAREK: (16, 6.1615), METHYLSEQ: (58, 11.5759)}
    assert expected == counted
    (keys,) = synced.ask("SELECT count(DISTINCT (workflow_id, task_id)) AS n FROM tasks")
    assert keys["n"] == 371


def test_cached_and_failed_tasks_are_told_apart(synced: Synced) -> None:
    """Four tasks of the sarek run came from an earlier one; two of the rnaseq run failed."""
    sql = "SELECT workflow_id, status, count(*) AS n FROM tasks GROUP BY ALL"
    counted = {(row["workflow_id"], row["status"]): row["n"] for row in synced.ask(sql)}
    assert (counted[SAREK, "CACHED"], counted[RNASEQ, "FAILED"]) == (4, 2)


def test_every_field_of_every_run_is_as_in_the_file(
    synced: Synced, dumps: Mapping[str, Row]
) -> None:
    """Each field of `workflow` has a column with its value."""
    rows = {row["id"]: row for row in synced.ask("SELECT * FROM workflows")}
    assert dumps.keys() == rows.keys()
    types = synced.types["workflows"]
    for run_id, dump in dumps.items():
        assert find_differences(dump["workflow"], rows[run_id], types) == []


def test_every_field_of_every_task_is_as_in_the_file(
    synced: Synced, dumps: Mapping[str, Row]
) -> None:
    """Each field of each task has a column with its value; `exit` is text."""
    rows = {(row["workflow_id"], row["task_id"]): row for row in synced.ask("SELECT * FROM tasks")}
    types = synced.types["tasks"]
    for run_id, dump in dumps.items():
        for task in (entry["task"] for entry in dump["tasks"]):
            assert find_differences(task, rows[run_id, task["taskId"]], types) == []


def test_every_field_of_progress_is_as_in_the_file(
    synced: Synced, dumps: Mapping[str, Row]
) -> None:
    """The progress of each run and of each process, and no process more."""
    loads = {row["workflow_id"]: row for row in synced.ask("SELECT * FROM workflow_progress")}
    rows = synced.ask("SELECT * FROM process_progress")
    processes = {(row["workflow_id"], row["process"]): row for row in rows}
    assert len(rows) == sum(len(dump["progress"]["processesProgress"]) for dump in dumps.values())
    for run_id, dump in dumps.items():
        progress = dump["progress"]
        whole = progress["workflowProgress"] | {"totalProcesses": progress["totalProcesses"]}
        types = synced.types["workflow_progress"]
        assert find_differences(whole, loads[run_id], types) == []
        for load in progress["processesProgress"]:
            row = processes[run_id, load["process"]]
            assert find_differences(load, row, synced.types["process_progress"]) == []


def test_every_figure_of_the_metrics_is_as_in_the_file(
    synced: Synced, dumps: Mapping[str, Row]
) -> None:
    """One row per process and quantity, with all its figures, and no row more."""
    rows = {
        (row["workflow_id"], row["process"], row["metric"]): row
        for row in synced.ask("SELECT * FROM process_metrics")
    }
    types, expected = synced.types["process_metrics"], 0
    for run_id, dump in dumps.items():
        for entry in dump["metrics"]:
            quantities = {key: entry[key] for key in entry.keys() - {"id", "process"} if entry[key]}
            expected += len(quantities)
            for field, figures in quantities.items():
                row = rows[run_id, entry["process"], snake(field)]
                assert find_differences(figures | {"metricId": entry["id"]}, row, types) == []
    assert expected == len(rows)


def test_nothing_is_undocumented(synced: Synced) -> None:
    """Every field of the real runs has a column of its own."""
    for table, columns in synced.types.items():
        if "undocumented" in columns:
            sql = f"SELECT undocumented FROM {table} WHERE undocumented IS NOT NULL"  # noqa: S608 names of tables
            assert (table, []) == (table, synced.ask(sql))


def test_a_sync_with_nothing_new_writes_its_sync_run_alone(synced: Synced) -> None:
    """The second sync adds one row to `sync_runs`, and says so."""
    assert {name: count for name, count in synced.grown.items() if count} == {"sync_runs": 1}
    assert synced.second.json["rows"] == {"sync_runs": 1}


def test_a_sync_with_nothing_new_costs_two_calls_a_workspace(synced: Synced) -> None:
    """Beside the three calls of discovery, counted where they arrive."""
    discovery = Counter({"/api/service-info": 1, "/api/user-info": 1, "/api/user/N/workspaces": 1})
    assert discovery == synced.calls & discovery
    beyond = synced.calls - discovery
    assert beyond.total() <= 2 * WORKSPACES, beyond
    assert synced.calls.total() == synced.second.json["calls"]

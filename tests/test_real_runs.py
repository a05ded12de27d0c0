"""Three real runs, served from their dumps: the tables after a sync match the dumps."""

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
    """The tables of the real runs after two syncs.

    Attributes:
        path: The DuckDB file.
        first: Result of the first sync's process.
        second: Result of the second sync's process.
        calls: Calls of the second sync, by path.
        grown: Rows that the second sync added, by table.
        types: Type of each column, by table and name.
    """

    path: Path
    first: Ended
    second: Ended
    calls: Counter[str]
    grown: Mapping[str, int]
    types: Mapping[str, Mapping[str, str]]

    def ask(self, sql: str, *values: object) -> list[Row]:
        """Return rows as dictionaries, with times as aware UTC datetimes."""
        with open_tables(self.path) as connection:
            asked = connection.execute(sql, list(values))
            names = [column[0] for column in asked.description or ()]
            return [dict(zip(names, row, strict=True)) for row in asked.fetchall()]


def open_tables(path: Path) -> duckdb.DuckDBPyConnection:
    """Open a connection in which tables are found by their bare names."""
    connection = duckdb.connect(str(path), read_only=True)
    connection.execute("USE runs.tower")
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def count_rows(path: Path) -> dict[str, int]:
    """Return the number of rows of each table, except dlt's."""
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
    """Return the type of each column, by table and name."""
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
    """Return the dumped runs, by id."""
    read = (json.loads(path.read_text()) for path in sorted((shared / "runs").glob("*.json")))
    return {dump["workflow"]["id"]: dump for dump in read}


@pytest.fixture(scope="module")
def synced(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Synced:
    """Sync twice in a real process; the server's data does not change in between."""
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


# --- values expected from the dump ----------------------------------------------------------------


def to_snake_case(name: str) -> str:
    """Convert an API name to a column name."""
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()


def flatten(record: Row, types: Mapping[str, str], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the columns that a record of the dump must fill: nested objects as `parent__child`."""
    for field, value in record.items():
        name = prefix + to_snake_case(field)
        if isinstance(value, dict) and name not in types:
            yield from flatten(value, types, f"{name}__")
        else:
            yield name, value


def expect(value: Any, kind: str, column: str) -> Any:
    """Convert a value of the dump to the value expected from a column of this type."""
    if value is None:
        return None
    if kind == "TIMESTAMP WITH TIME ZONE":
        return datetime.fromisoformat(value)
    return str(value) if column == "exit" else value


def find_differences(record: Row, row: Row, types: Mapping[str, str]) -> list[tuple[str, Any, Any]]:
    """Return the columns in which a row differs from the dump: name, expected, actual."""
    found = []
    for column, value in flatten(record, types):
        if value is None and any(name.startswith(f"{column}__") for name in types):
            continue  # the run lacks this nested object
        actual = row[column]
        if types.get(column) == "JSON" and actual is not None:
            actual = json.loads(actual)
        expected = expect(value, types.get(column, ""), column)
        if expected != actual or type(expected) is not type(actual):
            found.append((column, expected, actual))
    return found


# --- the tests ----------------------------------------------------------------------------------


def test_both_syncs_succeed_without_output_on_stderr(synced: Synced) -> None:
    for ended in (synced.first, synced.second):
        assert (ended.code, ended.err) == (0, "")
        assert ended.json["status"] == "ok"


def test_every_task_is_stored_once(synced: Synced) -> None:
    """There are 371 tasks in three runs; the expected costs are the known totals of the runs."""
    sql = "SELECT workflow_id, count(*) AS n, round(sum(cost), 4) AS usd FROM tasks GROUP BY ALL"
    counted = {row["workflow_id"]: (row["n"], row["usd"]) for row in synced.ask(sql)}
    expected = {RNASEQ: (297, 21.2607), SAREK: (16, 6.1615), METHYLSEQ: (58, 11.5759)}
    assert expected == counted
    (keys,) = synced.ask("SELECT count(DISTINCT (workflow_id, task_id)) AS n FROM tasks")
    assert keys["n"] == 371


def test_cached_and_failed_tasks_keep_their_status(synced: Synced) -> None:
    """Four tasks of the sarek run came from an earlier run; two of the rnaseq run failed."""
    sql = "SELECT workflow_id, status, count(*) AS n FROM tasks GROUP BY ALL"
    counted = {(row["workflow_id"], row["status"]): row["n"] for row in synced.ask(sql)}
    assert (counted[SAREK, "CACHED"], counted[RNASEQ, "FAILED"]) == (4, 2)


def test_every_field_of_a_run_matches_the_dump(synced: Synced, dumps: Mapping[str, Row]) -> None:
    rows = {row["id"]: row for row in synced.ask("SELECT * FROM workflows")}
    assert dumps.keys() == rows.keys()
    types = synced.types["workflows"]
    for run_id, dump in dumps.items():
        assert find_differences(dump["workflow"], rows[run_id], types) == []


def test_every_field_of_a_task_matches_the_dump(synced: Synced, dumps: Mapping[str, Row]) -> None:
    """The column `exit` is text although the dump may have numbers."""
    rows = {(row["workflow_id"], row["task_id"]): row for row in synced.ask("SELECT * FROM tasks")}
    types = synced.types["tasks"]
    for run_id, dump in dumps.items():
        for task in (entry["task"] for entry in dump["tasks"]):
            assert find_differences(task, rows[run_id, task["taskId"]], types) == []


def test_every_field_of_run_and_process_progress_matches_the_dump(
    synced: Synced, dumps: Mapping[str, Row]
) -> None:
    """No process has a row that the dump does not contain."""
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


def test_every_figure_of_the_process_metrics_matches_the_dump(
    synced: Synced, dumps: Mapping[str, Row]
) -> None:
    """There is one row per process and metric, and no other row."""
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
                row = rows[run_id, entry["process"], to_snake_case(field)]
                assert find_differences(figures | {"metricId": entry["id"]}, row, types) == []
    assert expected == len(rows)


def test_every_field_of_the_real_runs_has_a_column(synced: Synced) -> None:
    """The column `undocumented`, which keeps extra fields, is null in every row."""
    for table, columns in synced.types.items():
        if "undocumented" in columns:
            sql = f"SELECT undocumented FROM {table} WHERE undocumented IS NOT NULL"  # noqa: S608 names of tables
            assert (table, []) == (table, synced.ask(sql))


def test_a_sync_without_changes_writes_only_its_sync_run(synced: Synced) -> None:
    assert {name: count for name, count in synced.grown.items() if count} == {"sync_runs": 1}
    assert synced.second.json["rows"] == {"sync_runs": 1}


def test_a_sync_without_changes_makes_two_calls_per_workspace(synced: Synced) -> None:
    """Discovery makes three calls besides. Calls are counted where the server receives them."""
    discovery = Counter({"/api/service-info": 1, "/api/user-info": 1, "/api/user/N/workspaces": 1})
    assert discovery == synced.calls & discovery
    beyond = synced.calls - discovery
    assert beyond.total() <= 2 * WORKSPACES, beyond
    assert synced.calls.total() == synced.second.json["calls"]

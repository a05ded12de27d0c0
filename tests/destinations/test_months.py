"""Partitions by month: changes are detected, and all rows of a month are selected."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from tower_etl.destinations.lake.mirror import connect, scan_staging
from tower_etl.destinations.lake.partitions import partition_scheme, scan_partitions
from tower_etl.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import duckdb

MONTHS = ("2026-01-01", "2026-02-01", "2026-03-01")
RUNS = 30  # distributed evenly over the months
OTHER = {
    pa.string(): "'other'",
    pa.int64(): "42",
    pa.float64(): "0.5",
    pa.bool_(): "true",
    pa.timestamp("us", "UTC"): "TIMESTAMPTZ '2020-02-02T00:00:00Z'",
}


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a staging database with runs of one task each."""
    runs = [make_run(number) for number in range(RUNS)]
    tasks = [{"workflow_id": run["id"], "task_id": 1, "name": "align"} for run in runs]
    with connect(tmp_path / "draft.duckdb") as connection:
        connection.execute("CREATE SCHEMA tower")
        for name, rows in (("workflows", runs), ("tasks", tasks)):
            connection.register("rows", pa.Table.from_pylist(rows, TABLES[name].arrow_schema))
            connection.execute(f"CREATE TABLE tower.{name} AS FROM rows")
        yield connection


def make_run(number: int) -> dict[str, Any]:
    """Return a run with an id and a submission time only."""
    month = datetime.fromisoformat(MONTHS[number % len(MONTHS)]).replace(tzinfo=UTC)
    return {"id": f"run-{number}", "submit": month + timedelta(hours=number)}


def find_changed(connection: duckdb.DuckDBPyConnection, statement: str) -> set[str]:
    """Return the months of tasks whose fingerprint a statement changes."""
    before = scan_partitions(connection, partition_scheme("tasks"))
    connection.execute(statement)
    after = scan_partitions(connection, partition_scheme("tasks"))
    known = {month: stretch.fingerprint for month, stretch in before.items()}
    return {month for month, found in after.items() if found.fingerprint != known.get(month)}


def test_a_changed_value_in_any_column_changes_only_its_month(
    copy: duckdb.DuckDBPyConnection,
) -> None:
    fields = [field for field in TABLES["tasks"].arrow_schema if field.name != "workflow_id"]
    changed = {
        field.name: find_changed(
            copy,
            f'UPDATE tower.tasks SET "{field.name}" = {OTHER[field.type]} '  # noqa: S608 trusted names
            "WHERE workflow_id = 'run-4'",
        )
        for field in fields
    }
    assert [name for name, months in changed.items() if months != {MONTHS[1]}] == []


@pytest.mark.parametrize("name", ["s", "t", "w", "tasks", "the_row", "rowid_"])
def test_changes_are_found_if_a_column_has_the_name_of_an_alias(
    copy: duckdb.DuckDBPyConnection, name: str
) -> None:
    """A promoted field may have any name, also one that the query uses."""
    copy.execute(f"ALTER TABLE tower.tasks ADD COLUMN {name} VARCHAR")
    renamed = "UPDATE tower.tasks SET name = 'sort' WHERE workflow_id = 'run-5'"
    assert {MONTHS[2]} == find_changed(copy, renamed)


def test_all_rows_of_a_month_are_selected_wherever_they_are_stored(
    copy: duckdb.DuckDBPyConnection,
) -> None:
    """A rewritten run is stored behind the rows of later months."""
    copy.execute("CREATE TEMP TABLE again AS FROM tower.tasks WHERE workflow_id = 'run-3'")
    copy.execute("DELETE FROM tower.tasks WHERE workflow_id = 'run-3'")
    copy.execute("INSERT INTO tower.tasks FROM again")
    cut = partition_scheme("tasks")
    stretches = scan_partitions(copy, cut)
    for wanted in ([MONTHS[0]], MONTHS[1:], MONTHS, []):
        chosen = cut.select({month: stretches[month] for month in wanted})
        runs = f"SELECT workflow_id FROM ({chosen}) ORDER BY ALL"  # noqa: S608 trusted names
        expected = [f"run-{number}" for number in range(RUNS) if MONTHS[number % 3] in wanted]
        assert [(run,) for run in sorted(expected)] == copy.execute(runs).fetchall()


def test_a_staging_connection_has_a_memory_limit_and_utc(copy: duckdb.DuckDBPyConnection) -> None:
    """Without a limit, DuckDB caches what it reads in up to 80 % of the machine's memory."""
    limit = "SELECT current_setting('memory_limit'), current_setting('TimeZone')"
    assert copy.execute(limit).fetchall() == [("381.4 MiB", "UTC")]


@pytest.mark.slow
def test_long_texts_are_exported_within_the_memory_limit(
    copy: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """Row groups are limited by size, not only by their number of rows."""
    copy.execute(
        "INSERT INTO tower.tasks BY NAME SELECT 'run-0' AS workflow_id, n AS task_id, "
        "repeat(md5(n::VARCHAR), 400) AS script FROM range(2, 50_002) AS made(n)"
    )
    export, manifest = scan_staging(copy, "parquet", "first")
    export.write_file("tasks", MONTHS[0], tmp_path / "tasks.parquet")
    written = parquet.ParquetFile(tmp_path / "tasks.parquet").metadata
    assert RUNS // len(MONTHS) + 50_000 == written.num_rows
    assert set(MONTHS) == set(manifest.tables["tasks"].partitions)

"""The folder of Parquet files, as read by pandas and DuckDB."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd
import pyarrow as pa
import pytest

from tower_etl.destinations.duckdb_files import DuckDBPaths
from tower_etl.destinations.lake.mirror import LakeDestination
from tower_etl.destinations.lake.parquet import ParquetLake
from tower_etl.errors import ConfigurationError
from tower_etl.schema import TABLES
from tower_etl.warehouse.reader import open_reader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MONTHS = ("2026-01-01", "2026-02-01", "2026-03-01")
RUNS = 30  # ten a month

READER = """
import sys
import duckdb, pandas as pd
how, table = sys.argv[1:]
read = {
    "pandas": lambda: pd.read_parquet(table),
    "duckdb": lambda: duckdb.sql(f"FROM read_parquet('{table}/**/*.parquet')").df(),
}[how]
print("ready", flush=True)
for line in sys.stdin:
    try:
        rows = read()
    except (OSError, duckdb.IOException) as error:
        gone = isinstance(error, FileNotFoundError) or "No such file" in str(error)
        print("gone" if gone or "No files found" in str(error) else repr(error), flush=True)
        continue
    print(len(rows), rows["id"].nunique(), sorted(set(rows["status"])), flush=True)
"""


@pytest.fixture
def mirror(tmp_path: Path) -> LakeDestination:
    """Return an empty folder with its staging copy."""
    folder = tmp_path / "history"
    return LakeDestination(
        "parquet", ParquetLake(folder), DuckDBPaths(folder, tmp_path / "history.sync")
    )


@pytest.fixture
def publish(mirror: LakeDestination) -> Callable[..., None]:
    """Return a function that publishes `RUNS` runs, with a status for each month."""
    mirror.paths.work_dir.mkdir()

    def run(statuses: dict[str, str], now: datetime = NOW) -> None:
        mirror.prepare()
        runs = [make_run(number, statuses) for number in range(RUNS)]
        with duckdb.connect(str(mirror.paths.staging)) as connection:
            connection.execute("CREATE SCHEMA IF NOT EXISTS tower")
            for name in TABLES:
                rows = pa.Table.from_pylist(
                    runs if name == "workflows" else [], TABLES[name].arrow_schema
                )
                connection.register("rows", rows)
                connection.execute(f"CREATE OR REPLACE TABLE tower.{name} AS FROM rows")
        mirror.publish(now, verify=True)  # no load package recorded these changes

    return run


def make_run(number: int, statuses: dict[str, str]) -> dict[str, Any]:
    """Return a run with an id, a submission time and a status only."""
    month = MONTHS[number % len(MONTHS)]
    submit = datetime.fromisoformat(month).replace(tzinfo=UTC) + timedelta(hours=number)
    return {"id": f"run-{number}", "submit": submit, "status": statuses[month]}


def test_an_unchanged_month_is_a_hard_link_to_the_same_file(
    mirror: LakeDestination, publish: Callable[..., None], tmp_path: Path
) -> None:
    publish(dict.fromkeys(MONTHS, "old"))
    before = find_files(tmp_path)
    publish(dict.fromkeys(MONTHS, "old") | {MONTHS[2]: "new"})
    after = find_files(tmp_path)
    assert [before[m] == after[m] for m in MONTHS] == [True, True, False]


def find_files(folder: Path) -> dict[str, tuple[str, int]]:
    """Return the file of each month and its inode."""
    found = (folder / "history" / "workflows").rglob("*.parquet")
    return {
        path.parent.name.removeprefix("month="): (path.name, path.stat().st_ino) for path in found
    }


def test_a_query_of_one_month_reads_only_its_file(
    publish: Callable[..., None], tmp_path: Path
) -> None:
    """DuckDB skips the other files by the names of their folders."""
    publish(dict.fromkeys(MONTHS, "old"))
    glob = tmp_path / "history/workflows/**/*.parquet"
    rows = f"read_parquet('{glob}') WHERE month = '{MONTHS[1]}'"
    with duckdb.connect() as connection:
        explain = f"EXPLAIN ANALYZE SELECT count(*) FROM {rows}"  # noqa: S608 trusted names
        plan = connection.execute(explain).fetchall()
    assert "1/3" in "".join(plan[0][1].split())


def test_an_empty_table_has_its_columns(publish: Callable[..., None], tmp_path: Path) -> None:
    publish(dict.fromkeys(MONTHS, "old"))
    names = [*TABLES["tasks"].arrow_schema.names, "month"]
    assert names == list(pd.read_parquet(tmp_path / "history/tasks").columns)
    found = duckdb.execute(f"FROM read_parquet('{tmp_path}/history/tasks/**/*.parquet')")
    assert names == [column[0] for column in found.description or ()]
    assert found.fetchall() == []


@pytest.mark.slow
@pytest.mark.parametrize("how", ["pandas", "duckdb"])
def test_a_reader_never_sees_a_mixture_of_two_snapshots(
    how: str, publish: Callable[..., None], tmp_path: Path
) -> None:
    """Twenty syncs publish meanwhile.

    A read returns one snapshot, or fails because its files are gone.
    """
    publish(dict.fromkeys(MONTHS, "0"))
    table = str(tmp_path / "history" / "workflows")
    command = [sys.executable, "-c", READER, how, table]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n"
        for state in range(1, 21):
            reader.stdin.write("read\n" * 5)
            reader.stdin.flush()
            publish(dict.fromkeys(MONTHS, str(state)))
        reader.stdin.close()
        seen = reader.stdout.read().splitlines()
    states = {f"{RUNS} {RUNS} ['{state}']" for state in range(21)}
    assert set(seen) <= states | {"gone"}
    assert len(set(seen) & states) > 1


@pytest.mark.slow
def test_a_reader_that_resolves_the_symlink_keeps_its_snapshot(
    publish: Callable[..., None], tmp_path: Path
) -> None:
    """The previous snapshot is kept for its retention time.

    `open_reader` resolves the symlink itself.
    """
    publish(dict.fromkeys(MONTHS, "old"))
    pinned = (tmp_path / "history" / "workflows").resolve()
    with open_reader(tmp_path / "history") as connection:
        publish(dict.fromkeys(MONTHS, "new"))
        assert {"old"} == set(pd.read_parquet(pinned)["status"])
        assert connection.execute("SELECT DISTINCT status FROM workflows").fetchall() == [("old",)]
    assert {"new"} == set(pd.read_parquet(tmp_path / "history" / "workflows")["status"])


@pytest.mark.slow
def test_a_snapshot_is_deleted_after_its_retention_time(
    mirror: LakeDestination, publish: Callable[..., None], tmp_path: Path
) -> None:
    """The time starts when the next snapshot replaces it."""
    publish(dict.fromkeys(MONTHS, "old"), NOW)
    publish(dict.fromkeys(MONTHS, "new"), NOW + timedelta(hours=5))
    pinned = (tmp_path / "history" / "workflows").resolve()
    publish(dict.fromkeys(MONTHS, "newer"), NOW + timedelta(hours=6))
    assert pinned.is_dir()
    mirror.lake.maintain(NOW + timedelta(hours=9))
    assert not pinned.is_dir()
    assert {"newer"} == set(pd.read_parquet(tmp_path / "history" / "workflows")["status"])


def test_a_folder_with_other_files_is_refused_and_unchanged(
    mirror: LakeDestination, tmp_path: Path
) -> None:
    (tmp_path / "history").mkdir()
    (tmp_path / "history" / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match="contains other files"):
        mirror.validate()
    assert [tmp_path / "history"] == list(tmp_path.iterdir())

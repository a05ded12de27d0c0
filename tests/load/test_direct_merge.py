"""Direct merge of load packages from Parquet files: keys, groups, tombstones, scopes, odd paths."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import dlt
import duckdb
import psycopg2
import pyarrow as pa
import pytest

from tests.sql.postgres import start_postgres
from tower_etl.destinations.dlt_pipeline import dlt_defaults
from tower_etl.destinations.duckdb import DirectMergeDuckDB
from tower_etl.destinations.postgres import DirectMergePostgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Rows = list[tuple[Any, ...]]


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """Start a PostgreSQL server and yield its address; skip if not installed."""
    with start_postgres() as server:
        yield f"postgresql://tower:none@localhost/postgres?host={server.folder}"


@pytest.fixture(params=["plain", "it's a=1", "postgres"])
def load(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., Rows]:
    """Return a function that loads batches of rows `(run, task, text, removed)`, then reads all.

    The parameters are the name of the folder with a DuckDB file, and a PostgreSQL database.
    """
    folder = tmp_path / request.param
    folder.mkdir()
    destination: Any
    if request.param == "postgres":
        address = request.getfixturevalue("postgres")
        read_all(address, "DROP SCHEMA IF EXISTS tower CASCADE; SELECT 1")
        destination = DirectMergePostgres(address, destination_name="postgres")
    else:
        address = str(folder / "file.duckdb")
        destination = DirectMergeDuckDB(address, destination_name="duckdb")
    pipeline = dlt.pipeline(
        "merged", pipelines_dir=str(folder / "dlt"), destination=destination, dataset_name="tower"
    )

    def run(*batches: list[tuple[str, int, str | None, bool]], **hints: Any) -> Rows:
        names = ("run", "task", "text", "_removed")
        tables = [
            pa.table({name: [row[at] for row in rows] for at, name in enumerate(names)})
            for rows in batches
        ]
        resource = dlt.resource(
            iter(tables),
            name="tasks",
            **{"write_disposition": "merge", "primary_key": ("run", "task")} | hints,
        )
        with dlt_defaults():
            pipeline.run(resource, loader_file_format="parquet")
        schemas = (
            "SELECT count(*) FROM information_schema.schemata WHERE schema_name LIKE 'tower_%'"
        )
        assert read_all(address, schemas) == [(0,)]  # no staging dataset is created
        return read_all(address, "SELECT run, task, text FROM tower.tasks ORDER BY run, task")

    return run


def read_all(address: str, sql: str) -> Rows:
    """Return the rows of a query in a DuckDB file or a PostgreSQL database."""
    if not address.startswith("postgresql:"):
        with duckdb.connect(address, read_only=True) as connection:
            return connection.execute(sql).fetchall()
    with closing(psycopg2.connect(address, client_encoding="utf8")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())


def test_a_row_replaces_the_row_with_the_same_key(load: Callable[..., Rows]) -> None:
    load([("a", 1, "old", False), ("a", 2, "old", False), ("b", 1, "old", False)])
    assert load([("a", 1, "new", False), ("c", 1, "new", False)]) == [
        ("a", 1, "new"),
        ("a", 2, "old"),
        ("b", 1, "old"),
        ("c", 1, "new"),
    ]


def test_the_last_row_of_a_repeated_key_is_kept(load: Callable[..., Rows]) -> None:
    """The key is repeated within a batch and in the next batch."""
    first = [("a", 1, "first", False), ("a", 1, "second", False), ("b", 1, "only", False)]
    assert load(first, [("a", 1, "third", False)]) == [("a", 1, "third"), ("b", 1, "only")]


def test_rows_replace_their_group_by_merge_key(load: Callable[..., Rows]) -> None:
    load([("a", 1, "old", False), ("a", 2, "old", False), ("b", 1, "old", False)])
    group = {"merge_key": ("run",)}
    assert load([("a", 2, "new", False)], **group) == [("a", 2, "new"), ("b", 1, "old")]


def test_a_tombstone_removes_a_row_and_is_not_stored(load: Callable[..., Rows]) -> None:
    load([("a", 1, "old", False), ("a", 2, "old", False)])
    removing = {"columns": {"_removed": {"hard_delete": True}}}
    assert load([("a", 1, "gone", True)], **removing) == [("a", 2, "old")]


def test_a_destination_scope_selects_the_rows_to_replace(load: Callable[..., Rows]) -> None:
    load([("a", 1, "old", False), ("a", 2, "old", False), ("b", 1, "old", False)])
    scope = {
        "disposition": "merge",
        "strategy": "delete-insert",
        "destination_scope": "run IN (SELECT run FROM {staging_table})",
    }
    rows = [("a", 7, "new", False), ("a", 7, "again", False)]
    assert load(rows, write_disposition=scope) == [("a", 7, "again"), ("b", 1, "old")]


def test_append_and_replace_dispositions_work_as_in_dlt(load: Callable[..., Rows]) -> None:
    row = ("a", 1, "one", False)
    load([row], write_disposition="append")
    assert load([row], write_disposition="append") == [("a", 1, "one")] * 2
    assert load([("b", 1, "two", False)], write_disposition="replace") == [("b", 1, "two")]


@pytest.mark.parametrize(
    "text", [None, "", "NULL", "\\N", 'two\nlines, "quoted"', "'", "\t", "é\u2028", "a\\nb", "\\."]
)
def test_text_is_stored_as_it_is(load: Callable[..., Rows], text: str | None) -> None:
    """A null differs from an empty text, and markers of formats are plain text."""
    rows = [("a", 1, text, False), ("a", 2, "other", False)]
    assert load(rows) == [("a", 1, text), ("a", 2, "other")]

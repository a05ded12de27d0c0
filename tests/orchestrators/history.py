"""Keys of the rows in a synced file, and those after a single load of all tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dlt
import duckdb

from tower_etl import run_in_packages, tower_source
from tower_etl.schema import TABLES
from tower_etl.simulator import DEMO_TOKEN

if TYPE_CHECKING:
    from pathlib import Path

    Keys = dict[str, list[tuple[object, ...]]]

BY_SYNC = {"sync_id", "valid_from"}  # key columns that depend on when a sync ran


def read_keys(file: Path) -> Keys:
    """Return the sorted keys of each table that has rows, except the record of syncs."""
    with duckdb.connect(str(file), read_only=True) as connection:
        there = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'tower'"
        names = {name for (name,) in connection.execute(there).fetchall()}
        keys: Keys = {}
        for name in (names & TABLES.keys()) - {"sync_runs"}:
            columns = ", ".join(column for column in TABLES[name].key if column not in BY_SYNC)
            query = f"SELECT {columns or 'NULL'} FROM {file.stem}.tower.{name} ORDER BY ALL"  # noqa: S608 - known names
            keys[name] = connection.execute(query).fetchall()
    return {name: rows for name, rows in keys.items() if rows}


def load_everything(endpoint: str, folder: Path) -> Keys:
    """Return the keys after a first load of all tables by plain dlt."""
    file = folder / "first.duckdb"
    pipeline = dlt.pipeline(
        "first",
        pipelines_dir=str(folder / "pipelines"),
        destination=dlt.destinations.duckdb(str(file)),
        dataset_name="tower",
    )
    source = tower_source(endpoint=endpoint, access_token=DEMO_TOKEN, rate="none")
    run_in_packages(pipeline, source, loader_file_format="parquet")
    return read_keys(file)

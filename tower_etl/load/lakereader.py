"""Reading a local lake with DuckDB: its tables by their bare names, and the views over them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

from tower_etl.errors import UsageError
from tower_etl.load.mirror import open_lake
from tower_etl.load.parquet import SNAPSHOTS
from tower_etl.load.place import LAKES, Place
from tower_etl.load.target import DATASET
from tower_etl.load.views import create_views, iter_views
from tower_etl.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tower_etl.load.lake import Lake
    from tower_etl.load.manifest import Manifest


def open_lake_reader(folder: Path) -> duckdb.DuckDBPyConnection:
    """A connection to the tables of a folder, as they are now; what comes later stays out.

    Raises:
        UsageError: No sync has written to the folder.
    """
    lake, manifest = _find_lake(folder)
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"CREATE SCHEMA {DATASET}")
    connection.execute(f"USE memory.{DATASET}")
    for name, files in lake.list_files().items():
        connection.execute(_define(name, files, manifest.tables[name].ddl))
    create_views(connection, iter_views())
    return connection


def _find_lake(folder: Path) -> tuple[Lake, Manifest]:
    kinds = ["parquet"] if (folder / SNAPSHOTS).is_dir() else LAKES[1:]
    for kind in kinds:
        try:
            lake = open_lake(Place(kind, str(folder), folder))
            manifest = lake.read_manifest()
        except UsageError:
            continue
        if manifest is not None:
            return lake, manifest
    msg = f"{folder} has no tables of a sync: run `tower-etl sync` first, or give another --path."
    raise UsageError(msg)


def _define(name: str, files: Sequence[str], ddl: str) -> str:
    """A view of the files; a table without a row has none, and is made empty."""
    if not files:
        return ddl
    spec = TABLES.get(name)
    texts = [f'"{c.name}"::JSON AS "{c.name}"' for c in spec.columns if c.is_json] if spec else []
    columns = f"* REPLACE ({', '.join(texts)})" if texts else "*"
    listed = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
    return (
        f'CREATE VIEW "{name}" AS SELECT {columns} '  # noqa: S608 names and files are ours
        f"FROM read_parquet([{listed}], hive_partitioning = true)"
    )

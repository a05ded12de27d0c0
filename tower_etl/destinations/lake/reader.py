"""Reading a lake with DuckDB: its tables by unqualified names, and the views on them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from tower_etl.config.settings import DATASET
from tower_etl.destinations.config import DestinationConfig
from tower_etl.destinations.lake.manifest import detect_format
from tower_etl.destinations.lake.mirror import open_lake
from tower_etl.destinations.lake.parquet import SNAPSHOTS
from tower_etl.destinations.local_folder import LocalFolder
from tower_etl.destinations.path_checks import explain_unpublished
from tower_etl.errors import ConfigurationError
from tower_etl.schema import STORED_TABLES
from tower_etl.text import install_command, quote_text
from tower_etl.views.definitions import create_local_tables, create_views, iter_views

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tower_etl.destinations.lake.base import LakeFormat
    from tower_etl.destinations.lake.manifest import Manifest


def open_lake_reader(path: Path | str) -> duckdb.DuckDBPyConnection:
    """Return a connection to the tables of a lake in its current snapshot.

    Args:
        path: Local folder, or URL of a folder in a bucket.

    Raises:
        ConfigurationError: No sync has written to the folder.
    """
    lake, manifest = _find_lake(path)
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"CREATE SCHEMA {DATASET}")
    connection.execute(f"USE memory.{DATASET}")
    if isinstance(path, str):  # read by the format's library: DuckDB would need to download httpfs
        for name, dataset in lake.open_datasets(manifest).items():
            connection.register(f"{name}_in_bucket", dataset)
            ddl = manifest.tables[name].ddl
            connection.execute(_define(name, f'"{name}_in_bucket"', ddl))
    else:
        for name, files in lake.list_files(manifest).items():
            source, ddl = _read_files(files), manifest.tables[name].ddl
            connection.execute(_define(name, source, ddl) if files else ddl)
    create_local_tables(connection)
    create_views(connection, iter_views())
    return connection


def _find_lake(path: Path | str) -> tuple[LakeFormat, Manifest]:
    kind = _find_kind(path)
    if kind is not None:
        lake = open_lake(DestinationConfig(kind, str(path), Path()))
        manifest = lake.read_manifest()
        if manifest is not None:
            return lake, manifest
    advice = explain_unpublished(path) or "Run `tower-etl sync`, or choose another --path."
    msg = f"{path} contains no tables of tower-etl. {advice}"
    raise ConfigurationError(msg)


def _find_kind(path: Path | str) -> str | None:
    """Return the format in the manifest; a Parquet lake has its manifest in the snapshot."""
    if isinstance(path, Path):
        return "parquet" if (path / SNAPSHOTS).is_dir() else detect_format(LocalFolder(path))
    try:
        from tower_etl.destinations.object_store import open_bucket  # noqa: PLC0415 an extra
    except ImportError:
        msg = (
            f"Reading a bucket needs extras: iceberg and s3 for Iceberg, else delta and s3. "
            f"Run: {install_command('delta,s3')}"
        )
        raise ConfigurationError(msg) from None
    return detect_format(open_bucket(path))


def _define(name: str, source: str, ddl: str) -> str:
    """Return a CREATE VIEW for a table; a lake of an earlier version may lack some columns."""
    specs = STORED_TABLES[name].columns if name in STORED_TABLES else ()
    existing = set(re.findall(r"\w+", ddl))
    json_columns = [spec.name for spec in specs if spec.is_json and spec.name in existing]
    texts = [f'"{column}"::JSON AS "{column}"' for column in json_columns]
    columns = f"* REPLACE ({', '.join(texts)})" if texts else "*"
    return f'CREATE VIEW "{name}" AS SELECT {columns} FROM {source}'  # noqa: S608 known names


def _read_files(files: Sequence[str]) -> str:
    """Return the SQL expression that reads Parquet files."""
    listed = ", ".join(map(quote_text, files))
    return f"read_parquet([{listed}], hive_partitioning = true)"

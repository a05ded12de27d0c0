"""DuckDB files through dlt, with the Parquet files of a package merged without staging tables.

dlt itself copies the files of each table into a staging table, merges that in a transaction of its
own, and truncates it. Here, all tables of a package are merged in the transaction that completes
the package.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import dlt
import duckdb
from dlt.common.configuration.container import Container
from dlt.common.storages.load_package import (
    LoadPackageStateInjectableContext,
    PackageStorage,
    ParsedLoadJobFileName,
)
from dlt.destinations.impl.duckdb.duck import DuckDbClient, DuckDbCopyJob
from dlt.destinations.job_impl import FinalizedLoadJob

from tower_etl.destinations.dlt_pipeline import PIPELINE, cache_capabilities, make_pipeline
from tower_etl.destinations.duckdb_storage import create_file
from tower_etl.destinations.errors import unwrap_cause

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dlt.common.destination import PreparedTableSchema
    from dlt.common.destination.client import FollowupJobRequest, LoadJob
    from dlt.common.schema.typing import TColumnProp

    from tower_etl.destinations.duckdb_paths import DuckDBPaths

_CLOSING_MEMORY = "150MB"


class DirectMergeClient(DuckDbClient):
    """dlt client that merges all tables of a package in the transaction that completes it."""

    def should_load_data_to_staging_dataset(self, table_name: str) -> bool:
        """Return false, because no table is staged."""
        del table_name
        return False

    def create_load_job(
        self,
        table: PreparedTableSchema,
        file_path: str,
        load_id: str,
        restore: bool = False,  # noqa: FBT001, FBT002 dlt's signature
    ) -> LoadJob:
        """Return the job of a file; Parquet files are left to `complete_load`."""
        job = super().create_load_job(table, file_path, load_id, restore)
        return FinalizedLoadJob(file_path) if isinstance(job, DuckDbCopyJob) else job

    def _create_merge_followup_jobs(
        self, table_chain: Sequence[PreparedTableSchema]
    ) -> list[FollowupJobRequest]:
        """Return no jobs, because `complete_load` merges the tables."""
        del table_chain
        return []

    def complete_load(self, load_id: str) -> None:
        """Merge all tables and record the package as loaded, in one transaction."""
        files = {name: _read_files(paths) for name, paths in _list_files().items()}
        with self.sql_client.begin_transaction():
            self.merge_package(files)
            super().complete_load(load_id)

    def merge_package(self, files: Mapping[str, str]) -> None:
        """Merge the rows of a package.

        Args:
            files: SQL expression that reads the rows of a table, by table.
        """
        for name, rows in files.items():
            self._load(name, rows)

    def _load(self, name: str, rows: str) -> None:
        """Load rows into a table; a merge replaces rows by merge key or primary key."""
        table = self.prepare_load_table(name)
        target = self.sql_client.make_qualified_table_name(name)
        loaded = f"SELECT * FROM {rows}"  # noqa: S608 names of this package
        if table["write_disposition"] == "merge":
            self.sql_client.execute_sql(_delete_replaced(table, target, rows))
            key = _list_columns(table, "primary_key")
            loaded = self._select_last(rows, ", ".join(key)) if key else loaded
            for removed in _list_columns(table, "hard_delete"):
                loaded = f"SELECT * FROM ({loaded}) WHERE {removed} IS NOT TRUE"  # noqa: S608 names of this package
        self.sql_client.execute_sql(f"INSERT INTO {target} BY NAME {loaded}")

    def _select_last(self, rows: str, key: str) -> str:
        """Return a query of the last row of each key; a plain one if no key is repeated."""
        repeated = f"SELECT 1 FROM {rows} GROUP BY {key} HAVING count(*) > 1 LIMIT 1"  # noqa: S608 names of this package
        if not self.sql_client.execute_sql(repeated):
            return f"SELECT * FROM {rows}"  # noqa: S608 names of this package
        numbered = f"SELECT *, row_number() OVER () AS _number FROM {rows}"  # noqa: S608 names of this package
        last = f"row_number() OVER (PARTITION BY {key} ORDER BY _number DESC) = 1"
        return f"SELECT * EXCLUDE (_number) FROM ({numbered}) QUALIFY {last}"  # noqa: S608 names of this package


def _delete_replaced(table: PreparedTableSchema, target: str, rows: str) -> str:
    """Return the statement that deletes the rows which those of a package replace.

    They are given by the scope of the resource, else by the merge key, else by the primary key.
    """
    scope: Any = table.get("x-merge-destination-scope")
    if scope:
        condition = scope.format(table=target, staging_table=rows)
    else:
        key = _list_columns(table, "merge_key") or _list_columns(table, "primary_key")
        same = " AND ".join(f"new.{name} = {target}.{name}" for name in key)
        condition = f"EXISTS (SELECT 1 FROM {rows} AS new WHERE {same})"  # noqa: S608 names of this package
    return f"DELETE FROM {target} WHERE {condition}"  # noqa: S608 names of this package


def _list_files() -> dict[str, list[str]]:
    """Return the Parquet files of the current package by table."""
    package = Container()[LoadPackageStateInjectableContext]
    folder = package.storage.get_job_state_folder_path(
        package.load_id, PackageStorage.COMPLETED_JOBS_FOLDER
    )
    files: dict[str, list[str]] = {}
    for path in sorted(package.storage.storage.list_folder_files(folder)):
        job = ParsedLoadJobFileName.parse(path)
        if job.file_format == "parquet":
            full_path = package.storage.storage.make_full_path(path)
            files.setdefault(job.table_name, []).append(full_path)
    return files


def _read_files(paths: Sequence[str]) -> str:
    """Return the SQL expression that reads Parquet files."""
    quoted = ", ".join("'{}'".format(path.replace("'", "''")) for path in paths)
    # Without `hive_partitioning`, DuckDB reads a parent folder `a=1` as a column.
    return f"read_parquet([{quoted}], union_by_name = true, hive_partitioning = false)"


def _list_columns(table: PreparedTableSchema, hint: TColumnProp) -> list[str]:
    """Return the quoted names of the columns with a hint."""
    return [f'"{name}"' for name, column in table["columns"].items() if column.get(hint)]


class DirectMergeDuckDB(dlt.destinations.duckdb):
    """dlt's DuckDB destination with `DirectMergeClient` and cached capabilities."""

    capabilities = cache_capabilities(dlt.destinations.duckdb.capabilities)

    @property
    def client_class(self) -> type[DirectMergeClient]:
        """Class of the client."""
        return DirectMergeClient


@contextmanager
def shared_connection(target: DuckDBPaths, memory: str | None = None) -> Iterator[None]:
    """Keep the staging copy open while a package is loaded: closing it after each job is slow.

    dlt opens and closes the file for each job. Within one process, DuckDB shares the database that
    is open. The context lasts for one package, because rows stay in memory until the checkpoint.

    Args:
        target: Paths of the file; the staging copy is created if it does not exist.
        memory: `memory_limit` of DuckDB; None for its default.

    Raises:
        TowerEtlError: The staging copy cannot be opened.
    """
    try:
        if not target.staging.exists():
            create_file(target.staging)
        connection = duckdb.connect(str(target.staging))
    except duckdb.Error as error:
        raise unwrap_cause(error, str(target.staging)) from error
    with connection:
        if memory:
            connection.execute(f"SET memory_limit = '{memory}'")
            # Rows that are buffered to keep their order, or by other threads, would not fit.
            connection.execute("SET preserve_insertion_order = false")
            connection.execute("SET threads = 1")
        yield
        # The checkpoint merges small row groups; without a limit, all of them are read into memory.
        with suppress(duckdb.Error):
            connection.execute(f"SET memory_limit = '{_CLOSING_MEMORY}'")


def open_pipeline(
    target: DuckDBPaths,
    name: str = PIPELINE,
    destination: type[DirectMergeDuckDB] = DirectMergeDuckDB,
) -> dlt.Pipeline:
    """Return the pipeline that loads into the staging copy of a DuckDB file."""
    copy = destination(str(target.staging), destination_name="duckdb")
    return make_pipeline(name, target.pipelines, copy)

"""Load packages that are merged from their Parquet files, without staging tables.

dlt itself copies the files of each table into a staging table, merges each staging table in a
separate transaction, and truncates it. Here, all tables of a package are merged in the transaction
that completes the package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dlt.common.configuration.container import Container
from dlt.common.storages.load_package import (
    LoadPackageStateInjectableContext,
    PackageStorage,
    ParsedLoadJobFileName,
)
from dlt.destinations.job_client_impl import SqlJobClientWithStagingDataset
from dlt.destinations.job_impl import FinalizedLoadJob

from tower_etl.text import quote_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dlt.common.destination import PreparedTableSchema
    from dlt.common.destination.client import FollowupJobRequest, LoadJob
    from dlt.common.schema.typing import TColumnProp, TSchemaTables


class DirectMergeClient(SqlJobClientWithStagingDataset):
    """Part of a dlt client of a SQL database; the class of the database comes after it.

    dlt would create a staging dataset, and drop tables in it, even if no table is staged.
    """

    def is_storage_initialized(self) -> bool:
        """Return whether the dataset exists; the staging dataset is treated as missing."""
        return not self.in_staging_dataset_mode and super().is_storage_initialized()

    def initialize_storage(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 dlt's signature
        """Create the dataset or truncate tables, but no staging dataset."""
        if not self.in_staging_dataset_mode:
            super().initialize_storage(*args, **kwargs)

    def update_stored_schema(self, *args: Any, **kwargs: Any) -> TSchemaTables | None:  # noqa: ANN401 likewise
        """Create missing tables and columns, but none in a staging dataset."""
        return (
            None if self.in_staging_dataset_mode else super().update_stored_schema(*args, **kwargs)
        )

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
        if ParsedLoadJobFileName.parse(file_path).file_format == "parquet":
            return FinalizedLoadJob(file_path)
        return super().create_load_job(table, file_path, load_id, restore)

    def _create_merge_followup_jobs(
        self, table_chain: Sequence[PreparedTableSchema]
    ) -> list[FollowupJobRequest]:
        """Return no jobs, because `complete_load` merges the tables."""
        del table_chain
        return []

    def complete_load(self, load_id: str) -> None:
        """Merge all tables and record the package as loaded, in one transaction."""
        with self.sql_client.begin_transaction():
            row_sources = {
                name: self.read_files(name, paths) for name, paths in _list_files().items()
            }
            self.merge_package(row_sources)
            super().complete_load(load_id)

    def merge_package(self, row_sources: Mapping[str, str]) -> None:
        """Merge the rows of a package.

        Args:
            row_sources: SQL expression that reads the rows of a table, by table.
        """
        for name, row_source in row_sources.items():
            self._load(name, row_source)

    def read_files(self, name: str, paths: Sequence[str]) -> str:
        """Return the SQL expression that reads the rows of Parquet files of a table."""
        raise NotImplementedError

    def select_last(self, row_source: str, key: Sequence[str]) -> str:
        """Return a query of the last row of each key."""
        raise NotImplementedError

    def insert(self, qualified_name: str, columns: str, query: str) -> None:
        """Insert the rows of a query into a table.

        Args:
            qualified_name: Qualified name of the table.
            columns: Quoted names of its columns; the query may lack some of them.
            query: SELECT of the rows.
        """
        raise NotImplementedError

    def _load(self, name: str, row_source: str) -> None:
        """Load rows into a table; a merge replaces rows by merge key or primary key."""
        table = self.prepare_load_table(name)
        qualified_name = self.sql_client.make_qualified_table_name(name)
        query = f"SELECT * FROM {row_source}"  # noqa: S608 names of this package
        if table["write_disposition"] == "merge":
            self.sql_client.execute_sql(_delete_replaced(table, qualified_name, row_source))
            key = _list_columns(table, "primary_key")
            query = self.select_last(row_source, key) if key else query
            for removed in _list_columns(table, "hard_delete"):
                query = f"SELECT * FROM ({query}) AS live WHERE {removed} IS NOT TRUE"  # noqa: S608 names of this package
        self.insert(qualified_name, ", ".join(map(quote_name, table["columns"])), query)


def _delete_replaced(table: PreparedTableSchema, qualified_name: str, row_source: str) -> str:
    """Return the statement that deletes the rows which the rows of a package replace.

    The scope of the resource selects them, else the merge key, else the primary key.
    """
    scope: Any = table.get("x-merge-destination-scope")
    if scope:
        condition = scope.format(table=qualified_name, staging_table=row_source)
    else:
        key = _list_columns(table, "merge_key") or _list_columns(table, "primary_key")
        same = " AND ".join(f"new.{name} = {qualified_name}.{name}" for name in key)
        condition = f"EXISTS (SELECT 1 FROM {row_source} AS new WHERE {same})"  # noqa: S608 names of this package
    return f"DELETE FROM {qualified_name} WHERE {condition}"  # noqa: S608 names of this package


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


def _list_columns(table: PreparedTableSchema, hint: TColumnProp) -> list[str]:
    """Return the quoted names of the columns with a hint."""
    return [quote_name(name) for name, column in table["columns"].items() if column.get(hint)]

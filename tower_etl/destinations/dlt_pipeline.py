"""What a destination of dlt can do, worked out once.

dlt asks sixty times a package, and resolves its whole configuration for each answer: an eighth of
the processor time of a sync with nothing new.
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager, suppress
from functools import wraps
from typing import TYPE_CHECKING, Any

import dlt
import duckdb
from dlt.common.destination.exceptions import DestinationException
from dlt.common.runtime.telemetry import stop_telemetry
from dlt.destinations.impl.duckdb.duck import DuckDbClient, DuckDbCopyJob
from dlt.pipeline.exceptions import PipelineStepFailed

from tower_etl.config.settings import DATASET
from tower_etl.destinations.duckdb_storage import create_file
from tower_etl.destinations.errors import describe_failure, explain, unwrap_cause
from tower_etl.errors import DestinationError, FileAccessError
from tower_etl.source.resources import table_schema

if TYPE_CHECKING:
    from collections.abc import Callable

    from dlt.common.destination import DestinationCapabilitiesContext
    from dlt.common.normalizers.naming import NamingConvention

    Ask = Callable[..., DestinationCapabilitiesContext]
    from collections.abc import Iterator, Mapping

    from dlt.common.destination import PreparedTableSchema
    from dlt.common.destination.client import LoadJob
    from dlt.extract import DltSource

    from tower_etl.destinations.duckdb_paths import DuckDBPaths
    from tower_etl.schema import TableSpec


def cache_capabilities(ask: Ask) -> Ask:
    """The method `capabilities` of a destination whose configuration stays what it is.

    Who asks gets a copy, since dlt adapts some of what it gets.
    """

    @wraps(ask)
    def capabilities(
        self: Any,  # noqa: ANN401 a destination of any kind
        config: Any = None,  # noqa: ANN401 likewise
        naming: NamingConvention | None = None,
    ) -> DestinationCapabilitiesContext:
        known = self.__dict__.setdefault("_known_capabilities", {})
        key = config is None, type(naming), naming.max_length if naming else None
        if key not in known:
            known[key] = ask(self, config, naming)
        copied: DestinationCapabilitiesContext = known[key].copy()
        return copied

    return capabilities


PIPELINE = "tower"

_CLOSING_MEMORY = "150MB"

_DEFAULTS: Mapping[str, Any] = {
    "runtime.dlthub_telemetry": False,
    "runtime.log_level": "CRITICAL",  # errors are raised, and told once
    "load.delete_completed_jobs": True,  # or a schedule of years fills the disk
    "load.truncate_staging_dataset": True,  # or the file holds the last package twice
}


@contextmanager
def dlt_defaults() -> Iterator[None]:
    """Dlt with our defaults, each of them only where the user's configuration says nothing.

    dlt reads its runtime settings when it is imported, so that they are read again here.
    """
    unset = {key: value for key, value in _DEFAULTS.items() if dlt.config.get(key) is None}
    with dlt.config.values(unset):
        stop_telemetry()
        dlt.current.run_context().initialize_runtime()
        yield


@contextmanager
def shared_connection(target: DuckDBPaths, memory: str | None = None) -> Iterator[None]:
    """Keep the draft open in this process, so that it is not written out after each of dlt's jobs.

    dlt opens it anew for them; within one process DuckDB hands out the database that is open. For
    one package, not for a whole sync: rows stay in memory until they are written out.

    Args:
        target: Its draft is opened, and made where there is none.
        memory: DuckDB's `memory_limit`, None for its default.

    Raises:
        TowerEtlError: The draft cannot be opened.
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
            # Rows that wait for their order, or for other threads, would not fit.
            connection.execute("SET preserve_insertion_order = false")
            connection.execute("SET threads = 1")
        yield
        # Writing it out, DuckDB puts small pieces together, and would read them all into memory.
        with suppress(duckdb.Error):
            connection.execute(f"SET memory_limit = '{_CLOSING_MEMORY}'")


class CopyJob(DuckDbCopyJob):
    """Loads a file of rows, whatever is in its path.

    dlt neither quotes an apostrophe there, nor keeps DuckDB from taking a folder `a=1` above the
    file for a column.
    """

    def run(self) -> None:
        """Insert the rows of the file."""
        client = self._job_client.sql_client
        table = client.make_qualified_table_name(self.load_table_name)
        path = self._file_path.replace("'", "''")
        source = f"read_parquet('{path}', union_by_name = true, hive_partitioning = false)"
        client.execute_sql(f"INSERT INTO {table} BY NAME SELECT * FROM {source}")  # noqa: S608 ours


class Client(DuckDbClient):
    """dlt's client with that job."""

    def create_load_job(
        self,
        table: PreparedTableSchema,
        file_path: str,
        load_id: str,
        restore: bool = False,  # noqa: FBT001, FBT002 dlt's signature
    ) -> LoadJob:
        """The job of a file: all of them are Parquet, but for those that hold statements."""
        job = super().create_load_job(table, file_path, load_id, restore)
        return CopyJob(file_path) if isinstance(job, DuckDbCopyJob) else job


class CachedCapabilitiesDuckDB(dlt.destinations.duckdb):
    """A DuckDB file."""

    capabilities = cache_capabilities(dlt.destinations.duckdb.capabilities)

    @property
    def client_class(self) -> type[Client]:
        """The client."""
        return Client


def open_pipeline(target: DuckDBPaths, name: str = PIPELINE) -> dlt.Pipeline:
    """The pipeline that writes to the draft of a target."""
    return dlt.pipeline(
        name,
        pipelines_dir=str(target.pipelines),
        destination=CachedCapabilitiesDuckDB(str(target.staging), destination_name="duckdb"),
        dataset_name=DATASET,
    )


def load_pending_packages(pipeline: dlt.Pipeline) -> str | None:
    """Load the packages that a killed sync left behind; why it cannot be done, None if it was.

    A package that cannot be loaded may have changed some tables and not others. Whoever calls
    must then begin anew with what was published.

    Raises:
        PipelineStepFailed: The machine, the file system or the database is in the way, and not the
            package, which is kept for the next sync.
        DestinationException: Likewise.
    """
    try:
        pipeline.sync_destination()
        if pipeline.has_pending_data:
            pipeline.normalize()
            pipeline.sync_schema()  # it may have been killed before the tables were made
            pipeline.load()
    except (PipelineStepFailed, DestinationException) as failure:
        if isinstance(explain(failure), DestinationError | FileAccessError):
            raise
        return describe_failure(failure)
    return None


def declare_schema(
    pipeline: dlt.Pipeline, source: DltSource, specs: Mapping[str, TableSpec]
) -> bool:
    """Have the next package make all tables and columns, also those that it has no rows for.

    Args:
        pipeline: Knows what its destination has.
        source: Of the package; its schema gets what is missing.
        specs: What should be there.

    Returns:
        Whether anything was missing.
    """
    known: Mapping[str, Any] = (
        pipeline.default_schema.tables if pipeline.default_schema_name else {}
    )
    missing = [
        table
        for table in specs.values()
        if not known.get(table.name, {}).get("columns", {}).keys() >= set(table.arrow_schema.names)
    ]
    caps = pipeline.destination.capabilities()
    for table in missing:
        source.schema.update_table(table_schema(source.resources[table.name], table, caps))
    return bool(missing)


def load_package(pipeline: dlt.Pipeline, source: DltSource, *, makes_tables: bool) -> None:
    """Extract, normalise and load one package.

    Args:
        pipeline: Has nothing left to do.
        source: Of the package.
        makes_tables: Whether its schema declares what the destination has not; dlt itself would
            make the tables that it has rows for.

    Raises:
        PipelineStepFailed: It could not be done; what was committed before stays.
        DestinationException: Likewise.
    """
    pipeline.extract(source, loader_file_format="parquet")
    pipeline.normalize()  # which adds columns of dlt's own
    if makes_tables:
        pipeline.sync_schema()
    pipeline.load()


def delete_completed_packages(pipeline: dlt.Pipeline) -> None:
    """Drop dlt's records of loaded packages, which nothing reads again."""
    if not pipeline.has_pending_data:
        shutil.rmtree(f"{pipeline.working_dir}/load/loaded", ignore_errors=True)

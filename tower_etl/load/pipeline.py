"""dlt's pipeline on a draft: what a killed sync left behind, and what comes new."""

from __future__ import annotations

import errno
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import dlt
import duckdb
from dlt.common.destination.exceptions import DestinationException
from dlt.common.runtime.telemetry import stop_telemetry
from dlt.pipeline.exceptions import PipelineStepFailed

from tower_etl.errors import TowerEtlError
from tower_etl.load.abilities import remembered
from tower_etl.load.target import DATASET
from tower_etl.source import describe_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dlt.extract import DltSource

    from tower_etl.load.target import Target
    from tower_etl.tables import Table

PIPELINE = "tower"

_CLOSING_MEMORY = "150MB"

_DEFAULTS: Mapping[str, Any] = {
    "runtime.dlthub_telemetry": False,
    "runtime.log_level": "CRITICAL",  # errors are raised, and told once
    "load.delete_completed_jobs": True,  # or a schedule of years fills the disk
    "load.truncate_staging_dataset": True,  # or the file holds the last package twice
}


@contextmanager
def quiet_dlt() -> Iterator[None]:
    """Dlt with our defaults, each of them only where the user's configuration says nothing.

    dlt reads its runtime settings when it is imported, so that they are read again here.
    """
    unset = {key: value for key, value in _DEFAULTS.items() if dlt.config.get(key) is None}
    with dlt.config.values(unset):
        stop_telemetry()
        dlt.current.run_context().initialize_runtime()
        yield


@contextmanager
def keep_open(target: Target) -> Iterator[None]:
    """Keep the draft open in this process, so that it is not written out after each of dlt's jobs.

    dlt opens it anew for them; within one process DuckDB hands out the database that is open. For
    one package, not for a whole sync: rows stay in memory until they are written out.

    Raises:
        TowerEtlError: The draft cannot be opened.
    """
    try:
        connection = duckdb.connect(str(target.draft))
    except duckdb.Error as error:
        raise unwrap(error) from error
    with connection:
        yield
        # Writing it out, DuckDB puts small pieces together, and would read them all into memory.
        with suppress(duckdb.Error):
            connection.execute(f"SET memory_limit = '{_CLOSING_MEMORY}'")


class DuckDb(dlt.destinations.duckdb):
    """A DuckDB file."""

    capabilities = remembered(dlt.destinations.duckdb.capabilities)


def open_pipeline(target: Target) -> dlt.Pipeline:
    """The pipeline that writes to the draft of a target."""
    return dlt.pipeline(
        PIPELINE,
        pipelines_dir=str(target.pipelines),
        destination=DuckDb(str(target.draft), destination_name="duckdb"),
        dataset_name=DATASET,
    )


def drain(pipeline: dlt.Pipeline) -> str | None:
    """Load the packages that a killed sync left behind; why it cannot be done, None if it was.

    A package that cannot be loaded may have changed some tables and not others. Whoever calls
    must then begin anew with what was published.

    Raises:
        TowerEtlError: The disk or the memory is full: the package is kept for the next sync.
    """
    try:
        pipeline.sync_destination()
        if pipeline.has_pending_data:
            pipeline.normalize()
            pipeline.sync_schema()  # it may have been killed before the tables were made
            pipeline.load()
    except (PipelineStepFailed, DestinationException) as failure:
        if is_exhausted(failure):
            raise unwrap(failure) from failure
        return describe_failure(failure)
    return None


def declare_tables(pipeline: dlt.Pipeline, source: DltSource, specs: Mapping[str, Table]) -> bool:
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
        source.schema.update_table(describe_table(source.resources[table.name], table, caps))
    return bool(missing)


def load_package(pipeline: dlt.Pipeline, source: DltSource, *, makes_tables: bool) -> None:
    """Extract, normalise and load one package.

    Args:
        pipeline: Has nothing left to do.
        source: Of the package.
        makes_tables: Whether its schema declares what the destination has not; dlt itself would
            make the tables that it has rows for.

    Raises:
        TowerEtlError: It could not be done; what was committed before stays.
    """
    try:
        pipeline.extract(source, loader_file_format="parquet")
        pipeline.normalize()  # which adds columns of dlt's own
        if makes_tables:
            pipeline.sync_schema()
        pipeline.load()
    except (PipelineStepFailed, DestinationException) as failure:
        raise unwrap(failure) from failure


def unwrap(failure: BaseException) -> TowerEtlError:
    """The error of ours inside dlt's, or one that says at which step dlt failed."""
    for cause in _iter_causes(failure):
        if isinstance(cause, TowerEtlError):
            return cause
    msg = (
        f"The rows could not be loaded: {describe_failure(failure)}. What was committed before "
        "stays; free disk space or mend the target, then run the same command again."
    )
    return TowerEtlError(msg)


def describe_failure(failure: BaseException) -> str:
    """The innermost reason, on one line; a full disk before all that comes of it."""
    reasons = list(_iter_causes(failure))
    full = [cause for cause in reasons if _is_full(cause)]
    cause = full[0] if full else reasons[-1]
    return " ".join(str(cause).split())[:300] or type(cause).__name__


def is_exhausted(failure: BaseException) -> bool:
    """Whether it failed for want of disk or memory, and not of the rows."""
    return any(_is_full(cause) for cause in _iter_causes(failure))


def _iter_causes(failure: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = failure
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _is_full(cause: BaseException) -> bool:
    number = cause.errno if isinstance(cause, OSError) else None
    said = str(cause).lower()
    return number in {errno.ENOSPC, errno.EDQUOT, errno.ENOMEM} or (
        "no space left" in said or "out of memory" in said
    )


def forget_loaded(pipeline: dlt.Pipeline) -> None:
    """Drop dlt's records of loaded packages, which nothing reads again."""
    if not pipeline.has_pending_data:
        shutil.rmtree(f"{pipeline.working_dir}/load/loaded", ignore_errors=True)

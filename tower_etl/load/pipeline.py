"""dlt's pipeline on a draft: what a killed sync left behind, and what comes new."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dlt
from dlt.common.runtime.telemetry import stop_telemetry
from dlt.pipeline.exceptions import PipelineStepFailed

from tower_etl.errors import TowerEtlError
from tower_etl.load.target import DATASET

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dlt.extract import DltSource

    from tower_etl.load.target import Target

PIPELINE = "tower"

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


def open_pipeline(target: Target) -> dlt.Pipeline:
    """The pipeline that writes to the draft of a target."""
    return dlt.pipeline(
        PIPELINE,
        pipelines_dir=str(target.pipelines),
        destination=dlt.destinations.duckdb(str(target.draft)),
        dataset_name=DATASET,
    )


def drain(pipeline: dlt.Pipeline) -> str | None:
    """Load the packages that a killed sync left behind; say so where one can never be loaded.

    Such a package is given up together with the state that it carried, so that what it held is
    fetched again.
    """
    try:
        pipeline.sync_destination()
    except PipelineStepFailed as failure:
        raise unwrap(failure) from failure
    if not pipeline.has_pending_data:
        return None
    try:
        pipeline.normalize()
        pipeline.load()
    except PipelineStepFailed as failure:
        pipeline.abort_packages()
        return (
            "A package that an interrupted sync left behind could not be loaded and was given up; "
            f"its runs are fetched again ({describe_failure(failure)})."
        )
    return None


def load_package(pipeline: dlt.Pipeline, source: DltSource) -> None:
    """Extract, normalise and load one package.

    Raises:
        TowerEtlError: It could not be done; what was committed before stays.
    """
    try:
        pipeline.run(source, loader_file_format="parquet")
    except PipelineStepFailed as failure:
        raise unwrap(failure) from failure


def unwrap(failure: BaseException) -> TowerEtlError:
    """The error of ours inside dlt's, or one that says at which step dlt failed."""
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, TowerEtlError):
            return cause
        cause = cause.__cause__ or cause.__context__
    msg = (
        f"The rows could not be loaded: {describe_failure(failure)}. What was committed before "
        "stays; free disk space or mend the target, then run the same command again."
    )
    return TowerEtlError(msg)


def describe_failure(failure: BaseException) -> str:
    """The innermost reason, on one line."""
    cause = failure
    while (inner := cause.__cause__ or cause.__context__) is not None:
        cause = inner
    return " ".join(str(cause).split())[:300] or type(cause).__name__


def forget_loaded(pipeline: dlt.Pipeline) -> None:
    """Drop dlt's records of loaded packages, which nothing reads again."""
    if not pipeline.has_pending_data:
        shutil.rmtree(f"{pipeline.working_dir}/load/loaded", ignore_errors=True)

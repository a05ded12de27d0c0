"""Loading of a sync in several load packages, each committed with its state."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tower_etl.config.settings import PackageLimits
from tower_etl.source.dispositions import DEFAULT, name_disposition

if TYPE_CHECKING:
    import dlt
    from dlt.common.pipeline import LoadInfo
    from dlt.extract import DltSource

    from tower_etl.extract.session import SyncSession


@dataclass
class PackageRun:
    """One sync in several extractions.

    Attributes:
        limits: Limits of a package.
        session: Session of the sync, None before its first package.
    """

    limits: PackageLimits
    session: SyncSession | None = None

    @property
    def is_done(self) -> bool:
        """Return whether the last package was extracted."""
        return self.session is not None and self.session.is_done


CURRENT_RUN: ContextVar[PackageRun | None] = ContextVar("tower_etl_package_run", default=None)


def run_in_packages(
    pipeline: dlt.Pipeline,
    source: DltSource,
    *,
    max_rows: int = PackageLimits.max_rows,
    max_seconds: float = PackageLimits.max_seconds,
    **options: Any,  # noqa: ANN401 arguments of `pipeline.run`
) -> list[LoadInfo]:
    """Load a source in bounded packages, so that an interrupted sync is resumed.

    `pipeline.run(source)` loads everything in one package, and starts over if interrupted. Here,
    each package ends with a complete run, and is committed with its state. A pending load
    package of an earlier run is loaded first.

    Args:
        pipeline: Pipeline to run.
        source: Result of `tower_source`, with or without a selection of tables.
        max_rows: Number of rows after which a package ends.
        max_seconds: Seconds after which a package ends.
        options: Arguments of `pipeline.run`. A `refresh` or a `write_disposition` of `replace`
            empties the tables before the first package; the others are merged.

    Returns:
        dlt's load information of each package, in order.

    Raises:
        PipelineStepFailed: A package failed; earlier packages are committed.
    """
    loads = []
    if pipeline.has_pending_data:
        pipeline.normalize()
        loads.append(pipeline.load())
    run = PackageRun(PackageLimits(max_rows, max_seconds))
    token = CURRENT_RUN.set(run)
    try:
        while not run.is_done:
            info = pipeline.run(source, **options)
            loads += [info] if info is not None else []
            # A refresh or replace of the second package would drop the rows of the first.
            options = _merge_options(options)
    finally:
        CURRENT_RUN.reset(token)
        if run.session is not None:
            run.session.close()
    return loads


def _merge_options(options: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in options.items() if name != "refresh"}
    if name_disposition(kept.get("write_disposition", DEFAULT)) == "replace":
        kept["write_disposition"] = "merge"
    return kept

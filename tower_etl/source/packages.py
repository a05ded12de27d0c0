"""Loading of a sync in several load packages, each committed with its state."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dlt.extract import DltSource

from tower_etl.config.settings import PackageLimits
from tower_etl.errors import ConfigurationError
from tower_etl.source.dispositions import DEFAULT, choose_disposition, name_disposition
from tower_etl.source.table_resource import TableResource

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import dlt
    from dlt.common.pipeline import LoadInfo

    from tower_etl.extract.session import SyncSession


@dataclass
class PackagedSync:
    """One sync in several extractions.

    Attributes:
        limits: Limits of a package.
        session: Session of the sync, None before its first package.
    """

    limits: PackageLimits
    session: SyncSession | None = None

    @property
    def is_done(self) -> bool:
        """Whether the last package has been extracted."""
        return self.session is not None and self.session.is_done

    def check_emptied(self, tables: Collection[str]) -> None:
        """Reject a later package that empties tables, which contain the rows of earlier packages.

        Raises:
            ConfigurationError: This package would empty a table.
        """
        if self.session is not None and tables:
            msg = (
                f"This load package would empty {', '.join(sorted(tables))}, which hold the "
                "packages before it: pass refresh or write_disposition='replace' to "
                "run_in_packages, or load everything at once with pipeline.run."
            )
            raise ConfigurationError(msg)


CURRENT_SYNC: ContextVar[PackagedSync | None] = ContextVar("tower_etl_packaged_sync", default=None)


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
        options: Arguments of `pipeline.run`, `destination` and `dataset_name` included. A `refresh`
            or a `write_disposition` of `replace` empties the tables before the first package; the
            others are merged.

    Returns:
        dlt's load information of each package, in order.

    Raises:
        ConfigurationError: The source is not a result of `tower_source` with a selected table, or
            the limits would leave packages empty.
        PipelineStepFailed: A package failed; earlier packages are committed.
    """
    _check_source(source)
    _check_limits(max_rows, max_seconds)
    loads = []
    dataset = {name: options[name] for name in ("destination", "dataset_name") if name in options}
    if dataset:  # `pipeline.run` applies them after the extraction, which reads the destination
        pipeline.sync_destination(**dataset)
    if pipeline.has_pending_data:
        pipeline.normalize()
        loads.append(pipeline.load())
    _check_replacement(pipeline, source, options)
    sync = PackagedSync(PackageLimits(max_rows, max_seconds))
    token, refresh = CURRENT_SYNC.set(sync), pipeline.refresh
    try:
        while not sync.is_done:
            info = pipeline.run(source, **options)
            loads += [info] if info is not None else []
            # A refresh or replace of the second package would drop the rows of the first.
            options = _merge_options(options)
            source, pipeline.refresh = _merge_hints(source), None
    finally:
        pipeline.refresh = refresh
        CURRENT_SYNC.reset(token)
        if sync.session is not None:
            sync.session.close()
    return loads


def _check_source(source: object) -> None:
    tables: Collection[object] = ()
    if isinstance(source, DltSource):
        tables = source.resources.selected.values()
    if not any(isinstance(table, TableResource) for table in tables):
        msg = (
            "run_in_packages loads one source, which tower_source returned, with at least one "
            "selected table: select tables with with_resources(...), workspaces with "
            "tower_source(workspaces=[...]), and load other sources with pipeline.run."
        )
        raise ConfigurationError(msg)


def _check_replacement(
    pipeline: dlt.Pipeline, source: DltSource, options: Mapping[str, Any]
) -> None:
    """Reject a replacement whose later packages could not be merged into the tables.

    Raises:
        ConfigurationError: The destination cannot merge; no table was emptied.
    """
    tables = source.resources.selected.values()
    chosen = [options.get("write_disposition", DEFAULT), *(t.write_disposition for t in tables)]
    if "replace" not in map(name_disposition, chosen) or pipeline.destination is None:
        return
    formats: set[Any] = {options.get("table_format") or t.table_format for t in tables}
    try:
        for table_format in formats:
            choose_disposition(pipeline.destination.capabilities(), table_format)
    except ConfigurationError:
        msg = (
            "This destination cannot merge rows, so that only the first package would replace the "
            "tables. Replace them in one package: "
            "pipeline.run(source, write_disposition='replace')."
        )
        raise ConfigurationError(msg) from None


def _check_limits(max_rows: int, max_seconds: float) -> None:
    if not (max_rows > 0 and max_seconds > 0):
        msg = (
            f"A load package of max_rows={max_rows} and max_seconds={max_seconds} would hold "
            "nothing: expected positive numbers."
        )
        raise ConfigurationError(msg)


def _merge_options(options: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in options.items() if name != "refresh"}
    if name_disposition(kept.get("write_disposition", DEFAULT)) == "replace":
        kept["write_disposition"] = DEFAULT
    return kept


def _merge_hints(source: DltSource) -> DltSource:
    """Return the source with `merge` where the hints of a resource say `replace`."""
    copy = source.clone()
    for resource in copy.resources.selected.values():
        disposition: Any = resource.write_disposition
        if name_disposition(disposition) == "replace":
            resource.apply_hints(write_disposition="merge")
    return copy

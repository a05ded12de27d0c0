"""Loading of packages with dlt: pipelines, schema declaration, and caches.

For each load package dlt requests the capabilities of the destination sixty times, and resolves its
whole configuration each time; it reads the schema from its file sixteen times. Together this took a
quarter of the CPU time of a sync without new runs; both are cached here.
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dlt
from dlt.common.destination.exceptions import DestinationException
from dlt.common.runtime.telemetry import stop_telemetry
from dlt.common.storages.live_schema_storage import LiveSchemaStorage
from dlt.pipeline.exceptions import PipelineStepFailed

from tower_etl.config.settings import DATASET
from tower_etl.destinations.errors import describe_failure, explain
from tower_etl.destinations.staging_file import identify_file
from tower_etl.errors import DestinationError, FileAccessError
from tower_etl.source.table_resource import table_schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dlt.common.destination import Destination, DestinationCapabilitiesContext
    from dlt.common.normalizers.naming import NamingConvention
    from dlt.common.schema import Schema
    from dlt.common.storages.configuration import SchemaStorageConfiguration
    from dlt.extract import DltSource

    from tower_etl.destinations.staging_file import FileIdentity
    from tower_etl.schema import TableSpec
PIPELINE = "tower"

_DEFAULTS: Mapping[str, Any] = {
    "runtime.dlthub_telemetry": False,
    "runtime.log_level": "CRITICAL",  # errors are raised; dlt would log them as well
    "load.delete_completed_jobs": True,  # completed jobs would fill the disk over years
    "load.truncate_staging_dataset": True,  # staged rows would be kept beside the merged ones
}


class CachedCapabilities:
    """Part of a dlt destination that caches capabilities; its configuration must not change.

    The class of the database comes after it. Each call returns a copy, because dlt mutates the
    capabilities it receives.
    """

    @cached_property
    def _known_capabilities(self) -> dict[object, DestinationCapabilitiesContext]:
        return {}

    def capabilities(
        self, config: object = None, naming: NamingConvention | None = None
    ) -> DestinationCapabilitiesContext:
        """Return the capabilities, with the configuration and naming convention applied."""
        key = config is None, type(naming), naming.max_length if naming else None
        if key not in self._known_capabilities:
            caps = super().capabilities(config, naming)  # type: ignore[misc] # the class after it
            self._known_capabilities[key] = caps
        return self._known_capabilities[key].copy()


class CachedSchemaStorage(LiveSchemaStorage):
    """Storage of a pipeline's schemas that reads a file again only after it has changed."""

    def __init__(self, config: SchemaStorageConfiguration) -> None:
        super().__init__(config, makedirs=True)
        self._identities: dict[str, FileIdentity] = {}

    def __getitem__(self, name: str) -> Schema:
        """Return the schema in memory if the file is the one that it was read from."""
        identity = self._identify(name)
        if identity and identity == self._identities.get(name) and name in self.live_schemas:
            return self.live_schemas[name]
        schema = super().__getitem__(name)
        self._identities[name] = self._identify(name)
        return schema

    def _identify(self, name: str) -> FileIdentity:
        path = self.storage.make_full_path(self._file_name_in_store(name, "json"))
        return identify_file(Path(path))


class CachedPipeline(dlt.Pipeline):
    """dlt pipeline with `CachedSchemaStorage`; only one process uses its working folder."""

    def _configure(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 dlt's signature
        super()._configure(*args, **kwargs)
        self._schema_storage = CachedSchemaStorage(self._schema_storage_config)


@contextmanager
def dlt_defaults() -> Iterator[None]:
    """Apply tower-etl's defaults of dlt settings that the user has not configured.

    dlt reads its runtime settings on import, so they are initialized again here.
    """
    unset = {key: value for key, value in _DEFAULTS.items() if dlt.config.get(key) is None}
    with dlt.config.values(unset):
        stop_telemetry()
        dlt.current.run_context().initialize_runtime()
        yield


def make_pipeline(name: str, folder: Path, destination: Destination[Any, Any]) -> CachedPipeline:
    """Return the pipeline that loads into the dataset of tower-etl.

    Args:
        name: Name of the pipeline.
        folder: Folder of dlt's working files, which a lock reserves for this process.
        destination: dlt destination.
    """
    return dlt.pipeline(
        name,
        pipelines_dir=str(folder),
        destination=destination,
        dataset_name=DATASET,
        _impl_cls=CachedPipeline,
    )


def load_pending_packages(pipeline: dlt.Pipeline) -> str | None:
    """Load the pending packages of an interrupted sync.

    A package that cannot be loaded may have changed some tables and not others. The caller must
    then reset the destination to its published state.

    Returns:
        The reason why a package cannot be loaded, None if all were loaded.

    Raises:
        PipelineStepFailed: The cause is the machine, the file system or the database, not the
            package, which is kept for the next sync.
        DestinationException: As `PipelineStepFailed`.
    """
    try:
        pipeline.sync_destination()
        if pipeline.has_pending_data:
            pipeline.normalize()
            pipeline.sync_schema()  # the sync may have stopped before it created the tables
            pipeline.load()
    except (PipelineStepFailed, DestinationException) as failure:
        if isinstance(explain(failure), DestinationError | FileAccessError):
            raise
        return describe_failure(failure)
    return None


def declare_schema(
    pipeline: dlt.Pipeline, source: DltSource, specs: Mapping[str, TableSpec]
) -> bool:
    """Declare all tables and columns in the schema of the next package, even those without rows.

    Args:
        pipeline: Pipeline, whose schema has the existing tables and columns.
        source: Source of the package; missing tables and columns are added to its schema.
        specs: Tables that should exist.

    Returns:
        Whether a table or column was missing.
    """
    existing_tables: Mapping[str, Any] = (
        pipeline.default_schema.tables if pipeline.default_schema_name else {}
    )
    missing = [
        table
        for table in specs.values()
        if not existing_tables.get(table.name, {}).get("columns", {}).keys()
        >= set(table.arrow_schema.names)
    ]
    caps = pipeline.destination.capabilities()
    for table in missing:
        source.schema.update_table(table_schema(table, caps))
    return bool(missing)


def load_package(pipeline: dlt.Pipeline, source: DltSource, *, makes_tables: bool) -> None:
    """Extract, normalize and load one package.

    Args:
        pipeline: Pipeline without pending packages.
        source: Source of the package.
        makes_tables: Whether the schema declares tables or columns that the destination lacks; dlt
            itself creates only tables that have rows in the package.

    Raises:
        PipelineStepFailed: A step failed; data that was committed before is kept.
        DestinationException: As `PipelineStepFailed`.
    """
    pipeline.extract(source, loader_file_format="parquet")
    pipeline.normalize()  # adds dlt's columns to the schema
    if makes_tables:
        pipeline.sync_schema()
    pipeline.load()


def delete_completed_packages(pipeline: dlt.Pipeline) -> None:
    """Delete dlt's folders of loaded packages, which are not read again."""
    if not pipeline.has_pending_data:
        shutil.rmtree(f"{pipeline.working_dir}/load/loaded", ignore_errors=True)

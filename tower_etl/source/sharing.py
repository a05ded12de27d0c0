"""Check that one pipeline writes to a dataset: two with the same tables would corrupt them.

dlt loads into staging tables that all pipelines of a dataset share, and merges by deleting the
staged keys and inserting the staged rows. If two loads overlap, both delete before either inserts,
and rows are duplicated. If a load is interrupted between staging and merge, another pipeline
truncates the staging tables, and the first one later merges the other's rows.
"""

from __future__ import annotations

import json
import posixpath
from typing import TYPE_CHECKING, Any

from dlt.common.destination.client import WithStateSync
from dlt.common.destination.exceptions import DestinationUndefinedEntity
from dlt.common.versioned_state import decompress_state
from dlt.destinations.exceptions import DatabaseUndefinedRelation
from dlt.destinations.fs_client import FSClientBase
from dlt.destinations.sql_client import WithSqlClient

from tower_etl.errors import ConfigurationError
from tower_etl.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import dlt
    from dlt.common.destination.client import JobClientBase

_PARTS = 3  # of a state file's name: pipeline, load and hash, joined by "__"


def check_shared_dataset(pipeline: dlt.Pipeline, client: JobClientBase, schema_name: str) -> None:
    """Reject a dataset with tables of the source from another pipeline, or from another schema.

    Args:
        pipeline: Pipeline that is about to load.
        client: Client of the destination.
        schema_name: Name of dlt's schema of the source, which is the name of the source.

    Raises:
        ConfigurationError: The dataset belongs to another pipeline, or to a source of another name.
    """
    if not isinstance(client, WithStateSync):
        return
    with client:
        others = sorted(_list_pipelines(client) - {pipeline.pipeline_name})
        writers = [name for name in others if _list_schemas(client, name)]
        names = _list_schemas(client, pipeline.pipeline_name) - {schema_name}
    if names:
        msg = (
            f"The dataset {pipeline.dataset_name!r} already contains tables of the source "
            f"{min(names)!r}, and a source named {schema_name!r} would duplicate rows there. Use "
            f"the name {min(names)!r}, or another dataset_name."
        )
        raise ConfigurationError(msg)
    if writers:
        msg = (
            f"The dataset {pipeline.dataset_name!r} already contains tables of the pipeline "
            f"{writers[0]!r}, and two pipelines would duplicate or lose rows there. Pass "
            f"pipeline_name={writers[0]!r}, or another dataset_name."
        )
        raise ConfigurationError(msg)


def _list_pipelines(client: Any) -> set[str]:  # noqa: ANN401 any of dlt's clients
    """Return the names of the pipelines that have a state in the dataset."""
    table = client.schema.state_table_name
    try:
        if isinstance(client, FSClientBase):
            return set(_name_pipelines(client.list_table_files(table)))
        if isinstance(client, WithSqlClient):
            sql = client.sql_client
            column = sql.escape_column_name("pipeline_name")
            query = f"SELECT DISTINCT {column} FROM {sql.make_qualified_table_name(table)}"  # noqa: S608 dlt quotes the names
            return {str(row[0]) for row in sql.execute_sql(query) or ()}
    except (DatabaseUndefinedRelation, DestinationUndefinedEntity):
        pass  # before the first load
    return set()


def _name_pipelines(paths: Iterable[str]) -> Iterable[str]:
    for path in paths:
        parts = posixpath.basename(path.replace("\\", "/")).rsplit("__", maxsplit=_PARTS - 1)
        if len(parts) == _PARTS:
            yield parts[0]


def _list_schemas(client: Any, pipeline_name: str) -> set[str]:  # noqa: ANN401 any of dlt's clients
    """Return the names of a pipeline's schemas that have a table of the source."""
    try:
        stored = client.get_stored_state(pipeline_name)
    except (DatabaseUndefinedRelation, DestinationUndefinedEntity):
        return set()  # before the first load
    names = decompress_state(stored.state).get("schema_names", ()) if stored else ()
    schemas = {name: client.get_stored_schema(name) for name in names}
    return {
        name
        for name, schema in schemas.items()
        if schema and _has_tables(json.loads(schema.schema)["tables"])
    }


def _has_tables(tables: Mapping[str, Any]) -> bool:
    """Return whether a table is of the source, recognized by its key and `workspace_id`."""
    return any(
        {*TABLES[name].key, "workspace_id"} <= table.get("columns", {}).keys()
        for name, table in tables.items()
        if name in TABLES
    )

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


def refuse_shared_dataset(pipeline: dlt.Pipeline, client: JobClientBase) -> None:
    """Reject a dataset into which another pipeline has loaded tables of the source.

    Args:
        pipeline: Pipeline that is about to load.
        client: Client of the destination.

    Raises:
        ConfigurationError: The dataset belongs to another pipeline.
    """
    if not isinstance(client, WithStateSync):
        return
    with client:
        others = sorted(_list_pipelines(client) - {pipeline.pipeline_name})
        writers = [name for name in others if _writes_tables(client, name)]
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


def _writes_tables(client: Any, pipeline_name: str) -> bool:  # noqa: ANN401 any of dlt's clients
    """Return whether a pipeline has loaded a table of the source."""
    stored = client.get_stored_state(pipeline_name)
    names = decompress_state(stored.state).get("schema_names", ()) if stored else ()
    schemas = [client.get_stored_schema(name) for name in names]
    return any(_has_tables(json.loads(schema.schema)["tables"]) for schema in schemas if schema)


def _has_tables(tables: Mapping[str, Any]) -> bool:
    """Return whether a table is of the source, recognised by its key and `workspace_id`."""
    return any(
        {*TABLES[name].key, "workspace_id"} <= table.get("columns", {}).keys()
        for name, table in tables.items()
        if name in TABLES
    )

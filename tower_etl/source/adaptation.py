"""Adaptation of the resources to the destination that they are loaded into."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dlt

from tower_etl.errors import ConfigurationError
from tower_etl.source.dialects import check_text_width
from tower_etl.source.dispositions import choose_disposition, is_upsert
from tower_etl.source.sharing import check_shared_dataset
from tower_etl.source.table_resource import TableResource

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dlt.common.destination import DestinationCapabilitiesContext
    from dlt.common.destination.client import JobClientBase
    from dlt.common.schema.typing import TTableSchema
    from dlt.extract import DltResource, DltSource

    from tower_etl.schema import TableSpec


def adapt_resources(
    source: DltSource,
    pipeline: dlt.Pipeline | None,
    client: JobClientBase | None,
    tables: Iterable[TableSpec],
) -> tuple[TableSpec, ...]:
    """Adapt the resources of the current extraction to the destination of the pipeline.

    Args:
        source: Source that is being extracted; the hints of its resources are changed.
        pipeline: Pipeline that extracts it; None if the source is iterated without one.
        client: Client of the destination; None if there is none.
        tables: Tables of the resources.

    Returns:
        Tables whose rows must be prepared for an upsert.

    Raises:
        ConfigurationError: The destination cannot hold these tables exactly, or hints of a resource
            change its table.
    """
    if pipeline is None or client is None:
        return ()
    selected = source.resources.selected
    for resource in selected.values():
        if isinstance(resource, TableResource):
            resource.check_hints()
    chosen = [table for table in tables if table.name in selected]
    upserted = tuple(
        table
        for table in chosen
        if _set_disposition(
            selected[table.name], source.schema.tables.get(table.name), client.capabilities
        )
    )
    check_shared_dataset(pipeline, client, source.schema.name)
    _check_contract(source)
    if isinstance(pipeline.destination, dlt.destinations.sqlalchemy):
        _adapt_to_sqlalchemy(client, [(selected[table.name], table) for table in chosen])
    return upserted


def _check_contract(source: DltSource) -> None:
    """Reject a schema contract that drops rows, which the state would record as loaded.

    Raises:
        ConfigurationError: The contract discards the rows of new tables.
    """
    contract: Any = source.schema.settings.get("schema_contract") or {}
    mode = contract if isinstance(contract, str) else contract.get("tables", "evolve")
    if str(mode).startswith("discard"):
        msg = (
            f"The schema contract {mode!r} for tables would drop rows that the state records as "
            "loaded: expected 'evolve' or 'freeze'. Select tables with with_resources(...)."
        )
        raise ConfigurationError(msg)


def _set_disposition(
    resource: DltResource, known: TTableSchema | None, capabilities: DestinationCapabilitiesContext
) -> bool:
    """Check the write disposition of a resource; return whether its rows are upserted.

    Args:
        resource: Resource of a table.
        known: The table in the schema of the pipeline, with the strategy of earlier runs.
        capabilities: Capabilities of the destination.
    """
    before: Mapping[str, Any] = known or {}
    table_format: Any = resource.table_format or before.get("table_format")
    requested: Any = resource.write_disposition
    chosen: Any = choose_disposition(capabilities, table_format, requested)
    strategy = chosen["strategy"] if isinstance(chosen, dict) else None
    if strategy and before.get("x-merge-strategy", strategy) != strategy:
        resource.apply_hints(write_disposition=chosen)  # takes 10 ms, so only if it differs
    return is_upsert(chosen)


def _adapt_to_sqlalchemy(client: Any, resources: Iterable[tuple[DltResource, TableSpec]]) -> None:  # noqa: ANN401 dlt's
    """Declare JSON columns as text, because SQLAlchemy would encode the JSON text again."""
    for resource, table in resources:
        columns: Any = {c.name: {"data_type": "text"} for c in table.columns if c.is_json}
        if columns:  # an empty mapping makes dlt drop all column hints
            resource.apply_hints(columns=columns)
    with client.sql_client as sql:
        check_text_width(sql)

"""What is decided when a load begins, before the first call: how it goes into the destination."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dlt

from tower_etl.source.dialects import refuse_narrow_text
from tower_etl.source.dispositions import choose_disposition, is_upsert
from tower_etl.source.sharing import refuse_shared_dataset

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dlt.common.destination import DestinationCapabilitiesContext
    from dlt.common.destination.client import JobClientBase
    from dlt.common.schema.typing import TTableSchema
    from dlt.extract import DltResource, DltSource

    from tower_etl.tables import TableSpec


def adapt_resources(
    source: DltSource,
    pipeline: dlt.Pipeline | None,
    client: JobClientBase | None,
    tables: Iterable[TableSpec],
) -> tuple[TableSpec, ...]:
    """Fit the resources that are about to be extracted to the destination of the pipeline.

    Args:
        source: The source that is being extracted; the hints of its resources are changed.
        pipeline: The pipeline that extracts it; None where the source is only iterated.
        client: Of its destination; None where it has none yet.
        tables: The tables of its resources.

    Returns:
        The tables whose rows must be prepared for an upsert.

    Raises:
        UsageError: The destination cannot hold these tables exactly.
    """
    if pipeline is None or client is None:
        return ()
    selected = source.resources.selected
    chosen = [table for table in tables if table.name in selected]
    upserted = tuple(
        table
        for table in chosen
        if _set_disposition(
            selected[table.name], source.schema.tables.get(table.name), client.capabilities
        )
    )
    refuse_shared_dataset(pipeline, client)
    if isinstance(pipeline.destination, dlt.destinations.sqlalchemy):
        _adapt_to_sqlalchemy(client, [(selected[table.name], table) for table in chosen])
    return upserted


def _set_disposition(
    resource: DltResource, known: TTableSchema | None, capabilities: DestinationCapabilitiesContext
) -> bool:
    """Check the write disposition of a resource; return whether its rows are upserted.

    Args:
        resource: The resource.
        known: Its table in the schema of the pipeline, which keeps what earlier runs asked for.
        capabilities: What the destination can do.
    """
    before: Mapping[str, Any] = known or {}
    table_format: Any = resource.table_format or before.get("table_format")
    requested: Any = resource.write_disposition
    chosen: Any = choose_disposition(capabilities, table_format, requested)
    strategy = chosen["strategy"] if isinstance(chosen, dict) else None
    if strategy and before.get("x-merge-strategy", strategy) != strategy:
        resource.apply_hints(write_disposition=chosen)  # costs 10 ms, so only where it differs
    return is_upsert(chosen)


def _adapt_to_sqlalchemy(client: Any, resources: Iterable[tuple[DltResource, TableSpec]]) -> None:  # noqa: ANN401 dlt's
    """JSON goes into text columns: SQLAlchemy would encode the text once more."""
    for resource, table in resources:
        columns: Any = {c.name: {"data_type": "text"} for c in table.columns if c.is_json}
        if columns:  # dlt takes an empty mapping for the wish to drop all hints of columns
            resource.apply_hints(columns=columns)
    with client.sql_client as sql:
        refuse_narrow_text(sql)

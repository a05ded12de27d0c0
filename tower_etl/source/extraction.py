"""Options of the current extraction in dlt, and the tables that dlt must create again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dlt
from dlt.destinations.fs_client import FSClientBase
from dlt.destinations.job_client_impl import SqlJobClientBase

from tower_etl.config.settings import RunLimit
from tower_etl.source.dispositions import name_disposition
from tower_etl.source.table_resource import TableResource, is_in_pipeline

if TYPE_CHECKING:
    from collections.abc import Collection, MutableMapping

    from dlt.common.destination.client import JobClientBase
    from dlt.common.schema.typing import TTableSchema
    from dlt.extract import DltSource

    from tower_etl.extract.destination_state import DestinationState


_LISTS_TABLES = (SqlJobClientBase, FSClientBase)


@dataclass(frozen=True)
class Extraction:
    """Options of the current extraction.

    Attributes:
        source: Source that is being extracted.
        tables: Selected tables.
        emptied: Tables that the current load drops or truncates before it writes.
        unmerged: Tables whose rows are appended or replaced, not merged.
        limit: Lowest limits of all selected tables.
        dialect: SQL dialect of the destination, empty without one.
    """

    source: DltSource
    tables: frozenset[str]
    emptied: frozenset[str]
    unmerged: frozenset[str]
    limit: RunLimit
    dialect: str

    @property
    def only_replaced(self) -> frozenset[str]:
        """Tables whose rows are replaced, not appended."""
        return self.emptied & self.unmerged


def read_extraction(names: Collection[str], client: JobClientBase | None) -> Extraction:
    """Return the options of the current extraction; call it from within a resource.

    Args:
        names: Names of the tables of the source.
        client: Client of the destination, None if the source is iterated without one.
    """
    source = dlt.current.source()
    selected = {name: table for name, table in source.resources.selected.items() if name in names}
    given: dict[str, Any] = {name: table.write_disposition for name, table in selected.items()}
    dispositions = {name: name_disposition(value) for name, value in given.items()}
    replaced = {name for name, disposition in dispositions.items() if disposition == "replace"}
    appended = {name for name, disposition in dispositions.items() if disposition == "append"}
    limits = [table.run_limit for table in selected.values() if isinstance(table, TableResource)]
    return Extraction(
        source,
        frozenset(selected),
        frozenset(replaced | _list_refreshed()),
        frozenset(replaced | appended),
        RunLimit(
            min((n.max_runs for n in limits if n.max_runs is not None), default=None),
            min((n.max_seconds for n in limits if n.max_seconds is not None), default=None),
        ),
        (client.capabilities.sqlglot_dialect or "") if client else "",
    )


def _list_refreshed() -> set[str]:
    """Return the tables that `refresh` drops or truncates at the start of the load."""
    if not is_in_pipeline():
        return set()
    state: Any = dlt.current.load_package_state()["state"]
    tables = [*state.get("dropped_tables", ()), *state.get("truncated_tables", ())]
    return {table["name"] for table in tables}


def _is_created(table: TTableSchema | None) -> bool:
    """Return whether dlt has created a table: columns known by hints only have no type."""
    columns = table["columns"].values() if table else ()
    return any("data_type" in column for column in columns)


def recreate_missing_tables(
    destination_state: DestinationState,
    state: MutableMapping[str, Any],
    names: Collection[str],
    *,
    has_state: bool,
) -> frozenset[str]:
    """Make dlt recreate tables that were removed from the destination by other means.

    dlt does not notice that, and would insert into a missing table. The table is therefore treated
    like one that `refresh` drops: dlt recreates it, and its state is deleted.

    Args:
        destination_state: State of the destination.
        state: State of the source; the entries of missing tables are removed.
        names: Tables that are about to be loaded.
        has_state: Whether the state describes this dataset, so that a missing dataset was removed;
            otherwise it was never loaded.

    Returns:
        Names of the missing tables.
    """
    schema = destination_state.schema
    created = frozenset(n for n in names if schema and _is_created(schema.tables.get(n)))
    is_supported = isinstance(destination_state.client, _LISTS_TABLES) and is_in_pipeline()
    if not schema or not created or not is_supported:
        return frozenset()
    with destination_state.client as client:
        if not client.is_storage_initialized():
            if has_state:
                state.pop("resources", None)
            return created if has_state else frozenset()
        versions = schema.version_table_name
        listed = client.get_storage_tables([versions, *created])
        existing = {name for name, columns in listed if columns}
    missing = created - existing
    package: Any = dlt.current.load_package_state()["state"]
    for name in sorted(missing):
        state.get("resources", {}).pop(name, None)
        if versions in existing:  # without it, dlt creates all tables and must drop none
            package.setdefault("dropped_tables", []).append(schema.tables[name])
    return missing

"""Rows that were extracted and not loaded yet, which the destination therefore lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dlt

from tower_etl.errors import ConfigurationError
from tower_etl.extract.reference import ENTITIES
from tower_etl.schema import HISTORY_TABLES
from tower_etl.source.table_resource import is_in_pipeline

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, MutableMapping

_EXTRACTED = "tower_etl_extracted"  # key in dlt's state of the load package
_DATASET = "dataset"  # key in the state of the source


def record_extracted(tables: Iterable[str]) -> frozenset[str]:
    """Record the tables of an extraction in the state of the load package.

    dlt puts all sources of a `pipeline.run([...])` that have the same schema into one package.

    Returns:
        The tables that earlier sources have extracted into the package.
    """
    if not is_in_pipeline():
        return frozenset()
    package: Any = dlt.current.load_package_state()["state"]
    earlier = frozenset(package.get(_EXTRACTED, ()))
    package[_EXTRACTED] = sorted(earlier.union(tables))
    return earlier


def select_history_tables(tables: Collection[str]) -> frozenset[str]:
    """Return the tables of versions, which wait until the rows of earlier extractions are loaded.

    A version of an item is written if it differs from the last one in the destination. If that one
    is pending, it would be written twice.
    """
    return frozenset(table.name for table in HISTORY_TABLES.values() if table.name in tables)


def select_compared_tables(tables: Collection[str]) -> frozenset[str]:
    """Return the tables of reference data, which the next run compares again if rows were pending.

    Deleted items are found by comparison with the destination, which lacks pending items.
    """
    reference = frozenset(entity.table for entity in ENTITIES if entity.table in tables)
    return reference | select_history_tables(tables)


def reset_other_dataset(state: MutableMapping[str, Any], pipeline: dlt.Pipeline) -> None:
    """Delete the coverage of all tables if it is that of another dataset of the pipeline."""
    if state.get(_DATASET, pipeline.dataset_name) != pipeline.dataset_name:
        state.pop("resources", None)
    state[_DATASET] = pipeline.dataset_name


def reset_coverage(state: MutableMapping[str, Any], tables: Iterable[str]) -> None:
    """Delete the coverage of tables, so that the next extraction fills them."""
    for name in tables:
        state.get("resources", {}).pop(name, None)


def check_second_source(extracted: Collection[str], unmerged: Collection[str]) -> None:
    """Reject a second source in a load package for tables that dlt does not merge by key.

    Args:
        extracted: Tables that earlier sources have extracted into the load package.
        unmerged: Tables of this source that are replaced or upserted: dlt would insert rows with
            the same key twice, and a replacement resets the state of the first source.

    Raises:
        ConfigurationError: A table is extracted twice.
    """
    if tables := sorted({*extracted} & {*unmerged}):
        msg = (
            f"This load package already contains rows of {', '.join(tables)} from another source, "
            "which would be duplicated or lost: pass the workspaces of both sources to one "
            "tower_source(workspaces=[...]), or call pipeline.run for each source."
        )
        raise ConfigurationError(msg)

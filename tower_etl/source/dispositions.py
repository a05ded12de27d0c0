"""Write dispositions and merge strategies by the capabilities of the destination."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from tower_etl.errors import ConfigurationError
from tower_etl.extract.destination_state import OPEN_TABLE_FORMATS
from tower_etl.schema import REMOVED, deduplicate

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from dlt.common.destination import DestinationCapabilitiesContext

    from tower_etl.extract.destination_state import DestinationState
    from tower_etl.schema import TableSpec

Disposition = str | Mapping[str, Any]

DEFAULT = "merge"
_DELETE_INSERT = "delete-insert"
_UPSERT = "upsert"


def choose_disposition(
    capabilities: DestinationCapabilitiesContext,
    table_format: str | None,
    requested: Disposition = DEFAULT,
) -> Disposition:
    """Return the write disposition that keeps a table equal to the platform.

    Delete-insert is exact even if dlt loads a package twice. Delta and Iceberg tables only support
    upsert, for which the rows must be prepared (`prepare_upserts`).

    Args:
        capabilities: Capabilities of the destination.
        table_format: `table_format` of the table; None for the default of the destination.
        requested: Write disposition of the resource.

    Returns:
        A merge with its strategy, or `append` or `replace` if requested.

    Raises:
        ConfigurationError: The destination cannot merge, or rows would be lost or doubled.
    """
    disposition, strategy = _split(requested)
    if disposition in {"append", "replace"}:
        return disposition
    if disposition != "merge" or strategy not in {None, _DELETE_INSERT, _UPSERT}:
        msg = (
            f"Write disposition {strategy or disposition!r} would lose rows or keep outdated ones: "
            "expected 'merge' (the default), 'replace' or 'append'."
        )
        raise ConfigurationError(msg)
    supported = _list_strategies(capabilities, table_format)
    chosen = _find_strategy(supported, table_format)
    if chosen is None:
        raise ConfigurationError(_explain_no_merge(capabilities))
    if strategy not in {None, chosen}:
        msg = f"Merge strategy {strategy!r} {_explain_other(chosen)}"
        raise ConfigurationError(msg)
    return {"disposition": "merge", "strategy": chosen}


def is_upsert(disposition: Disposition) -> bool:
    """Return whether rows must be prepared for an upsert."""
    return _split(disposition) == ("merge", _UPSERT)


def name_disposition(disposition: Disposition) -> str:
    """Return the name of a disposition in either notation: `merge`, `append` or `replace`."""
    return _split(disposition)[0]


def _split(requested: Disposition) -> tuple[str, str | None]:
    if isinstance(requested, Mapping):
        return str(requested.get("disposition")), requested.get("strategy")
    return requested, None


def _list_strategies(
    capabilities: DestinationCapabilitiesContext, table_format: str | None
) -> Sequence[str]:
    supported: Sequence[str] = capabilities.supported_merge_strategies or ()
    select: Any = capabilities.merge_strategies_selector  # None if formats do not matter
    table = {"table_format": table_format or capabilities.preferred_table_format}
    return list(select(supported, table_schema=table)) if select else supported


def _find_strategy(supported: Sequence[str], table_format: str | None) -> str | None:
    if _DELETE_INSERT in supported:
        return _DELETE_INSERT
    return _UPSERT if _UPSERT in supported and table_format in OPEN_TABLE_FORMATS else None


def _explain_no_merge(capabilities: DestinationCapabilitiesContext) -> str:
    formats = [
        repr(name)
        for name in capabilities.supported_table_formats or ()
        if _find_strategy(_list_strategies(capabilities, name), name)
    ]
    other = f"table_format={' or '.join(formats)}, " if formats else ""
    return (
        "This destination cannot replace rows by key: every sync would append the changed rows "
        f"again. Expected {other}`tower-etl sync --destination parquet`, or another destination; "
        "or pass write_disposition='append' to keep each version of a row."
    )


def _explain_other(chosen: str) -> str:
    if chosen == _DELETE_INSERT:
        return (
            "may duplicate rows when a load is interrupted: expected 'delete-insert', which "
            "write_disposition='merge' stands for."
        )
    return "is not available here: expected 'upsert', which write_disposition='merge' stands for."


def prepare_upserts(
    batches: Iterable[Mapping[str, pa.Table]],
    upserted: Collection[TableSpec],
    destination_state: DestinationState,
) -> Iterator[dict[str, pa.Table]]:
    """Yield the rows of one package, with the rows of upserted tables at its end.

    These are held in memory until then, because a key may occur again; dlt also holds them when it
    merges them.

    Args:
        batches: Batches of the package.
        upserted: Tables that are merged by upsert.
        destination_state: State of the destination.
    """
    upserted_rows: dict[str, list[pa.Table]] = {table.name: [] for table in upserted}
    for batch in batches:
        for name, rows in batch.items():
            if name in upserted_rows:
                upserted_rows[name].append(rows)
        if direct := {name: rows for name, rows in batch.items() if name not in upserted_rows}:
            yield direct
    ready = {
        table.name: _prepare(table, pa.concat_tables(upserted_rows[table.name]), destination_state)
        for table in upserted
        if upserted_rows[table.name]
    }
    if ready:
        yield ready


def _prepare(table: TableSpec, rows: pa.Table, destination_state: DestinationState) -> pa.Table:
    if not table.merge_key or not rows.num_rows:
        return deduplicate(rows, table.key)
    current = deduplicate(rows.filter(pc.invert(rows[REMOVED])), table.key)
    removed = _find_removed(table, rows, current, destination_state)
    return pa.concat_tables([current, removed.select(current.schema.names)])


def _find_removed(
    table: TableSpec, rows: pa.Table, current: pa.Table, destination_state: DestinationState
) -> pa.Table:
    """Return tombstones for the stored rows of replaced groups that are not in `current`."""
    (group,) = table.merge_key
    stored_rows = destination_state.read_groups(table.name, group, rows[group].unique().to_pylist())
    current_keys = set(_list_keys(table, current))
    is_tombstone = stored_rows[REMOVED].to_pylist()
    is_outdated = [
        key not in current_keys and not tombstone
        for key, tombstone in zip(_list_keys(table, stored_rows), is_tombstone, strict=True)
    ]
    outdated = stored_rows.filter(pa.array(is_outdated, pa.bool_()))
    index = outdated.schema.get_field_index(REMOVED)
    flags = pa.repeat(pa.scalar(value=True), outdated.num_rows)
    return outdated.set_column(index, outdated.schema.field(index), flags)


def _list_keys(table: TableSpec, rows: pa.Table) -> Iterator[tuple[object, ...]]:
    return zip(*(rows[name].to_pylist() for name in table.key), strict=True)

"""How the rows of a table are merged, by what the destination can do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tower_etl.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dlt.common.destination import DestinationCapabilitiesContext

Disposition = str | Mapping[str, Any]

DEFAULT = "merge"
_DELETE_INSERT = "delete-insert"
_UPSERT = "upsert"
_UPSERT_FORMATS = frozenset({"delta", "iceberg"})  # those whose removed rows can be named


def choose_disposition(
    capabilities: DestinationCapabilitiesContext,
    table_format: str | None,
    requested: Disposition = DEFAULT,
) -> Disposition:
    """Return the write disposition that keeps a table equal to the platform.

    Delete-insert is exact even when dlt loads a package twice. Delta and Iceberg tables have
    upsert alone, for which the rows must be prepared (`prepare_upserts`).

    Args:
        capabilities: What the destination can do.
        table_format: The table's `table_format`; None for the destination's own.
        requested: The write disposition that the resource has.

    Returns:
        A merge with its strategy, or `append` or `replace` where that is requested.

    Raises:
        UsageError: The destination cannot merge, or rows would be lost or doubled.
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
    """Return `merge`, `append` or `replace`, however the disposition is written."""
    return _split(disposition)[0]


def _split(requested: Disposition) -> tuple[str, str | None]:
    if isinstance(requested, Mapping):
        return str(requested.get("disposition")), requested.get("strategy")
    return requested, None


def _list_strategies(
    capabilities: DestinationCapabilitiesContext, table_format: str | None
) -> Sequence[str]:
    supported: Sequence[str] = capabilities.supported_merge_strategies or ()
    select: Any = capabilities.merge_strategies_selector  # None where formats do not matter
    table = {"table_format": table_format or capabilities.preferred_table_format}
    return list(select(supported, table_schema=table)) if select else supported


def _find_strategy(supported: Sequence[str], table_format: str | None) -> str | None:
    if _DELETE_INSERT in supported:
        return _DELETE_INSERT
    return _UPSERT if _UPSERT in supported and table_format in _UPSERT_FORMATS else None


def _explain_no_merge(capabilities: DestinationCapabilitiesContext) -> str:
    formats = [
        repr(name)
        for name in capabilities.supported_table_formats or ()
        if _find_strategy(_list_strategies(capabilities, name), name)
    ]
    other = f"table_format={' or '.join(formats)}, " if formats else ""
    return (
        "This destination cannot replace rows by key: every sync would add the changed rows once "
        f"more. Expected {other}`tower-etl sync --destination parquet`, or another destination; "
        "or pass write_disposition='append' to keep each version of a row."
    )


def _explain_other(chosen: str) -> str:
    if chosen == _DELETE_INSERT:
        return (
            "may double rows when a load is interrupted: expected 'delete-insert', which "
            "write_disposition='merge' stands for."
        )
    return "is not available here: expected 'upsert', which write_disposition='merge' stands for."

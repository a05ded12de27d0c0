"""The run history of Seqera Platform (formerly Nextflow Tower), in tables.

`tower_source` is the dlt source, `open_reader` opens a synced DuckDB file, `TowerEtlError` is the
root of all errors. The functions are imported when first asked for: dlt takes half a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tower_etl.errors import TowerEtlError

if TYPE_CHECKING:
    from tower_etl.load.reader import open_reader
    from tower_etl.source import tower_source

__all__ = ["TowerEtlError", "open_reader", "tower_source"]


def __getattr__(name: str) -> object:
    if name == "tower_source":
        from tower_etl.source import tower_source  # noqa: PLC0415 as the docstring says

        return tower_source
    if name == "open_reader":
        from tower_etl.load.reader import open_reader  # noqa: PLC0415 imports duckdb

        return open_reader
    msg = f"module 'tower_etl' has no attribute {name!r}"
    raise AttributeError(msg)

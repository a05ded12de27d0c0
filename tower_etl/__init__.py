"""Sync of the run history of Seqera Platform (formerly Nextflow Tower) into tables.

`tower_source` is the dlt source, `run_in_packages` loads it in several packages, `open_reader`
opens a synced DuckDB file, and `TowerEtlError` is the base class of all errors. The functions are
imported on first use, because importing dlt takes half a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tower_etl.errors import TowerEtlError

if TYPE_CHECKING:
    from tower_etl.source import run_in_packages, tower_source
    from tower_etl.warehouse.reader import open_reader

__all__ = ["TowerEtlError", "open_reader", "run_in_packages", "tower_source"]


def __getattr__(name: str) -> object:
    if name in {"run_in_packages", "tower_source"}:
        from tower_etl import source  # noqa: PLC0415 imports dlt

        return getattr(source, name)
    if name == "open_reader":
        from tower_etl.warehouse.reader import open_reader  # noqa: PLC0415 imports duckdb

        return open_reader
    msg = f"module 'tower_etl' has no attribute {name!r}"
    raise AttributeError(msg)

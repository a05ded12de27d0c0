"""The dlt source, and its loading in bounded packages."""

from tower_etl.source.packages import run_in_packages
from tower_etl.source.tower import (
    VERSION,
    open_client,
    open_session,
    resolve_table_names,
    tower_source,
)

__all__ = [
    "VERSION",
    "open_client",
    "open_session",
    "resolve_table_names",
    "run_in_packages",
    "tower_source",
]

"""The dlt source, and its loading in bounded packages."""

from tower_etl.source.packages import run_in_packages
from tower_etl.source.session_setup import (
    VERSION,
    open_client,
    open_session,
    select_command_tables,
)
from tower_etl.source.tower import tower_source

__all__ = [
    "VERSION",
    "open_client",
    "open_session",
    "run_in_packages",
    "select_command_tables",
    "tower_source",
]

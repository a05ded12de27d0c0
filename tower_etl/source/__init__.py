"""The dlt source: the only room, with `load`, that knows dlt, and the only toucher of its state."""

from tower_etl.source.config import find_dlt_value
from tower_etl.source.inquiry import Access, inspect_tables
from tower_etl.source.outcome import Outcome, WorkspaceOutcome
from tower_etl.source.packages import run_in_packages
from tower_etl.source.preflight import Reach, Workspace, run_preflight
from tower_etl.source.resources import describe_table, package_source
from tower_etl.source.session import Session
from tower_etl.source.tower import (
    VERSION,
    open_client,
    open_session,
    pick_tables,
    tower_source,
)

__all__ = [
    "VERSION",
    "Access",
    "Outcome",
    "Reach",
    "Session",
    "Workspace",
    "WorkspaceOutcome",
    "describe_table",
    "find_dlt_value",
    "inspect_tables",
    "open_client",
    "open_session",
    "package_source",
    "pick_tables",
    "run_in_packages",
    "run_preflight",
    "tower_source",
]

"""The dlt source: the only room, with `load`, that knows dlt, and the only toucher of its state."""

from tower_etl.source.config import dlt_config_value
from tower_etl.source.inquiry import TableAccess, check_table_access
from tower_etl.source.outcome import SyncResult, WorkspaceResult
from tower_etl.source.packages import run_in_packages
from tower_etl.source.preflight import Discovery, Workspace, discover
from tower_etl.source.resources import build_source, table_schema
from tower_etl.source.session import SyncSession
from tower_etl.source.tower import (
    VERSION,
    open_client,
    open_session,
    resolve_table_names,
    tower_source,
)

__all__ = [
    "VERSION",
    "Discovery",
    "SyncResult",
    "SyncSession",
    "TableAccess",
    "Workspace",
    "WorkspaceResult",
    "build_source",
    "check_table_access",
    "discover",
    "dlt_config_value",
    "open_client",
    "open_session",
    "resolve_table_names",
    "run_in_packages",
    "table_schema",
    "tower_source",
]

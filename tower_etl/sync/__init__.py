"""What to fetch, mark and keep: pure functions of stored state, listing and time."""

from tower_etl.sync.advance import (
    Landed,
    finish_workspace,
    is_undisturbed,
    land_run,
    measure_settled,
    owe_run,
)
from tower_etl.sync.compare import Listed, Stored, Window
from tower_etl.sync.entities import AuditCursor, EntityState, dump_entities, load_entities
from tower_etl.sync.plan import (
    Plan,
    Visit,
    plan_listed,
    plan_whole,
    plan_window,
)
from tower_etl.sync.state import (
    FINAL_STATUSES,
    STATE_VERSION,
    OpenRun,
    Settled,
    WorkspaceState,
    check_version,
    dump_state,
    load_state,
)

__all__ = [
    "FINAL_STATUSES",
    "STATE_VERSION",
    "AuditCursor",
    "EntityState",
    "Landed",
    "Listed",
    "OpenRun",
    "Plan",
    "Settled",
    "Stored",
    "Visit",
    "Window",
    "WorkspaceState",
    "check_version",
    "dump_entities",
    "dump_state",
    "finish_workspace",
    "is_undisturbed",
    "land_run",
    "load_entities",
    "load_state",
    "measure_settled",
    "owe_run",
    "plan_listed",
    "plan_whole",
    "plan_window",
]

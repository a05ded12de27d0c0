"""What to fetch, mark and keep: pure functions of stored state, listing and time."""

from tower_etl.sync.advance import (
    Landed,
    finish_workspace,
    forget_failure,
    land_run,
    record_failure,
)
from tower_etl.sync.compare import Listed, Stored, Window, spans
from tower_etl.sync.entities import (
    AuditCursor,
    EntityState,
    dump_entities,
    load_entities,
    read_entities,
    write_entities,
)
from tower_etl.sync.plan import (
    Plan,
    plan_listed,
    plan_whole,
    plan_window,
)
from tower_etl.sync.retries import RetryCause, Visit
from tower_etl.sync.settled import Settled, TaskBrief, TaskRange, measure_settled
from tower_etl.sync.state import (
    FINAL_STATUSES,
    PERSONAL,
    RUN_TABLES,
    STATE_VERSION,
    FailedRun,
    Holding,
    OpenRun,
    WorkspaceState,
    check_version,
    dump_holding,
    dump_state,
    is_final,
    load_holding,
    load_state,
)

__all__ = [
    "FINAL_STATUSES",
    "PERSONAL",
    "RUN_TABLES",
    "STATE_VERSION",
    "AuditCursor",
    "EntityState",
    "FailedRun",
    "Holding",
    "Landed",
    "Listed",
    "OpenRun",
    "Plan",
    "RetryCause",
    "Settled",
    "Stored",
    "TaskBrief",
    "TaskRange",
    "Visit",
    "Window",
    "WorkspaceState",
    "check_version",
    "dump_entities",
    "dump_holding",
    "dump_state",
    "finish_workspace",
    "forget_failure",
    "is_final",
    "land_run",
    "load_entities",
    "load_holding",
    "load_state",
    "measure_settled",
    "plan_listed",
    "plan_whole",
    "plan_window",
    "read_entities",
    "record_failure",
    "spans",
    "write_entities",
]

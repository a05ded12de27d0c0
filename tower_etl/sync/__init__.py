"""State of a source between syncs, plans from it, and its transitions: pure functions."""

from tower_etl.sync.bookmarks import (
    TaskBookmark,
    TaskBrief,
    TaskRange,
    advance_task_bookmark,
)
from tower_etl.sync.changes import (
    ListedRun,
    ListingWindow,
    StoredRun,
)
from tower_etl.sync.plan import (
    WorkspacePlan,
    plan_incremental,
    plan_listing,
    plan_reconciliation,
)
from tower_etl.sync.reference_state import (
    AuditLogCursor,
    ReferenceState,
    read_reference_state,
    write_reference_state,
)
from tower_etl.sync.retries import RetryCause, RunFetch
from tower_etl.sync.state import (
    FINAL_STATUSES,
    PERSONAL,
    RUN_TABLES,
    STATE_VERSION,
    FailedRun,
    OpenRun,
    TableCoverage,
    WorkspaceState,
    check_version,
    dump_coverage,
    dump_state,
    is_final,
    load_coverage,
    load_state,
)
from tower_etl.sync.transitions import (
    RunSummary,
    clear_failure,
    complete_workspace,
    mark_run_failed,
    mark_run_loaded,
)

__all__ = [
    "FINAL_STATUSES",
    "PERSONAL",
    "RUN_TABLES",
    "STATE_VERSION",
    "AuditLogCursor",
    "FailedRun",
    "ListedRun",
    "ListingWindow",
    "OpenRun",
    "ReferenceState",
    "RetryCause",
    "RunFetch",
    "RunSummary",
    "StoredRun",
    "TableCoverage",
    "TaskBookmark",
    "TaskBrief",
    "TaskRange",
    "WorkspacePlan",
    "WorkspaceState",
    "advance_task_bookmark",
    "check_version",
    "clear_failure",
    "complete_workspace",
    "dump_coverage",
    "dump_state",
    "is_final",
    "load_coverage",
    "load_state",
    "mark_run_failed",
    "mark_run_loaded",
    "plan_incremental",
    "plan_listing",
    "plan_reconciliation",
    "read_reference_state",
    "write_reference_state",
]

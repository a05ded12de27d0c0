"""Tables of the progress of runs and processes: `workflow_progress` and `process_progress`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tower_etl.schema.records import as_objects
from tower_etl.schema.table import TableSpec
from tower_etl.schema.types import (
    ApiObject,
    undocumented,
    workflow_id,
    workspace_id,
)

if TYPE_CHECKING:
    from tower_etl.schema.types import ColumnSpec

_DATA = ApiObject("ProgressData")
_RUN = ApiObject("WorkflowLoad", ("workflowProgress",), prefix=False)
_PROCESS = ApiObject("ProcessLoad")


def _load_columns(load: ApiObject) -> tuple[ColumnSpec, ...]:
    """Return the columns that the progress of runs and of processes have in common."""
    return (
        load.integer("pending", "Tasks not yet submitted.", "tasks"),
        load.integer("submitted", "Tasks that are submitted but not yet running.", "tasks"),
        load.integer("running", "Tasks running.", "tasks"),
        load.integer("succeeded", "Tasks that succeeded.", "tasks"),
        load.integer("cached", "Tasks reused from an earlier run.", "tasks"),
        load.integer("failed", "Tasks that failed.", "tasks"),
        load.integer("aborted", "Tasks that were aborted.", "tasks"),
        load.integer("ignored", "Failed tasks that the run ignored.", "tasks"),
        load.integer("retries", "Tasks that were retried.", "tasks"),
        load.integer("loadTasks", "Tasks running at the last update.", "tasks"),
        load.integer("loadCpus", "CPUs in use at the last update.", "cores"),
        load.integer("loadMemory", "Memory in use at the last update.", "bytes"),
        load.integer("peakTasks", "Maximum number of tasks running at the same time.", "tasks"),
        load.integer("peakCpus", "Maximum number of CPUs in use at the same time.", "cores"),
        load.integer("peakMemory", "Maximum memory in use at the same time.", "bytes"),
        load.integer("cpus", "CPUs requested, summed over tasks.", "cores"),
        load.integer(
            "cpuTime",
            "Requested CPUs multiplied by the time from start to end, summed over tasks.",
            "CPU ms",
        ),
        load.integer("cpuLoad", "CPU time used, summed over tasks.", "CPU ms"),
        load.number(
            "cpuEfficiency", "CPU time used, as a share of the requested CPU time.", "percent"
        ),
        load.integer("memoryReq", "Memory requested, summed over tasks.", "bytes"),
        load.integer("memoryRss", "Peak resident memory, summed over tasks.", "bytes"),
        load.number(
            "memoryEfficiency", "Memory used, as a share of the requested memory.", "percent"
        ),
        load.integer("readBytes", "Bytes read, including reads from caches.", "bytes"),
        load.integer("writeBytes", "Bytes written, including writes to caches.", "bytes"),
        load.integer("volCtxSwitch", "Voluntary context switches.", "switches"),
        load.integer("invCtxSwitch", "Involuntary context switches.", "switches"),
        load.integer("cpuShares", "CPU shares granted, summed over tasks.", "shares"),
        load.integer("cpuShareMillis", "CPU shares multiplied by run time.", "share ms"),
        load.timestamp(
            "dateCreated", "Time at which the platform's record of the progress was created."
        ),
        load.timestamp(
            "lastUpdated", "Time of the last change of the platform's record of the progress."
        ),
        load.integer(
            "version", "Number of changes of the platform's record of the progress.", "changes"
        ),
    )


_RUN_COLUMNS = (
    _RUN.number("cost", "Estimated cost of the run, including cached tasks.", "USD"),
    _RUN.json("executors", "Executors that the run used, a JSON list."),
    _RUN.integer("numSpotInterruptions", "Number of spot machine interruptions.", "times"),
    _RUN.integer("requestedCpuTime", "CPU time requested, summed over tasks.", "CPU ms"),
    _RUN.integer("requestedMemory", "Memory requested, summed over tasks.", "bytes"),
    _RUN.number("netCost", "`cost` without cached tasks.", "USD"),
    _RUN.integer("netCpus", "`cpus` without cached tasks.", "cores"),
    _RUN.integer("netCpuTime", "`cpu_time` without cached tasks.", "CPU ms"),
    _RUN.integer("netCpuLoad", "`cpu_load` without cached tasks.", "CPU ms"),
    _RUN.integer("netCpuShares", "`cpu_shares` without cached tasks.", "shares"),
    _RUN.integer("netCpuShareMillis", "`cpu_share_millis` without cached tasks.", "share ms"),
    _RUN.integer("netMemoryReq", "`memory_req` without cached tasks.", "bytes"),
    _RUN.integer("netMemoryRss", "`memory_rss` without cached tasks.", "bytes"),
    _RUN.number(
        "netMemoryConsumption",
        "Requested memory multiplied by the time from start to end, summed over tasks, without"
        " cached tasks.",
        "GiB hours",
    ),
    _RUN.integer("netReadBytes", "`read_bytes` without cached tasks.", "bytes"),
    _RUN.integer("netWriteBytes", "`write_bytes` without cached tasks.", "bytes"),
    _RUN.integer("netVolCtxSwitch", "`vol_ctx_switch` without cached tasks.", "switches"),
    _RUN.integer("netInvCtxSwitch", "`inv_ctx_switch` without cached tasks.", "switches"),
)

WORKFLOW_PROGRESS = TableSpec(
    name="workflow_progress",
    key=("workflow_id",),
    columns=(
        workflow_id(),
        workspace_id(),
        _DATA.integer("totalProcesses", "Number of processes of the run.", "processes"),
        *_load_columns(_RUN),
        *_RUN_COLUMNS,
        undocumented(),
    ),
    description="Task counts, load and efficiency of runs.",
    grain="One row per run with progress on the platform.",
    source="GET /workflow/{workflowId}, field `progress`",
)

PROCESS_PROGRESS = TableSpec(
    name="process_progress",
    key=("workflow_id", "process"),
    columns=(
        workflow_id(),
        workspace_id(),
        _PROCESS.text("process", "Name of the process, with its scopes.", key=True),
        *_load_columns(_PROCESS),
        undocumented(),
    ),
    description="Task counts and load of the processes of runs.",
    grain="One row per run and process.",
    source="GET /workflow/{workflowId}, field `progress`",
)


Records = list[dict[str, Any]]


def split_progress(progress: object) -> tuple[Records, Records]:
    """Split the progress of a run into the records of the two tables.

    Args:
        progress: `progress` of a run: `workflowProgress`, `processesProgress`, `totalProcesses`;
            null for a run without progress on the platform.

    Returns:
        Records for `workflow_progress` (one, or none without progress) and for
        `process_progress`.
    """
    load = {key: value for whole in as_objects(progress) for key, value in whole.items()}
    processes = as_objects(load.pop("processesProgress", None))
    return [load] if any(value is not None for value in load.values()) else [], processes

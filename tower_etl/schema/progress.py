"""Load of runs and of their processes: `workflow_progress` and `process_progress`."""

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
    """Columns that a run and a process have both."""
    return (
        load.integer("pending", "Tasks not yet submitted.", "tasks"),
        load.integer("submitted", "Tasks submitted and not yet running.", "tasks"),
        load.integer("running", "Tasks running.", "tasks"),
        load.integer("succeeded", "Tasks that succeeded.", "tasks"),
        load.integer("cached", "Tasks taken from an earlier run.", "tasks"),
        load.integer("failed", "Tasks that failed.", "tasks"),
        load.integer("aborted", "Tasks that were aborted.", "tasks"),
        load.integer("ignored", "Failed tasks that the run passed over.", "tasks"),
        load.integer("retries", "Tasks that were tried again.", "tasks"),
        load.integer("loadTasks", "Tasks running at the moment.", "tasks"),
        load.integer("loadCpus", "CPUs in use at the moment.", "cores"),
        load.integer("loadMemory", "Memory in use at the moment.", "bytes"),
        load.integer("peakTasks", "Most tasks running at once.", "tasks"),
        load.integer("peakCpus", "Most CPUs in use at once.", "cores"),
        load.integer("peakMemory", "Most memory in use at once.", "bytes"),
        load.integer("cpus", "CPUs requested, summed over tasks.", "cores"),
        load.integer(
            "cpuTime", "Requested CPUs times time from start to end, summed over tasks.", "CPU ms"
        ),
        load.integer("cpuLoad", "CPU time used, summed over tasks.", "CPU ms"),
        load.number("cpuEfficiency", "CPU time used, of that requested.", "percent"),
        load.integer("memoryReq", "Memory requested, summed over tasks.", "bytes"),
        load.integer("memoryRss", "Peak resident memory, summed over tasks.", "bytes"),
        load.number("memoryEfficiency", "Memory used, of that requested.", "percent"),
        load.integer("readBytes", "Bytes read, from caches too.", "bytes"),
        load.integer("writeBytes", "Bytes written, to caches too.", "bytes"),
        load.integer("volCtxSwitch", "Voluntary context switches.", "switches"),
        load.integer("invCtxSwitch", "Involuntary context switches.", "switches"),
        load.integer("cpuShares", "CPU shares granted, summed over tasks.", "shares"),
        load.integer("cpuShareMillis", "CPU shares times run time.", "share ms"),
        load.timestamp("dateCreated", "When the platform created this record."),
        load.timestamp("lastUpdated", "When the platform last changed this record."),
        load.integer("version", "Times that the platform changed this record.", "changes"),
    )


_RUN_COLUMNS = (
    _RUN.number("cost", "Estimated cost of the run, cached tasks included.", "USD"),
    _RUN.json("executors", "Executors that the run used, a JSON list."),
    _RUN.integer("numSpotInterruptions", "Times that a spot machine was taken away.", "times"),
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
        "Requested memory times time from start to end, summed over tasks, without cached ones.",
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
        _DATA.integer("totalProcesses", "Processes of the run.", "processes"),
        *_load_columns(_RUN),
        *_RUN_COLUMNS,
        undocumented(),
    ),
    description="Task counts, load and efficiency of runs.",
    grain="One row per run that the platform has progress of.",
    source="GET /workflow/{workflowId}, field `progress`",
)

PROCESS_PROGRESS = TableSpec(
    name="process_progress",
    key=("workflow_id", "process"),
    columns=(
        workflow_id(),
        workspace_id(),
        _PROCESS.text("process", "Process, with its scopes.", key=True),
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
        progress: The `progress` of a run: `workflowProgress`, `processesProgress`,
            `totalProcesses`; null for a run that the platform has no progress of.

    Returns:
        Records for `workflow_progress` (one, or none where there is no progress) and for
        `process_progress`.
    """
    load = {key: value for whole in as_objects(progress) for key, value in whole.items()}
    processes = as_objects(load.pop("processesProgress", None))
    return [load] if any(value is not None for value in load.values()) else [], processes

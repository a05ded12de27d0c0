"""Tables of tasks, resource metrics and progress, which are parts of a run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tower_etl.schema.convert import as_objects
from tower_etl.schema.table import define_table
from tower_etl.schema.types import UNDOCUMENTED, WORKFLOW_ID, WORKSPACE_ID, ApiObject, to_snake_case

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import pyarrow as pa

    from tower_etl.schema.types import ColumnSpec

TASK = ApiObject("Task")
GRANTED = ApiObject("ResourceAllocation", ("resourceAllocation",))
GPU = ApiObject("GpuMetrics", ("gpuMetrics",))

_TASK_COLUMNS = (
    TASK.integer("taskId", "Number of the task within the run.", key=True),
    TASK.integer("id", "Identifier of the task on the platform."),
    TASK.text("hash", "Prefix of the task's hash, as in Nextflow's log."),
    TASK.text("name", "Name of the task: process and tag."),
    TASK.text("process", "Name of the task's process, with its scopes."),
    TASK.text("tag", "Tag of the task, such as the sample."),
    TASK.text(
        "status",
        "Status of the task: NEW, SUBMITTED, RUNNING, CACHED, COMPLETED, FAILED or ABORTED;"
        " a CACHED task has the times and cost of the run that computed it.",
    ),
    TASK.integer("attempt", "Number of the attempt, starting at 1.", "attempts"),
    TASK.text("exit", "Exit code as text; older servers send text, and `-` without an exit code."),
    TASK.integer("exitStatus", "Exit code as a number."),
    TASK.text(
        "errorAction", "Reaction of Nextflow to a failure, such as RETRY, IGNORE or TERMINATE."
    ),
    TASK.text("errorMessage", "Error message of a failed task."),
    TASK.timestamp("submit", "Time at which the task was submitted."),
    TASK.timestamp("start", "Time at which the task started."),
    TASK.timestamp("complete", "Time at which the task ended."),
    *TASK.created_and_updated("platform's record of the task"),
    TASK.integer("duration", "Time from submission to the end.", "ms"),
    TASK.integer("realtime", "Run time of the task's command.", "ms"),
    TASK.number("cost", "Estimated cost of the task.", "USD"),
    TASK.text("executor", "Executor, such as `awsbatch`."),
    TASK.text("queue", "Queue that the task was submitted to."),
    TASK.text("nativeId", "Identifier of the task on its executor."),
    TASK.text("machineType", "Machine type that ran the task."),
    TASK.text("cloudZone", "Cloud zone that ran the task."),
    TASK.text("priceModel", "Price model of the machine: standard or spot."),
    TASK.integer("numSpotInterruptions", "Number of spot machine interruptions.", "times"),
    TASK.integer("cpus", "Requested CPUs.", "cores"),
    TASK.integer("memory", "Requested memory.", "bytes"),
    TASK.integer("disk", "Requested disk.", "bytes"),
    TASK.integer("time", "Requested time limit.", "ms"),
    TASK.number("pcpu", "Average CPU usage.", "percent of one core"),
    TASK.number("pmem", "Memory usage, as a share of the machine's memory.", "percent"),
    TASK.integer("rss", "Resident memory at the last measurement.", "bytes"),
    TASK.integer("vmem", "Virtual memory at the last measurement.", "bytes"),
    TASK.integer("peakRss", "Peak resident memory.", "bytes"),
    TASK.integer("peakVmem", "Peak virtual memory.", "bytes"),
    TASK.integer("rchar", "Bytes read, including reads from caches.", "bytes"),
    TASK.integer("wchar", "Bytes written, including writes to caches.", "bytes"),
    TASK.integer("syscr", "Read system calls.", "calls"),
    TASK.integer("syscw", "Write system calls.", "calls"),
    TASK.integer("readBytes", "Bytes read from disk.", "bytes"),
    TASK.integer("writeBytes", "Bytes written to disk.", "bytes"),
    TASK.integer("volCtxt", "Voluntary context switches.", "switches"),
    TASK.integer("invCtxt", "Involuntary context switches.", "switches"),
    TASK.text("container", "Container image of the task."),
    TASK.text("workdir", "Work directory of the task."),
    TASK.text("scratch", "Requested scratch directory, `false` for none."),
    TASK.json("module", "Environment modules, a JSON list."),
    TASK.text("env", "Environment variables, one `NAME=value` per line."),
    TASK.text("script", "Command that the task ran."),
    TASK.text("logStreamId", "Log stream of the task."),
)

_NESTED_COLUMNS = (
    GRANTED.integer("cpuShares", "CPU shares granted by the scheduler.", "shares"),
    GRANTED.integer("memoryMiB", "Memory granted by the scheduler.", "MiB"),
    GRANTED.text("time", "Time granted by the scheduler, as formatted by the scheduler."),
    GRANTED.integer("acceleratorCount", "Accelerators granted by the scheduler.", "accelerators"),
    GRANTED.text("acceleratorName", "Name of the accelerators, such as `nvidia-tesla-t4`."),
    GRANTED.text("acceleratorType", "Type of the accelerators, such as `gpu`."),
    GPU.text("name", "Name of the GPU."),
    GPU.text("driver", "Version of the GPU driver."),
    GPU.integer("mem", "Memory of the GPU.", "MiB"),
    GPU.integer("active_time", "Time that the GPU was active.", "ms"),
    GPU.number("pct", "Average GPU usage.", "percent"),
    GPU.number("peak", "Peak GPU usage.", "percent"),
    GPU.number("pct_mem", "Average usage of GPU memory, as a share.", "percent"),
    GPU.number("peak_mem", "Peak usage of GPU memory, as a share.", "percent"),
    GPU.integer("avg_mem", "Average GPU memory used.", "MiB"),
    GPU.integer("peak_mem_used", "Peak GPU memory used.", "MiB"),
    GPU.number("avg_mem_bw_util", "Average usage of GPU memory bandwidth.", "percent"),
    GPU.number("peak_mem_bw_util", "Peak usage of GPU memory bandwidth.", "percent"),
)

TASKS = define_table(
    "tasks",
    WORKFLOW_ID,
    WORKSPACE_ID,
    *_TASK_COLUMNS,
    *_NESTED_COLUMNS,
    UNDOCUMENTED,
    description="Tasks of runs.",
    grain="One row per task and attempt: each retry of a task has its own row.",
    source="GET /workflow/{workflowId}/tasks",
)


def task_rows(pages: Iterable[object], owner: Mapping[str, object]) -> pa.Table:
    """Build `tasks` from the pages of one run; `owner` has the run's constant columns."""
    return TASKS.build(iter_task_records(pages), **owner)


def iter_task_records(pages: Iterable[object]) -> Iterator[dict[str, Any]]:
    """Yield one record per task of pages, which are lists of `{"task": {...}}`.

    It includes fields that a server puts beside `task`.
    """
    for page in pages:
        for element in as_objects(page):
            task = element.get("task")
            if not isinstance(task, dict):
                yield element
            elif len(element) == 1:
                yield task
            else:
                outer = {f"response.{key}": element[key] for key in element if key != "task"}
                yield outer | task


METRIC_UNITS: Mapping[str, str] = {
    "cpu": "percent of one core",
    "cpu_usage": "percent of the requested CPUs",
    "mem": "bytes of resident memory",
    "mem_usage": "percent of the requested memory",
    "vmem": "bytes of virtual memory",
    "time": "ms",
    "time_usage": "percent of the requested time",
    "reads": "bytes read",
    "writes": "bytes written",
    "gpu_usage": "percent of the GPU",
    "gpu_mem_avg": "MiB of GPU memory (average)",
    "gpu_mem_peak": "MiB of GPU memory (peak)",
}
"""Unit of each metric, by its name in `process_metrics.metric`."""

_ENTRY = ApiObject("WorkflowMetrics")
_FIGURES = ApiObject("ResourceData", ("figures",), prefix=False)
_NAMES = frozenset({"id", "process"})  # all other fields are metrics
_UNIT = "unit of the metric"
_UNITS = "; ".join(f"{metric}: {unit}" for metric, unit in METRIC_UNITS.items())

PROCESS_METRICS = define_table(
    "process_metrics",
    WORKFLOW_ID,
    WORKSPACE_ID,
    _ENTRY.text("process", "Name of the process without its scopes, as in the API.", key=True),
    replace(
        _ENTRY.text("metric", f"Name of the metric; the units are: {_UNITS}.", key=True),
        source="WorkflowMetrics, the name of the field",
    ),
    _ENTRY.integer("id", "Identifier of the process's metrics on the platform.", name="metric_id"),
    _FIGURES.number("mean", "Mean over the tasks of the process.", _UNIT),
    _FIGURES.number("min", "Minimum.", _UNIT),
    _FIGURES.number("q1", "First quartile.", _UNIT),
    _FIGURES.number("q2", "Median.", _UNIT),
    _FIGURES.number("q3", "Third quartile.", _UNIT),
    _FIGURES.number("max", "Maximum.", _UNIT),
    _FIGURES.text("minLabel", "Task with the minimum."),
    _FIGURES.text("q1Label", "Task at the first quartile."),
    _FIGURES.text("q2Label", "Task at the median."),
    _FIGURES.text("q3Label", "Task at the third quartile."),
    _FIGURES.text("maxLabel", "Task with the maximum."),
    _FIGURES.json("warnings", "Warnings of Nextflow, a JSON list."),
    UNDOCUMENTED,
    description="Resource usage of the tasks of each process, as quartiles.",
    grain="One row per run, process and metric with values.",
    source="GET /workflow/{workflowId}/metrics",
)


def iter_metric_records(metrics: object) -> Iterator[dict[str, Any]]:
    """Yield one record per process and metric from objects per process with a field per metric.

    Undocumented fields are treated as metrics too, so that none is lost.
    """
    for entry in as_objects(metrics):
        named = {key: value for key, value in entry.items() if key in _NAMES}
        for field, figures in entry.items():
            if figures is not None and field not in named:
                yield {**named, "metric": to_snake_case(field), "figures": figures}


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
        *load.created_and_updated("platform's record of the progress"),
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

WORKFLOW_PROGRESS = define_table(
    "workflow_progress",
    WORKFLOW_ID,
    WORKSPACE_ID,
    _DATA.integer("totalProcesses", "Number of processes of the run.", "processes"),
    *_load_columns(_RUN),
    *_RUN_COLUMNS,
    UNDOCUMENTED,
    description="Task counts, load and efficiency of runs.",
    grain="One row per run with progress on the platform.",
    source="GET /workflow/{workflowId}, field `progress`",
)

PROCESS_PROGRESS = define_table(
    "process_progress",
    WORKFLOW_ID,
    WORKSPACE_ID,
    _PROCESS.text("process", "Name of the process, with its scopes.", key=True),
    *_load_columns(_PROCESS),
    UNDOCUMENTED,
    description="Task counts and load of the processes of runs.",
    grain="One row per run and process.",
    source="GET /workflow/{workflowId}, field `progress`",
)

Records = list[dict[str, Any]]


def split_progress(progress: object) -> tuple[Records, Records]:
    """Split the `progress` of a run into records for `workflow_progress` and `process_progress`.

    A run without progress on the platform, which is null, has none.
    """
    load = {key: value for whole in as_objects(progress) for key, value in whole.items()}
    processes = as_objects(load.pop("processesProgress", None))
    return [load] if any(value is not None for value in load.values()) else [], processes

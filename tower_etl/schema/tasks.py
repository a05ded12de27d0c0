"""Tasks: the `tasks` table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tower_etl.schema.records import as_objects
from tower_etl.schema.table import TableSpec
from tower_etl.schema.types import (
    INTEGER,
    TEXT,
    ApiObject,
    ColumnSpec,
    to_snake_case,
    undocumented,
    workflow_id,
    workspace_id,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import pyarrow as pa

TASK = ApiObject("Task")
GRANTED = ApiObject("ResourceAllocation", ("resourceAllocation",))
GPU = ApiObject("GpuMetrics", ("gpuMetrics",))

_TASK_COLUMNS = (
    TASK.integer("taskId", "Number of the task in its run.", key=True),
    TASK.integer("id", "Identifier of the task on the platform."),
    TASK.text("hash", "Start of the task's hash, as in Nextflow's log."),
    TASK.text("name", "Name of the task: process and tag."),
    TASK.text("process", "Process of the task, with its scopes."),
    TASK.text("tag", "Tag of the task, such as the sample."),
    TASK.text(
        "status",
        "State of the task: NEW, SUBMITTED, RUNNING, CACHED, COMPLETED, FAILED or ABORTED;"
        " a CACHED task carries the times and cost of the run that it comes from.",
    ),
    TASK.integer("attempt", "Which attempt this is, from 1.", "attempts"),
    TASK.text("exit", "Exit code as text; older servers send text, `-` where there is none."),
    TASK.integer("exitStatus", "Exit code as a number."),
    TASK.text("errorAction", "What Nextflow did on failure, such as RETRY, IGNORE or TERMINATE."),
    TASK.text("errorMessage", "Why the task failed."),
    TASK.timestamp("submit", "When the task was submitted."),
    TASK.timestamp("start", "When the task started."),
    TASK.timestamp("complete", "When the task ended."),
    TASK.timestamp("dateCreated", "When the platform created its record of the task."),
    TASK.timestamp("lastUpdated", "When the platform last changed its record of the task."),
    TASK.integer("duration", "Time from submission to the end.", "ms"),
    TASK.integer("realtime", "Time that the task's command ran.", "ms"),
    TASK.number("cost", "Estimated cost of the task.", "USD"),
    TASK.text("executor", "Executor, such as `awsbatch`."),
    TASK.text("queue", "Queue that the task was submitted to."),
    TASK.text("nativeId", "Identifier of the task on its executor."),
    TASK.text("machineType", "Machine type that ran the task."),
    TASK.text("cloudZone", "Cloud zone that ran the task."),
    TASK.text("priceModel", "How the machine was paid: standard or spot."),
    TASK.integer("numSpotInterruptions", "Times that a spot machine was taken away.", "times"),
    TASK.integer("cpus", "Requested CPUs.", "cores"),
    TASK.integer("memory", "Requested memory.", "bytes"),
    TASK.integer("disk", "Requested disk.", "bytes"),
    TASK.integer("time", "Requested time limit.", "ms"),
    TASK.number("pcpu", "CPU used, on average.", "percent of one core"),
    TASK.number("pmem", "Share of the machine's memory used.", "percent"),
    TASK.integer("rss", "Resident memory used, as last seen.", "bytes"),
    TASK.integer("vmem", "Virtual memory used, as last seen.", "bytes"),
    TASK.integer("peakRss", "Most resident memory used.", "bytes"),
    TASK.integer("peakVmem", "Most virtual memory used.", "bytes"),
    TASK.integer("rchar", "Bytes read, from caches too.", "bytes"),
    TASK.integer("wchar", "Bytes written, to caches too.", "bytes"),
    TASK.integer("syscr", "Read system calls.", "calls"),
    TASK.integer("syscw", "Write system calls.", "calls"),
    TASK.integer("readBytes", "Bytes read from disk.", "bytes"),
    TASK.integer("writeBytes", "Bytes written to disk.", "bytes"),
    TASK.integer("volCtxt", "Voluntary context switches.", "switches"),
    TASK.integer("invCtxt", "Involuntary context switches.", "switches"),
    TASK.text("container", "Container image of the task."),
    TASK.text("workdir", "Work directory of the task."),
    TASK.text("scratch", "Scratch directory asked for, `false` for none."),
    TASK.json("module", "Environment modules, a JSON list."),
    TASK.text("env", "Environment variables, one `NAME=value` a line."),
    TASK.text("script", "Command that the task ran."),
    TASK.text("logStreamId", "Log stream of the task."),
)

_NESTED_COLUMNS = (
    GRANTED.integer("cpuShares", "CPU shares granted by the scheduler.", "shares"),
    GRANTED.integer("memoryMiB", "Memory granted by the scheduler.", "MiB"),
    GRANTED.text("time", "Time granted by the scheduler, as it writes it."),
    GRANTED.integer("acceleratorCount", "Accelerators granted.", "accelerators"),
    GRANTED.text("acceleratorName", "Name of the accelerators, such as `nvidia-tesla-t4`."),
    GRANTED.text("acceleratorType", "Type of the accelerators, such as `gpu`."),
    GPU.text("name", "Name of the GPU."),
    GPU.text("driver", "Version of the GPU driver."),
    GPU.integer("mem", "Memory of the GPU.", "MiB"),
    GPU.integer("active_time", "Time that the GPU was active.", "ms"),
    GPU.number("pct", "GPU use, on average.", "percent"),
    GPU.number("peak", "GPU use, at most.", "percent"),
    GPU.number("pct_mem", "Use of GPU memory, on average.", "percent"),
    GPU.number("peak_mem", "Use of GPU memory, at most.", "percent"),
    GPU.integer("avg_mem", "GPU memory used, on average.", "MiB"),
    GPU.integer("peak_mem_used", "GPU memory used, at most.", "MiB"),
    GPU.number("avg_mem_bw_util", "Use of GPU memory bandwidth, on average.", "percent"),
    GPU.number("peak_mem_bw_util", "Use of GPU memory bandwidth, at most.", "percent"),
)

TASKS = TableSpec(
    name="tasks",
    key=("workflow_id", "task_id"),
    columns=(workflow_id(), workspace_id(), *_TASK_COLUMNS, *_NESTED_COLUMNS, undocumented()),
    description="Tasks of runs.",
    grain="One row per task and attempt: a retried task is a task of its own.",
    source="GET /workflow/{workflowId}/tasks",
)


def task_rows(pages: Iterable[object], owner: Mapping[str, object]) -> pa.Table:
    """Build `tasks` from pages of one run, of which `owner` has the constants."""
    return TASKS.build(iter_task_records(pages), **owner)


def iter_task_records(pages: Iterable[object]) -> Iterator[dict[str, Any]]:
    """Yield the tasks of pages.

    Args:
        pages: The `tasks` of each page: lists of `{"task": {...}}`.

    Yields:
        One record a task; what a server puts beside `task` goes with it.
    """
    for page in pages:
        for element in as_objects(page):
            task = element.get("task")
            if not isinstance(task, dict):
                yield element
            elif len(element) == 1:
                yield task
            else:
                beside = {f"response.{key}": element[key] for key in element if key != "task"}
                yield beside | task


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
    "gpu_mem_avg": "MiB of GPU memory, on average",
    "gpu_mem_peak": "MiB of GPU memory, at most",
}
"""Unit of the figures of each metric, by its name in `process_metrics.metric`."""

_ENTRY = ApiObject("WorkflowMetrics")
_FIGURES = ApiObject("ResourceData", ("figures",), prefix=False)
_NAMES = frozenset({"id", "process"})  # the other fields are quantities
_UNIT = "unit of the metric"
_UNITS = "; ".join(f"{metric}: {unit}" for metric, unit in METRIC_UNITS.items())

PROCESS_METRICS = TableSpec(
    name="process_metrics",
    key=("workflow_id", "process", "metric"),
    columns=(
        workflow_id(),
        workspace_id(),
        _ENTRY.text("process", "Process, without its scopes, as the API gives it.", key=True),
        ColumnSpec(
            "metric",
            TEXT,
            ("metric",),
            f"Quantity, with its unit: {_UNITS}.",
            unit=None,
            source="WorkflowMetrics, the name of the field",
            nullable=False,
        ),
        ColumnSpec(
            "metric_id",
            INTEGER,
            ("id",),
            "Identifier of the process's metrics on the platform.",
            unit=None,
            source="WorkflowMetrics.id",
        ),
        _FIGURES.number("mean", "Mean over the tasks of the process.", _UNIT),
        _FIGURES.number("min", "Least value.", _UNIT),
        _FIGURES.number("q1", "First quartile.", _UNIT),
        _FIGURES.number("q2", "Median.", _UNIT),
        _FIGURES.number("q3", "Third quartile.", _UNIT),
        _FIGURES.number("max", "Greatest value.", _UNIT),
        _FIGURES.text("minLabel", "Task with the least value."),
        _FIGURES.text("q1Label", "Task at the first quartile."),
        _FIGURES.text("q2Label", "Task at the median."),
        _FIGURES.text("q3Label", "Task at the third quartile."),
        _FIGURES.text("maxLabel", "Task with the greatest value."),
        _FIGURES.json("warnings", "What Nextflow warns of, a JSON list."),
        undocumented(),
    ),
    description="How much of each resource the tasks of a process used, as quartiles.",
    grain="One row per run, process and quantity that the API has figures for.",
    source="GET /workflow/{workflowId}/metrics",
)


def iter_metric_records(metrics: object) -> Iterator[dict[str, Any]]:
    """Yield one record a quantity of a process.

    Args:
        metrics: The `metrics` of the answer: one object a process, with a field for each quantity.

    Yields:
        Records for `process_metrics`; a field that no version of the description names is a
        quantity too, so that nothing is lost.
    """
    for entry in as_objects(metrics):
        named = {key: value for key, value in entry.items() if key in _NAMES}
        for field, figures in entry.items():
            if figures is not None and field not in named:
                yield {**named, "metric": to_snake_case(field), "figures": figures}

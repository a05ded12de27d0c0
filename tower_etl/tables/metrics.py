"""Resource use of processes: the `process_metrics` table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tower_etl.tables.column import (
    INTEGER,
    TEXT,
    ApiObject,
    ColumnSpec,
    to_snake_case,
    undocumented,
    workflow_id,
    workspace_id,
)
from tower_etl.tables.shape import as_objects
from tower_etl.tables.table import TableSpec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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

"""Metrics of a run: how each process used what it asked for, as quartiles over its tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Row = dict[str, Any]
    Sample = list[tuple[float, str]]

_MEASURED = ("COMPLETED", "CACHED", "FAILED")
_QUARTILES = (("q1", 0.25), ("q2", 0.5), ("q3", 0.75))


def _share(used: str, asked: str, scale: float) -> Callable[[Row], float | None]:
    def compute(task: Row) -> float | None:
        part, whole = task.get(used), task.get(asked)
        return None if part is None or not whole else scale * part / whole

    return compute


def _field(name: str) -> Callable[[Row], float | None]:
    return lambda task: task.get(name)


# Real answers fill reads and writes from rchar and wchar, and leave a quantity out when all is 0.
_QUANTITIES: dict[str, Callable[[Row], float | None]] = {
    "cpu": _field("pcpu"),
    "mem": _field("peakRss"),
    "vmem": _field("peakVmem"),
    "time": _field("realtime"),
    "reads": _field("rchar"),
    "writes": _field("wchar"),
    "cpuUsage": _share("pcpu", "cpus", 1),
    "memUsage": _share("peakRss", "memory", 100),
    "timeUsage": _share("realtime", "time", 100),
}


def _round(value: float) -> float:
    return round(float(f"{value:.6g}"), 2)


def _find_quantile(sample: Sample, share: float) -> tuple[float, str]:
    place = share * (len(sample) - 1)
    low = int(place)
    high = min(low + 1, len(sample) - 1)
    value = sample[low][0] + (place - low) * (sample[high][0] - sample[low][0])
    return value, sample[round(place)][1]


def _summarise(sample: Sample) -> Row | None:
    sample.sort()
    if not sample or _round(sample[-1][0]) == 0:
        return None
    row: Row = {
        "mean": _round(sum(value for value, _ in sample) / len(sample)),
        "min": _round(sample[0][0]),
        "minLabel": sample[0][1],
        "max": _round(sample[-1][0]),
        "maxLabel": sample[-1][1],
        "warnings": [],
    }
    for name, share in _QUARTILES:
        value, label = _find_quantile(sample, share)
        row |= {name: _round(value), f"{name}Label": label}
    return row


def _measure(process: str, tasks: Sequence[Row], metric_id: int) -> Row:
    row: Row = {"id": metric_id, "process": process}
    for quantity, compute in _QUANTITIES.items():
        values = ((compute(task), str(task.get("name"))) for task in tasks)
        row[quantity] = _summarise([(value, name) for value, name in values if value is not None])
    return row


def compute_metrics(tasks: Iterable[Row], first_id: int = 1) -> list[Row]:
    """Metrics of each process (`WorkflowMetrics`), keyed by the process' last name.

    Cached tasks count, as in real answers; failed ones do for their time, the one measure that
    they have.

    Args:
        tasks: Tasks of one run in the API's shape.
        first_id: Id of the first row; the others follow.
    """
    by_process: dict[str, list[Row]] = {}
    for task in tasks:
        if task.get("status") in _MEASURED and task.get("process"):
            by_process.setdefault(task["process"].rpartition(":")[2], []).append(task)
    return [
        _measure(process, its, first_id + place)
        for place, (process, its) in enumerate(by_process.items())
    ]

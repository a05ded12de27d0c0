"""Progress, statistics and metrics of a run, computed from its tasks as on the platform."""

from __future__ import annotations

from collections import Counter
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from tower_etl.simulator.clock import parse_timestamp
from tower_etl.simulator.data import load_toml

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Sample = list[tuple[float, str]]

Row = dict[str, Any]
"""A JSON object of the API."""

_HOUR_MS = 3_600_000
_GIB = 2**30
_AGGREGATES = load_toml("aggregates.toml")
_COUNTERS: dict[str, str] = _AGGREGATES["counters"]
_SUMS: dict[str, str] = _AGGREGATES["sums"]
_QUANTITIES: dict[str, tuple[str, str, int]] = _AGGREGATES["quantities"]
_STATISTICS = {"cached": "CACHED", "failed": "FAILED", "succeed": "COMPLETED"}
_MEASURED = ("COMPLETED", "CACHED", "FAILED")


def _total(tasks: Iterable[Row], field: str) -> int:
    return sum(task.get(field) or 0 for task in tasks)


def _elapsed_ms(task: Row) -> int:
    # In real responses progress sums `complete - start`, statistics sum `realtime`.
    if not task.get("start") or not task.get("complete"):
        return 0
    return round(1000 * (parse_timestamp(task["complete"]) - parse_timestamp(task["start"])))


def _count(tasks: Sequence[Row]) -> Row:
    statuses = Counter(task.get("status") for task in tasks)
    actions = Counter(task.get("errorAction") for task in tasks)
    counts = {counter: statuses[status] for counter, status in _COUNTERS.items()}
    return counts | {"retries": actions["RETRY"], "ignored": actions["IGNORE"]}


def _measure_load(tasks: Sequence[Row]) -> Row:
    """Return the current load, and the peaks of the run so far."""
    running = [task for task in tasks if task.get("status") == "RUNNING"]
    # Within a second, ends sort before starts, so that consecutive tasks do not overlap.
    steps = [("", 0, 0, 0)]
    for task in tasks:
        if task.get("start") and task.get("status") != "CACHED":
            cpus, memory = task.get("cpus") or 0, task.get("memory") or 0
            steps.append((task["start"], 1, cpus, memory))
            if task.get("complete"):
                steps.append((task["complete"], -1, -cpus, -memory))
    _, *columns = zip(*sorted(steps), strict=True)
    peaks = (max(accumulate(column)) for column in columns)
    return {
        "loadTasks": len(running),
        "loadCpus": _total(running, "cpus"),
        "loadMemory": _total(running, "memory"),
        **dict(zip(("peakTasks", "peakCpus", "peakMemory"), peaks, strict=True)),
    }


def _percent(part: float, whole: float) -> float:
    return round(100 * part / whole, 6) if whole else 0.0


def _sum_use(tasks: Sequence[Row]) -> Row:
    use: Row = {name: _total(tasks, field) for name, field in _SUMS.items()}
    timed = [(task, _elapsed_ms(task)) for task in tasks]
    use["cpuTime"] = sum((task.get("cpus") or 0) * ms for task, ms in timed)
    use["cpuLoad"] = int(sum((task.get("pcpu") or 0) / 100 * ms for task, ms in timed))
    return use


def _sum_net(tasks: Sequence[Row]) -> Row:
    fresh = [task for task in tasks if task.get("status") != "CACHED"]
    net = {f"net{name[0].upper()}{name[1:]}": value for name, value in _sum_use(fresh).items()}
    byte_ms = sum((task.get("memory") or 0) * _elapsed_ms(task) for task in fresh)
    net["netMemoryConsumption"] = round(byte_ms / _GIB / _HOUR_MS, 10)
    net["netCost"] = sum_cost(fresh)
    return net


def sum_cost(tasks: Iterable[Row]) -> float | None:
    """Return the cost of the tasks in USD, None if no task has a cost."""
    costs = [task["cost"] for task in tasks if task.get("cost") is not None]
    return round(sum(costs), 10) if costs else None


def _sum_workflow(tasks: Sequence[Row], created: str | None, updated: str | None) -> Row:
    use = _sum_use(tasks)
    spot = [task for task in tasks if task.get("numSpotInterruptions") is not None]
    return {
        "dateCreated": created,
        "lastUpdated": updated,
        "version": 0,
        "executors": sorted({task["executor"] for task in tasks if task.get("executor")}),
        **use,
        **_measure_load(tasks),
        "numSpotInterruptions": _total(spot, "numSpotInterruptions") if spot else None,
        "cost": sum_cost(tasks),
        **_sum_net(tasks),
        **_count(tasks),
        "cpuEfficiency": _percent(use["cpuLoad"], use["cpuTime"]),
        "memoryEfficiency": _percent(use["memoryRss"], use["memoryReq"]),
    }


def _sum_process(process: str, tasks: Sequence[Row], updated: str | None) -> Row:
    return {
        "dateCreated": updated,
        "lastUpdated": updated,
        "version": 0,
        "process": process,
        # The platform sums these for the run only.
        **dict.fromkeys((*_SUMS, "cpuTime", "cpuLoad"), 0),
        **_measure_load(tasks),
        **_count(tasks),
        "cpuEfficiency": 0.0,
        "memoryEfficiency": 0.0,
    }


def sum_progress(
    tasks: Sequence[Row], processes: Iterable[str], created: str | None, updated: str | None
) -> Row:
    """Return the progress of a run (`ProgressData`) that has these tasks.

    Args:
        tasks: Tasks of the run in the API's shape.
        processes: All processes of the pipeline; a process without tasks gets a row of zeros.
        created: Start of the run, an API timestamp.
        updated: Last update of the run, an API timestamp.
    """
    by_process: dict[str, list[Row]] = {process: [] for process in processes}
    for task in tasks:
        if task.get("process"):
            by_process.setdefault(task["process"], []).append(task)
    sums = [_sum_process(process, rows, updated) for process, rows in by_process.items()]
    return {
        "workflowProgress": _sum_workflow(tasks, created, updated),
        "processesProgress": sums,
        "totalProcesses": len(sums),
    }


def _format_hours(spent: Row, total_ms: int) -> str:
    shares = [
        f"{100 * spent[kind] / total_ms:.1f}% {kind}"
        for kind in ("cached", "failed")
        if total_ms and spent[kind]
    ]
    return f"{total_ms / _HOUR_MS:.1f}" + (f" ({', '.join(shares)})" if shares else "")


def sum_stats(tasks: Sequence[Row]) -> Row:
    """Return the statistics of a run (`WfStats`); durations are CPU milliseconds."""
    counts, spent = {}, {}
    for kind, status in _STATISTICS.items():
        chosen = [task for task in tasks if task.get("status") == status]
        counts[kind] = len(chosen)
        cpu_ms = ((task.get("cpus") or 0) * (task.get("realtime") or 0) for task in chosen)
        spent[kind] = sum(map(int, cpu_ms))
    counts["ignored"] = sum(task.get("errorAction") == "IGNORE" for task in tasks)
    total = sum(counts.values())
    return {
        "computeTimeFmt": _format_hours(spent, sum(spent.values())),
        **{f"{kind}Count": count for kind, count in counts.items()},
        **{f"{kind}CountFmt": f"{count:,}" for kind, count in counts.items()},
        **{f"{kind}Pct": round(_percent(count, total), 2) for kind, count in counts.items()},
        **{f"{kind}Duration": duration for kind, duration in spent.items()},
    }


def _compute_quantity(task: Row, used: str, requested: str, scale: int) -> float | None:
    part: float | None = task.get(used)
    if part is None or not requested:
        return part
    whole = task.get(requested)
    return scale * part / whole if whole else None


def _round(value: float) -> float:
    return round(float(f"{value:.6g}"), 2)


def _quantile(sample: Sample, share: float) -> tuple[float, str]:
    position = share * (len(sample) - 1)
    low = int(position)
    high = min(low + 1, len(sample) - 1)
    value = sample[low][0] + (position - low) * (sample[high][0] - sample[low][0])
    return value, sample[round(position)][1]


def _quartiles(sample: Sample) -> Row | None:
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
    for name, share in (("q1", 0.25), ("q2", 0.5), ("q3", 0.75)):
        value, label = _quantile(sample, share)
        row |= {name: _round(value), f"{name}Label": label}
    return row


def _measure(process: str, tasks: Sequence[Row], metric_id: int) -> Row:
    row: Row = {"id": metric_id, "process": process}
    for quantity, formula in _QUANTITIES.items():
        values = ((_compute_quantity(task, *formula), str(task.get("name"))) for task in tasks)
        row[quantity] = _quartiles([(value, name) for value, name in values if value is not None])
    return row


def compute_metrics(tasks: Iterable[Row], first_id: int = 1) -> list[Row]:
    """Return the metrics of each process (`WorkflowMetrics`), named without its workflows.

    Cached tasks count, as in real responses. Failed tasks count for their time only, as they have
    no other measure.

    The ids of the rows count from `first_id`.
    """
    by_process: dict[str, list[Row]] = {}
    for task in tasks:
        if task.get("status") in _MEASURED and task.get("process"):
            by_process.setdefault(task["process"].rpartition(":")[2], []).append(task)
    return [
        _measure(*entry, metric_id) for metric_id, entry in enumerate(by_process.items(), first_id)
    ]

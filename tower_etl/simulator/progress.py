"""Progress and statistics of a run, summed from its tasks as the platform sums them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tower_etl.simulator.timeline import parse_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Row = dict[str, Any]

_HOUR_MS = 3_600_000
_GIB = 2**30
_COUNTERS = ("cached", "submitted", "running", "succeeded", "failed", "aborted", "pending")
_COUNTER_OF = {
    "NEW": "pending",
    "SUBMITTED": "submitted",
    "RUNNING": "running",
    "CACHED": "cached",
    "COMPLETED": "succeeded",
    "FAILED": "failed",
    "ABORTED": "aborted",
}
# The platform keeps these sums for the run alone; in a process' row they stay at zero.
_SUMS = (
    ("cpus", "cpus"),
    ("memoryRss", "peakRss"),
    ("memoryReq", "memory"),
    ("readBytes", "rchar"),
    ("writeBytes", "wchar"),
    ("volCtxSwitch", "volCtxt"),
    ("invCtxSwitch", "invCtxt"),
)


def _total(tasks: Iterable[Row], field: str) -> int:
    return sum(task.get(field) or 0 for task in tasks)


def _cpu_time_ms(task: Row) -> int:
    return int((task.get("cpus") or 0) * (task.get("realtime") or 0))


def _lasted_ms(task: Row) -> int:
    # Progress goes by the wall time from start to end, statistics by `realtime`: so do real runs.
    if not task.get("start") or not task.get("complete"):
        return 0
    return round(1000 * (parse_text(task["complete"]) - parse_text(task["start"])))


def _count(tasks: Iterable[Row]) -> Row:
    counts = dict.fromkeys(_COUNTERS, 0) | {"retries": 0, "ignored": 0}
    for task in tasks:
        counter = _COUNTER_OF.get(str(task.get("status")))
        if counter is not None:
            counts[counter] += 1
        counts["retries"] += task.get("errorAction") == "RETRY"
        counts["ignored"] += task.get("errorAction") == "IGNORE"
    return counts


def _find_peaks(tasks: Iterable[Row]) -> Row:
    # Sorting "end" before "start" within a second keeps back-to-back tasks from overlapping.
    steps: list[tuple[str, int, int, int]] = []
    for task in tasks:
        if task.get("start") and task.get("status") != "CACHED":
            cpus, memory = task.get("cpus") or 0, task.get("memory") or 0
            steps.append((task["start"], 1, cpus, memory))
            if task.get("complete"):
                steps.append((task["complete"], -1, -cpus, -memory))
    level = peak = (0, 0, 0)
    for _, *step in sorted(steps):
        level = (level[0] + step[0], level[1] + step[1], level[2] + step[2])
        peak = (max(peak[0], level[0]), max(peak[1], level[1]), max(peak[2], level[2]))
    return {"peakTasks": peak[0], "peakCpus": peak[1], "peakMemory": peak[2]}


def _measure_load(tasks: Sequence[Row]) -> Row:
    running = [task for task in tasks if task.get("status") == "RUNNING"]
    return {
        "loadTasks": len(running),
        "loadCpus": _total(running, "cpus"),
        "loadMemory": _total(running, "memory"),
    }


def _percent(part: float, whole: float) -> float:
    return round(100 * part / whole, 6) if whole else 0.0


def _sum_use(tasks: Sequence[Row]) -> Row:
    use: Row = {name: _total(tasks, field) for name, field in _SUMS}
    lasted = [(task, _lasted_ms(task)) for task in tasks]
    use["cpuTime"] = sum((task.get("cpus") or 0) * ms for task, ms in lasted)
    use["cpuLoad"] = int(sum((task.get("pcpu") or 0) / 100 * ms for task, ms in lasted))
    return use


def _sum_net(tasks: Sequence[Row]) -> Row:
    fresh = [task for task in tasks if task.get("status") != "CACHED"]
    net = {f"net{name[0].upper()}{name[1:]}": value for name, value in _sum_use(fresh).items()}
    byte_ms = sum((task.get("memory") or 0) * _lasted_ms(task) for task in fresh)
    net["netMemoryConsumption"] = round(byte_ms / _GIB / _HOUR_MS, 10)
    net["netCost"] = sum_cost(fresh)
    return net


def sum_cost(tasks: Iterable[Row]) -> float | None:
    """Cost of the tasks in USD, None where no task has one."""
    costs = [task["cost"] for task in tasks if task.get("cost") is not None]
    return round(sum(costs), 10) if costs else None


def sum_workflow(tasks: Sequence[Row], created: str | None, updated: str | None) -> Row:
    """The run's own row of progress (`WorkflowLoad`).

    Args:
        tasks: Tasks of the run in the API's shape.
        created: When the row was first written, as API text.
        updated: When it was last written, as API text.
    """
    use = _sum_use(tasks)
    spot = [task for task in tasks if task.get("numSpotInterruptions") is not None]
    return {
        "dateCreated": created,
        "lastUpdated": updated,
        "version": 0,
        "executors": sorted({task["executor"] for task in tasks if task.get("executor")}),
        **use,
        **_measure_load(tasks),
        **_find_peaks(tasks),
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
        **dict.fromkeys((name for name, _ in _SUMS), 0),
        "cpuTime": 0,
        "cpuLoad": 0,
        **_measure_load(tasks),
        **_find_peaks(tasks),
        **_count(tasks),
        "cpuEfficiency": 0.0,
        "memoryEfficiency": 0.0,
    }


def sum_progress(
    tasks: Sequence[Row], processes: Iterable[str], created: str | None, updated: str | None
) -> Row:
    """Progress of a run (`ProgressData`), consistent with the given tasks.

    Args:
        tasks: Tasks of the run in the API's shape.
        processes: Every process of the pipeline; those without tasks get a row of zeros.
        created: Start of the run, as API text.
        updated: Last update of the run, as API text.
    """
    by_process: dict[str, list[Row]] = {process: [] for process in processes}
    for task in tasks:
        if task.get("process"):
            by_process.setdefault(task["process"], []).append(task)
    rows = [_sum_process(process, its, updated) for process, its in by_process.items()]
    return {
        "workflowProgress": sum_workflow(tasks, created, updated),
        "processesProgress": rows,
        "totalProcesses": len(rows),
    }


def _describe_hours(stats: Row, whole_ms: int) -> str:
    shares = [
        f"{100 * stats[kind] / whole_ms:.1f}% {kind}"
        for kind in ("cached", "failed")
        if whole_ms and stats[kind]
    ]
    return f"{whole_ms / _HOUR_MS:.1f}" + (f" ({', '.join(shares)})" if shares else "")


def sum_stats(tasks: Sequence[Row]) -> Row:
    """Statistics of a run (`WfStats`); durations are CPU milliseconds, as in real answers."""
    kinds = {"cached": "CACHED", "failed": "FAILED", "succeed": "COMPLETED"}
    chosen = {kind: [t for t in tasks if t.get("status") == s] for kind, s in kinds.items()}
    counts = {kind: len(its) for kind, its in chosen.items()}
    counts["ignored"] = sum(task.get("errorAction") == "IGNORE" for task in tasks)
    stats = {kind: sum(map(_cpu_time_ms, its)) for kind, its in chosen.items()}
    whole = sum(counts.values())
    return {
        "computeTimeFmt": _describe_hours(stats, sum(stats.values())),
        **{f"{kind}Count": count for kind, count in counts.items()},
        **{f"{kind}CountFmt": f"{count:,}" for kind, count in counts.items()},
        **{f"{kind}Pct": round(_percent(count, whole), 2) for kind, count in counts.items()},
        **{f"{kind}Duration": duration for kind, duration in stats.items()},
    }

"""Attempts of generated tasks: request, times, machine with its cost, and measures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tower_etl.simulator.generator.specs import draw_log_normal

if TYPE_CHECKING:
    import random

    from tower_etl.simulator.aggregates import Row
    from tower_etl.simulator.generator.specs import Process, RunSpec

GIB = 2**30
_MAX_CPUS, _MAX_MEMORY_GIB = 32, 256  # `resourceLimits` of the compute environments
_SPOT_HIT_SHARE = 0.03
_GPU: dict[str, Any] = {"driver": "570.86.15", "mem": 22_888, "name": "NVIDIA A10G"}


@dataclass(frozen=True, slots=True)
class Attempt:
    """Request of a task attempt, and whether the previous attempt ran out of memory."""

    number: int
    cpus: int
    memory_gib: int
    after_out_of_memory: bool = False

    def next(self, *, out_of_memory: bool) -> Attempt:
        """Return the next attempt with twice the request, as nf-core's `task.attempt` gives."""
        return Attempt(
            self.number + 1,
            max(self.cpus, min(2 * self.cpus, _MAX_CPUS)),
            max(self.memory_gib, min(2 * self.memory_gib, _MAX_MEMORY_GIB)),
            after_out_of_memory=out_of_memory,
        )


@dataclass(frozen=True, slots=True)
class TaskTimes:
    """Times of a task, epoch seconds; `staged_s` is the part of its duration spent on staging."""

    created_s: int
    submit_s: int
    start_s: int
    complete_s: int
    staged_s: int = 0

    @property
    def duration_s(self) -> int:
        """Time for which the task occupied its machine."""
        return self.complete_s - self.start_s

    @property
    def run_s(self) -> int:
        """Run time of the command."""
        return self.duration_s - self.staged_s


def draw_machine(
    rng: random.Random, spec: RunSpec, process: Process, attempt: Attempt, times: TaskTimes
) -> Row:
    """Return machine and cost of an attempt, empty on platforms that report no machines."""
    platform, request = spec.platform, (attempt.cpus, attempt.memory_gib)
    fitting = [entry for entry in platform.machines if entry.fits(*request, process.gpus)]
    if not fitting:
        return {}
    machine = fitting[int(len(fitting) * rng.random())]
    cost_usd = machine.cost_usd(*request, times.duration_s, spot=spec.spot)
    return {
        "machineType": machine.name,
        "cloudZone": f"{platform.region}{'abc'[int(3 * rng.random())]}",
        "cost": round(cost_usd, 10),
        "resourceAllocation": _allocation(process, attempt) if process.gpus else None,
    }


def draw_measures(
    rng: random.Random, spec: RunSpec, process: Process, attempt: Attempt, times: TaskTimes
) -> Row:
    """Return the measures of a completed attempt: CPU, memory, I/O and GPU use."""
    used = min(draw_log_normal(rng, process.cpu_utilization, 0.2), 1.5)
    share = min(draw_log_normal(rng, process.memory_utilization, 0.35), 0.97)
    if attempt.after_out_of_memory:
        share = rng.uniform(1.02, 1.6)
    # The need of a task does not follow the larger request of a retry.
    peak_rss = int(max(3e6, process.memory_gib * GIB * share))
    read = int(draw_log_normal(rng, 3e7, 1.3) * (1 + times.duration_s))
    written = int(draw_log_normal(rng, 8e6, 1.5) * (1 + times.duration_s))
    spot_hit = spec.spot and rng.random() < _SPOT_HIT_SHARE
    return {
        "exit": 0,
        "exitStatus": 0,
        "pcpu": round(100 * used * process.cpus, 1),
        "pmem": round(peak_rss / (2.56 * GIB), 1),
        "rss": int(peak_rss * rng.uniform(0.9, 1.0)),
        "peakRss": peak_rss,
        "vmem": int(peak_rss * 1.1),
        "peakVmem": int(peak_rss * rng.uniform(1.1, 2.5)),
        "rchar": read,
        "wchar": written,
        "readBytes": read // 50,
        "writeBytes": written // 80,
        "syscr": read // 8000,
        "syscw": written // 8000,
        "volCtxt": times.duration_s * 90,
        "invCtxt": times.duration_s * 11,
        "numSpotInterruptions": int(spot_hit) if spec.spot else None,
        "gpuMetrics": _draw_gpu(rng, times) if process.gpus and spec.platform.machines else None,
    }


def _draw_gpu(rng: random.Random, times: TaskTimes) -> Row:
    busy = rng.uniform(0.1, 0.7)
    peak_mib = int(_GPU["mem"] * rng.uniform(0.15, 0.6))
    return _GPU | {
        "active_time": int(1000 * times.run_s * busy),
        "avg_mem": int(peak_mib * 0.7),
        "avg_mem_bw_util": round(40 * busy, 1),
        "pct": round(100 * busy, 1),
        "pct_mem": round(70 * peak_mib / _GPU["mem"], 1),
        "peak": round(min(100.0, 140 * busy), 1),
        "peak_mem": round(100 * peak_mib / _GPU["mem"], 1),
        "peak_mem_bw_util": round(60 * busy, 1),
        "peak_mem_used": peak_mib,
    }


def _allocation(process: Process, attempt: Attempt) -> Row:
    return {
        "acceleratorCount": process.gpus,
        "acceleratorName": _GPU["name"],
        "acceleratorType": "gpu",
        "cpuShares": 1024 * attempt.cpus,
        "memoryMiB": 1024 * attempt.memory_gib,
        "time": f"{process.time_h}h",
    }

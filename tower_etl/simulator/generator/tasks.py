"""Tasks of generated runs: times, measures, outcomes, and their visible state at any time."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from tower_etl.simulator.clock import format_timestamp
from tower_etl.simulator.generator.specs import choose_failure, draw_log_normal, plan_tasks
from tower_etl.simulator.runs import (
    EMPTY_TASK,
    UNKNOWN_UNTIL_END,
    UNKNOWN_UNTIL_START,
    RunTasks,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tower_etl.simulator.aggregates import Row
    from tower_etl.simulator.generator.specs import PlannedTask, Process, RunSpec

_GIB = 2**30
_MAX_CPUS, _MAX_MEMORY_GIB = 32, 256  # `resourceLimits` of the compute environments
_SPOT_HIT_SHARE = 0.03
_GPU: dict[str, Any] = {"driver": "570.86.15", "mem": 22_888, "name": "NVIDIA A10G"}
_HOUR_MS = 3_600_000
_FIRST_ID = 1_000_000_000
_IDS_PER_RUN = 100_000
_SHORTEST_S = 20
_MAX_ABORTED = 3
_RETRIED_SPOT_SHARE, _RETRIED_SHARE = 0.07, 0.03
_INTERRUPTED_SHARE = 0.6  # share of the retries on spot machines
_NEVER_RAN_SHARE = 0.3  # share of the interruptions: the machine was lost before the task ran
_LATE_SHARE = 0.05
_REGRESSED_SHARE, _REGRESSION = 0.15, 5  # share of runs with a slower process, and the factor
# Staging takes a log-normal share of the run time, at most twice that time. Fusion streams inputs.
_STAGING_SHARE, _FUSION_STAGING_SHARE, _STAGING_SIGMA, _MAX_STAGING = 0.25, 0.05, 0.9, 2.0
_OUT_OF_MEMORY, _INTERRUPTED, _OTHER_ERROR = 137, 143, 104
_LARGE_PEAK = 0.3  # median memory utilization above which a process may run out of memory
_ENV = "PYTHONNOUSERSITE=1\nR_PROFILE_USER=/.Rprofile\nR_ENVIRON_USER=/.Renviron\n"


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


@dataclass(frozen=True)
class GeneratedTasks(RunTasks):
    """Final state of all tasks of a generated run, with the times of each task."""

    times: Sequence[TaskTimes] = ()

    def known_at(self, now_s: int) -> list[Row]:
        """Return the state of the tasks that the platform knows at a time."""
        known = [_known_at(*pair, now_s) for pair in zip(self.rows, self.times, strict=True)]
        return [task for task in known if task is not None]


def _known_at(task: Row, times: TaskTimes, now_s: int) -> Row | None:
    if now_s >= times.complete_s:
        return task
    if now_s >= times.start_s:
        return task | UNKNOWN_UNTIL_END | {"status": "RUNNING", "lastUpdated": task["start"]}
    if now_s >= times.submit_s:
        return task | UNKNOWN_UNTIL_START | {"status": "SUBMITTED", "lastUpdated": task["submit"]}
    if now_s >= times.created_s:
        fresh = {"status": "NEW", "submit": None, "lastUpdated": task["dateCreated"]}
        return task | UNKNOWN_UNTIL_START | fresh
    return None


class TaskGenerator:
    """Generator that draws the tasks of a run from its seed."""

    def __init__(self, spec: RunSpec) -> None:
        self.spec = spec
        self._planned = plan_tasks(spec)
        self._stages = 1 + max(task.process.stage for task in self._planned)
        self._rng = random.Random(f"{spec.seed}:tasks")
        regressed = self._rng.random() < _REGRESSED_SHARE
        self._regressed = self._rng.choice(self._planned).process if regressed else None
        self._drawn: list[tuple[float, Row, TaskTimes]] = []
        self._defaults: dict[str, Row] = {}

    def draw(self, parent: GeneratedTasks | None) -> GeneratedTasks:
        """Return the tasks by creation time, with a few out of order; reuse those of the parent."""
        known = parent.rows if parent else ()
        done = {
            (task["process"], task["tag"]): task for task in known if task["status"] == "COMPLETED"
        }
        for number, planned in enumerate(self._planned):
            if cached := done.get((planned.process.name, planned.tag)):
                self._reuse(cached)
            else:
                self._add(planned, self._choose_end(number))
        self._drawn.sort(key=lambda drawn: drawn[0])
        first_id = _FIRST_ID + self.spec.number * _IDS_PER_RUN
        for task_id, (_, task, _) in enumerate(self._drawn, start=1):
            task["taskId"], task["id"] = task_id, first_id + task_id
        return GeneratedTasks(
            rows=[task for _, task, _ in self._drawn],
            processes=[process.name for process in self.spec.pipeline.processes],
            created=format_timestamp(self.spec.start_s),
            updated=format_timestamp(self.spec.final_s),
            first_metric_id=self.spec.number * 1000,
            times=[times for _, _, times in self._drawn],
        )

    def _choose_end(self, number: int) -> str:
        """Return the final status of a planned task; only the last few tasks can fail or abort."""
        left = len(self._planned) - 1 - number
        if self.spec.outcome == "SUCCEEDED" or left > _MAX_ABORTED:
            return "COMPLETED"
        if not left:
            return "FAILED" if self.spec.outcome == "FAILED" else "ABORTED"
        return self._rng.choice(("COMPLETED", "ABORTED"))

    def _reuse(self, cached: Row) -> None:
        """Add a cached task, with times and cost of its original execution."""
        now_s = self.spec.start_s + 4
        now = format_timestamp(now_s)
        again = {"status": "CACHED", "dateCreated": now, "lastUpdated": now}
        self._keep(cached | again, TaskTimes(now_s, now_s, now_s, now_s))

    def _add(self, planned: PlannedTask, end: str) -> None:
        """Draw a planned task, with some probability after a failed attempt."""
        spec, rng, process = self.spec, self._rng, planned.process
        wall_s = max(1, spec.complete_s - spec.start_s - 12)
        stage_s = wall_s / self._stages
        submit_s = spec.start_s + 5 + int(stage_s * (process.stage + 0.3 * rng.random()))
        attempt = Attempt(1, process.cpus, process.memory_gib)
        share = _RETRIED_SPOT_SHARE if spec.spot else _RETRIED_SHARE
        if end != "ABORTED" and rng.random() < share:
            submit_s, attempt = self._failed_attempt(planned, submit_s, attempt)
        times = self._time(process, submit_s, to_end=end != "COMPLETED")
        task = self._describe(planned, times, attempt)
        if end == "COMPLETED":
            task |= self._draw_measures(process, attempt, times)
        else:
            task |= self._fail(planned, end)
        self._keep(task, times)

    def _failed_attempt(
        self, planned: PlannedTask, submit_s: int, attempt: Attempt
    ) -> tuple[int, Attempt]:
        """Draw an attempt that is retried; return submission and request of the next attempt."""
        rng, spot = self._rng, self.spec.spot
        interrupted = spot and rng.random() < _INTERRUPTED_SHARE
        never_ran = interrupted and rng.random() < _NEVER_RAN_SHARE
        times = self._cut(self._time(planned.process, submit_s), never_ran=never_ran)
        if self.spec.complete_s - times.complete_s < _SHORTEST_S:
            return submit_s, attempt
        task = self._describe(planned, times, attempt)
        out_of_memory = not interrupted and planned.process.memory_utilization >= _LARGE_PEAK
        code = _OUT_OF_MEMORY if out_of_memory else _OTHER_ERROR
        task |= {"status": "FAILED", "errorAction": "RETRY"}
        task |= {"numSpotInterruptions": int(interrupted)} if spot else {}
        if never_ran:
            task |= {"realtime": 0, "errorMessage": "Task failed to start - Host terminated"}
        else:
            code = _INTERRUPTED if interrupted else code
            task |= {"exit": code, "exitStatus": code}
        self._keep(task, times)
        return times.complete_s + 2, attempt.next(out_of_memory=out_of_memory)

    def _cut(self, times: TaskTimes, *, never_ran: bool) -> TaskTimes:
        """Cut a task short; the platform reports a lost task that never ran with no duration."""
        if never_ran:
            return replace(times, complete_s=times.start_s, staged_s=0)
        ran_s = max(1, int(times.duration_s * self._rng.uniform(0.1, 0.9)))
        staged_s = min(times.staged_s, ran_s - 1)
        return replace(times, complete_s=times.start_s + ran_s, staged_s=staged_s)

    def _time(self, process: Process, submit_s: int, *, to_end: bool = False) -> TaskTimes:
        rng = self._rng
        left_s = max(2, self.spec.complete_s - 2 - submit_s)
        wait_s = min(draw_log_normal(rng, 80, 0.9), 0.3 * left_s)
        most_s = left_s - wait_s
        share = _FUSION_STAGING_SHARE if self.spec.fusion else _STAGING_SHARE
        staging = min(draw_log_normal(rng, share, _STAGING_SIGMA), _MAX_STAGING)
        pace = self.spec.pace * (_REGRESSION if process is self._regressed else 1)
        ran_s = draw_log_normal(rng, 60 * process.minutes * pace, 0.6) * (1 + staging)
        if to_end:
            ran_s = most_s
        elif ran_s > most_s:
            ran_s = most_s * rng.uniform(0.4, 1.0)
        start_s, duration_s = submit_s + int(wait_s), max(1, int(ran_s))
        staged_s = int(duration_s * staging / (1 + staging))
        return TaskTimes(submit_s - 1, submit_s, start_s, start_s + duration_s, staged_s)

    def _describe(self, planned: PlannedTask, times: TaskTimes, attempt: Attempt) -> Row:
        rng, complete = self._rng, format_timestamp(times.complete_s)
        digest = f"{rng.getrandbits(128):032x}"
        return self._default_fields(planned.process) | {
            "status": "COMPLETED",
            "dateCreated": format_timestamp(times.created_s),
            "submit": format_timestamp(times.submit_s),
            "start": format_timestamp(times.start_s),
            "complete": complete,
            "lastUpdated": complete,
            "duration": 1000 * (times.complete_s - times.submit_s) + int(1000 * rng.random()),
            "realtime": 1000 * times.run_s - int(900 * rng.random()),
            "attempt": attempt.number,
            "cpus": attempt.cpus,
            "memory": attempt.memory_gib * _GIB,
            "tag": planned.tag,
            "name": planned.name,
            "hash": f"{digest[:2]}/{digest[2:8]}",
            "workdir": f"{self.spec.work_dir}/{digest[:2]}/{digest[2:]}",
            "nativeId": str(UUID(digest)),
            **self._draw_machine(planned.process, attempt, times),
        }

    def _draw_machine(self, process: Process, attempt: Attempt, times: TaskTimes) -> Row:
        """Return machine and cost of an attempt, empty on platforms that report no machines."""
        rng, platform, request = self._rng, self.spec.platform, (attempt.cpus, attempt.memory_gib)
        fitting = [entry for entry in platform.machines if entry.fits(*request, process.gpus)]
        if not fitting:
            return {}
        machine = fitting[int(len(fitting) * rng.random())]
        cost_usd = machine.cost_usd(*request, times.duration_s, spot=self.spec.spot)
        return {
            "machineType": machine.name,
            "cloudZone": f"{platform.region}{'abc'[int(3 * rng.random())]}",
            "cost": round(cost_usd, 10),
            "resourceAllocation": _allocation(process, attempt) if process.gpus else None,
        }

    def _draw_measures(self, process: Process, attempt: Attempt, times: TaskTimes) -> Row:
        """Return the measures of a completed attempt: CPU, memory, I/O and GPU use."""
        rng, spec = self._rng, self.spec
        used = min(draw_log_normal(rng, process.cpu_utilization, 0.2), 1.5)
        share = min(draw_log_normal(rng, process.memory_utilization, 0.35), 0.97)
        if attempt.after_out_of_memory:
            share = rng.uniform(1.02, 1.6)
        # The need of a task does not follow the larger request of a retry.
        peak_rss = int(max(3e6, process.memory_gib * _GIB * share))
        read = int(draw_log_normal(rng, 3e7, 1.3) * (1 + times.duration_s))
        written = int(draw_log_normal(rng, 8e6, 1.5) * (1 + times.duration_s))
        spot_hit = spec.spot and rng.random() < _SPOT_HIT_SHARE
        return {
            "exit": 0,
            "exitStatus": 0,
            "pcpu": round(100 * used * process.cpus, 1),
            "pmem": round(peak_rss / (2.56 * _GIB), 1),
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
            "gpuMetrics": _draw_gpu(rng, times)
            if process.gpus and spec.platform.machines
            else None,
        }

    def _fail(self, planned: PlannedTask, end: str) -> Row:
        if end == "ABORTED":
            return {"status": end}
        failure = choose_failure(self.spec, planned)
        return {
            "status": end,
            "errorAction": "TERMINATE",
            "errorMessage": failure.message,
            "exit": failure.exit,
            "exitStatus": failure.exit,
        }

    def _default_fields(self, process: Process) -> Row:
        if process.name not in self._defaults:
            platform = self.spec.platform
            price = "spot" if self.spec.spot else "standard"
            self._defaults[process.name] = EMPTY_TASK | {
                "process": process.name,
                "container": f"quay.io/biocontainers/{process.image}",
                "time": process.time_h * _HOUR_MS,
                "executor": platform.executor,
                "queue": platform.queue,
                "priceModel": price if platform.machines else None,
                "scratch": "false",
                "env": _ENV,
                "module": [],
                "script": f"\n{process.name.rpartition(':')[2].lower()} --threads {process.cpus}\n",
            }
        return self._defaults[process.name]

    def _keep(self, task: Row, times: TaskTimes) -> None:
        # Tasks reach the platform slightly out of order: a later task may have a lower id.
        late_s = 30 * self._rng.random() if self._rng.random() < _LATE_SHARE else 0.0
        self._drawn.append((times.created_s + late_s, task, times))

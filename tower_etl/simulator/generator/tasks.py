"""Tasks of generated runs: when they run, what they use, how they end, and what is known when."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
    from tower_etl.simulator.generator.catalog import Process
    from tower_etl.simulator.generator.specs import PlannedTask, RunSpec

_GIB = 2**30
_HOUR_MS = 3_600_000
_FIRST_ID = 1_000_000_000
_IDS_PER_RUN = 100_000
_SHORTEST_S = 20
_SPOT_RATE, _STANDARD_RATE, _MEMORY_RATE = 0.017, 0.048, 0.0042  # USD an hour, by CPU and by GiB
_MAX_ABORTED = 3
_OUT_OF_MEMORY, _INTERRUPTED = 137, 143
_RETRIED_SPOT_SHARE, _RETRIED_SHARE = 0.05, 0.02
_INTERRUPTED_SHARE = 0.6  # share of the retries on spot machines
_SPOT_HIT_SHARE = 0.03
_LATE_SHARE = 0.05
_ENV = "PYTHONNOUSERSITE=1\nR_PROFILE_USER=/.Rprofile\nR_ENVIRON_USER=/.Renviron\n"


@dataclass(frozen=True, slots=True)
class TaskTimes:
    """Times of a task, epoch seconds."""

    created_s: int
    submit_s: int
    start_s: int
    complete_s: int


@dataclass(frozen=True)
class GeneratedTasks(RunTasks):
    """All tasks of a generated run, as they are in the end.

    Attributes:
        times: Times of each task.
    """

    times: Sequence[TaskTimes] = ()

    def known_at(self, now_s: int) -> list[Row]:
        """Return the tasks as the platform knows them at that time."""
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


def make_tasks(spec: RunSpec, parent: GeneratedTasks | None) -> GeneratedTasks:
    """Draw the tasks of a run.

    Args:
        spec: The run.
        parent: Tasks of the run that it resumes; it takes the completed ones from the cache.
    """
    done = {
        (task["process"], task["tag"]): task
        for task in (parent.rows if parent else ())
        if task["status"] == "COMPLETED"
    }
    planned = plan_tasks(spec)
    generator = TaskGenerator(spec, planned)
    for number, task in enumerate(planned):
        if cached := done.get((task.process.name, task.tag)):
            generator.reuse(cached)
        else:
            generator.add(task, generator.choose_end(number))
    return generator.finish()


class TaskGenerator:
    """Draws the tasks of a run from its seed, one after the other."""

    def __init__(self, spec: RunSpec, planned: Sequence[PlannedTask]) -> None:
        self.spec = spec
        self._planned = len(planned)
        self._stages = 1 + max((task.process.stage for task in planned), default=0)
        self._rng = random.Random(f"{spec.seed}:tasks")
        self._drawn: list[tuple[float, Row, TaskTimes]] = []
        self._defaults: dict[str, Row] = {}

    def finish(self) -> GeneratedTasks:
        """Return the tasks with their ids, by creation, a few of them out of order."""
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

    def choose_end(self, number: int) -> str:
        """Return the final status of a planned task; only the last few tasks may not complete."""
        left = self._planned - 1 - number
        if self.spec.outcome == "SUCCEEDED" or left > _MAX_ABORTED:
            return "COMPLETED"
        if not left:
            return "FAILED" if self.spec.outcome == "FAILED" else "ABORTED"
        return self._rng.choice(("COMPLETED", "ABORTED"))

    def reuse(self, cached: Row) -> None:
        """Add a cached task, with times and cost of its original execution."""
        now_s = self.spec.start_s + 4
        now = format_timestamp(now_s)
        again = {"status": "CACHED", "dateCreated": now, "lastUpdated": now}
        self._keep(cached | again, TaskTimes(now_s, now_s, now_s, now_s))

    def add(self, planned: PlannedTask, end: str) -> None:
        """Draw a task, now and then after a failed attempt."""
        spec, rng = self.spec, self._rng
        wall_s = max(1, spec.complete_s - spec.start_s - 12)
        stage_s = wall_s / self._stages
        submit_s = spec.start_s + 5 + int(stage_s * (planned.process.stage + 0.3 * rng.random()))
        attempt, memory = 1, planned.process.memory_gib * _GIB
        if end != "ABORTED" and rng.random() < (
            _RETRIED_SPOT_SHARE if spec.spot else _RETRIED_SHARE
        ):
            retry_s = self._failed_attempt(planned, submit_s)
            if retry_s is not None:
                submit_s, attempt, memory = retry_s, 2, memory * 2
        times = self._time(planned.process, submit_s, to_end=end != "COMPLETED")
        task = self._describe(planned, times, attempt, memory)
        if end == "COMPLETED":
            task |= self._measure(planned.process, times, memory)
        else:
            task |= self._fail(planned, end, attempt)
        self._price(task)
        self._keep(task, times)

    def _failed_attempt(self, planned: PlannedTask, submit_s: int) -> int | None:
        times = self._time(planned.process, submit_s, to_end=False)
        ran_s = max(1, int((times.complete_s - times.start_s) * self._rng.uniform(0.1, 0.9)))
        times = TaskTimes(submit_s - 1, submit_s, times.start_s, times.start_s + ran_s)
        if self.spec.complete_s - times.complete_s < _SHORTEST_S:
            return None
        task = self._describe(planned, times, 1, planned.process.memory_gib * _GIB)
        hit = self.spec.spot and self._rng.random() < _INTERRUPTED_SHARE
        exit_status = _INTERRUPTED if hit else _OUT_OF_MEMORY
        spot = {"numSpotInterruptions": int(hit)} if self.spec.spot else {}
        task |= {"status": "FAILED", "errorAction": "RETRY", **spot}
        task |= {"exit": exit_status, "exitStatus": exit_status}
        self._price(task)
        self._keep(task, times)
        return times.complete_s + 2

    def _time(self, process: Process, submit_s: int, *, to_end: bool) -> TaskTimes:
        left_s = max(2, self.spec.complete_s - 2 - submit_s)
        wait_s = min(draw_log_normal(self._rng, 80, 0.9), 0.3 * left_s)
        most_s = left_s - wait_s
        run_s = draw_log_normal(self._rng, 60 * process.minutes, 0.6)
        if to_end:
            run_s = most_s
        elif run_s > most_s:
            run_s = most_s * self._rng.uniform(0.4, 1.0)
        start_s = submit_s + int(wait_s)
        return TaskTimes(submit_s - 1, submit_s, start_s, start_s + max(1, int(run_s)))

    def _describe(self, planned: PlannedTask, times: TaskTimes, attempt: int, memory: int) -> Row:
        rng, complete = self._rng, format_timestamp(times.complete_s)
        digest = f"{rng.getrandbits(128):032x}"
        machines = self.spec.platform.machines
        region = self.spec.platform.region
        return self._default_fields(planned.process) | {
            "status": "COMPLETED",
            "dateCreated": format_timestamp(times.created_s),
            "submit": format_timestamp(times.submit_s),
            "start": format_timestamp(times.start_s),
            "complete": complete,
            "lastUpdated": complete,
            "duration": 1000 * (times.complete_s - times.submit_s) + int(1000 * rng.random()),
            "realtime": 1000 * (times.complete_s - times.start_s) - int(900 * rng.random()),
            "attempt": attempt,
            "memory": memory,
            "tag": planned.tag,
            "name": planned.name,
            "hash": f"{digest[:2]}/{digest[2:8]}",
            "workdir": f"{self.spec.work_dir}/{digest[:2]}/{digest[2:]}",
            "nativeId": "-".join(
                (digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:])
            ),
            "machineType": machines[int(len(machines) * rng.random())] if machines else None,
            "cloudZone": f"{region}{'abc'[int(3 * rng.random())]}" if region else None,
        }

    def _measure(self, process: Process, times: TaskTimes, memory: int) -> Row:
        rng, ran_s = self._rng, times.complete_s - times.start_s
        used = min(draw_log_normal(rng, process.cpu_utilization, 0.2), 1.5)
        peak_rss = int(
            max(3e6, memory * min(draw_log_normal(rng, process.memory_utilization, 0.35), 0.97))
        )
        read = int(draw_log_normal(rng, 3e7, 1.3) * (1 + ran_s))
        written = int(draw_log_normal(rng, 8e6, 1.5) * (1 + ran_s))
        spot_hit = self.spec.spot and rng.random() < _SPOT_HIT_SHARE
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
            "volCtxt": ran_s * 90,
            "invCtxt": ran_s * 11,
            "numSpotInterruptions": int(spot_hit) if self.spec.spot else None,
        }

    def _fail(self, planned: PlannedTask, end: str, attempt: int) -> Row:
        if end == "ABORTED":
            return {"status": end}
        failure = choose_failure(self.spec)
        return {
            "status": end,
            "errorAction": "TERMINATE",
            "errorMessage": failure.describe(planned),
            "exit": failure.exit,
            "exitStatus": failure.exit,
            "attempt": attempt,
        }

    def _price(self, task: Row) -> None:
        if not self.spec.platform.machines:
            return
        rate = _SPOT_RATE if self.spec.spot else _STANDARD_RATE
        hours = task["realtime"] / _HOUR_MS
        hourly = task["cpus"] * rate + task["memory"] / _GIB * _MEMORY_RATE
        task["cost"] = round(hours * hourly, 10)

    def _default_fields(self, process: Process) -> Row:
        if process.name not in self._defaults:
            platform = self.spec.platform
            price = "spot" if self.spec.spot else "standard"
            self._defaults[process.name] = EMPTY_TASK | {
                "process": process.name,
                "container": process.container,
                "cpus": process.cpus,
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

"""Drawing the tasks of a seeded run: when they run, what they use, how they end."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from tower_etl.simulator.runs import EMPTY_TASK
from tower_etl.simulator.specs import choose_failure, draw_log_normal, plan_slots
from tower_etl.simulator.tasks import Moments, TaskBlock
from tower_etl.simulator.timeline import to_text

if TYPE_CHECKING:
    from tower_etl.simulator.catalog import Process
    from tower_etl.simulator.runs import Row
    from tower_etl.simulator.specs import RunSpec, Slot

_GIB = 2**30
_HOUR_MS = 3_600_000
_FIRST_ID = 1_000_000_000
_IDS_PER_RUN = 100_000
_SHORTEST_S = 20
_SPOT_RATE, _STANDARD_RATE, _MEMORY_RATE = 0.017, 0.048, 0.0042  # USD an hour, by CPU and by GiB
_ABORTED_AT_MOST = 3
_OUT_OF_MEMORY, _INTERRUPTED = 137, 143
_RETRIED_SPOT_SHARE, _RETRIED_SHARE = 0.05, 0.02
_INTERRUPTED_SHARE = 0.6  # of the retries on spot machines
_SPOT_HIT_SHARE = 0.03
_LATE_SHARE = 0.05
_ENV = "PYTHONNOUSERSITE=1\nR_PROFILE_USER=/.Rprofile\nR_ENVIRON_USER=/.Renviron\n"


def make_tasks(spec: RunSpec, parent: TaskBlock | None) -> TaskBlock:
    """Draw the tasks of a run.

    Args:
        spec: The run.
        parent: The tasks of the run that it resumes, whose good ones it takes from the cache.
    """
    done = {
        (task["process"], task["tag"]): task
        for task in (parent.tasks if parent else ())
        if task["status"] == "COMPLETED"
    }
    maker = _Maker(spec)
    slots = plan_slots(spec)
    maker.stages = 1 + max((slot.process.stage for slot in slots), default=0)
    for place, slot in enumerate(slots):
        if cached := done.get((slot.process.name, slot.tag)):
            maker.reuse(cached)
        else:
            maker.make(slot, maker.choose_end(place, len(slots)))
    return maker.finish()


class _Maker:
    """Draws one task after the other from the seed of the run."""

    def __init__(self, spec: RunSpec) -> None:
        self.spec = spec
        self.stages = 1
        self._rng = random.Random(f"{spec.seed}:tasks")
        self._made: list[tuple[float, Row, Moments]] = []
        self._statics: dict[str, Row] = {}

    def finish(self) -> TaskBlock:
        """The tasks with their ids, by creation, a few of them out of order."""
        self._made.sort(key=lambda made: made[0])
        first_id = _FIRST_ID + self.spec.number * _IDS_PER_RUN
        for place, (_, task, _) in enumerate(self._made, start=1):
            task["taskId"], task["id"] = place, first_id + place
        rows = [task for _, task, _ in self._made]
        return TaskBlock(self.spec, rows, [moments for _, _, moments in self._made])

    def choose_end(self, place: int, whole: int) -> str:
        """How the task at that place of the plan ends: well, in failure, or aborted."""
        if self.spec.sync_result == "SUCCEEDED" or place < whole - 1 - _ABORTED_AT_MOST:
            return "COMPLETED"
        if place == whole - 1:
            return "FAILED" if self.spec.sync_result == "FAILED" else "ABORTED"
        return self._rng.choice(("COMPLETED", "ABORTED"))

    def reuse(self, cached: Row) -> None:
        """Take a task from the cache: times and cost are those of its first execution."""
        now_s = self.spec.start_s + 4
        now = to_text(now_s)
        again = {"status": "CACHED", "dateCreated": now, "lastUpdated": now}
        self._keep(cached | again, Moments(now_s, now_s, now_s, now_s))

    def make(self, slot: Slot, end: str) -> None:
        """Draw a task, after a failed attempt now and then."""
        spec, rng = self.spec, self._rng
        wall_s = max(1, spec.complete_s - spec.start_s - 12)
        stage_s = wall_s / self.stages
        submit_s = spec.start_s + 5 + int(stage_s * (slot.process.stage + 0.3 * rng.random()))
        attempt, memory = 1, slot.process.memory_gib * _GIB
        if end != "ABORTED" and rng.random() < (
            _RETRIED_SPOT_SHARE if spec.spot else _RETRIED_SHARE
        ):
            retried_s = self._try_in_vain(slot, submit_s)
            if retried_s is not None:
                submit_s, attempt, memory = retried_s, 2, memory * 2
        moments = self._time(slot.process, submit_s, to_end=end != "COMPLETED")
        task = self._describe(slot, moments, attempt, memory)
        if end == "COMPLETED":
            task |= self._measure(slot.process, moments, memory)
        else:
            task |= self._break(slot, end, attempt)
        self._price(task)
        self._keep(task, moments)

    def _try_in_vain(self, slot: Slot, submit_s: int) -> int | None:
        moments = self._time(slot.process, submit_s, to_end=False)
        ran_s = max(1, int((moments.complete_s - moments.start_s) * self._rng.uniform(0.1, 0.9)))
        moments = Moments(submit_s - 1, submit_s, moments.start_s, moments.start_s + ran_s)
        if self.spec.complete_s - moments.complete_s < _SHORTEST_S:
            return None
        task = self._describe(slot, moments, 1, slot.process.memory_gib * _GIB)
        hit = self.spec.spot and self._rng.random() < _INTERRUPTED_SHARE
        exit_status = _INTERRUPTED if hit else _OUT_OF_MEMORY
        spot = {"numSpotInterruptions": int(hit)} if self.spec.spot else {}
        task |= {"status": "FAILED", "errorAction": "RETRY", **spot}
        task |= {"exit": exit_status, "exitStatus": exit_status}
        self._price(task)
        self._keep(task, moments)
        return moments.complete_s + 2

    def _time(self, process: Process, submit_s: int, *, to_end: bool) -> Moments:
        left_s = max(2, self.spec.complete_s - 2 - submit_s)
        wait_s = min(draw_log_normal(self._rng, 80, 0.9), 0.3 * left_s)
        most_s = left_s - wait_s
        run_s = draw_log_normal(self._rng, 60 * process.minutes, 0.6)
        if to_end:
            run_s = most_s
        elif run_s > most_s:
            run_s = most_s * self._rng.uniform(0.4, 1.0)
        start_s = submit_s + int(wait_s)
        return Moments(submit_s - 1, submit_s, start_s, start_s + max(1, int(run_s)))

    def _describe(self, slot: Slot, moments: Moments, attempt: int, memory: int) -> Row:
        rng, complete = self._rng, to_text(moments.complete_s)
        digest = f"{rng.getrandbits(128):032x}"
        machines = self.spec.platform.machines
        region = self.spec.platform.region
        return self._static(slot.process) | {
            "status": "COMPLETED",
            "dateCreated": to_text(moments.created_s),
            "submit": to_text(moments.submit_s),
            "start": to_text(moments.start_s),
            "complete": complete,
            "lastUpdated": complete,
            "duration": 1000 * (moments.complete_s - moments.submit_s) + int(1000 * rng.random()),
            "realtime": 1000 * (moments.complete_s - moments.start_s) - int(900 * rng.random()),
            "attempt": attempt,
            "memory": memory,
            "tag": slot.tag,
            "name": f"{slot.process.name} ({slot.tag})",
            "hash": f"{digest[:2]}/{digest[2:8]}",
            "workdir": f"{self.spec.work_dir}/{digest[:2]}/{digest[2:]}",
            "nativeId": "-".join(
                (digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:])
            ),
            "machineType": machines[int(len(machines) * rng.random())] if machines else None,
            "cloudZone": f"{region}{'abc'[int(3 * rng.random())]}" if region else None,
        }

    def _measure(self, process: Process, moments: Moments, memory: int) -> Row:
        rng, ran_s = self._rng, moments.complete_s - moments.start_s
        load = min(draw_log_normal(rng, process.load, 0.2), 1.5)
        peak_rss = int(max(3e6, memory * min(draw_log_normal(rng, process.fill, 0.35), 0.97)))
        read = int(draw_log_normal(rng, 3e7, 1.3) * (1 + ran_s))
        written = int(draw_log_normal(rng, 8e6, 1.5) * (1 + ran_s))
        spot_hit = self.spec.spot and rng.random() < _SPOT_HIT_SHARE
        return {
            "exit": 0,
            "exitStatus": 0,
            "pcpu": round(100 * load * process.cpus, 1),
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

    def _break(self, slot: Slot, end: str, attempt: int) -> Row:
        if end == "ABORTED":
            return {"status": end}
        failure = choose_failure(self.spec)
        return {
            "status": end,
            "errorAction": "TERMINATE",
            "errorMessage": failure.describe(slot),
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

    def _static(self, process: Process) -> Row:
        if process.name not in self._statics:
            platform = self.spec.platform
            price = "spot" if self.spec.spot else "standard"
            self._statics[process.name] = EMPTY_TASK | {
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
        return self._statics[process.name]

    def _keep(self, task: Row, moments: Moments) -> None:
        # Tasks reach the platform a little out of order: a later one may get the lower id.
        late_s = 30 * self._rng.random() if self._rng.random() < _LATE_SHARE else 0.0
        self._made.append((moments.created_s + late_s, task, moments))

"""Runs that a test drives by hand, event by event: plain dicts in the API's shape."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tower_etl.simulator.metrics import compute_metrics
from tower_etl.simulator.progress import sum_progress, sum_stats
from tower_etl.simulator.runs import EMPTY_TASK, EMPTY_WORKFLOW, summarise
from tower_etl.simulator.timeline import parse_text, to_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tower_etl.simulator.runs import Row

_GIB = 2**30
_MINUTE_MS = 60_000
_PLATFORM = {"id": "aws-batch", "name": "Amazon Batch"}
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID_LENGTH = 14


@dataclass
class ManualRun:
    """A run whose every change is an event (see `Run` for the attributes).

    Attributes:
        fields: The workflow in the API's shape.
        tasks_by_id: Its tasks in the API's shape, by `taskId`.
    """

    id: str
    workspace_id: int
    number: int
    fields: Row
    tasks_by_id: dict[int, Row] = field(default_factory=dict)
    label_ids: tuple[int, ...] = ()

    @property
    def submit_s(self) -> float:
        """Time of submission, epoch seconds."""
        return parse_text(self.fields["submit"])

    @property
    def launch_id(self) -> str | None:
        """The launch with which the run was submitted."""
        launch_id: str | None = self.fields["launchId"]
        return launch_id

    @property
    def platform_id(self) -> str | None:
        """The one platform of manual runs."""
        return _PLATFORM["id"]

    def extras(self, now_s: int) -> Row:  # noqa: ARG002 - part of Run; here events drive, not time
        """The platform; nothing else is known of a manual run."""
        return {"platform": dict(_PLATFORM)}

    def status(self, now_s: int) -> str:  # noqa: ARG002 - as in extras
        """The status that the last event set."""
        return str(self.fields["status"])

    def summary(self, now_s: int) -> Row:
        """The workflow as the listing gives it."""
        return summarise(self.workflow(now_s))

    def workflow(self, now_s: int) -> Row:
        """The workflow; its statistics follow the tasks unless an event gave some."""
        workflow = dict(self.fields)
        if workflow["stats"] is None and workflow["start"] is not None:
            workflow["stats"] = sum_stats(self.tasks(now_s))
        return workflow

    def tasks(self, now_s: int) -> Sequence[Row]:  # noqa: ARG002 - as in extras
        """The tasks by `taskId`, whatever order they came in."""
        return [self.tasks_by_id[task_id] for task_id in sorted(self.tasks_by_id)]

    def progress(self, now_s: int) -> Row:
        """Progress, summed from the tasks."""
        created = self.fields["start"] or self.fields["submit"]
        return sum_progress(self.tasks(now_s), (), created, self.fields["lastUpdated"])

    def metrics(self, now_s: int) -> list[Row]:
        """Metrics, computed from the tasks."""
        return compute_metrics(self.tasks(now_s), first_id=self.number * 1000)


def make_run_id(number: int) -> str:
    """A run id that no other number gives, in the platform's alphabet."""
    # An odd multiplier permutes the ids, so that neighbours do not look alike.
    value = number * 0x9E3779B97F4A7C15D4F1 % 62**_ID_LENGTH
    digits = []
    for _ in range(_ID_LENGTH):
        value, digit = divmod(value, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(digits)


def make_workflow(run_id: str, number: int, now_s: int, fields: Row) -> Row:
    """A freshly submitted workflow; `fields` override what it says."""
    now = to_text(now_s)
    return EMPTY_WORKFLOW | {
        "id": run_id,
        "submit": now,
        "dateCreated": now,
        "lastUpdated": now,
        "runName": f"steady_lamport_{number}",
        "sessionId": f"00000000-0000-4000-8000-{number:012x}",
        "workDir": f"s3://sim-work/{run_id}",
        "revision": "main",
        "commandLine": "nextflow run https://github.com/nextflow-io/hello -with-tower",
        "projectName": "nextflow-io/hello",
        "repository": "https://github.com/nextflow-io/hello",
        "scriptName": "main.nf",
        "status": "SUBMITTED",
        "requiresAttention": False,
        "resume": False,
        **fields,
    }


def list_start_fields(now_s: int) -> Row:
    """What a workflow gains when it starts."""
    return {
        "status": "RUNNING",
        "start": to_text(now_s),
        "params": {"greeting": "hello"},
        "configFiles": ["/nextflow.config"],
        "configText": "params {\n   greeting = 'hello'\n}\n",
        "manifest": {"name": "nextflow-io/hello", "mainScript": "main.nf", "version": "1.2"},
        "nextflow": {"version": "25.04.6", "build": "5954", "timestamp": "2025-07-01T11:27:00Z"},
        "projectDir": "/.nextflow/assets/nextflow-io/hello",
        "launchDir": "/",
        "homeDir": "/root",
        "scriptFile": "/.nextflow/assets/nextflow-io/hello/main.nf",
        "fusion": {"enabled": False, "version": None},
        "wave": {"enabled": False},
    }


def list_end_fields(run: ManualRun, status: str, now_s: int) -> Row:
    """What a workflow gains when it ends with that status."""
    good = status == "SUCCEEDED"
    start = run.fields["start"]
    return {
        "status": status,
        "complete": to_text(now_s),
        "duration": int(1000 * (now_s - parse_text(start))) if start else None,
        "exitStatus": 0 if good else 1,
        "success": good,
    }


def make_task(run: ManualRun, task_id: int, now_s: int, fields: Row) -> Row:
    """A freshly submitted task; `fields` override what it says."""
    now = to_text(now_s)
    process = str(fields.get("process", "SAY_HELLO"))
    return EMPTY_TASK | {
        "id": run.number * 1_000_000 + task_id,
        "taskId": task_id,
        "status": "SUBMITTED",
        "dateCreated": now,
        "lastUpdated": now,
        "submit": now,
        "hash": f"{task_id % 256:02x}/{run.number % 2**24:06x}",
        "process": process,
        "name": f"{process} ({task_id})",
        "tag": str(task_id),
        "attempt": 1,
        "scratch": "false",
        "script": "echo hello",
        "executor": "awsbatch",
        "queue": "sim-queue",
        "cpus": 1,
        "memory": 2 * _GIB,
        "time": 60 * _MINUTE_MS,
        "module": [],
        **fields,
    }


def list_task_end_fields(task: Row, status: str, now_s: int) -> Row:
    """What a task gains when it ends; measures follow from its id, costs from its time."""
    start = task["start"] or task["submit"]
    realtime_ms = max(0, int(1000 * (now_s - parse_text(start))))
    good = status in {"COMPLETED", "CACHED"}
    ended = {
        "status": status,
        "start": start,
        "complete": to_text(now_s),
        "realtime": realtime_ms,
        "duration": int(1000 * (now_s - parse_text(task["submit"]))),
        "exit": 0 if good else 1,
        "exitStatus": 0 if good else 1,
        "priceModel": "spot",
        "machineType": "m6id.large",
        "cloudZone": "eu-west-1a",
        "cost": round(1e-5 * (1 + realtime_ms / 1000), 10),
    }
    return ended | (_measure_task(task) if good else {})


def _measure_task(task: Row) -> Row:
    peak_rss = 2**20 * (1 + task["taskId"] % 512)
    return {
        "pcpu": round(5 + task["taskId"] * 37 % 950 / 10, 1),
        "pmem": 0.5,
        "rss": peak_rss,
        "peakRss": peak_rss,
        "vmem": 2 * peak_rss,
        "peakVmem": 2 * peak_rss,
        "rchar": 1000 + task["taskId"],
        "wchar": 500 + task["taskId"],
        "readBytes": 4096,
        "writeBytes": 4096,
        "syscr": 10,
        "syscw": 5,
        "volCtxt": 3,
        "invCtxt": 1,
        "numSpotInterruptions": 0,
    }

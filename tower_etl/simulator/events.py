"""The simulated world: its state, its responses, and the events that change it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tower_etl.simulator.clock import format_timestamp, parse_timestamp
from tower_etl.simulator.data import fill, load_json
from tower_etl.simulator.runs import EMPTY_TASK, EMPTY_WORKFLOW, Run, RunTasks, Snapshot
from tower_etl.simulator.state import PlatformState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tower_etl.simulator.aggregates import Row

_PLATFORM = {"id": "aws-batch", "name": "Amazon Batch"}
_TEMPLATES = load_json("scripted_run.json")
ID_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID_LENGTH = 14


@dataclass
class Script:
    """Current state of a run that changes by events only.

    Attributes:
        number: Number of the run in the world; numeric ids are derived from it.
        fields: Workflow in the API's shape.
        tasks: Tasks in the API's shape, by `taskId`.
    """

    number: int
    fields: Row
    tasks: dict[int, Row] = field(default_factory=dict)

    def snapshot(self, now_s: int) -> Snapshot:  # noqa: ARG002 - events change it, not time
        """Return the snapshot after all events so far."""
        return Snapshot(dict(self.fields), self._load_tasks, lambda: {"platform": dict(_PLATFORM)})

    def _load_tasks(self) -> RunTasks:
        rows = [self.tasks[task_id] for task_id in sorted(self.tasks)]
        created = self.fields["start"] or self.fields["submit"]
        updated = self.fields["lastUpdated"]
        return RunTasks(rows, (), created, updated, first_metric_id=self.number * 1000)


@dataclass
class World(PlatformState):
    """State of the simulated platform, in the API's shape, and the events that change it.

    Generated and recorded runs depend on the clock alone. Scripted runs change by events: each
    event updates `lastUpdated`, except those for labels, stars and deletions.
    """

    _scripts: dict[str, Script] = field(default_factory=dict, repr=False)

    # --- responses ------------------------------------------------------------------------

    def snapshot(self, run_id: str) -> Snapshot:
        """Return the current state of a run."""
        return self.find_run(run_id).at(self.now_s())

    def runs(self, workspace_id: int | None = None) -> list[Row]:
        """Return the visible workflows of a workspace as in `/workflow/{id}`, newest first."""
        with self.lock:
            key, now_s = self.find_key(workspace_id), self.now_s()
            return [run.at(now_s).workflow for run in self.iter_runs(key)]

    def describe(self, run_id: str) -> Row:
        """Return the response of `/workflow/{id}` with all attributes."""
        with self.lock:
            run, snapshot = self.find_run(run_id), self.snapshot(run_id)
            return {
                "workflow": snapshot.workflow,
                "progress": snapshot.tasks.progress,
                **self._describe_workspace(run),
                **dict.fromkeys(("messages", "optimized", "pipelineInfo")),
                **snapshot.load_extras(),
                "labels": self.labels_of(run),
            }

    def element(self, run: Run) -> Row:
        """Return the element of the listing for a run, with all attributes."""
        return {
            "workflow": run.at(self.now_s()).summary,
            "progress": None,
            **self._describe_workspace(run),
            "labels": self.labels_of(run),
            "starred": run.id in self.starred,
            "optimized": None,
            "pipelineInfo": None,
        }

    def _describe_workspace(self, run: Run) -> Row:
        workspace = self.workspaces[run.workspace_id]
        org = None if workspace.org_id is None else self.organizations[workspace.org_id]
        return {
            "orgId": workspace.org_id,
            "orgName": org and org["name"],
            "workspaceId": workspace.id,
            "workspaceName": org and workspace.name,
        }

    def tasks(self, run_id: str) -> list[Row]:
        """Return the tasks of the run as in the task list, by `taskId`."""
        with self.lock:
            return list(self.snapshot(run_id).tasks.rows)

    def script(self, run_id: str) -> Script:
        """Return the state of a scripted run, for changes in tests that no event makes.

        Raises:
            TypeError: The run is not scripted.
        """
        if self.find_run(run_id).id not in self._scripts:
            msg = f"Run {run_id} depends on the clock alone; only scripted runs take this event."
            raise TypeError(msg)
        return self._scripts[run_id]

    # --- events on scripted runs ----------------------------------------------------------

    def submit_run(self, workspace_id: int | None = None, **fields: object) -> str:
        """Submit a scripted run to a workspace (default: the owner's) and return its id.

        `fields` are workflow fields with the API's names; they override the defaults.
        """
        with self.lock:
            number = len(self._runs) + 1
            run_id = str(fields.get("id") or _make_run_id(number))
            values = {"run_id": run_id, "number": number, "hex_number": f"{number:012x}"}
            values |= {"now": self.now(), "user_id": self.owner().id, "user": self.owner().name}
            workflow = EMPTY_WORKFLOW | fill(_TEMPLATES["workflow"], values) | fields
            script = self._scripts[run_id] = Script(number, workflow)
            run = Run(
                id=run_id,
                workspace_id=self.find_key(workspace_id),
                submit_s=parse_timestamp(script.fields["submit"]),
                at=script.snapshot,
                launch_id=script.fields["launchId"],
                platform_id=_PLATFORM["id"],
            )
            self.add_run(run)
        return run_id

    def update_run(self, run_id: str, *, touch: bool = True, **fields: object) -> None:
        """Change workflow fields of a scripted run; without `touch`, `lastUpdated` stays."""
        with self.lock:
            touched = {"lastUpdated": self.now()} if touch else {}
            self.script(run_id).fields.update(touched | fields)

    def start_run(self, run_id: str, **fields: object) -> None:
        """Set the run to RUNNING, with its start, parameters and manifest."""
        started = {"start": self.now()}
        self.update_run(run_id, **(_TEMPLATES["workflow_start"] | started | fields))

    def lose_heartbeat(self, run_id: str) -> None:
        """Set a running run to UNKNOWN."""
        self.update_run(run_id, status="UNKNOWN")

    def find_heartbeat(self, run_id: str) -> None:
        """Set an UNKNOWN run back to RUNNING."""
        self.update_run(run_id, status="RUNNING")

    def finish_run(self, run_id: str, status: str = "SUCCEEDED", **fields: object) -> None:
        """End the run; its tasks do not change."""
        with self.lock:
            now_s, start = self.now_s(), self.script(run_id).fields["start"]
            ended: Row = {
                "status": status,
                "complete": format_timestamp(now_s),
                "duration": int(1000 * (now_s - parse_timestamp(start))) if start else None,
                "exitStatus": int(status != "SUCCEEDED"),
                "success": status == "SUCCEEDED",
            }
            self.update_run(run_id, **(ended | fields))

    def fail_run(self, run_id: str, message: str = "Process `SAY_HELLO (1)` terminated") -> None:
        """End the run as FAILED with an error message."""
        self.finish_run(run_id, "FAILED", errorMessage=message, errorReport=f"{message}\n")

    def cancel_run(self, run_id: str) -> None:
        """End the run as CANCELLED."""
        self.finish_run(run_id, "CANCELLED")

    def add_task(self, run_id: str, task_id: int | None = None, **fields: object) -> int:
        """Add a task, SUBMITTED unless `fields` say otherwise, and return its `taskId`.

        `task_id` is by default the highest id plus one.

        Raises:
            ValueError: The run has a task with that id.
        """
        with self.lock:
            script = self.script(run_id)
            task_id = max(script.tasks, default=0) + 1 if task_id is None else task_id
            if task_id in script.tasks:
                msg = f"Run {run_id} has a task {task_id} already."
                raise ValueError(msg)
            script.tasks[task_id] = _make_task(script.number, task_id, self.now(), fields)
            self.update_run(run_id)
        return task_id

    def update_task(self, run_id: str, task_id: int, **fields: object) -> None:
        """Change fields of a task of a scripted run."""
        with self.lock:
            self.script(run_id).tasks[task_id].update({"lastUpdated": self.now()} | fields)
            self.update_run(run_id)

    def start_task(self, run_id: str, task_id: int) -> None:
        """Set a task to RUNNING."""
        self.update_task(run_id, task_id, status="RUNNING", start=self.now())

    def finish_task(
        self, run_id: str, task_id: int, status: str = "COMPLETED", **fields: object
    ) -> None:
        """End a task: set its times, its cost and, if it succeeded, its measures."""
        with self.lock:
            task = self.script(run_id).tasks[task_id]
            self.update_task(run_id, task_id, **(_end_task(task, status, self.now_s()) | fields))

    # --- events on any run ----------------------------------------------------------------

    def set_labels(self, run_id: str, label_ids: Iterable[int]) -> None:
        """Replace the labels of a run; `lastUpdated` stays."""
        with self.lock:
            self.find_run(run_id).label_ids = tuple(label_ids)

    def star(self, run_id: str, starred: bool = True) -> None:  # noqa: FBT001, FBT002 - as in the API
        """Add or remove the star of a run; `lastUpdated` stays."""
        with self.lock:
            (self.starred.add if starred else self.starred.discard)(self.find_run(run_id).id)

    def delete_run(self, run_id: str) -> None:
        """Remove the run from the API."""
        with self.lock:
            self.deleted.add(self.find_run(run_id).id)

    def restore_run(self, run_id: str) -> None:
        """Undo `delete_run`."""
        with self.lock:
            self.deleted.discard(run_id)


def _make_run_id(number: int) -> str:
    # An odd multiplier permutes the ids, so that neighbours do not look alike.
    value = number * 0x9E3779B97F4A7C15D4F1 % 62**_ID_LENGTH
    digits = []
    for _ in range(_ID_LENGTH):
        value, digit = divmod(value, len(ID_ALPHABET))
        digits.append(ID_ALPHABET[digit])
    return "".join(digits)


def _make_task(run_number: int, task_id: int, now: str, fields: Row) -> Row:
    values = {"id": run_number * 1_000_000 + task_id, "task_id": task_id, "tag": str(task_id)}
    values |= {"hash": f"{task_id % 256:02x}/{run_number % 2**24:06x}", "now": now}
    values["process"] = str(fields.get("process", "SAY_HELLO"))
    return EMPTY_TASK | fill(_TEMPLATES["task"], values) | fields


def _end_task(task: Row, status: str, now_s: int) -> Row:
    """Return the fields set at the end of a task; measures depend on its id, cost on its time."""
    start, task_id = task["start"] or task["submit"], task["taskId"]
    realtime_ms = max(0, int(1000 * (now_s - parse_timestamp(start))))
    good = status in {"COMPLETED", "CACHED"}
    values = {
        "status": status,
        "start": start,
        "complete": format_timestamp(now_s),
        "realtime": realtime_ms,
        "duration": int(1000 * (now_s - parse_timestamp(task["submit"]))),
        "exit": int(not good),
        "cost": round(1e-5 * (1 + realtime_ms / 1000), 10),
        "cpu": round(5 + task_id * 37 % 950 / 10, 1),
        "memory": 2**20 * (1 + task_id % 512),
        "virtual_memory": 2**21 * (1 + task_id % 512),
        "read": 1000 + task_id,
        "written": 500 + task_id,
    }
    measures = fill(_TEMPLATES["task_measures"], values) if good else {}
    return fill(_TEMPLATES["task_end"], values) | measures

"""Generated runs: snapshots of a specification at any time, with tasks drawn on demand."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tower_etl.simulator.aggregates import sum_cost
from tower_etl.simulator.clock import format_timestamp
from tower_etl.simulator.data import fill, load_json
from tower_etl.simulator.generator.reference import make_pipeline_id
from tower_etl.simulator.generator.specs import PIPELINES, choose_failure, plan_tasks
from tower_etl.simulator.generator.tasks import TaskGenerator
from tower_etl.simulator.runs import EMPTY_WORKFLOW, Snapshot

if TYPE_CHECKING:
    from tower_etl.simulator.aggregates import Row
    from tower_etl.simulator.generator.specs import RunSpec
    from tower_etl.simulator.generator.tasks import GeneratedTasks
    from tower_etl.simulator.runs import RunTasks

_MAX_TASKS = 20_000  # about 80 MB
_TEMPLATES = load_json("generated_run.json")


@dataclass
class TaskCache:
    """Cache of the tasks of recently used runs, with at most `max_tasks` tasks."""

    max_tasks: int = _MAX_TASKS
    _entries: OrderedDict[str, GeneratedTasks] = field(default_factory=OrderedDict, repr=False)
    _size: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def get(self, spec: RunSpec) -> GeneratedTasks:
        """Return the tasks of a run, drawn if they are not in the cache."""
        with self._lock:
            if spec.id in self._entries:
                self._entries.move_to_end(spec.id)
                return self._entries[spec.id]
            parent = self.get(spec.parent) if spec.parent else None
            tasks = TaskGenerator(spec).draw(parent)
            self._entries[spec.id] = tasks
            self._size += len(tasks.rows)
            while self._size > self.max_tasks and len(self._entries) > 1:
                self._size -= len(self._entries.popitem(last=False)[1].rows)
            return tasks


@dataclass
class GeneratedRun:
    """A specification with the cache of its tasks."""

    spec: RunSpec
    cache: TaskCache

    def snapshot(self, now_s: int) -> Snapshot:
        """Return the snapshot at a time."""
        spec = self.spec
        is_started = now_s >= spec.start_s
        fields = EMPTY_WORKFLOW | _describe(spec, now_s)
        if is_started:
            fields |= _describe_start(spec)
        if spec.is_final(now_s):
            fields |= _describe_end(spec)
        return Snapshot(
            fields,
            load_tasks=lambda: self._tasks(now_s),
            load_extras=lambda: self._extras(fields["status"], now_s),
            load_details=lambda: _describe_details(spec) if is_started else {},
        )

    def _tasks(self, now_s: int) -> RunTasks:
        spec = self.spec
        known = self.cache.get(spec)
        if spec.is_final(now_s):
            return known
        rows = known.known_at(spec.last_heartbeat_s(now_s)) if now_s >= spec.start_s else []
        return replace(known, rows=rows, updated=format_timestamp(spec.last_updated_s(now_s)))

    def _extras(self, status: str, now_s: int) -> Row:
        spec, final = self.spec, self.spec.is_final(now_s)
        cost = sum_cost(self._tasks(now_s).rows)
        values = vars(spec) | {
            "operation_id": _digest(spec, "job")[:32],
            "job_status": "COMPLETED" if final else status,
            "exit_code": int(spec.outcome != "SUCCEEDED") if final else None,
            "pipeline_info": _pipeline_info(spec),
            "cost": cost,
            "currency": None if cost is None else "USD",
            "is_estimate": None if cost is None else True,
        }
        return fill(_TEMPLATES["extras"], values)


def _describe(spec: RunSpec, now_s: int) -> Row:
    resume = f" -resume {spec.session_id}" if spec.parent else ""
    # Listings build this for every run: a literal takes a third of the time of a template.
    return {
        "id": spec.id,
        "ownerId": spec.user_id,
        "submit": format_timestamp(spec.submit_s),
        "dateCreated": format_timestamp(spec.submit_s),
        "lastUpdated": format_timestamp(spec.last_updated_s(now_s)),
        "runName": spec.name,
        "sessionId": spec.session_id,
        "profile": spec.pipeline.profile,
        "workDir": spec.work_dir,
        "commitId": _digest(spec, spec.revision)[:40],
        "userName": spec.user_name,
        "scriptId": _digest(spec, spec.pipeline.name)[:32],
        "revision": spec.revision,
        "commandLine": (
            f"nextflow run '{spec.pipeline.repository}' -name {spec.name} -with-tower "
            f"-r {spec.revision} -profile {spec.pipeline.profile}{resume}"
        ),
        "projectName": spec.pipeline.name,
        "scriptName": "main.nf",
        "launchId": spec.launch_id,
        "status": spec.status(now_s),
        "requiresAttention": False,
        "repository": spec.pipeline.repository,
        "resume": spec.parent is not None,
    }


def _describe_start(spec: RunSpec) -> Row:
    assets = f"/.nextflow/assets/{spec.pipeline.name}"
    return {
        "start": format_timestamp(spec.start_s),
        "projectDir": assets,
        "scriptFile": f"{assets}/main.nf",
        "homeDir": "/root",
        "launchDir": "/",
    }


def _describe_details(spec: RunSpec) -> Row:
    values = vars(spec) | {
        "nextflow_version": spec.launch_id and "25.04.6",
        "spot": str(spec.spot).lower(),
        "fusion_version": "2.4.14" if spec.fusion else None,
    }
    return fill(_TEMPLATES["details"], values)


def _describe_end(spec: RunSpec) -> Row:
    good = spec.outcome == "SUCCEEDED"
    row: Row = {
        "complete": format_timestamp(spec.complete_s),
        "duration": 1000 * (spec.complete_s - spec.start_s) + spec.number % 1000,
        "exitStatus": int(not good),
        "success": good,
    }
    if spec.outcome == "FAILED":
        failure = choose_failure(spec, plan_tasks(spec)[-1])
        row |= {"errorMessage": failure.message, "errorReport": failure.report}
    return row


def _pipeline_info(spec: RunSpec) -> Row | None:
    """Return the launchpad pipeline, None for command-line runs and personal workspaces."""
    if spec.launch_id is None or spec.workspace_id < 0:
        return None
    pipeline_id = make_pipeline_id(spec.workspace_id, PIPELINES.index(spec.pipeline))
    return {"id": pipeline_id, "workspaceId": spec.workspace_id, "version": None}


def _digest(spec: RunSpec, text: str) -> str:
    return hashlib.sha256(f"{spec.pipeline.name}:{text}".encode()).hexdigest()

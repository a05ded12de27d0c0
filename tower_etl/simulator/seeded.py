"""Seeded runs: what a specification says of itself at any time, with tasks made when asked for."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tower_etl.simulator import catalog
from tower_etl.simulator.furniture import make_pipeline_id
from tower_etl.simulator.metrics import compute_metrics
from tower_etl.simulator.progress import sum_cost, sum_stats
from tower_etl.simulator.runs import EMPTY_WORKFLOW, summarise
from tower_etl.simulator.specs import choose_failure, plan_slots
from tower_etl.simulator.taskmaker import make_tasks
from tower_etl.simulator.tasks import summarise_progress
from tower_etl.simulator.timeline import to_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tower_etl.simulator.runs import Row
    from tower_etl.simulator.specs import RunSpec
    from tower_etl.simulator.tasks import TaskBlock

_MOST_TASKS = 20_000  # some 80 MB


@dataclass
class TaskShelf:
    """The tasks of the runs that were asked for last; the others are made again when needed.

    Attributes:
        most_tasks: Tasks kept at most, the latest run always.
    """

    most_tasks: int = _MOST_TASKS
    _blocks: OrderedDict[str, TaskBlock] = field(default_factory=OrderedDict, repr=False)
    _kept: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def fetch(self, spec: RunSpec) -> TaskBlock:
        """The tasks of a run, made if they are not kept."""
        with self._lock:
            if spec.id in self._blocks:
                self._blocks.move_to_end(spec.id)
                return self._blocks[spec.id]
            block = make_tasks(spec, self.fetch(spec.parent) if spec.parent else None)
            self._blocks[spec.id] = block
            self._kept += len(block.tasks)
            while self._kept > self.most_tasks and len(self._blocks) > 1:
                self._kept -= len(self._blocks.popitem(last=False)[1].tasks)
            return block


@dataclass
class SeededRun:
    """A run that follows its specification (see `Run`)."""

    spec: RunSpec
    shelf: TaskShelf
    label_ids: tuple[int, ...] = ()

    @property
    def id(self) -> str:
        """The platform's id."""
        return self.spec.id

    @property
    def workspace_id(self) -> int:
        """Key of the workspace."""
        return self.spec.workspace_id

    @property
    def submit_s(self) -> float:
        """Time of submission, epoch seconds."""
        return self.spec.submit_s

    @property
    def launch_id(self) -> str | None:
        """Id of its launch."""
        return self.spec.launch_id

    @property
    def platform_id(self) -> str | None:
        """The platform that ran it."""
        return self.spec.platform.id

    def _is_final(self, now_s: int) -> bool:
        return now_s >= self.spec.final_s

    def extras(self, now_s: int) -> Row:
        """Platform, job and pipeline; the cost so far."""
        spec = self.spec
        cost = sum_cost(self.tasks(now_s))
        job = {"id": spec.number, "operationId": _digest(spec, "job")[:32], "message": None}
        status = "COMPLETED" if self._is_final(now_s) else self.status(now_s)
        exit_code = None if not self._is_final(now_s) else int(spec.sync_result != "SUCCEEDED")
        return {
            "platform": {"id": spec.platform.id, "name": spec.platform.name},
            "jobInfo": job | {"status": status, "exitCode": exit_code},
            "pipelineInfo": _name_pipeline(spec),
            "cost": cost,
            "costCurrency": None if cost is None else "USD",
            "costIsEstimate": None if cost is None else True,
            "instancesProvisioned": None,
            "schedConfig": None,
            "schedEnabled": False,
            "schedRunId": None,
        }

    def status(self, now_s: int) -> str:
        """Status at that time."""
        return self.spec.status(now_s)

    def summary(self, now_s: int) -> Row:
        """The workflow as the listing gives it."""
        return summarise(EMPTY_WORKFLOW | self._describe(now_s))

    def workflow(self, now_s: int) -> Row:
        """The workflow as the description gives it."""
        described = EMPTY_WORKFLOW | self._describe(now_s)
        return described if now_s < self.spec.start_s else described | self._detail(now_s)

    def tasks(self, now_s: int) -> Sequence[Row]:
        """Tasks known by then, by `taskId`."""
        if now_s < self.spec.start_s:
            return []
        block = self.shelf.fetch(self.spec)
        if self._is_final(now_s):
            return block.tasks
        return block.show(self.spec.last_heard_s(now_s))

    def progress(self, now_s: int) -> Row:
        """Progress at that time."""
        if self._is_final(now_s):
            return self.shelf.fetch(self.spec).progress
        updated_s = self.spec.last_updated_s(now_s)
        return summarise_progress(self.spec, self.tasks(now_s), updated_s)

    def metrics(self, now_s: int) -> list[Row]:
        """Metrics at that time."""
        if self._is_final(now_s):
            return self.shelf.fetch(self.spec).metrics
        return compute_metrics(self.tasks(now_s), self.spec.number * 1000)

    def _describe(self, now_s: int) -> Row:
        spec = self.spec
        repository = f"https://github.com/{spec.pipeline.name}"
        row = {
            "id": spec.id,
            "ownerId": spec.user_id,
            "submit": to_text(spec.submit_s),
            "dateCreated": to_text(spec.submit_s),
            "lastUpdated": to_text(spec.last_updated_s(now_s)),
            "runName": spec.name,
            "sessionId": spec.session_id,
            "profile": spec.pipeline.profile,
            "workDir": spec.work_dir,
            "commitId": _digest(spec, spec.revision)[:40],
            "userName": spec.user_name,
            "scriptId": _digest(spec, spec.pipeline.name)[:32],
            "revision": spec.revision,
            "commandLine": _command(spec, repository),
            "projectName": spec.pipeline.name,
            "scriptName": "main.nf",
            "launchId": spec.launch_id,
            "status": self.status(now_s),
            "requiresAttention": False,
            "repository": repository,
            "resume": spec.parent is not None,
        }
        if now_s >= spec.start_s:
            row |= _list_start_fields(spec)
        if self._is_final(now_s):
            row |= _list_end_fields(spec)
        return row

    def _detail(self, now_s: int) -> Row:
        spec, final = self.spec, self._is_final(now_s)
        stats = self.shelf.fetch(spec).stats if final else sum_stats(self.tasks(now_s))
        spot = str(spec.spot).lower()
        return {
            "params": {
                "input": f"s3://sim-data/{spec.name}/samplesheet.csv",
                "outdir": f"s3://sim-results/{spec.name}",
                "genome": "GRCh38",
                "max_cpus": 16,
                "save_reference": False,
                "email": None,
            },
            "nextflowVersion": spec.launch_id and "25.04.6",
            "configFiles": [f"/.nextflow/assets/{spec.pipeline.name}/nextflow.config"],
            "configText": f"process {{\n   executor = '{spec.platform.executor}'\n}}\n"
            f"aws.batch.spot = {spot}\n",
            "manifest": _make_manifest(spec),
            "nextflow": {
                "version": "25.04.6",
                "build": "5954",
                "timestamp": "2025-07-01T11:27:00Z",
            },
            "stats": stats,
            "fusion": {"enabled": spec.spot, "version": "2.4.14" if spec.spot else None},
            "wave": {"enabled": spec.spot},
        }


def _command(spec: RunSpec, repository: str) -> str:
    resume = f" -resume {spec.session_id}" if spec.parent else ""
    return (
        f"nextflow run '{repository}' -name {spec.name} -with-tower -r {spec.revision} "
        f"-profile {spec.pipeline.profile}{resume}"
    )


def _name_pipeline(spec: RunSpec) -> Row | None:
    """The pipeline of the launchpad; none for a run by hand, or in a personal workspace."""
    if spec.launch_id is None or spec.workspace_id < 0:
        return None
    number = catalog.PIPELINES.index(spec.pipeline)
    pipeline_id = make_pipeline_id(spec.workspace_id, number)
    return {"id": pipeline_id, "workspaceId": spec.workspace_id, "version": None}


def _digest(spec: RunSpec, text: str) -> str:
    return hashlib.sha256(f"{spec.pipeline.name}:{text}".encode()).hexdigest()


def _list_start_fields(spec: RunSpec) -> Row:
    return {
        "start": to_text(spec.start_s),
        "projectDir": f"/.nextflow/assets/{spec.pipeline.name}",
        "scriptFile": f"/.nextflow/assets/{spec.pipeline.name}/main.nf",
        "homeDir": "/root",
        "launchDir": "/",
    }


def _list_end_fields(spec: RunSpec) -> Row:
    good = spec.sync_result == "SUCCEEDED"
    row: Row = {
        "complete": to_text(spec.complete_s),
        "duration": 1000 * (spec.complete_s - spec.start_s) + spec.number % 1000,
        "exitStatus": 0 if good else 1,
        "success": good,
    }
    if spec.sync_result == "FAILED":
        failure, slot = choose_failure(spec), plan_slots(spec)[-1]
        row |= {"errorMessage": failure.describe(slot), "errorReport": failure.report(slot)}
    return row


def _make_manifest(spec: RunSpec) -> Row:
    return {
        "nextflowVersion": "!>=24.04.2",
        "defaultBranch": "master",
        "version": spec.revision,
        "homePage": f"https://github.com/{spec.pipeline.name}",
        "gitmodules": None,
        "description": spec.pipeline.description,
        "name": spec.pipeline.name,
        "mainScript": "main.nf",
        "author": spec.pipeline.author,
        "icon": None,
    }

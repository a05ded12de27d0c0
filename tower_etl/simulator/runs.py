"""What a run is to the world and to the routes, and the shapes that every run shares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

Row = dict[str, Any]

OPEN_STATUSES = frozenset({"SUBMITTED", "RUNNING", "UNKNOWN"})

# What the listing leaves null and only the description of a run carries (inferred).
_HEAVY_FIELDS = ("params", "configText", "configFiles", "manifest", "nextflow", "stats")
_DESCRIBED_ONLY = frozenset(
    {
        *("fusion", "wave", "logFile", "outFile", "operationId", "configProfiles"),
        *("nextflowConfig", "postRunScript", "preRunScript", "syntaxParser", "towerConfig"),
        "nextflowVersion",
    }
)

_WORKFLOW_FIELDS = (
    *("id", "ownerId", "submit", "start", "complete", "dateCreated", "lastUpdated", "runName"),
    *("sessionId", "profile", "workDir", "commitId", "userName", "scriptId", "revision"),
    *("commandLine", "projectName", "scriptName", "launchId", "status", "requiresAttention"),
    *("configFiles", "params", "configText", "manifest", "nextflow", "stats", "errorMessage"),
    *("errorReport", "deleted", "peakLoadCpus", "peakLoadTasks", "peakLoadMemory"),
    *("projectDir", "homeDir", "container", "repository", "containerEngine", "scriptFile"),
    *("launchDir", "duration", "exitStatus", "resume", "success", "fusion", "wave"),
    *("logFile", "outFile", "operationId"),
    *("configProfiles", "nextflowConfig", "postRunScript", "preRunScript", "syntaxParser"),
    *("towerConfig", "nextflowVersion"),
)
_TASK_FIELDS = (
    *("id", "taskId", "status", "dateCreated", "lastUpdated", "errorMessage", "hash", "process"),
    *("attempt", "scratch", "workdir", "env", "cloudZone", "priceModel", "cost", "errorAction"),
    *("realtime", "nativeId", "pcpu", "pmem", "rss", "vmem", "peakRss", "peakVmem", "rchar"),
    *("wchar", "syscr", "syscw", "volCtxt", "invCtxt", "numSpotInterruptions"),
    *("resourceAllocation", "submit", "start", "complete", "container", "exitStatus"),
    *("logStreamId", "exit", "machineType", "cpus", "memory", "readBytes", "writeBytes", "queue"),
    *("disk", "module", "duration", "name", "time", "script", "executor", "tag", "gpuMetrics"),
)

EMPTY_WORKFLOW: Row = dict.fromkeys(_WORKFLOW_FIELDS)
EMPTY_TASK: Row = dict.fromkeys(_TASK_FIELDS)


class Run(Protocol):
    """A run as the world keeps it; what it answers depends on the time alone.

    Attributes:
        id: The platform's id of the run, 13 or 14 characters.
        workspace_id: Where it belongs; negative for a personal workspace.
        submit_s: Time of submission, epoch seconds; the listing is sorted by it.
        launch_id: Id of its launch, None for a run from the command line.
        platform_id: The platform that ran it, as the API names it; None where that is not known.
        label_ids: The labels that it carries.
        extras: What the description adds beside the workflow: `platform`, `jobInfo` and the like.
    """

    @property
    def id(self) -> str: ...  # noqa: D102 - the class docstring names it
    @property
    def workspace_id(self) -> int: ...  # noqa: D102 - the class docstring names it
    @property
    def submit_s(self) -> float: ...  # noqa: D102 - the class docstring names it
    @property
    def launch_id(self) -> str | None: ...  # noqa: D102 - the class docstring names it
    @property
    def platform_id(self) -> str | None: ...  # noqa: D102 - the class docstring names it

    label_ids: tuple[int, ...]

    def extras(self, now_s: int) -> Row:
        """What the description adds beside the workflow."""

    def status(self, now_s: int) -> str:
        """Status at that time."""

    def summary(self, now_s: int) -> Row:
        """The workflow as the listing gives it."""

    def workflow(self, now_s: int) -> Row:
        """The workflow as the description gives it."""

    def tasks(self, now_s: int) -> Sequence[Row]:
        """Tasks seen by then, by `taskId`."""

    def progress(self, now_s: int) -> Row:
        """Progress at that time."""

    def metrics(self, now_s: int) -> list[Row]:
        """Metrics at that time."""


def summarise(workflow: Row) -> Row:
    """The listing's view of a described workflow."""
    summary = {name: value for name, value in workflow.items() if name not in _DESCRIBED_ONLY}
    return summary | {name: None for name in _HEAVY_FIELDS if name in summary}

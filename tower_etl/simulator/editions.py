"""Editions of the API: what an older server does not know is taken out of its answers.

The world speaks the newest edition; nothing is ever added here, so replayed runs pass unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tower_etl.simulator.quirks import Quirks

if TYPE_CHECKING:
    from collections.abc import Sequence

    Row = dict[str, Any]

# The first editions whose descriptions name these fields (1.140.0 names neither group).
_MODERN, _NEWEST = (1, 181), (1, 187)

_NOTHING: frozenset[str] = frozenset()
_NEWEST_FIELDS: dict[str, frozenset[str]] = {
    "workflow": frozenset({"nextflowVersion"}),
    "launch": frozenset({"nextflowVersion"}),
    "studios": frozenset({"allowedUsers"}),
}
_MODERN_FIELDS: dict[str, frozenset[str]] = _NEWEST_FIELDS | {
    "task": frozenset({"gpuMetrics"}),
    "workflow": frozenset(
        {
            *("configProfiles", "nextflowConfig", "postRunScript", "preRunScript"),
            *("syntaxParser", "towerConfig", "nextflowVersion"),
        }
    ),
    "computeEnv": frozenset({"fusionMetricsCollectionEnabled"}),
    "computeEnvs": frozenset({"schedEnabled", "waveEnabled", "description", "fusion2Enabled"}),
    "actions": frozenset({"config", "nextExecution"}),
    "credentials": frozenset({"status", "message", "lastValidated"}),
    "datasetVersions": frozenset({"fileSize"}),
    "teams": frozenset({"idpGroupId", "idpGroupName"}),
    "description": frozenset(
        {
            *("cost", "costCurrency", "costIsEstimate", "instancesProvisioned"),
            *("schedConfig", "schedEnabled", "schedRunId"),
        }
    ),
}
# As answered in 2021; the rest of the differences is in the routes.
_YOUNGER_THAN_LEGACY: dict[str, frozenset[str]] = _MODERN_FIELDS | {
    "task": _MODERN_FIELDS["task"]
    | {"errorMessage", "numSpotInterruptions", "resourceAllocation", "logStreamId"},
    "workflow": _MODERN_FIELDS["workflow"]
    | {"fusion", "wave", "logFile", "outFile", "operationId", "requiresAttention", "deleted"}
    | {"peakLoadCpus", "peakLoadTasks", "peakLoadMemory"},
    "description": _MODERN_FIELDS["description"]
    | {"messages", "optimized", "pipelineInfo", "orgId", "orgName", "workspaceId"}
    | {"workspaceName", "labels", "jobInfo"},
    "element": frozenset(
        {
            *("progress", "orgId", "orgName", "workspaceId", "workspaceName", "labels"),
            *("optimized", "pipelineInfo"),
        }
    ),
    "load": frozenset(
        {
            *("version", "aborted", "retries", "ignored", "numSpotInterruptions"),
            *("netCpus", "netMemoryRss", "netMemoryReq", "netReadBytes", "netWriteBytes"),
            *("netVolCtxSwitch", "netInvCtxSwitch", "netCpuTime", "netCpuLoad"),
            *("netMemoryConsumption", "netCost"),
        }
    ),
    "organization": frozenset({"type", "paying"}),
    "membership": frozenset({"orgType", "roles", "visibility", "workspaceFullName"}),
}


@dataclass(frozen=True)
class Edition:
    """What one server version leaves out.

    Attributes:
        legacy: The server is of 2021: no totals, no `hasMore`, `exit` as text, fewer fields.
        unknown: Fields left out, by kind of row.
        has_audit_logs: Whether the server keeps a log for administrators.
    """

    legacy: bool
    unknown: dict[str, frozenset[str]]
    has_audit_logs: bool = True

    def trim(self, kind: str, row: Row) -> Row:
        """The row as this edition gives it."""
        unknown = self.unknown.get(kind, _NOTHING)
        if unknown.isdisjoint(row):
            return row
        return {name: value for name, value in row.items() if name not in unknown}

    def trim_tasks(self, tasks: Sequence[Row]) -> list[Row]:
        """A page of tasks as this edition gives it."""
        rows = [self.trim("task", task) for task in tasks]
        if self.legacy:
            rows = [
                row | {"exit": None if row.get("exit") is None else str(row["exit"])}
                for row in rows
            ]
        return rows

    def trim_progress(self, progress: Row) -> Row:
        """Progress as this edition gives it."""
        if not self.legacy:
            return progress
        return {
            "workflowProgress": self.trim("load", progress["workflowProgress"]),
            "processesProgress": [self.trim("load", row) for row in progress["processesProgress"]],
        }


def choose_edition(api_version: str, *, legacy: bool) -> Edition:
    """The edition of a server.

    Args:
        api_version: Version of the API's description, `1.187.0` for one.
        legacy: Whether the server is of 2021.
    """
    if legacy:
        return Edition(legacy=True, unknown=_YOUNGER_THAN_LEGACY, has_audit_logs=False)
    version = tuple(int(part) for part in api_version.split(".")[:2])
    if version >= _NEWEST:
        return Edition(legacy=False, unknown={})
    if version >= _MODERN:
        return Edition(legacy=False, unknown=_NEWEST_FIELDS)
    return Edition(legacy=False, unknown=_MODERN_FIELDS, has_audit_logs=False)


@dataclass(frozen=True)
class ServerProfile:
    """What kind of server is simulated.

    Attributes:
        version: Version of the platform.
        api_version: Version of the API's description.
        user_workspace: Whether users have a personal workspace.
        legacy: Whether it answers as a server of 2021.
        quirks: How else it differs.
    """

    version: str = "26.2.0-sim"
    api_version: str = "1.187.0"
    user_workspace: bool = True
    legacy: bool = False
    quirks: Quirks = field(default_factory=Quirks)

    @property
    def edition(self) -> Edition:
        """What this server leaves out."""
        return choose_edition(self.api_version, legacy=self.legacy)

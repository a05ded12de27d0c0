"""Launches: what a run was started from, by the run or by its own id."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tower_etl.simulator.runs import Row


def make_launch(workflow: Row) -> Row:
    """What `/workflow/{id}/launch` says."""
    return {
        **dict.fromkeys(("configProfiles", "configText", "paramsText", "preRunScript")),
        **dict.fromkeys(("postRunScript", "mainScript", "entryName", "schemaName")),
        "id": workflow["launchId"],
        "nextflowVersion": workflow.get("nextflowVersion"),
        "pipeline": workflow["repository"],
        "workDir": workflow["workDir"],
        "revision": workflow["revision"],
        "sessionId": workflow["sessionId"],
        "resume": bool(workflow["resume"]),
        "pullLatest": False,
        "stubRun": False,
        "userSecrets": [],
        "workspaceSecrets": [],
        "dateCreated": workflow["submit"],
    }


def describe_launch(workflow: Row, workspace_id: int | None) -> Row:
    """What `/launch/{id}` says."""
    return make_launch(workflow) | {
        "runName": workflow["runName"],
        "workspaceId": workspace_id,
        "lastUpdated": workflow["submit"],
        "headJobCpus": None,
        "headJobMemoryMb": None,
    }

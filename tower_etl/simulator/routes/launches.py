"""Routes of launches, by run or by launch id, with their compute environment and datasets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tower_etl.simulator.data import fill, load_json
from tower_etl.simulator.parameters import http_error
from tower_etl.simulator.routes.base import RouteGroup, get
from tower_etl.simulator.state import ACCOUNT_TEMPLATES

if TYPE_CHECKING:
    from starlette.requests import Request

    from tower_etl.simulator.aggregates import Row
    from tower_etl.simulator.runs import Run
    from tower_etl.simulator.state import Workspace

_CONFIGS = load_json("compute_envs.json")

# Fields of single objects only, and fields that single objects share with the list.
_DETAIL_ONLY = (
    *("awsAccountId", "config", "dateCreated", "deleted", "fusionMetricsCollectionEnabled"),
    *("lastUpdated", "managedIdentityId", "orgId", "workspaceId"),
)
_SHARED = (
    *("credentialsId", "description", "id", "labels", "lastUsed", "message", "name", "platform"),
    *("primary", "resources", "status"),
)
_NOT_IN_LAUNCHES = frozenset({"awsAccountId", "managedIdentityId", "labels", "resources"})


def list_compute_env(row: Row) -> Row:
    """Return a compute environment in the shape of `/compute-envs`."""
    return {name: value for name, value in row.items() if name not in _DETAIL_ONLY}


def describe_compute_env(row: Row, workspace: Workspace) -> Row:
    """Return a compute environment in the shape of `/compute-envs/{id}`."""
    platform = str(row.get("platform"))
    config = {"discriminator": platform, "workDir": row.get("workDir")}
    derived = {
        "awsAccountId": "210987654321" if platform == "aws-batch" else None,
        "config": _CONFIGS["config"] | config | _CONFIGS["platforms"].get(platform, {}),
        "dateCreated": workspace.created,
        "deleted": False,
        "fusionMetricsCollectionEnabled": bool(row.get("fusion2Enabled")),
        "lastUpdated": workspace.created,
        "managedIdentityId": None,
        "orgId": workspace.org_id,
        "workspaceId": workspace.id,
    }
    return {name: row.get(name, derived.get(name)) for name in (*_SHARED, *_DETAIL_ONLY)}


def embed_compute_env(row: Row | None, workspace: Workspace) -> Row | None:
    """Return a compute environment in the shape of launches, None if the launch has none."""
    if row is None:
        return None
    described = describe_compute_env(row, workspace)
    return {name: value for name, value in described.items() if name not in _NOT_IN_LAUNCHES}


class LaunchRoutes(RouteGroup):
    """Handlers for launches."""

    @get("/workflow/{run_id}/launch")
    def describe_run_launch(self, request: Request) -> Row:
        """Return the launch of a run; runs started from the command line have none."""
        run = self.requested_run(request)
        workflow = run.at(self.world.now_s()).workflow
        if workflow.get("launchId") is None:
            raise http_error(404, f"No launch for workflow {workflow['id']}")
        return {"launch": self._show(run, _make_launch(workflow))}

    @get("/launch/{launch_id}")
    def describe_launch(self, request: Request) -> Row:
        """Return a launch."""
        run = self._requested_launch(request)
        workflow = run.at(self.world.now_s()).summary
        launch = _make_launch(workflow) | {
            "runName": workflow["runName"],
            "workspaceId": self.world.workspaces[run.workspace_id].id,
            "lastUpdated": workflow["submit"],
            "headJobCpus": None,
            "headJobMemoryMb": None,
        }
        return {"launch": self._show(run, launch)}

    @get("/launch/{launch_id}/datasets", legacy=False)
    def list_launch_datasets(self, request: Request) -> Row:
        """Return the datasets of a launch; every second launch has those of its workspace."""
        run, launch_id = self._requested_launch(request), request.path_params["launch_id"]
        stored = self.world.entities.get("launchDatasets", {}).get(run.workspace_id)
        if stored is None and sum(launch_id.encode()) % 2:
            stored = self.world.entities.get("datasetVersions", {}).get(run.workspace_id)
        rows = [self.profile.api.filter_fields("datasetVersions", row) for row in stored or []]
        return {"versions": rows, "totalSize": len(rows)}

    def _requested_launch(self, request: Request) -> Run:
        key, launch_id = self.requested_workspace(request), request.path_params["launch_id"]
        run = self.world.find_launched(key, launch_id)
        if run is None:
            raise http_error(403, "Operation not allowed")
        return run

    def _show(self, run: Run, launch: Row) -> Row:
        workspace = self.world.workspaces[run.workspace_id]
        env = embed_compute_env(self.world.find_compute_env(run), workspace)
        shown = env and self.profile.api.filter_fields("computeEnv", env)
        return self.profile.api.filter_fields("launch", launch | {"computeEnv": shown})


def _make_launch(workflow: Row) -> Row:
    # The listing has no version; old dumps have null instead of false.
    values = {"nextflowVersion": None} | workflow | {"resume": bool(workflow["resume"])}
    launch: Row = fill(ACCOUNT_TEMPLATES["launch"], values)
    return launch

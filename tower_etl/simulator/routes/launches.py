"""Routes of launches, by run or by launch id, with their compute environment and datasets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from tower_etl.simulator.data import fill, load_json
from tower_etl.simulator.routes.base import RouteGroup, denied, get
from tower_etl.simulator.state import ACCOUNT_TEMPLATES

if TYPE_CHECKING:
    from starlette.requests import Request

    from tower_etl.simulator.aggregates import Row
    from tower_etl.simulator.runs import Run
    from tower_etl.simulator.state import Workspace

_COMPUTE_ENVS = load_json("compute_envs.json")
_FIELDS: dict[str, list[str]] = _COMPUTE_ENVS["fields"]


def list_compute_env(row: Row) -> Row:
    """Return a compute environment in the shape of `/compute-envs`."""
    return {name: value for name, value in row.items() if name not in _FIELDS["detail_only"]}


def describe_compute_env(row: Row, workspace: Workspace) -> Row:
    """Return a compute environment in the shape of `/compute-envs/{id}`."""
    platform = str(row.get("platform"))
    config = {"discriminator": platform, "workDir": row.get("workDir")}
    derived = {
        "awsAccountId": "210987654321" if platform == "aws-batch" else None,
        "config": _COMPUTE_ENVS["config"] | config | _COMPUTE_ENVS["platforms"].get(platform, {}),
        "dateCreated": workspace.created,
        "deleted": False,
        "fusionMetricsCollectionEnabled": bool(row.get("fusion2Enabled")),
        "lastUpdated": workspace.created,
        "orgId": workspace.org_id,
        "workspaceId": workspace.id,
    }
    names = _FIELDS["shared"] + _FIELDS["detail_only"]
    return {name: row.get(name, derived.get(name)) for name in names}


class LaunchRoutes(RouteGroup):
    """Handlers for launches."""

    @get("/workflow/{run_id}/launch")
    def describe_run_launch(self, request: Request) -> Row:
        """Return the launch of a run; runs started from the command line have none."""
        run = self.requested_run(request)
        workflow = run.at(self.world.now_s()).workflow
        if workflow.get("launchId") is None:
            raise HTTPException(404, f"No launch for workflow {workflow['id']}")
        return self._describe(run, workflow)

    @get("/launch/{launch_id}")
    def describe_launch(self, request: Request) -> Row:
        """Return a launch."""
        run = self._requested_launch(request)
        workflow = run.at(self.world.now_s()).summary
        return self._describe(
            run,
            workflow,
            runName=workflow["runName"],
            workspaceId=self.world.workspaces[run.workspace_id].id,
            lastUpdated=workflow["submit"],
            headJobCpus=None,
            headJobMemoryMb=None,
        )

    @get("/launch/{launch_id}/datasets", legacy=False)
    def list_launch_datasets(self, request: Request) -> Row:
        """Return the datasets of a launch; every second launch has those of its workspace."""
        run, launch_id = self._requested_launch(request), request.path_params["launch_id"]
        rows = self.world.list_entities("launchDatasets", run.workspace_id)
        if not rows and sum(launch_id.encode()) % 2:
            rows = self.world.list_entities("datasetVersions", run.workspace_id)
        shown = [self.profile.filter_fields("datasetVersions", row) for row in rows]
        return {"versions": shown, "totalSize": len(shown)}

    def _requested_launch(self, request: Request) -> Run:
        key, launch_id = self.requested_workspace(request), request.path_params["launch_id"]
        run = self.world.find_launched(key, launch_id)
        if run is None:
            raise denied()
        return run

    def _describe(self, run: Run, workflow: Row, **fields: object) -> Row:
        # The listing has no version; old dumps have null instead of false.
        values = {"nextflowVersion": None} | workflow | {"resume": bool(workflow["resume"])}
        launch = fill(ACCOUNT_TEMPLATES["launch"], values) | fields
        launch["computeEnv"] = self._embed_compute_env(run)
        return {"launch": self.profile.filter_fields("launch", launch)}

    def _embed_compute_env(self, run: Run) -> Row | None:
        row = self.world.find_compute_env(run)
        if row is None:
            return None
        env = describe_compute_env(row, self.world.workspaces[run.workspace_id])
        shown = {name: env[name] for name in env if name not in _FIELDS["not_in_launches"]}
        return self.profile.filter_fields("computeEnv", shown)
